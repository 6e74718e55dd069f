"""Addresses and routes of a stack: what is ours, and over whom others are reached."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Final

from ztlink.ids import IpAddress, IpInterface, Mac
from ztlink.netstack.source import choose_source

IpNetwork = IPv4Network | IPv6Network
MAX_WAYS: Final = 1024
"""Destinations whose way is remembered."""
_LINK_LOCAL_BITS: Final = 64
LIMITED_BROADCAST: Final = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a part of the addresses: through a gateway, or on the link itself."""

    target: IpNetwork
    gateway: IpAddress | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """How a destination is reached."""

    source: IpAddress
    next_hop: IpAddress
    """The neighbour that packets go to; the destination itself on the link."""
    is_own: bool = False
    is_to_group: bool = False
    """To a group or to all: no neighbour has to be found."""


def link_local(mac: Mac) -> IPv6Interface:
    """Return the address that follows from a MAC (RFC 4291 2.5.6 and appendix A)."""
    middle = bytes([mac[0] ^ 0x02]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Interface((b"\xfe\x80" + bytes(6) + middle, _LINK_LOCAL_BITS))


class RouteTable:
    """What a stack knows of its own addresses and of the ways to others."""

    def __init__(self, mac: Mac) -> None:
        self._link_local = link_local(mac)
        self._routes: list[Route] = []
        self._ways: dict[IpAddress, Way | None] = {}
        self.interfaces: tuple[IpInterface, ...] = ()
        """Our addresses; the one of the link comes last."""
        self.own: frozenset[bytes] = frozenset()
        """Our addresses, packed."""
        self._broadcasts: frozenset[IpAddress] = frozenset()
        self.set((), ())

    def set(self, addresses: Iterable[IpInterface], routes: Sequence[Route]) -> None:
        """Take addresses and routes in place of those that were here."""
        unique = {one.ip: one for one in addresses}
        self.interfaces = (*unique.values(), self._link_local)
        self.own = frozenset(one.ip.packed for one in self.interfaces)
        self._broadcasts = frozenset(
            one.network.broadcast_address
            for one in self.interfaces
            if isinstance(one, IPv4Interface) and one.network.prefixlen < 31
        ) | {LIMITED_BROADCAST}
        on_link = [Route(one.network) for one in self.interfaces]
        on_link += [route for route in routes if route.gateway is None]
        far = [route for route in routes if self._is_usable(route, on_link)]
        far.sort(key=lambda route: route.metric)
        self._routes = sorted(on_link + far, key=lambda route: -route.target.prefixlen)
        self._ways.clear()

    def _is_usable(self, route: Route, on_link: list[Route]) -> bool:
        """Tell whether a gateway is a neighbour of ours, and not ourselves."""
        gateway = route.gateway
        if gateway is None or gateway.packed in self.own:
            return False
        return any(gateway in one.target for one in on_link)

    def is_own(self, ip: IpAddress) -> bool:
        """Tell whether an address is one of ours."""
        return ip.packed in self.own

    def is_broadcast(self, ip: IpAddress) -> bool:
        """Tell whether packets to an address are for all on the link (IPv4)."""
        return ip in self._broadcasts

    def is_on_link(self, ip: IpAddress) -> bool:
        """Tell whether an address is reached without a gateway."""
        route = self._find(ip)
        return route is not None and route.gateway is None

    def _find(self, ip: IpAddress) -> Route | None:
        return next((route for route in self._routes if ip in route.target), None)

    def way(self, destination: IpAddress, source: IpAddress | None = None) -> Way | None:
        """Return how a destination is reached, from `source` if that is given.

        None where no route leads there, or no address of ours could be the sender.
        """
        if source is not None:
            way = self._look(destination)
            return None if way is None else Way(source, way.next_hop, way.is_own, way.is_to_group)
        return self._look(destination)

    def _look(self, destination: IpAddress) -> Way | None:
        try:
            return self._ways[destination]
        except KeyError:
            if len(self._ways) >= MAX_WAYS:
                self._ways.clear()
            way = self._ways[destination] = self._find_way(destination)
            return way

    def _find_way(self, destination: IpAddress) -> Way | None:
        is_to_group = destination.is_multicast or self.is_broadcast(destination)
        is_own = self.is_own(destination)
        next_hop = destination
        if not is_to_group and not is_own:
            route = self._find(destination)
            if route is None or destination.is_unspecified or destination.is_loopback:
                return None
            next_hop = route.gateway or destination
        source = self.source_for(next_hop if destination.version == 4 else destination)
        if source is None:
            return None
        return Way(source, next_hop, is_own, is_to_group)

    def source_for(self, destination: IpAddress) -> IpAddress | None:
        """Return which of our addresses is the sender to a destination."""
        return choose_source(destination, self.interfaces)

    def ipv6_addresses(self) -> list[IPv6Address]:
        """Return our IPv6 addresses."""
        return [one.ip for one in self.interfaces if isinstance(one, IPv6Interface)]

    def ipv4_addresses(self) -> list[IPv4Address]:
        """Return our IPv4 addresses."""
        return [one.ip for one in self.interfaces if isinstance(one, IPv4Interface)]
