"""Declared routes in the kernel: ours are found by their number, and changed by the hundred."""

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeVar

from ztlink.errors import HostError
from ztlink.host import rtnetlink
from ztlink.host.desired import IpNetwork
from ztlink.host.routes.kernel import (
    DECLARED_PROTOCOL,
    ForeignRoute,
    KernelRoute,
    Neighbour,
    Observed,
    Rule,
)
from ztlink.host.routes.others import MarkedDevice
from ztlink.host.routes.plan import RoutePlan
from ztlink.ids import IpAddress, Mac

_RTM_GETLINK: Final = 18
_RTM_NEWROUTE: Final = 24
_RTM_DELROUTE: Final = 25
_RTM_GETROUTE: Final = 26
_RTM_NEWNEIGH: Final = 28
_RTM_DELNEIGH: Final = 29
_RTM_GETNEIGH: Final = 30
_RTM_NEWRULE: Final = 32
_RTM_DELRULE: Final = 33
_RTM_GETRULE: Final = 34

_ROUTE: Final = struct.Struct("=BBBBBBBBI")
"""Family, length of target, of source, TOS, table, protocol, scope, type, flags."""
_RULE: Final = struct.Struct("=BBBBBxxBI")
"""Family, length of target, of source, TOS, table, action, flags."""
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
"""Family, device, state, flags, type."""
_LINK: Final = struct.Struct("=BxHiII")
"""Family, type, index, flags, mask of changes."""
_WORD: Final = struct.Struct("=I")
_VIA: Final = struct.Struct("=H")

_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTA_GATEWAY: Final = 5
_RTA_PRIORITY: Final = 6
_RTA_PREFSRC: Final = 7
_RTA_METRICS: Final = 8
_RTA_TABLE: Final = 15
_RTA_VIA: Final = 18
_RTAX_MTU: Final = 2
_FRA_PRIORITY: Final = 6
_FRA_TABLE: Final = 15
_FRA_PROTOCOL: Final = 21
_IFF_LOWER_UP: Final = 0x10000
"""Of a TAP: a process holds it."""
_IFLA_ADDRESS: Final = 1
_IFLA_IFALIAS: Final = 20
_NDA_DST: Final = 1
_NDA_LLADDR: Final = 2
_NDA_PROTOCOL: Final = 12

_SCOPE_UNIVERSE: Final = 0
_SCOPE_LINK: Final = 253
_SCOPE_NOWHERE: Final = 255
"""Of a route that is to be removed: whatever its scope is."""
_TYPE_UNICAST: Final = 1
_TYPES_OF_OTHERS: Final = frozenset({2, 3, 4, 5})
"""Local, broadcast, anycast, multicast: the kernel's own, made with addresses."""
_TABLE_COMPAT: Final = 252
_TABLE_LOCAL: Final = 255
_TO_TABLE: Final = 1
_NUD_PERMANENT: Final = 0x80
_RTM_F_CLONED: Final = 0x200
_SOL_NETLINK: Final = 270
_NETLINK_GET_STRICT_CHK: Final = 12
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_MAKE: Final = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_EXCL
_SET: Final = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_REPLACE

T = TypeVar("T")


class RouteSocket:
    """A netlink socket for what is declared; for one thread."""

    def __init__(self) -> None:
        try:
            self._socket = rtnetlink.open_socket()
            self._socket.bind((0, 0))
        except OSError as error:
            raise _refused("open a netlink socket", error) from error
        self._read: dict[bytes, KernelRoute] = {}
        with contextlib.suppress(OSError):  # before 4.20 the kernel lists all, and we sort them out
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)

    @property
    def port(self) -> int:
        """The kernel's number for this socket: news of what it did carry that."""
        return int(self._socket.getsockname()[0])

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    # -- what is there -----------------------------------------------------------------------

    def observe(self, protocol: int = DECLARED_PROTOCOL) -> Observed:
        """Return what is there under a protocol number of ours."""
        routes = self.of(protocol)
        rules = (_parse_rule(body) for body in self._dump(_RTM_GETRULE, _rule_filter))
        neighbours = (_parse_neighbour(body) for body in self._dump(_RTM_GETNEIGH, _any_neighbour))
        return Observed(
            tuple(routes),
            tuple(rule for rule, number in rules if number == protocol),
            tuple(one for one, number in neighbours if one is not None and number == protocol),
        )

    def of(self, protocol: int) -> list[KernelRoute]:
        """Return the routes with a protocol number.

        What is told in the same bytes as the last time is not read again.
        """
        bodies = [bytes(body) for body in self._routes(protocol) if body[5] == protocol]
        former = self._read
        self._read = {body: former.get(body) or _parse_ours(memoryview(body)) for body in bodies}
        return [self._read[body] for body in bodies]

    def marked(self) -> list[MarkedDevice]:
        """Return the devices that something is written on."""
        try:
            bodies = rtnetlink.dump(self._socket, _RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0))
        except OSError as error:
            raise _refused("list the machine's devices", error) from error
        return [device for device in map(_parse_link, bodies) if device.mark]

    def others(self, ours: Iterable[int]) -> list[ForeignRoute]:
        """Return the routes of all tables that have none of our protocol numbers."""
        passed = frozenset(ours)
        return [
            _parse_foreign(body)
            for body in self._routes(0)
            if body[5] not in passed and body[7] not in _TYPES_OF_OTHERS and body[4] != _TABLE_LOCAL
        ]

    def _routes(self, protocol: int) -> Iterator[memoryview]:
        for body in self._dump(_RTM_GETROUTE, lambda family: _route_filter(family, protocol)):
            if not _ROUTE.unpack_from(body)[8] & _RTM_F_CLONED:
                yield body

    def _dump(self, kind: int, ask: Callable[[int], bytes]) -> Iterator[memoryview]:
        for family in _FAMILIES:
            try:
                yield from rtnetlink.dump(self._socket, kind, ask(family))
            except OSError as error:
                if family == socket.AF_INET:  # a kernel may be without IPv6
                    raise _refused("list the machine's routes", error) from error

    # -- changes -----------------------------------------------------------------------------

    def apply(self, plan: RoutePlan, protocol: int = DECLARED_PROTOCOL) -> dict[object, int]:
        """Carry out a plan in one pass; return the numbers of errors of what the kernel refused.

        What was to be removed and is gone already is no error.
        """
        steps: list[tuple[object, bytes]] = [
            *((rule, _rule_request(rule, protocol, is_new=False)) for rule in plan.remove_rules),
            *((route, _route_removal(route, protocol)) for route in plan.remove_routes),
            *((one, _neighbour_request(one, protocol, is_new=True)) for one in plan.set_neighbours),
            *((route, _route_request(route, _SET, protocol)) for route in plan.replace_routes),
            *((route, _route_request(route, _MAKE, protocol)) for route in plan.add_routes),
            *((rule, _rule_request(rule, protocol, is_new=True)) for rule in plan.add_rules),
            *(
                (one, _neighbour_request(one, protocol, is_new=False))
                for one in plan.remove_neighbours
            ),
        ]
        try:
            results = rtnetlink.carry_out(self._socket, [message for _, message in steps])
        except OSError as error:
            raise _refused("change routes", error) from error
        removed = {*plan.remove_rules, *plan.remove_routes, *plan.remove_neighbours}
        return {
            thing: result
            for (thing, _), result in zip(steps, results, strict=True)
            if result and thing not in removed
        }


def _refused(what: str, error: OSError) -> HostError:
    return HostError(error.errno, f"cannot {what}: {os.strerror(error.errno or 0)}")


# -- requests ----------------------------------------------------------------------------------


def _route_filter(family: int, protocol: int) -> bytes:
    return _ROUTE.pack(family, 0, 0, 0, 0, protocol, 0, 0, 0)


def _rule_filter(family: int) -> bytes:
    return _RULE.pack(family, 0, 0, 0, 0, 0, 0)


def _any_neighbour(family: int) -> bytes:
    return _NEIGHBOUR.pack(family, 0, 0, 0, 0)


def _word(kind: int, value: int) -> bytes:
    return rtnetlink.attribute(kind, _WORD.pack(value))


def _family(version: int) -> int:
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def _route_request(route: KernelRoute, flags: int, protocol: int) -> bytes:
    scope = _SCOPE_LINK if route.gateway is None else _SCOPE_UNIVERSE
    body = _route_body(route, protocol, scope if route.target.version == 4 else _SCOPE_UNIVERSE)
    if route.source is not None:
        body += rtnetlink.attribute(_RTA_PREFSRC, route.source.packed)
    if route.mtu:
        body += rtnetlink.nested(_RTA_METRICS, _word(_RTAX_MTU, route.mtu))
    return rtnetlink.request(_RTM_NEWROUTE, flags, body)


def _route_removal(route: KernelRoute, protocol: int) -> bytes:
    return rtnetlink.request(_RTM_DELROUTE, 0, _route_body(route, protocol, _SCOPE_NOWHERE))


def _route_body(route: KernelRoute, protocol: int, scope: int) -> bytes:
    target = route.target
    table = route.table if route.table <= _TABLE_LOCAL else _TABLE_COMPAT
    body = _ROUTE.pack(
        _family(target.version), target.prefixlen, 0, 0, table, protocol, scope, _TYPE_UNICAST, 0
    )
    body += rtnetlink.attribute(_RTA_DST, target.network_address.packed)
    body += _word(_RTA_TABLE, route.table) + _word(_RTA_PRIORITY, route.metric)
    if route.index:
        body += _word(_RTA_OIF, route.index)
    if route.gateway is None:
        return body
    if route.gateway.version == target.version:
        return body + rtnetlink.attribute(_RTA_GATEWAY, route.gateway.packed)
    via = _VIA.pack(_family(route.gateway.version)) + route.gateway.packed
    return body + rtnetlink.attribute(_RTA_VIA, via)


def _rule_request(rule: Rule, protocol: int, *, is_new: bool) -> bytes:
    table = rule.table if rule.table <= _TABLE_LOCAL else _TABLE_COMPAT
    body = _RULE.pack(_family(rule.version), 0, 0, 0, table, _TO_TABLE, 0)
    body += _word(_FRA_TABLE, rule.table) + _word(_FRA_PRIORITY, rule.priority)
    body += rtnetlink.attribute(_FRA_PROTOCOL, bytes((protocol,)))
    if is_new:
        return rtnetlink.request(_RTM_NEWRULE, _MAKE, body)
    return rtnetlink.request(_RTM_DELRULE, 0, body)


def _neighbour_request(one: Neighbour, protocol: int, *, is_new: bool) -> bytes:
    body = _NEIGHBOUR.pack(_family(one.ip.version), one.index, _NUD_PERMANENT, 0, 0)
    body += rtnetlink.attribute(_NDA_DST, one.ip.packed)
    if not is_new:
        return rtnetlink.request(_RTM_DELNEIGH, 0, body)
    body += rtnetlink.attribute(_NDA_LLADDR, one.mac)
    body += rtnetlink.attribute(_NDA_PROTOCOL, bytes((protocol,)))
    return rtnetlink.request(_RTM_NEWNEIGH, _SET, body)


# -- answers -----------------------------------------------------------------------------------


def _number(found: dict[int, memoryview], kind: int, default: int = 0) -> int:
    value = found.get(kind)
    return default if value is None else int(_WORD.unpack_from(value)[0])


def _ip(value: memoryview | None) -> IpAddress | None:
    if value is None:
        return None
    # From an integer, and not ip_address(): of ten thousand routes, that is a tenth of a second.
    packed = int.from_bytes(value, "big")
    return IPv4Address(packed) if len(value) == 4 else IPv6Address(packed)


def _target(family: int, length: int, value: memoryview | None) -> IpNetwork:
    packed = int.from_bytes(value, "big") if value is not None else 0
    if family == socket.AF_INET:
        return IPv4Network((packed, length))
    return IPv6Network((packed, length))


def _gateway(found: dict[int, memoryview]) -> IpAddress | None:
    via = found.get(_RTA_VIA)
    return _ip(found.get(_RTA_GATEWAY) if via is None else via[_VIA.size :])


def _parse_ours(body: memoryview) -> KernelRoute:
    family, length, _, _, table, _, _, _, _ = _ROUTE.unpack_from(body)
    found = rtnetlink.attributes(body[_ROUTE.size :])
    metrics = found.get(_RTA_METRICS)
    return KernelRoute(
        _target(family, length, found.get(_RTA_DST)),
        _number(found, _RTA_OIF),
        _gateway(found),
        _number(found, _RTA_PRIORITY),
        _number(found, _RTA_TABLE, table),
        _ip(found.get(_RTA_PREFSRC)),
        0 if metrics is None else _number(rtnetlink.attributes(metrics), _RTAX_MTU),
    )


def _parse_foreign(body: memoryview) -> ForeignRoute:
    family, length, _, _, _, protocol, _, _, _ = _ROUTE.unpack_from(body)
    found = rtnetlink.attributes(body[_ROUTE.size :])
    gateway = _gateway(found)
    return ForeignRoute(
        _target(family, length, found.get(_RTA_DST)),
        _number(found, _RTA_OIF),
        protocol,
        gateway is None,
        gateway,
    )


def _parse_rule(body: memoryview) -> tuple[Rule, int]:
    family, _, _, _, table, _, _ = _RULE.unpack_from(body)
    found = rtnetlink.attributes(body[_RULE.size :])
    version = 4 if family == socket.AF_INET else 6
    protocol = found.get(_FRA_PROTOCOL)
    rule = Rule(version, _number(found, _FRA_TABLE, table), _number(found, _FRA_PRIORITY))
    return rule, 0 if protocol is None else protocol[0]


def _parse_neighbour(body: memoryview) -> tuple[Neighbour | None, int]:
    _, index, _, _, _ = _NEIGHBOUR.unpack_from(body)
    found = rtnetlink.attributes(body[_NEIGHBOUR.size :])
    ip, protocol = _ip(found.get(_NDA_DST)), found.get(_NDA_PROTOCOL)
    if ip is None or protocol is None:
        return None, 0
    mac = Mac(bytes(found.get(_NDA_LLADDR, b"")))
    return Neighbour(index, ip, mac), protocol[0]


def _parse_link(body: memoryview) -> MarkedDevice:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = rtnetlink.attributes(body[_LINK.size :])
    mark = bytes(found.get(_IFLA_IFALIAS, b"")).rstrip(b"\0").decode(errors="replace")
    mac = Mac(bytes(found.get(_IFLA_ADDRESS, b"")))
    return MarkedDevice(index, mark, mac, bool(flags & _IFF_LOWER_UP))
