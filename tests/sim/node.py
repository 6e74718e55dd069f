"""A node in the world: it owns a core, drains it, and is its network, its disk and its port."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from tests.sim.ethernet import EthernetHost
from tests.sim.internet import Host
from tests.sim.schedule import Appointment
from tests.sim.segments import frames_of
from tests.sim.world import Clock
from tests.sim.world import World as Universe
from ztlink.batch import Delivery, SuperFrame, Train, Transmit
from ztlink.clock import Now
from ztlink.ids import (
    Address,
    Endpoint,
    MulticastGroup,
    NetworkId,
    SocketId,
    format_network_id,
)
from ztlink.node.events import (
    Event,
    NetworkConfigured,
    NetworkJoined,
    NetworkLeft,
    NetworkStatus,
    NetworkStatusChanged,
    NodeOnline,
    StateChanged,
)
from ztlink.node.status import NetworkView, NodeView, PeerView
from ztlink.stats import Stats
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World as Planet

DEFAULT_PORT: Final = 9993
VALIDATION_DELAY: Final = 0.05
"""Seconds that a proof of work takes to check, on a machine with nothing else to do."""
MAX_EARLY_TIMERS: Final = 1000


class AnyCore(Protocol):
    """The face of a core, as far as the simulation uses it."""

    @property
    def stats(self) -> Stats: ...
    def receive_datagrams(self, train: Train, now: Now) -> None: ...
    def receive_frames(self, port: NetworkId, frame: SuperFrame, now: Now) -> None: ...
    def handle_timer(self, now: Now) -> None: ...
    def transmits(self) -> list[Transmit]: ...
    def deliveries(self) -> list[Delivery]: ...
    def next_event(self) -> Event | None: ...
    def get_timer(self) -> float | None: ...
    def validations(self) -> list[Identity]: ...
    def identity_validated(self, identity: Identity, ok: bool, now: Now) -> None: ...
    def set_sockets(self, sockets: Mapping[SocketId, Endpoint], now: Now) -> None: ...
    def join(
        self, network_id: NetworkId, now: Now, cached: NetworkConfig | None = None
    ) -> None: ...
    def leave(self, network_id: NetworkId, now: Now) -> None: ...
    def set_groups(
        self, network_id: NetworkId, groups: frozenset[MulticastGroup], now: Now
    ) -> None: ...
    def node_view(self, now: Now) -> NodeView: ...
    def peer_views(self, now: Now) -> list[PeerView]: ...
    def network_views(self, now: Now) -> list[NetworkView]: ...


class CoreMaker(Protocol):
    """Makes a core out of what a node has on its disk."""

    def __call__(
        self,
        identity: SecretIdentity,
        planet: Planet,
        *,
        random_bytes: Callable[[int], bytes],
        now: Now,
        known_peers: Sequence[KnownPeer],
    ) -> AnyCore: ...


class SimNode:
    """One node; `start` it, and it lives until it is killed."""

    def __init__(
        self,
        world: Universe,
        host: Host,
        identity: SecretIdentity,
        planet: Planet,
        make_core: CoreMaker,
    ) -> None:
        self.world = world
        self.host = host
        self.name = host.name
        self.identity = identity
        self.planet = planet
        self.chance = world.chance(f"node/{host.name}")
        self.clock = Clock(world.schedule, uptime=1000.0 + 100.0 * self.chance.random())
        self.disk: dict[str, bytes] = {}
        """What StateChanged gave us to keep."""
        self.configs: dict[NetworkId, NetworkConfig] = {}
        """The last configuration of each network, which is on the disk, too."""
        self.networks: list[NetworkId] = []
        """What was joined; joined again after a restart."""
        self.is_awake = True
        self.events: list[tuple[float, Event]] = []
        """What the core told, and when."""
        self.ports: dict[NetworkId, EthernetHost] = {}
        self.validation_delay = VALIDATION_DELAY
        self.rejected: dict[Address, None] = {}
        """Identities whose proof of work this node finds bad."""
        self.on_event: Callable[[Event], None] = lambda event: None
        self._make_core = make_core
        self._core: AnyCore | None = None
        self._timer: Appointment | None = None
        self._timers_at_once = 0
        self._last_timer = float("-inf")

    # -- life --------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """The node's ZeroTier address."""
        return self.identity.address

    @property
    def is_running(self) -> bool:
        """Tell whether the node lives."""
        return self._core is not None

    @property
    def core(self) -> AnyCore:
        """The core of a running node."""
        assert self._core is not None, f"{self.name} is not running"
        return self._core

    def start(self) -> None:
        """Begin to live, with what is on the disk."""
        assert self._core is None, f"{self.name} runs already"
        self._core = self._make_core(
            self.identity,
            self.planet,
            random_bytes=self.chance.randbytes,
            now=self.clock.now(),
            known_peers=self._known_peers(),
        )
        self.host.receiver = self._receive
        self._core.set_sockets(self.host.bind(DEFAULT_PORT), self.clock.now())
        for network_id in self.networks:
            self._core.join(network_id, self.clock.now(), self.configs.get(network_id))
        self.drain()

    def kill(self) -> None:
        """Stop at once, without a word to anybody; the disk stays."""
        self._core = None
        self._fall_silent()
        self.ports.clear()

    def _known_peers(self) -> list[KnownPeer]:
        files = sorted(key for key in self.disk if key.startswith("peers.d/"))
        return [KnownPeer.from_bytes(self.disk[key]) for key in files]

    def restart(self) -> None:
        """Be killed and start anew."""
        self.kill()
        self.start()

    def suspend(self, seconds: float) -> None:
        """Sleep as a laptop does: nothing is sent, heard or computed until the time is over."""
        self._fall_silent()
        self.is_awake = False
        self.world.schedule.after(seconds, self._wake_up)

    def _wake_up(self) -> None:
        self.is_awake = True
        self.host.receiver = self._receive
        self._set_timer()

    def _fall_silent(self) -> None:
        self.host.receiver = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def change_sockets(self) -> None:
        """Bind sockets to the addresses that the host has now."""
        self.core.set_sockets(self.host.bind(DEFAULT_PORT), self.clock.now())
        self.drain()

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self.clock.step(seconds)

    # -- networks ----------------------------------------------------------------------------

    def join(self, network_id: NetworkId) -> None:
        """Join a network."""
        self.networks.append(network_id)
        self.core.join(network_id, self.clock.now())
        self.drain()

    def leave(self, network_id: NetworkId) -> None:
        """Leave a network."""
        self.networks.remove(network_id)
        self.core.leave(network_id, self.clock.now())
        self.drain()

    def status(self, network_id: NetworkId) -> NetworkStatus | None:
        """Return the last status that the core told for a network."""
        for _, event in reversed(self.events):
            if isinstance(event, NetworkStatusChanged) and event.network_id == network_id:
                return event.status
        return None

    @property
    def is_online(self) -> bool:
        """Tell whether the core said last that it reaches a root."""
        told = [event.online for _, event in self.events if isinstance(event, NodeOnline)]
        return self.is_running and bool(told) and told[-1]

    def times_of(self, kind: type[Event]) -> list[float]:
        """Return when events of a kind were told."""
        return [time for time, event in self.events if isinstance(event, kind)]

    def peer(self, address: Address) -> PeerView | None:
        """Return what the core says of a peer."""
        views = self.core.peer_views(self.clock.now())
        return next((view for view in views if view.identity.address == address), None)

    def has_direct_path(self, other: "SimNode") -> bool:
        """Tell whether traffic to another node goes straight to it."""
        view = self.peer(other.address) if self.is_running else None
        return view is not None and any(path.active for path in view.paths)

    # -- driving the core --------------------------------------------------------------------

    def drain(self) -> None:
        """Take everything out of the core, in the order that is laid down."""
        core = self.core
        for transmit in core.transmits():
            self.host.send(transmit)
        frames = [(item.port, piece) for item in core.deliveries() for piece in frames_of(item)]
        while (event := core.next_event()) is not None:
            self.events.append((self.world.time, event))
            self._take(event)
        for identity in core.validations():
            self._validate(identity)
        self._set_timer()
        for port, piece in frames:
            machine = self.ports.get(port)
            if machine is not None:
                machine.receive_frame(piece)

    def _receive(self, train: Train) -> None:
        self.core.receive_datagrams(train, self.clock.now())
        self.drain()

    def _send_frame(self, network_id: NetworkId, frame: SuperFrame) -> None:
        """Hand a frame to the core as soon as what is being done now is over."""
        self.world.schedule.after(0.0, lambda: self._receive_frame(network_id, frame))

    def _receive_frame(self, network_id: NetworkId, frame: SuperFrame) -> None:
        if self._core is not None and self.is_awake and network_id in self.ports:
            self._core.receive_frames(network_id, frame, self.clock.now())
            self.drain()

    def _validate(self, identity: Identity) -> None:
        asker = self.core

        def done() -> None:
            if self._core is asker and self.is_awake:
                ok = identity.address not in self.rejected
                asker.identity_validated(identity, ok, self.clock.now())
                self.drain()

        self.world.schedule.after(self.validation_delay, done)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.get_timer()
        if deadline is not None:
            time = self.clock.world_time(deadline)
            self._timer = self.world.schedule.at(time, lambda: self._handle_timer(deadline))

    def _handle_timer(self, deadline: float) -> None:
        self._timer = None
        stands_still = self.world.time == self._last_timer
        self._timers_at_once = self._timers_at_once + 1 if stands_still else 0
        self._last_timer = self.world.time
        assert self._timers_at_once < MAX_EARLY_TIMERS, f"{self.name}: a timer is always due"
        self.core.handle_timer(self.clock.at(deadline))
        self.drain()

    def _take(self, event: Event) -> None:
        match event:
            case StateChanged(key, None):
                self.disk.pop(key, None)
            case StateChanged(key, value):
                assert value is not None
                self.disk[key] = value
            case NetworkJoined(network_id, mac):
                schedule = self.world.schedule
                self.ports[network_id] = EthernetHost(
                    mac, schedule, lambda frame: self._send_frame(network_id, frame)
                )
            case NetworkConfigured(network_id, config):
                self.configs[network_id] = config
                groups = self.ports[network_id].configure(config.addresses)
                self.world.schedule.after(0.0, lambda: self._set_groups(network_id, groups))
            case NetworkLeft(network_id):
                self.ports.pop(network_id, None)
                self.configs.pop(network_id, None)
        self.on_event(event)

    def _set_groups(self, network_id: NetworkId, groups: frozenset[MulticastGroup]) -> None:
        if self._core is not None and network_id in self.ports:
            self._core.set_groups(network_id, groups, self.clock.now())
            self.drain()

    def port(self, network_id: NetworkId) -> EthernetHost:
        """Return the machine on the port of a network."""
        machine = self.ports.get(network_id)
        assert machine is not None, f"{self.name} has no port on {format_network_id(network_id)}"
        return machine
