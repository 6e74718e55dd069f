"""What a node tells: frozen values in the past tense, pulled one at a time with `next_event`."""

from ztlink.vl1.events import (
    IdentityCollided,
    NodeOnline,
    PathConfirmed,
    PathLost,
    PeerLost,
    StateChanged,
    UserMessageReceived,
    Vl1Event,
)
from ztlink.vl2.events import (
    ConfigRequested,
    NetworkConfigured,
    NetworkJoined,
    NetworkLeft,
    NetworkStatus,
    NetworkStatusChanged,
    Vl2Event,
)

Event = Vl1Event | Vl2Event

__all__ = [
    "ConfigRequested",
    "Event",
    "IdentityCollided",
    "NetworkConfigured",
    "NetworkJoined",
    "NetworkLeft",
    "NetworkStatus",
    "NetworkStatusChanged",
    "NodeOnline",
    "PathConfirmed",
    "PathLost",
    "PeerLost",
    "StateChanged",
    "UserMessageReceived",
]
