"""Why something failed, as the errors that a kernel's sockets would raise."""

import errno
from typing import Final

from ztlink.ids import Endpoint, IpAddress
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


def os_error(reason: Reason, target: Endpoint | IpAddress) -> OSError:
    """Return the error; Python picks its class by the number (`ConnectionRefusedError`, ...)."""
    return OSError(_ERRNO[reason], f"{described(target)}: {reason}")


def described(target: Endpoint | IpAddress) -> str:
    """Write an address, and a port where there is one, as people read them."""
    return f"{target.ip} port {target.port}" if isinstance(target, Endpoint) else str(target)
