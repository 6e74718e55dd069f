"""What the parts of VL1 share: who we are, chance, settings, counters, and what is to go out."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from ztlink.batch import Transmit
from ztlink.clock import Now
from ztlink.deadlines import DeadlineQueue, Timed
from ztlink.ids import Address, Endpoint, IpAddress, SocketId
from ztlink.lane.engine import Engine
from ztlink.stats import Stats
from ztlink.vl1.events import Vl1Event
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.inet_address import IpScope, ip_scope
from ztlink.wire.packet import DEFAULT_PATH_MTU
from ztlink.wire.verbs import PROTOCOL_VERSION

IpNetwork = IPv4Network | IPv6Network

USABLE_SCOPES = frozenset({IpScope.PRIVATE, IpScope.SHARED, IpScope.PSEUDO_PRIVATE, IpScope.GLOBAL})
_BLOCKED_TUNNEL_BROKER = IPv6Network("2001:470::/32")


@dataclass(frozen=True, slots=True)
class PhysicalNetwork:
    """What an operator says of a range of physical addresses."""

    prefix: IpNetwork
    mtu: int = 0
    """UDP payload bytes; 0 for the default."""
    trusted_path_id: int = 0
    """Non-zero: packets to and from it are neither encrypted nor authenticated (suite 2)."""
    is_blacklisted: bool = False


@dataclass(slots=True)
class Context:
    """Shared by the parts of one VL1; owned by the node."""

    identity: SecretIdentity
    random_bytes: Callable[[int], bytes]
    engine: Engine
    """The kernels of the data lane; may be changed for others at any time."""
    physical: tuple[PhysicalNetwork, ...] = ()
    protocol: int = PROTOCOL_VERSION
    """What we say that we speak; below 12, peers and we use suite 1 (Salsa20/12)."""
    allow_loopback: bool = False
    """Loopback addresses may be paths: for tests and demos on one machine."""
    hints: Mapping[Address, tuple[Endpoint, ...]] = field(default_factory=dict)
    """Where peers may be found, in an operator's words."""
    stats: Stats = field(default_factory=Stats)
    timers: DeadlineQueue[Timed] = field(default_factory=DeadlineQueue)
    transmits: list[Transmit] = field(default_factory=list)
    events: deque[Vl1Event] = field(default_factory=deque)
    sockets: Mapping[SocketId, Endpoint] = field(default_factory=dict)
    overlay_prefixes: tuple[IpNetwork, ...] = ()
    """Ranges of our own networks: VL1 never runs through them."""

    @property
    def address(self) -> Address:
        """Our own address."""
        return self.identity.address

    def transmit(
        self, data: bytes | bytearray, endpoint: Endpoint, socket: SocketId, ttl: int = 0
    ) -> None:
        """Send one datagram."""
        self.transmits.append(Transmit(data, len(data), endpoint, socket, ttl))

    def physical_network(self, ip: IpAddress) -> PhysicalNetwork | None:
        """Return what is configured for a physical address."""
        for network in self.physical:
            if ip.version == network.prefix.version and ip in network.prefix:
                return network
        return None

    def path_mtu(self, ip: IpAddress) -> tuple[int, int]:
        """Return the UDP payload that fits towards `ip` and its trusted path id (0 for none)."""
        network = self.physical_network(ip) if self.physical else None
        if network is None:
            return DEFAULT_PATH_MTU, 0
        return network.mtu or DEFAULT_PATH_MTU, network.trusted_path_id

    def may_be_path(self, endpoint: Endpoint) -> bool:
        """Tell whether a remote endpoint may be used as a path at all (wire.adoc#paths)."""
        ip = endpoint.ip
        if endpoint.port == 0:
            return False
        if ip_scope(ip) not in USABLE_SCOPES and not (self.allow_loopback and ip.is_loopback):
            return False
        if ip.version == 6 and ip in _BLOCKED_TUNNEL_BROKER:
            return False
        if any(ip.version == p.version and ip in p for p in self.overlay_prefixes):
            return False
        network = self.physical_network(ip) if self.physical else None
        return network is None or not network.is_blacklisted


def wall_clock(now: Now, mono: float) -> int:
    """Convert a monotonic reading of the past to Unix milliseconds; 0 for never."""
    return 0 if mono == float("-inf") else now.unix_ms - int((now.mono - mono) * 1000)
