"""The only door to pyroute2: links, addresses, routes, and what the kernel tells of them."""

import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ztlink.errors import HostError
from ztlink.host.desired import HostRoute
from ztlink.host.plan import Plan
from ztlink.ids import IpAddress, IpInterface, Mac

logger = logging.getLogger(__name__)

ROUTE_PROTOCOL: Final = 0x5A
"""`rtm_protocol` of routes that are ours."""
GSO_MAX_SIZE: Final = 60_522
"""22 full frames: 44 datagrams, which leave in one train."""
RTMGRP_LINK: Final = 0x1
RTMGRP_IPV4_IFADDR: Final = 0x10
RTMGRP_IPV6_IFADDR: Final = 0x100
RTNLGRP_IPV4_MCADDR: Final = 37
RTNLGRP_IPV6_MCADDR: Final = 38
SOL_NETLINK: Final = 270
NETLINK_ADD_MEMBERSHIP: Final = 1
_GONE: Final = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL})


class Netlink:
    """A netlink socket for requests; for one thread."""

    def __init__(self) -> None:
        self._ipr = IPRoute()

    def close(self) -> None:
        """Close the socket."""
        self._ipr.close()

    def index(self, name: str) -> int:
        """Return a device's index."""
        found: list[int] = self._do(self._ipr.link_lookup, ifname=name)
        if not found:
            raise HostError(errno.ENODEV, f"there is no device {name}")
        return found[0]

    def bring_up(self, name: str, mac: Mac, mtu: int) -> None:
        """Give a device its MAC and MTU, and take it up."""
        index = self.index(name)
        self._do(self._ipr.link, "set", index=index, address=mac.hex(":"))
        self._do(self._ipr.link, "set", index=index, mtu=mtu)
        try:
            self._ipr.link("set", index=index, IFLA_GSO_MAX_SIZE=GSO_MAX_SIZE)
        except (NetlinkError, TypeError, KeyError, ValueError) as error:
            logger.debug("no cap on super-frames device=%s error=%s", name, error)
        self._do(self._ipr.link, "set", index=index, state="up")

    def apply(self, name: str, plan: Plan) -> None:
        """Carry a plan out on a device."""
        index = self.index(name)
        if plan.mtu is not None:
            self._do(self._ipr.link, "set", index=index, mtu=plan.mtu)
        for route in plan.remove_routes:
            self._route("del", index, route)
        for address in plan.remove_addresses:
            self._address("del", index, address)
        for address in plan.add_addresses:
            self._address("replace", index, address)
        for route in plan.add_routes:
            self._route("replace", index, route)

    def local_addresses(self) -> list[tuple[str, IpAddress]]:
        """Return every address of the machine with its device's name."""
        links = {link["index"]: link.get_attr("IFLA_IFNAME") for link in self._ipr.get_links()}
        found: list[tuple[str, IpAddress]] = []
        for message in self._ipr.get_addr():
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            name = links.get(message["index"])
            if text and name:
                found.append((name, ip_address(text)))
        return found

    def _address(self, verb: str, index: int, address: IpInterface) -> None:
        options: dict[str, Any] = {
            "index": index,
            "address": str(address.ip),
            "prefixlen": address.network.prefixlen,
        }
        if address.version == 4 and verb != "del":
            options["broadcast"] = str(address.network.broadcast_address)
        if address.version == 6 and verb != "del":
            options["flags"] = 0x02  # IFA_F_NODAD: the address is ours by derivation
        self._do(self._ipr.addr, verb, **options)

    def _route(self, verb: str, index: int, route: HostRoute) -> None:
        options: dict[str, Any] = {
            "dst": str(route.target),
            "oif": index,
            "proto": ROUTE_PROTOCOL,
            "family": 2 if route.target.version == 4 else 10,
        }
        if route.gateway is not None:
            options["gateway"] = str(route.gateway)
        elif route.source is not None:
            options["prefsrc"] = str(route.source)
        if route.metric:
            options["priority"] = route.metric
        self._do(self._ipr.route, verb, **options)

    def _do(self, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return request(*arguments, **options)
        except NetlinkError as error:
            verb = arguments[0] if arguments else "look up"
            if verb == "del" and error.code in _GONE:
                return None
            raise HostError(
                error.code, f"netlink {request.__name__} {verb} {options}: {error.args[-1]}"
            ) from error


class AddressWatch:
    """A netlink socket that becomes readable when links, addresses or group memberships change."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        for group in (RTNLGRP_IPV4_MCADDR, RTNLGRP_IPV6_MCADDR):
            with contextlib.suppress(OSError):  # a kernel before 6.14 tells nothing of groups
                self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Pass over the news: whoever watches looks at the whole state anyway."""
        with contextlib.suppress(OSError):  # nothing left, or more was lost than the buffer held
            while self._socket.recv(65_536):
                pass

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
