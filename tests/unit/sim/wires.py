"""Short ways to send datagrams between the hosts of a world and to see what arrives."""

from dataclasses import dataclass, field

from tests.sim.internet import Host
from tests.sim.world import World
from ztlink.batch import Train, Transmit
from ztlink.ids import ALL_SOCKETS, Endpoint

PORT = 9993


@dataclass(slots=True)
class Inbox:
    """What arrived at a host, and when."""

    host: Host
    world: World
    trains: list[Train] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def take(self, train: Train) -> None:
        self.trains.append(train)
        self.times.append(self.world.time)

    @property
    def payloads(self) -> list[bytes]:
        return [bytes(train.buffer) for train in self.trains]

    @property
    def sources(self) -> list[Endpoint]:
        return [train.source for train in self.trains]

    @property
    def endpoint(self) -> Endpoint:
        """The first endpoint of the host."""
        return next(iter(self.host.bind(PORT).values()))

    def send(self, to: Endpoint, payload: bytes = b"x", *, ttl: int = 0, segment: int = 0) -> None:
        size = segment or len(payload)
        self.host.send(Transmit(payload, size, to, ALL_SOCKETS, ttl))


def open_inbox(world: World, host: Host) -> Inbox:
    """Bind sockets to a host and take what arrives."""
    inbox = Inbox(host, world)
    host.bind(PORT)
    host.receiver = inbox.take
    return inbox
