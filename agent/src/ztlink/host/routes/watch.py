"""News of routes: which tell that ours were changed, and which that the machine did."""

import contextlib
import errno
import socket
from enum import IntEnum
from typing import Final

from ztlink.host.routes.kernel import DECLARED_PROTOCOL, MANAGED_PROTOCOL
from ztlink.host.rtnetlink import HEADER, aligned

_RTMGRP_LINK: Final = 0x1
_RTMGRP_IPV4_IFADDR: Final = 0x10
_RTMGRP_IPV4_ROUTE: Final = 0x40
_RTMGRP_IPV4_RULE: Final = 0x80
_RTMGRP_IPV6_IFADDR: Final = 0x100
_RTMGRP_IPV6_ROUTE: Final = 0x400
_RTNLGRP_IPV6_RULE: Final = 19
_ROUTES: Final = frozenset({24, 25})
"""RTM_NEWROUTE, RTM_DELROUTE."""
_DELETED_ROUTE: Final = 25
_MISSED: Final = frozenset({2, MANAGED_PROTOCOL, DECLARED_PROTOCOL})
"""The protocols of routes whose end concerns us: the kernel leads by its own to our subnets."""
_OFFSET_PROTOCOL: Final = 5
_MAX_BLOCK: Final = 1 << 16
_MAX_READ: Final = 256
"""Messages at one go: a flood of them is one piece of news, and others have their turn."""
_SOL_NETLINK: Final = 270
_NETLINK_ADD_MEMBERSHIP: Final = 1


class News(IntEnum):
    """What was heard, the more urgent the higher."""

    NONE = 0
    MACHINE = 1
    """Something of others has changed, which a preflight may judge by."""
    OURS = 2
    """Somebody, and not us, has laid hands on what is ours."""


class RouteWatch:
    """A netlink socket that becomes readable when routes, rules, addresses or devices change."""

    def __init__(self, own_port: int) -> None:
        """Listen; news of what the socket of that number did are passed over."""
        self._own_port = own_port
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.NETLINK_ROUTE,
        )
        self._socket.bind(
            (
                0,
                _RTMGRP_LINK
                | _RTMGRP_IPV4_IFADDR
                | _RTMGRP_IPV4_ROUTE
                | _RTMGRP_IPV4_RULE
                | _RTMGRP_IPV6_IFADDR
                | _RTMGRP_IPV6_ROUTE,
            )
        )
        with contextlib.suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _RTNLGRP_IPV6_RULE)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> News:
        """Read what is there; where more was told than the buffer holds, all may have changed."""
        news = News.NONE
        for _ in range(_MAX_READ):
            try:
                block = self._socket.recv(_MAX_BLOCK)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                news = News.OURS
            else:
                news = max(news, self._judge(block))
        return news

    def _judge(self, block: bytes) -> News:
        news, at = News.NONE, 0
        while at + HEADER.size < len(block):
            size, kind, _, _, port = HEADER.unpack_from(block, at)
            if port != self._own_port:
                protocol = block[at + HEADER.size + _OFFSET_PROTOCOL]
                news = max(news, News.OURS if _is_ours(kind, protocol) else News.MACHINE)
            at += aligned(max(size, HEADER.size))
        return news


def _is_ours(kind: int, protocol: int) -> bool:
    if kind not in _ROUTES:
        return True
    return protocol == DECLARED_PROTOCOL or (kind == _DELETED_ROUTE and protocol in _MISSED)
