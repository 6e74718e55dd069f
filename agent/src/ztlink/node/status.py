"""Snapshots of a node for people and programs: values, taken between two inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ztlink.ids import Address, Endpoint, Mac, MulticastGroup, NetworkId, SocketId
from ztlink.node.events import NetworkStatus
from ztlink.stats import LATENCY_BOUNDS
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import NetworkConfig


class PeerRole(StrEnum):
    """What a peer is to us; spelled as the original's API does."""

    LEAF = "LEAF"
    MOON = "MOON"
    PLANET = "PLANET"


@dataclass(frozen=True, slots=True)
class PathView:
    """One direct path of a peer."""

    endpoint: Endpoint
    socket: SocketId
    last_send_unix_ms: int
    last_receive_unix_ms: int
    trusted_path_id: int
    latency_ms: int
    """-1 while unknown."""
    active: bool
    expired: bool
    preferred: bool


@dataclass(frozen=True, slots=True)
class PeerView:
    """A peer and its paths."""

    identity: Identity
    role: PeerRole
    version: tuple[int, int, int] | None
    protocol: int
    """0 while unknown."""
    latency_ms: int
    """-1 while unknown."""
    last_receive_unix_ms: int
    """0 where nothing was received."""
    paths: tuple[PathView, ...]
    """Empty: the peer is reached through a root."""
    packets_in: int = 0
    packets_out: int = 0
    packet_errors: int = 0
    """Packets in its name that were not authentic."""
    latency_counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    """Round trips up to each of `stats.LATENCY_BOUNDS`, from the one before; then all above."""
    latency_sum: float = 0.0
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A membership."""

    network_id: NetworkId
    mac: Mac
    status: NetworkStatus
    reason: str
    """A sentence for people: what is so, what it waits for, what would help."""
    config: NetworkConfig | None
    groups: tuple[MulticastGroup, ...]
    config_unix_ms: int
    """When the config was last received; 0 for none."""
    verdicts: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    """Frames that the rules judged, by direction (`rx`, `tx`) and whether they passed."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """The node itself."""

    identity: Identity
    online: bool
    is_root: bool
    planet_id: int
    planet_timestamp: int
    surface: tuple[Endpoint, ...]
    """Our own addresses as others see them."""
    roots: tuple[Address, ...]
    engine: str = "portable"
    """What cuts and seals packets now."""
