"""What a declared route means on this machine, now: pure decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from ipaddress import IPv6Address
from typing import Final

from ztlink.host.overlay import Overlay
from ztlink.host.routes.kernel import MAIN_TABLE, KernelRoute, Neighbour
from ztlink.host.routes.wanted import DeclaredRoute, RoutingSettings
from ztlink.ids import Address, Mac, NetworkId, format_address, format_network_id, member_mac

_LINK_LOCAL: Final = int(IPv6Address("fe80::"))


class RouteState(StrEnum):
    """How a declared route is."""

    INSTALLED = "installed"
    WAITING = "waiting"
    """For a network, an address or a member that is not there yet."""
    SKIPPED = "skipped"
    """Not for this node."""
    REFUSED = "refused"
    """By the preflight: it would harm something."""
    FAILED = "failed"
    """The kernel did not take it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A declared route, and what is to be made of it."""

    declared: DeclaredRoute
    state: RouteState
    """INSTALLED where that is to be."""
    network_id: NetworkId | None = None
    route: KernelRoute | None = None
    """Known where the device is; only an INSTALLED one is to be made."""
    neighbour: Neighbour | None = None
    cause: str = ""
    remedy: str = ""


def resolve(settings: RoutingSettings, overlays: Mapping[NetworkId, Overlay]) -> list[Resolved]:
    """Return what becomes of each declared route, before anything is compared with the machine."""
    return [_resolve(declared, settings, overlays) for declared in settings.routes]


def members_asked(settings: RoutingSettings) -> frozenset[tuple[NetworkId | None, Address]]:
    """Return the members through which routes of this node lead, with their networks."""
    return frozenset(
        (one.network_id, one.member)
        for one in settings.routes
        if one.member is not None and is_for(one.nodes, settings.node_name)
    )


def is_for(patterns: Iterable[str], node_name: str) -> bool:
    """Tell whether a node is among those that patterns name; no pattern names all."""
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(node_name, pattern) for pattern in patterns)


def link_local(mac: Mac) -> IPv6Address:
    """Return the address that follows from a MAC (RFC 4291, appendix A)."""
    flipped = bytes((mac[0] ^ 0x02,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Address(_LINK_LOCAL | int.from_bytes(flipped, "big"))


def _resolve(
    declared: DeclaredRoute, settings: RoutingSettings, overlays: Mapping[NetworkId, Overlay]
) -> Resolved:
    if not is_for(declared.nodes, settings.node_name):
        cause = f"is for nodes named {', '.join(declared.nodes)}: this is {settings.node_name}"
        return Resolved(declared, RouteState.SKIPPED, declared.network_id, cause=cause)
    if declared.network_id is None and len(overlays) > 1:
        return Resolved(
            declared,
            RouteState.FAILED,
            cause="names no network, and this node is in several",
            remedy=f"set its network: one of {', '.join(map(format_network_id, sorted(overlays)))}",
        )
    overlay = _overlay_of(declared, overlays)
    if overlay is None:
        cause = "its network has no device yet"
        return Resolved(declared, RouteState.WAITING, declared.network_id, cause=cause)
    return _through(declared, settings, overlay)


def _overlay_of(declared: DeclaredRoute, overlays: Mapping[NetworkId, Overlay]) -> Overlay | None:
    if declared.network_id is not None:
        return overlays.get(declared.network_id)
    return next(iter(overlays.values()), None)


def _through(declared: DeclaredRoute, settings: RoutingSettings, overlay: Overlay) -> Resolved:
    neighbour = None
    gateway = declared.via
    if declared.member is not None:
        mac = member_mac(declared.member, overlay.network_id)
        # The hop is the member itself, by its MAC: no resolution of addresses that a rule of the
        # network may forbid, and no matter which addresses it has or gets.
        gateway = link_local(mac)
        neighbour = Neighbour(overlay.index, gateway, mac)
    route = KernelRoute(
        declared.target,
        overlay.index,
        gateway,
        declared.metric,
        declared.table or settings.table or MAIN_TABLE,
        declared.source,
        declared.mtu or 0,
    )
    state, cause, remedy = _judge(declared, overlay)
    return Resolved(
        declared, state, overlay.network_id, route, neighbour, cause=cause, remedy=remedy
    )


def _judge(declared: DeclaredRoute, overlay: Overlay) -> tuple[RouteState, str, str]:
    own = {address.ip for address in overlay.addresses}
    if declared.member == overlay.own or declared.via in own:
        return RouteState.SKIPPED, "leads through this member itself", ""
    version = declared.target.version
    if declared.source is None and all(ip.version != version for ip in own):
        return RouteState.WAITING, f"{overlay.device} has no IPv{version} address yet", ""
    if declared.member is not None and declared.member not in overlay.members:
        name = format_address(declared.member)
        return (
            RouteState.WAITING,
            f"no root knows a node {name} yet",
            f"start the node {name}, or correct the route's via",
        )
    if declared.via is not None and not _is_in_reach(declared, overlay):
        return (
            RouteState.WAITING,
            f"{declared.via} is in no subnet of {overlay.device} ({_subnets(overlay)})",
            "set via to an address that a member has in the network, or to the member's own, "
            "10 hex digits",
        )
    return RouteState.INSTALLED, "", ""


def _is_in_reach(declared: DeclaredRoute, overlay: Overlay) -> bool:
    via = declared.via
    assert via is not None
    return (
        via.is_link_local
        or any(via in address.network for address in overlay.addresses)
        or any(via in route.target for route in overlay.routes if route.gateway is None)
    )


def _subnets(overlay: Overlay) -> str:
    return ", ".join(str(address.network) for address in overlay.addresses) or "it has none"
