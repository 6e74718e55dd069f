"""The whole public face of the sans-I/O node.

Datagrams, frames and time go in; datagrams, frames and events come out. The core holds no socket,
reads no clock and has no chance of its own, so that a run can be repeated byte for byte. After any
input the outputs are drained in this order: `transmits`, `deliveries`, `next_event`, `get_timer`.
`hello_gate` is a request that a driver may follow, or not.
Buffers are borrowed: what goes in is good until the call returns (and may be written to), what
comes out until the next input.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ztlink.batch import Delivery, SuperFrame, Train, Transmit
from ztlink.clock import Now
from ztlink.ids import Address, Endpoint, MulticastGroup, NetworkId, PacketId, SocketId
from ztlink.lane.engine import Engine
from ztlink.lane.portable import PortableEngine
from ztlink.node.dispatch import Dispatch
from ztlink.node.events import Event
from ztlink.node.status import NetworkView, NodeView, PeerView
from ztlink.node.tie import Tie
from ztlink.node.views import network_view, node_view, peer_view
from ztlink.stats import Stats
from ztlink.vl1.context import Context, PhysicalNetwork
from ztlink.vl1.floodgate import Gate
from ztlink.vl1.layer import Vl1
from ztlink.vl2.layer import Vl2
from ztlink.wire.credentials import Revocation
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.verbs import PROTOCOL_VERSION, ErrorCode
from ztlink.wire.world import World


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """What an operator may decide about the core."""

    controller_enabled: bool = False
    """Answer config requests for networks that carry our address."""
    physical: tuple[PhysicalNetwork, ...] = ()
    protocol: int = PROTOCOL_VERSION
    """What we say that we speak; below 12, peers and we use suite 1 (Salsa20/12)."""
    allow_loopback: bool = False
    """Loopback addresses may be paths: for tests and demos on one machine."""
    hints: Mapping[Address, tuple[Endpoint, ...]] = field(default_factory=dict)
    """Where peers may be found, in an operator's words."""


class Core:
    """A ZeroTier node without I/O."""

    def __init__(
        self,
        identity: SecretIdentity,
        planet: World,
        *,
        random_bytes: Callable[[int], bytes],
        now: Now,
        moons: Sequence[World] = (),
        known_peers: Sequence[KnownPeer] = (),
        settings: CoreSettings | None = None,
        engine: Engine | None = None,
    ) -> None:
        settings = settings or CoreSettings()
        self._ctx = Context(
            identity,
            random_bytes,
            engine or PortableEngine(),
            settings.physical,
            protocol=settings.protocol,
            allow_loopback=settings.allow_loopback,
            hints=settings.hints,
        )
        self._events: deque[Event] = deque()
        self._tie = Tie(self._ctx)
        self._vl2 = Vl2(self._tie, self._events.append, settings.controller_enabled, now)
        dispatch = Dispatch(self._ctx, self._vl2)
        self._vl1 = Vl1(self._ctx, planet, moons, dispatch, known_peers)
        self._tie.connect(self._vl1, self._vl2)
        dispatch.connect(self._vl1)
        self._vl1.start(now)

    @property
    def stats(self) -> Stats:
        """Counters; plain integers."""
        return self._ctx.stats

    @property
    def identity(self) -> Identity:
        """Our public identity."""
        return self._ctx.identity.public

    @property
    def engine(self) -> Engine:
        """The kernels of the data lane; others may be put in their place at any time."""
        return self._ctx.engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._ctx.engine = engine

    # -- inputs ------------------------------------------------------------------------------

    def receive_datagrams(self, train: Train, now: Now) -> None:
        """Take datagrams from a socket; `train.buffer` is borrowed and is written to."""
        self._vl1.receive(train, now)

    def receive_frames(self, port: NetworkId, frame: SuperFrame, now: Now) -> None:
        """Take a frame from a network's port."""
        self._vl2.receive_frame(port, frame, now)

    def handle_timer(self, now: Now) -> None:
        """Do what is due; late is fine, early is harmless."""
        while (owner := self._ctx.timers.pop_due(now.mono)) is not None:
            owner.handle_timer(now)

    # -- outputs -----------------------------------------------------------------------------

    def transmits(self) -> list[Transmit]:
        """Take the datagrams that are to be sent."""
        ctx = self._ctx
        transmits = ctx.transmits
        if not transmits:
            return []
        ctx.transmits = []
        stats = ctx.stats
        for transmit in transmits:
            size = len(transmit.buffer)
            stats.bytes_out += size
            stats.datagrams_out += -(-size // transmit.segment_size)
        return transmits

    def deliveries(self) -> list[Delivery]:
        """Take the frames for the ports."""
        return self._vl2.take_deliveries()

    def next_event(self) -> Event | None:
        """Take what happened, one at a time."""
        if self._ctx.events:
            return self._ctx.events.popleft()
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return the monotonic time at which `handle_timer` is due."""
        return self._ctx.timers.head()

    def hello_gate(self) -> Gate:
        """Return how many HELLOs the sockets should let pass; the same object while that stays."""
        return self._vl1.introductions.floodgate.gate

    def validations(self) -> list[Identity]:
        """Take the identities whose proof of work is to be checked elsewhere."""
        return self._vl1.take_validations()

    def identity_validated(self, identity: Identity, ok: bool, now: Now) -> None:
        """Take the verdict on a proof of work."""
        self._vl1.strangers.validated(identity, ok, now)

    # -- commands ----------------------------------------------------------------------------

    def set_sockets(self, sockets: Mapping[SocketId, Endpoint], now: Now) -> None:
        """Tell which local endpoints are bound; paths of sockets that are gone go too."""
        self._vl1.set_sockets(sockets, now)

    def sockets(self) -> Mapping[SocketId, Endpoint]:
        """Return the local endpoints that are bound."""
        return self._ctx.sockets

    def set_physical(
        self,
        physical: tuple[PhysicalNetwork, ...],
        hints: Mapping[Address, tuple[Endpoint, ...]],
        now: Now,
    ) -> None:
        """Take what an operator says of physical networks, and of where peers may be found."""
        self._vl1.set_physical(physical, hints, now)

    def join(self, network_id: NetworkId, now: Now, cached: NetworkConfig | None = None) -> None:
        """Join a network; a configuration kept from last time serves until a fresh one is here."""
        self._vl2.join(network_id, now, cached)

    def leave(self, network_id: NetworkId, now: Now) -> None:
        """Leave a network."""
        self._vl2.leave(network_id, now)

    def set_groups(
        self, network_id: NetworkId, groups: frozenset[MulticastGroup], now: Now
    ) -> None:
        """Tell which groups the port listens to."""
        self._vl2.set_groups(network_id, groups, now)

    def set_port_error(self, network_id: NetworkId, reason: str | None, now: Now) -> None:
        """Tell that a network's port cannot be had, in a sentence; None when it can."""
        self._vl2.set_port_error(network_id, reason, now)

    def seek(self, address: Address, now: Now) -> None:
        """Ask the roots for a node that is not known, for a few seconds."""
        if not self.knows(address, now):
            self._vl1.topology.when_known(address, now)

    def orbit(self, moon_id: int, seed: Address, now: Now) -> None:
        """Ask `seed` for a moon, by naming it in HELLO."""
        self._vl1.orbit(moon_id, seed, now)

    def moons(self) -> tuple[World, ...]:
        """Return the moons that are here, by id."""
        moons = self._vl1.topology.moons
        return tuple(moons[key] for key in sorted(moons))

    def add_moon(self, moon: World, now: Now) -> None:
        """Orbit a moon that the operator has; it is the operator's to keep."""
        self._vl1.topology.add_moon(moon, now)

    def deorbit(self, moon_id: int, now: Now) -> None:
        """Forget a moon."""
        self._vl1.deorbit(moon_id, now)

    # -- as a controller ---------------------------------------------------------------------

    def send_config(
        self,
        member: Address,
        network_id: NetworkId,
        chunks: Sequence[bytes],
        in_reply_to: PacketId | None,
        now: Now,
    ) -> None:
        """Send the signed pieces of a configuration, as an answer or unasked."""
        self._vl2.controller.send_config(member, network_id, chunks, in_reply_to, now)

    def send_config_error(
        self,
        member: Address,
        network_id: NetworkId,
        in_reply_to: PacketId,
        code: ErrorCode,
        now: Now,
    ) -> None:
        """Refuse a request."""
        self._vl2.controller.send_error(member, network_id, in_reply_to, code, now)

    def send_revocation(self, members: Iterable[Address], revocation: Revocation, now: Now) -> None:
        """Tell members that somebody's credential is void."""
        self._vl2.controller.send_revocation(members, revocation, now)

    # -- snapshots ---------------------------------------------------------------------------

    def node_view(self, now: Now) -> NodeView:
        """Describe the node."""
        return node_view(self._ctx, self._vl1, now)

    def peer_views(self, now: Now) -> list[PeerView]:
        """Describe the peers, by address."""
        peers = self._vl1.topology.peers
        return [peer_view(self._vl1, peers[address], now) for address in sorted(peers)]

    def knows(self, address: Address, now: Now) -> bool:
        """Tell whether the identity of a node is known."""
        return self._vl1.topology.find(address, now) is not None

    def network_views(self, now: Now) -> list[NetworkView]:
        """Describe the memberships, by network id."""
        return [network_view(network) for network in self._vl2.joined()]
