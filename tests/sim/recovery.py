"""Two members in conversation, to see for how long it is interrupted by what happens to them."""

from dataclasses import dataclass, field
from typing import Final

from tests.sim.ethernet import Ping
from tests.sim.internet import Gateway
from tests.sim.link import Datagram
from tests.sim.node import DEFAULT_PORT, SimNode
from tests.sim.private_mesh import PrivateMesh
from tests.sim.world import World
from ztlink.batch import Transmit
from ztlink.ids import Endpoint

INTERVAL: Final = 0.1
ANSWER_TIME: Final = 1.0
"""Seconds that every ping is given to be answered."""
SETTLING: Final = 8.0
"""Seconds after which nothing of how the members found each other goes on."""


@dataclass(slots=True)
class Conversation:
    """Pings of one member to another, ten a second, from when it was made."""

    mesh: PrivateMesh = field(repr=False)
    a: SimNode = field(repr=False)
    b: SimNode = field(repr=False)
    pings: list[Ping] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.mesh.world.schedule.every(INTERVAL, self._ping)

    def _ping(self) -> None:
        network = self.mesh.network
        if not self.a.is_awake:
            return
        target = self.b.ports[network].address(4) if network in self.b.ports else None
        known = [p.destination for p in self.pings[-1:]]
        if network in self.a.ports and self.a.ports[network].interfaces and (target or known):
            self.pings.append(self.a.ports[network].ping(target or known[0]))

    def lost_since(self, time: float) -> list[float]:
        """Return when the pings were sent that had time to be answered, and were not."""
        end = self.mesh.world.time - ANSWER_TIME
        return [p.sent for p in self.pings if time <= p.sent < end and p.answered is None]

    def interruption(self, since: float, *, seconds: float = 12.0) -> float:
        """Let time go on, and return the seconds until no ping was lost any more."""
        self.mesh.run(seconds + ANSWER_TIME)
        sent = [ping.sent for ping in self.pings if ping.sent >= since]
        lost = self.lost_since(since)
        after = [time for time in sent if not lost or time > lost[-1]]
        assert len(after) > 1 / INTERVAL, "nothing is answered any more"
        return after[0] - since


def converse(
    seed: int = 1,
    *,
    a_box: Gateway | None = None,
    b_box: Gateway | None = None,
    mesh: PrivateMesh | None = None,
    is_direct: bool = True,
) -> Conversation:
    """Have two new members of a mesh talk until all is settled."""
    mesh = mesh or PrivateMesh(seed)
    a = mesh.add_member("a", behind=a_box)
    b = mesh.add_member("b", behind=b_box)
    mesh.wait_joined(mesh.network)
    talk = Conversation(mesh, a, b)
    if is_direct:
        mesh.wait_direct(a, b)
    mesh.run(SETTLING)
    return talk


def converse_through_root(seed: int = 1, *, roots: int = 1) -> Conversation:
    """Have two members talk that cannot reach each other but through a root."""
    mesh = PrivateMesh(seed, roots=roots)
    mesh.world.internet.break_path("a", "b")
    return converse(mesh=mesh, is_direct=False)


class Replayer:
    """Sends again what hosts send, to the same place, once a delay has passed."""

    def __init__(
        self, world: World, *, delay: float, is_spoofed: bool, repetitions: int = 1
    ) -> None:
        self.count = 0
        self._world = world
        self._delay = delay
        self._is_spoofed = is_spoofed
        """It gives the address of the first sender as its own."""
        self._repetitions = repetitions
        self._host = world.add_host("replayer")
        ((self._socket, self.endpoint),) = self._host.bind(DEFAULT_PORT).items()
        self._is_listening = True
        world.watch(self._note)

    def stop_listening(self) -> None:
        """Go on with what was heard so far, and hear no more."""
        self._is_listening = False

    def _note(self, datagram: Datagram) -> None:
        if datagram.source != self.endpoint and self._is_listening:
            for number in range(self._repetitions):
                delay = self._delay * (1 + number)
                self._world.schedule.after(delay, lambda: self._send(datagram))

    def _send(self, datagram: Datagram) -> None:
        self.count += 1
        if self._is_spoofed:
            self._world.internet.send(self._host, datagram)
        else:
            size = len(datagram.payload)
            self._host.send(
                Transmit(datagram.payload, size, datagram.destination, self._socket, datagram.ttl)
            )


def confirmed_endpoints(node: SimNode) -> set[Endpoint]:
    """Return where a node sends its traffic to."""
    views = node.core.peer_views(node.clock.now())
    return {path.endpoint for view in views for path in view.paths if path.active}
