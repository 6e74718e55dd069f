"""What a node tells: frozen values in the past tense, pulled one at a time with `next_event`."""

from dataclasses import dataclass
from enum import IntEnum

from ztlink.ids import Address, Endpoint, NetworkId, PacketId
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import NetworkConfig


class NetworkStatus(IntEnum):
    """The state of a membership; numbers and names as the original's."""

    REQUESTING_CONFIGURATION = 0
    OK = 1
    ACCESS_DENIED = 2
    NOT_FOUND = 3
    PORT_ERROR = 4
    CLIENT_TOO_OLD = 5
    AUTHENTICATION_REQUIRED = 6


@dataclass(frozen=True, slots=True)
class NodeOnline:
    """The node reached a root, or lost the last one."""

    online: bool


@dataclass(frozen=True, slots=True)
class PathConfirmed:
    """A peer answered on a direct path."""

    peer: Address
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class PathLost:
    """A direct path of a peer is no longer used."""

    peer: Address
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class PeerLost:
    """Nothing was heard from a peer for so long that it was forgotten."""

    peer: Address


@dataclass(frozen=True, slots=True)
class NetworkJoined:
    """A network was joined; a port with this MAC may be made for it."""

    network_id: NetworkId
    mac: bytes


@dataclass(frozen=True, slots=True)
class NetworkStatusChanged:
    """A network's status or the reason for it changed."""

    network_id: NetworkId
    status: NetworkStatus
    reason: str
    """A sentence for people: what is so, and what would help."""


@dataclass(frozen=True, slots=True)
class NetworkConfigured:
    """A network has a new configuration: addresses, routes, MTU may have changed."""

    network_id: NetworkId
    config: NetworkConfig


@dataclass(frozen=True, slots=True)
class NetworkLeft:
    """A network was left; its port, addresses and routes are to go."""

    network_id: NetworkId


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A value to be kept on disk; None removes it. Keys are file names under the home directory."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class IdentityCollided:
    """A root knows another identity by our address: the node must stop and take a new one."""

    reporter: Address


@dataclass(frozen=True, slots=True)
class ConfigRequested:
    """A node asks our controller for its configuration of one of our networks."""

    network_id: NetworkId
    member: Identity
    metadata: bytes
    """The request's dictionary, not yet decoded."""
    packet_id: PacketId
    """What a reply refers to."""


@dataclass(frozen=True, slots=True)
class UserMessageReceived:
    """A peer sent an application's message; anybody may: authorise before use."""

    peer: Address
    type_id: int
    data: bytes


Event = (
    NodeOnline
    | PathConfirmed
    | PathLost
    | PeerLost
    | NetworkJoined
    | NetworkStatusChanged
    | NetworkConfigured
    | NetworkLeft
    | StateChanged
    | IdentityCollided
    | ConfigRequested
    | UserMessageReceived
)
