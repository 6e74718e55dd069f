"""What VL2 tells: about networks, and about requests to our own controller."""

from dataclasses import dataclass
from enum import IntEnum

from ztlink.ids import Mac, NetworkId, PacketId
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
class NetworkJoined:
    """A network was joined; a port with this MAC may be made for it."""

    network_id: NetworkId
    mac: Mac


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
class ConfigRequested:
    """A node asks our controller for its configuration of one of our networks."""

    network_id: NetworkId
    member: Identity
    metadata: bytes
    """The request's dictionary, not yet decoded."""
    packet_id: PacketId
    """What a reply refers to; 0 where we ask ourselves."""


Vl2Event = NetworkJoined | NetworkStatusChanged | NetworkConfigured | NetworkLeft | ConfigRequested
