"""A core that is no ZeroTier node: it echoes and beats, to prove the world alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ztlink.batch import Delivery, SuperFrame, Train, Transmit
from ztlink.clock import Now
from ztlink.ids import (
    ALL_SOCKETS,
    Endpoint,
    Mac,
    MulticastGroup,
    NetworkId,
    SocketId,
)
from ztlink.node.events import Event, NetworkJoined, StateChanged
from ztlink.node.status import NetworkView, NodeView, PeerView
from ztlink.stats import Stats
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World

ECHO = b"?"


@dataclass(slots=True)
class FakeCore:
    """Keeps what came, echoes what begins with a question mark, beats once a second if told to."""

    random_bytes: Callable[[int], bytes]
    beats_to: Endpoint | None = None
    trains: list[tuple[Now, bytes, int, Endpoint]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    sockets: Mapping[SocketId, Endpoint] = field(default_factory=dict)
    verdicts: list[tuple[Now, Identity, bool]] = field(default_factory=list)
    timers: list[Now] = field(default_factory=list)
    waiting: list[Transmit] = field(default_factory=list)
    delivered: list[Delivery] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    to_validate: list[Identity] = field(default_factory=list)
    next_beat: float | None = None
    stats: Stats = field(default_factory=Stats)

    def receive_datagrams(self, train: Train, now: Now) -> None:
        data = bytes(train.buffer)
        self.trains.append((now, data, train.segment_size, train.source))
        if data.startswith(ECHO):
            answer = b"!" + data[1:]
            self.waiting.append(Transmit(answer, len(answer), train.source, train.socket))

    def receive_frames(self, port: NetworkId, frame: SuperFrame, now: Now) -> None:
        self.frames.append(bytes(frame.buffer))

    def handle_timer(self, now: Now) -> None:
        self.timers.append(now)
        if self.next_beat is not None and now.mono >= self.next_beat and self.beats_to:
            self.next_beat += 1.0
            beat = ECHO + self.random_bytes(8)
            self.waiting.append(Transmit(beat, len(beat), self.beats_to, ALL_SOCKETS))

    def transmits(self) -> list[Transmit]:
        taken, self.waiting = self.waiting, []
        return taken

    def deliveries(self) -> list[Delivery]:
        taken, self.delivered = self.delivered, []
        return taken

    def next_event(self) -> Event | None:
        return self.events.pop(0) if self.events else None

    def get_timer(self) -> float | None:
        return self.next_beat

    def validations(self) -> list[Identity]:
        taken, self.to_validate = self.to_validate, []
        return taken

    def identity_validated(self, identity: Identity, ok: bool, now: Now) -> None:
        self.verdicts.append((now, identity, ok))

    def set_sockets(self, sockets: Mapping[SocketId, Endpoint], now: Now) -> None:
        self.sockets = sockets
        self.next_beat = now.mono if self.beats_to else None

    def join(self, network_id: NetworkId, now: Now, cached: NetworkConfig | None = None) -> None:
        self.events.append(StateChanged(f"networks.d/{network_id:016x}.conf", b"\n"))
        self.events.append(NetworkJoined(network_id, Mac(bytes.fromhex("020000000001"))))

    def leave(self, network_id: NetworkId, now: Now) -> None:
        self.events.append(StateChanged(f"networks.d/{network_id:016x}.conf", None))

    def set_groups(
        self, network_id: NetworkId, groups: frozenset[MulticastGroup], now: Now
    ) -> None:
        raise NotImplementedError

    def node_view(self, now: Now) -> NodeView:
        raise NotImplementedError

    def peer_views(self, now: Now) -> list[PeerView]:
        raise NotImplementedError

    def network_views(self, now: Now) -> list[NetworkView]:
        raise NotImplementedError


def make_fake(
    identity: SecretIdentity,
    planet: World,
    *,
    random_bytes: Callable[[int], bytes],
    now: Now,
    known_peers: Sequence[KnownPeer],
) -> FakeCore:
    """Make a core that only listens."""
    return FakeCore(random_bytes)


def make_beating(to: Endpoint) -> Callable[..., FakeCore]:
    """Return a maker of cores that send to an endpoint every second."""

    def make(
        identity: SecretIdentity,
        planet: World,
        *,
        random_bytes: Callable[[int], bytes],
        now: Now,
        known_peers: Sequence[KnownPeer],
    ) -> FakeCore:
        return FakeCore(random_bytes, beats_to=to)

    return make
