"""The only door to pyroute2: devices, their addresses and routes are changed here."""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from ipaddress import IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ztlink.errors import HostError
from ztlink.host.addresses import IFF_UP
from ztlink.host.desired import Desired, HostRoute
from ztlink.host.device import COUNTED, PARTS
from ztlink.host.linkconf import makes_link_local
from ztlink.host.netlink_routes import RouteSocket
from ztlink.host.plan import Addition, Plan, RefusedError
from ztlink.host.routes.kernel import MANAGED_PROTOCOL
from ztlink.host.routes.resolve import link_local
from ztlink.ids import IpInterface, Mac

logger = logging.getLogger(__name__)

ROUTE_PROTOCOL: Final = MANAGED_PROTOCOL
"""`rtm_protocol` of routes that are ours."""
GSO_MAX_SIZE: Final = 60_522
"""22 full frames: 44 datagrams, which leave in one train."""
IFA_F_NODAD: Final = 0x02
RT_SCOPE_LINK: Final = 253
RTPROT_KERNEL: Final = 2
IP6_CONNECTED_METRIC: Final = 256
"""Of the route that the kernel makes with an IPv6 address."""
IP6_METRIC: Final = 1024
"""What the kernel takes for IPv6 where none is said."""
_THERE: Final = frozenset({errno.EEXIST, errno.ENETDOWN})
"""A route is there, or comes by itself when the device is taken up."""
_GONE: Final = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL})


class Netlink:
    """A netlink socket for requests; for one thread."""

    def __init__(self) -> None:
        self._ipr = IPRoute()
        self._routes = RouteSocket()
        """For lists: pyroute2 would read the ten thousand routes of others, too."""

    def close(self) -> None:
        """Close the socket."""
        self._ipr.close()
        self._routes.close()

    def index(self, name: str) -> int:
        """Return a device's index."""
        found: list[int] = self._do(f"find {name}", self._ipr.link_lookup, ifname=name)
        if not found:
            raise HostError(errno.ENODEV, f"there is no device {name}")
        return found[0]

    def bring_up(self, name: str, mac: Mac, mtu: int) -> None:
        """Give a device its MAC and MTU, and take it up."""
        index = self.index(name)
        self._link(f"set the MAC of {name}", index, address=mac.hex(":"))
        self._link(f"set the MTU of {name}", index, mtu=mtu)
        try:
            self._ipr.link("set", index=index, IFLA_GSO_MAX_SIZE=GSO_MAX_SIZE)
        except (NetlinkError, TypeError, KeyError, ValueError) as error:
            logger.debug("no cap on super-frames device=%s error=%s", name, error)
        self._link(f"take {name} up", index, state="up")

    def mark(self, name: str, mark: str) -> None:
        """Write on a device what it is for, for whoever finds it."""
        self._link(f"mark {name}", self.index(name), IFLA_IFALIAS=mark)

    def marked(self, prefix: str) -> list[tuple[str, str, Mac]]:
        """Return the marks that begin so, with names and MACs of their devices."""
        return [
            (mark, link.get_attr("IFLA_IFNAME"), Mac(bytes.fromhex(mac.replace(":", ""))))
            for link in self._do("look at all devices", self._ipr.get_links)
            if (mark := link.get_attr("IFLA_IFALIAS") or "").startswith(prefix)
            and (mac := link.get_attr("IFLA_ADDRESS"))
        ]

    def take_up(self, name: str) -> None:
        """Take a device up that is not."""
        self._link(f"take {name} up", self.index(name), state="up")

    def restore(self, name: str, mac: Mac) -> None:
        """Give a device its MAC again; one that has it is not touched, as its neighbours would go.

        And the link-local address that the kernel makes but once, when a device is taken up. Its
        MTU is of what `apply` does.
        """
        index = self.index(name)
        link = self._do(f"look at {name}", self._ipr.get_links, index)[0]
        if self._mac(link) != mac:
            self._link(f"set the MAC of {name}", index, address=mac.hex(":"))
        if link["flags"] & IFF_UP and not self._is_on_link(name, self._addresses(name, index)):
            self._add_address(index, IPv6Interface((link_local(mac), 64)))

    def remove(self, name: str) -> None:
        """Remove a device that nobody holds."""
        with _gone_is_fine():
            self._do(f"remove {name}", self._ipr.link, "del", index=self.index(name))

    def found(self, name: str, mac: Mac) -> Desired:
        """Return what is on a device of ours: its MTU, addresses that it was given, our routes."""
        index = self.index(name)
        link = self._do(f"look at {name}", self._ipr.get_links, index)[0]
        addresses = tuple(
            ip_interface(f"{_address_of(message)}/{message['prefixlen']}")
            for message in self._do(f"look at {name}", self._ipr.get_addr, index=index)
            if message["scope"] != RT_SCOPE_LINK
        )
        routes = tuple(
            _host_route(message)
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in self._ipr.get_routes(family=family, proto=ROUTE_PROTOCOL, oif=index)
            if message["proto"] == ROUTE_PROTOCOL and message.get_attr("RTA_OIF") == index
        )
        return Desired(mac, link.get_attr("IFLA_MTU"), addresses, routes)

    def apply(self, name: str, plan: Plan) -> None:
        """Carry out a plan on a device; what fails holds up nothing else, the first is raised.

        RefusedError where all that failed is addresses and routes that were to be added.
        """
        index = self.index(name)
        steps: list[tuple[Addition | None, Callable[[], None]]] = []
        if plan.mtu is not None:
            setting = partial(self._link, f"set the MTU of {name}", index, mtu=plan.mtu)
            steps.append((None, setting))
        steps += [(None, partial(self._remove_route, index, one)) for one in plan.remove_routes]
        steps += [(None, partial(self._remove_address, index, ip)) for ip in plan.remove_addresses]
        steps += [(ip, partial(self._add_address, index, ip)) for ip in plan.add_addresses]
        steps += [(ip, partial(self._connect, index, ip)) for ip in plan.add_addresses]
        steps += [(one, partial(self._add_route, index, one)) for one in plan.add_routes]
        failures: list[tuple[Addition | None, HostError]] = []
        for addition, step in steps:
            try:
                step()
            except HostError as error:
                failures.append((addition, error))
        if not failures:
            return
        refused = [addition for addition, _ in failures if addition is not None]
        if len(refused) < len(failures):
            raise next(error for addition, error in failures if addition is None)
        raise RefusedError(failures[0][1], refused)

    def lacks(self, name: str, desired: Desired) -> tuple[str, ...]:
        """Return what a device lacks, such as `device.PARTS`; one that is down keeps no routes."""
        index = self.index(name)
        link = self._do(f"look at {name}", self._ipr.get_links, index)[0]
        if not link["flags"] & IFF_UP:
            return ()
        there = self._addresses(name, index)
        has_addresses = there.issuperset(desired.addresses)
        ours = {(one.target, one.index) for one in self._routes.of(ROUTE_PROTOCOL)}
        has_routes = all((route.target, index) in ours for route in desired.routes)
        has_routes &= not has_addresses or self._is_connected(index, desired.addresses)
        parts = zip(
            (*PARTS, "its MTU", "its MAC", "its link-local address"),
            (
                has_addresses,
                has_routes,
                link.get_attr("IFLA_MTU") == desired.mtu,
                self._mac(link) == desired.mac,
                self._is_on_link(name, there),
            ),
            strict=True,
        )
        return tuple(part for part, is_complete in parts if not is_complete)

    def _addresses(self, name: str, index: int) -> set[IpInterface]:
        found = self._do(f"list addresses of {name}", self._ipr.get_addr, index=index)
        return {ip_interface(f"{_address_of(one)}/{one['prefixlen']}") for one in found}

    def _is_on_link(self, name: str, addresses: Collection[IpInterface]) -> bool:
        """Tell whether a device has the link-local address that the kernel would have made."""
        is_there = any(one.version == 6 and one.is_link_local for one in addresses)
        return is_there or not makes_link_local(name)

    def _mac(self, link: Any) -> Mac:
        return Mac(bytes.fromhex((link.get_attr("IFLA_ADDRESS") or "").replace(":", "")))

    def _is_connected(self, index: int, addresses: Sequence[IpInterface]) -> bool:
        """Tell whether the subnets of addresses lead to a device, as the kernel made it."""
        wanted = {one.network for one in addresses if _has_subnet(one)}
        return wanted <= {
            one.target for one in self._routes.of(RTPROT_KERNEL) if one.index == index
        }

    def look(self, name: str) -> tuple[bool, dict[str, int]]:
        """Tell whether a device is up, and what it has counted."""
        link = self._do(f"look at {name}", self._ipr.get_links, self.index(name))[0]
        counted = link.get_attr("IFLA_STATS64") or {}
        return bool(link["flags"] & IFF_UP), {
            key: counted[key] for key in COUNTED if key in counted
        }

    def _link(self, what: str, index: int, **options: Any) -> None:
        self._do(what, self._ipr.link, "set", index=index, **options)

    def _add_address(self, index: int, address: IpInterface) -> None:
        options = _address_options(index, address)
        if address.version == 4:
            options["broadcast"] = str(address.network.broadcast_address)
        else:
            options["flags"] = IFA_F_NODAD  # the address is ours by derivation
        self._do(f"add the address {address}", self._ipr.addr, "replace", **options)

    def _connect(self, index: int, address: IpInterface) -> None:
        """Lead an address's subnet to its device, where somebody took away the kernel's route."""
        if not _has_subnet(address):
            return
        options: dict[str, Any] = {
            "dst": str(address.network),
            "oif": index,
            "proto": RTPROT_KERNEL,
            "family": _family(address.version),
        }
        if address.version == 4:
            options |= {"prefsrc": str(address.ip), "scope": RT_SCOPE_LINK}
        else:
            options |= {"priority": IP6_CONNECTED_METRIC}
        try:
            self._do(f"lead {address.network} here", self._ipr.route, "append", **options)
        except HostError as error:
            if error.errno not in _THERE:
                raise

    def _remove_address(self, index: int, address: IpInterface) -> None:
        options = _address_options(index, address)
        with _gone_is_fine():
            self._do(f"remove the address {address}", self._ipr.addr, "del", **options)

    def _add_route(self, index: int, route: HostRoute) -> None:
        """Add a route or renew one of ours; one that others made stays and is an error.

        Where another network of ours has that target already, its route goes first: ours is put
        behind it by its metric, and takes its place when it goes.
        """
        what, options = f"add the route to {route.target}", _route_options(index, route)
        try:
            self._do(what, self._ipr.route, "add", **options)
        except HostError as error:
            there = self._ours(route) if error.errno == errno.EEXIST else []
            if not there:
                raise
            own = [metric for device, metric in there if device == index]
            if own:
                self._do(what, self._ipr.route, "replace", **options | {"priority": own[0]})
            else:
                taken = [metric for _, metric in there]
                options["priority"] = max(taken, default=0) + 1
                self._do(what, self._ipr.route, "add", **options)

    def _remove_route(self, index: int, route: HostRoute) -> None:
        options = _route_options(index, route)
        for device, metric in self._ours(route):
            if device == index:
                options["priority"] = metric
                with _gone_is_fine():
                    what = f"remove the route to {route.target}"
                    self._do(what, self._ipr.route, "del", **options)

    def _ours(self, route: HostRoute) -> list[tuple[int, int]]:
        """Return device and metric of our routes to a target, be they for whatever network."""
        return [
            (one.index, one.metric)
            for one in self._routes.of(ROUTE_PROTOCOL)
            if one.target == route.target
        ]

    def _do(self, what: str, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return request(*arguments, **options)
        except NetlinkError as error:
            raise HostError(error.code, f"cannot {what}: {os.strerror(error.code)}") from error


def _has_subnet(address: IpInterface) -> bool:
    return address.network.prefixlen < address.max_prefixlen


def _address_of(message: Any) -> str | None:
    text: str | None = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return text


def _family(version: int) -> int:
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def _address_options(index: int, address: IpInterface) -> dict[str, Any]:
    prefix = address.network.prefixlen
    return {"index": index, "address": str(address.ip), "prefixlen": prefix}


def _route_options(index: int, route: HostRoute) -> dict[str, Any]:
    options: dict[str, Any] = {
        "dst": str(route.target),
        "oif": index,
        "proto": ROUTE_PROTOCOL,
        "family": _family(route.target.version),
    }
    if route.gateway is not None:
        options["gateway"] = str(route.gateway)
    elif route.source is not None:
        options["prefsrc"] = str(route.source)
    if route.metric:
        options["priority"] = route.metric
    return options


def _host_route(message: Any) -> HostRoute:
    """Return a route as it was asked for."""
    is_ip4 = message["family"] == socket.AF_INET
    nowhere = "0.0.0.0" if is_ip4 else "::"  # noqa: S104 - a default route
    target = ip_network(f"{message.get_attr('RTA_DST') or nowhere}/{message['dst_len']}")
    gateway, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
    metric = message.get_attr("RTA_PRIORITY") or 0
    return HostRoute(
        target,
        ip_address(gateway) if gateway else None,
        ip_address(source) if source and not gateway else None,
        0 if metric == IP6_METRIC and not is_ip4 else metric,
    )


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except HostError as error:
        if error.errno not in _GONE:
            raise
