"""Why something failed, as the errors that a kernel's sockets would raise."""

import errno
from typing import Final

from ztlink.netstack.events import Reason

_ERRNO: Final = {
    Reason.REFUSED: errno.ECONNREFUSED,
    Reason.RESET: errno.ECONNRESET,
    Reason.ABORTED: errno.ECONNABORTED,
    Reason.TIMED_OUT: errno.ETIMEDOUT,
    Reason.NETWORK_UNREACHABLE: errno.ENETUNREACH,
    Reason.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    Reason.PROTOCOL_UNREACHABLE: errno.ENOPROTOOPT,
    Reason.PORT_UNREACHABLE: errno.ECONNREFUSED,
    Reason.PROHIBITED: errno.EACCES,
    Reason.TOO_BIG: errno.EMSGSIZE,
    Reason.HOP_LIMIT: errno.EHOSTUNREACH,
}


def os_error(reason: Reason, target: str) -> OSError:
    """Return the error; Python picks its class by the number (`ConnectionRefusedError`, ...)."""
    return OSError(_ERRNO[reason], f"{target}: {reason}")
