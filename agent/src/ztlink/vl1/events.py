"""What VL1 tells: about itself, its peers and their paths."""

from dataclasses import dataclass

from ztlink.ids import Address, Endpoint


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
class IdentityCollided:
    """Roots know another identity by our address: the node must stop and take a new one."""

    reporter: Address


@dataclass(frozen=True, slots=True)
class UserMessageReceived:
    """A peer sent an application's message; anybody may: authorise before use."""

    peer: Address
    type_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A value to be kept on disk; None removes it. Keys are file names under the home directory."""

    key: str
    value: bytes | None


Vl1Event = (
    NodeOnline
    | PathConfirmed
    | PathLost
    | PeerLost
    | IdentityCollided
    | UserMessageReceived
    | StateChanged
)
