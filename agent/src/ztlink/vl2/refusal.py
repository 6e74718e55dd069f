"""Why a controller gives us no configuration, on the wire and as a status."""

from enum import Enum, auto
from typing import Final

from ztlink.vl2.events import NetworkStatus
from ztlink.wire.verbs import ErrorCode


class Refusal(Enum):
    """Why the controller gives us no configuration."""

    ACCESS_DENIED = auto()
    NOT_FOUND = auto()
    AUTHENTICATION_REQUIRED = auto()


STATUS_OF_REFUSAL: Final = {
    Refusal.ACCESS_DENIED: NetworkStatus.ACCESS_DENIED,
    Refusal.NOT_FOUND: NetworkStatus.NOT_FOUND,
    Refusal.AUTHENTICATION_REQUIRED: NetworkStatus.AUTHENTICATION_REQUIRED,
}
REFUSAL_OF_CODE: Final = {
    ErrorCode.NETWORK_ACCESS_DENIED: Refusal.ACCESS_DENIED,
    ErrorCode.OBJ_NOT_FOUND: Refusal.NOT_FOUND,
    ErrorCode.UNSUPPORTED_OPERATION: Refusal.NOT_FOUND,
    ErrorCode.NETWORK_AUTHENTICATION_REQUIRED: Refusal.AUTHENTICATION_REQUIRED,
}
