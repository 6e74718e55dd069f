"""What can go wrong with a node in a program: each says what is so, for whom, and what would help.

The names are those that a program catches, without a suffix, as asyncio's users read them.
"""

import errno
import socket

from ztlink.errors import ZtError
from ztlink.ids import Address, NetworkId, format_address, format_network_id
from ztlink.node.events import NetworkStatus


class JoinError(ZtError):
    """A network could not be joined; it stays wanted until it is left."""

    def __init__(self, network_id: NetworkId, address: Address, reason: str) -> None:
        self.network_id = format_network_id(network_id)
        """16 hex digits."""
        self.address = format_address(address)
        """Of this node, 10 hex digits: what a network's owner must authorise."""
        self.reason = reason
        """A sentence."""
        super().__init__(f"network {self.network_id}: {reason} (this node is {self.address})")


class NotAuthorized(JoinError):
    """The controller has not let this node in."""


class NetworkNotFound(JoinError):
    """The controller knows no such network."""


class AuthenticationRequired(JoinError):
    """The network wants single sign-on."""


class ControllerUnreachable(JoinError):
    """The controller did not answer."""


class RootsUnreachable(JoinError):
    """No root answered: without one, nobody is found."""


class JoinTimeout(JoinError, TimeoutError):
    """The network answered, but what was waited for did not come in time."""


class NodeFailed(JoinError):
    """The node has ended, or an error has ended it, which is the cause of this one."""


class NetworkUnreachable(ZtError, OSError):
    """An address lies outside the network's addresses and routes."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ENETUNREACH, reason)


class NameNotFound(ZtError, socket.gaierror):
    """A name leads to no address."""

    def __init__(self, reason: str) -> None:
        super().__init__(socket.EAI_NONAME, reason)


def join_error(
    status: NetworkStatus,
    network_id: NetworkId,
    address: Address,
    reason: str,
    *,
    is_online: bool,
) -> JoinError:
    """Return the error for a network that is not as it was waited for."""
    kind: type[JoinError]
    match status:
        case NetworkStatus.ACCESS_DENIED:
            kind = NotAuthorized
        case NetworkStatus.NOT_FOUND:
            kind = NetworkNotFound
        case NetworkStatus.AUTHENTICATION_REQUIRED:
            kind = AuthenticationRequired
        case NetworkStatus.REQUESTING_CONFIGURATION:
            kind = ControllerUnreachable if is_online else RootsUnreachable
        case _:
            kind = JoinTimeout
    return kind(network_id, address, reason)
