"""A ZeroTier node in Python: core, drivers, controller and the faces for their users.

`from ztlink import Node` is the face for programs; it is loaded when it is asked for.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ztlink.aio.errors import (
        AuthenticationRequired,
        ControllerUnreachable,
        JoinError,
        JoinTimeout,
        NameNotFound,
        NetworkNotFound,
        NetworkUnreachable,
        NodeFailed,
        NotAuthorized,
        RootsUnreachable,
    )
    from ztlink.aio.network import Network
    from ztlink.aio.node import Node

_HOMES: Final = {
    "AuthenticationRequired": "ztlink.aio.errors",
    "ControllerUnreachable": "ztlink.aio.errors",
    "JoinError": "ztlink.aio.errors",
    "JoinTimeout": "ztlink.aio.errors",
    "NameNotFound": "ztlink.aio.errors",
    "Network": "ztlink.aio.network",
    "NetworkNotFound": "ztlink.aio.errors",
    "NetworkUnreachable": "ztlink.aio.errors",
    "Node": "ztlink.aio.node",
    "NodeFailed": "ztlink.aio.errors",
    "NotAuthorized": "ztlink.aio.errors",
    "RootsUnreachable": "ztlink.aio.errors",
}

__all__ = [
    "AuthenticationRequired",
    "ControllerUnreachable",
    "JoinError",
    "JoinTimeout",
    "NameNotFound",
    "Network",
    "NetworkNotFound",
    "NetworkUnreachable",
    "Node",
    "NodeFailed",
    "NotAuthorized",
    "RootsUnreachable",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    """Load what is asked for: importing the package alone stays cheap."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
