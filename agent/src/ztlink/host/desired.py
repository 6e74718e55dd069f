"""What a network's configuration means for this machine: pure decisions (wire.adoc#host)."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from ztlink.ids import IpAddress, IpInterface, Mac
from ztlink.wire.inet_address import IpScope, ip_scope

if TYPE_CHECKING:  # settings and commands need a policy, and nothing of configurations
    from ztlink.wire.netconf import NetworkConfig

IpNetwork = IPv4Network | IPv6Network
GATEWAY_METRIC = 5000


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator lets a network do to the machine; defaults as the original's."""

    allow_managed: bool = True
    allow_global: bool = False
    allow_default: bool = False
    allow_dns: bool = False
    managed_only_in: tuple[IpNetwork, ...] = ()
    """Where `allow_managed` is limited to ranges: those; empty for no limit."""


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A route through a network's device."""

    target: IpNetwork
    gateway: IpAddress | None = None
    source: IpAddress | None = None
    metric: int = 0
    """0 for the kernel's default."""


@dataclass(frozen=True, slots=True)
class Desired:
    """How a network's device should be."""

    mac: Mac
    mtu: int
    addresses: tuple[IpInterface, ...] = ()
    routes: tuple[HostRoute, ...] = ()


def may_manage(ip: IpAddress, bits: int, policy: Policy) -> bool:
    """Tell whether an address or route target may be applied."""
    if not policy.allow_managed:
        return False
    if policy.managed_only_in and not _is_within(ip, bits, policy.managed_only_in):
        return False
    if bits == 0:
        return policy.allow_default
    scope = ip_scope(ip)
    if scope in (IpScope.NONE, IpScope.MULTICAST, IpScope.LOOPBACK, IpScope.LINK_LOCAL):
        return False
    return scope is not IpScope.GLOBAL or policy.allow_global


def _is_within(ip: IpAddress, bits: int, ranges: Sequence[IpNetwork]) -> bool:
    return any(ip in one and one.prefixlen <= bits for one in ranges)


def desire(config: "NetworkConfig", mac: Mac, policy: Policy, *, is_online: bool = True) -> Desired:
    """Return how the device of a network should be under its configuration.

    While the node is not online, a default route through a gateway would lead nowhere: it waits.
    """
    addresses = tuple(
        address
        for address in config.addresses
        if may_manage(address.ip, address.network.prefixlen, policy)
    )
    routes: list[HostRoute] = []
    for route in config.routes:
        target = route.target.network
        waits = target.prefixlen == 0 and route.via is not None and not is_online
        if may_manage(target.network_address, target.prefixlen, policy) and not waits:
            routes += _host_routes(target, route.via, addresses)
    routes.sort(key=lambda route: route.gateway is not None)  # devices before what needs them
    return Desired(mac, config.mtu, addresses, tuple(dict.fromkeys(routes)))


def _host_routes(
    target: IpNetwork, via: IpAddress | None, addresses: Sequence[IpInterface]
) -> list[HostRoute]:
    own = [a for a in addresses if a.version == target.version]
    if via is not None and any(via == address.ip for address in own):
        return []  # the way goes through us: the rest of our routes tells how
    if not own:
        return []
    if any(a.network == target for a in own):
        return []  # the kernel makes this route with the address
    source = max(own, key=lambda a: _common_bits(a.ip, target.network_address)).ip
    targets: list[IpNetwork] = [target] if target.prefixlen else [*target.subnets()]
    if via is not None and via.version == target.version:
        return [HostRoute(part, via, None, GATEWAY_METRIC) for part in targets]
    return [HostRoute(part, None, source) for part in targets]


def _common_bits(one: IpAddress, other: IpAddress) -> int:
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


def led_through(config: "NetworkConfig") -> tuple[IpNetwork, ...]:
    """Return the networks whose managed routes lead through this member."""
    own = {address.ip for address in config.addresses}
    return tuple(route.target.network for route in config.routes if route.via in own)


def prefixes(config: "NetworkConfig") -> tuple[IpNetwork, ...]:
    """Return the ranges inside which VL1 must never look for paths."""
    return tuple(ip_network(address.network) for address in config.addresses)
