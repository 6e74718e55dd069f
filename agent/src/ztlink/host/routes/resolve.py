"""What a declared route means on this machine, now: pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Final

from ztlink.host.overlay import Overlay
from ztlink.host.routes.kernel import MAIN_TABLE, KernelRoute, Key, Neighbour
from ztlink.host.routes.wanted import DeclaredRoute, RoutingSettings, is_for
from ztlink.ids import (
    Address,
    IpAddress,
    Mac,
    NetworkId,
    format_address,
    format_network_id,
    member_mac,
)

_REFUSED: Final = (
    "its network lets this node in no more, and members answer until its certificate is revoked "
    "or too old"
)
_LET_IN: Final = "see to the network first: the route is kept, and works again with it"
_LINK_LOCAL: Final = int(IPv6Address("fe80::"))


class RouteState(StrEnum):
    """How a declared route is."""

    INSTALLED = "installed"
    CUT_OFF = "cut_off"
    """Installed, and its network's controller lets this member in no more."""
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
    grounds = {network_id: _Ground(overlay) for network_id, overlay in overlays.items()}
    resolved, taken = [], set[Key]()
    for declared in settings.routes:
        one = _resolve(declared, settings, grounds)
        key = key_of(declared, settings)
        if one.state is not RouteState.SKIPPED and key in taken:
            one = _second(one)
        elif one.state is not RouteState.SKIPPED:
            taken.add(key)
        resolved.append(one)
    return resolved


def with_refusals(
    resolved: Sequence[Resolved], overlays: Mapping[NetworkId, Overlay]
) -> tuple[Resolved, ...]:
    """Mark the routes that are there, and lead into a network that this member is shut out of."""
    refusals = {one.network_id: one.refusal for one in overlays.values() if one.refusal}
    if not refusals:
        return tuple(resolved)
    return tuple(
        replace(one, state=RouteState.CUT_OFF, cause=f"{_REFUSED}: {refusal}", remedy=_LET_IN)
        if one.state is RouteState.INSTALLED
        and one.network_id is not None
        and (refusal := refusals.get(one.network_id))
        else one
        for one in resolved
    )


def key_of(declared: DeclaredRoute, settings: RoutingSettings) -> Key:
    """Return what there can be one of in the kernel."""
    return declared.target, declared.table or settings.table or MAIN_TABLE, declared.metric


def _second(one: Resolved) -> Resolved:
    return Resolved(
        one.declared,
        RouteState.FAILED,
        one.network_id,
        cause="another declared route has this target, metric and table",
        remedy="set another metric, or tell their nodes apart",
    )


class _Ground:
    """An overlay, with what is asked of it ten thousand times."""

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.own = frozenset(address.ip for address in overlay.addresses)
        self.versions = frozenset(ip.version for ip in self.own)
        self.on_link = [
            *(address.network for address in overlay.addresses),
            *(route.target for route in overlay.routes if route.gateway is None),
        ]
        self.subnets = ", ".join(str(one.network) for one in overlay.addresses) or "it has none"

    def reaches(self, ip: IpAddress) -> bool:
        """Tell whether the device itself leads to an address, without a gateway."""
        return any(ip in network for network in self.on_link) or ip.is_link_local


def members_asked(settings: RoutingSettings) -> frozenset[tuple[NetworkId | None, Address]]:
    """Return the members through which routes of this node lead, with their networks."""
    return frozenset(
        (one.network_id, one.member)
        for one in settings.routes
        if one.member is not None and is_for(one.nodes, settings.node_name)
    )


def link_local(mac: Mac) -> IPv6Address:
    """Return the address that follows from a MAC (RFC 4291, appendix A)."""
    flipped = bytes((mac[0] ^ 0x02,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Address(_LINK_LOCAL | int.from_bytes(flipped, "big"))


def _resolve(
    declared: DeclaredRoute, settings: RoutingSettings, grounds: Mapping[NetworkId, _Ground]
) -> Resolved:
    if not is_for(declared.nodes, settings.node_name):
        cause = f"is for nodes named {', '.join(declared.nodes)}: this is {settings.node_name}"
        return Resolved(declared, RouteState.SKIPPED, declared.network_id, cause=cause)
    if declared.network_id is None and len(grounds) > 1:
        return Resolved(
            declared,
            RouteState.FAILED,
            cause="names no network, and this node is in several",
            remedy=f"set its network: one of {', '.join(map(format_network_id, sorted(grounds)))}",
        )
    ground = _ground_of(declared, grounds)
    if ground is None:
        cause = "its network has no device yet"
        remedy = "have the node join the network, and the network's controller authorise the node"
        return Resolved(
            declared, RouteState.WAITING, declared.network_id, cause=cause, remedy=remedy
        )
    return _through(declared, settings, ground)


def _ground_of(declared: DeclaredRoute, grounds: Mapping[NetworkId, _Ground]) -> _Ground | None:
    if declared.network_id is not None:
        return grounds.get(declared.network_id)
    return next(iter(grounds.values()), None)


def _through(declared: DeclaredRoute, settings: RoutingSettings, ground: _Ground) -> Resolved:
    overlay, gateway, neighbour = ground.overlay, declared.via, None
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
        key_of(declared, settings)[1],
        declared.source,
        declared.mtu or 0,
    )
    state, cause, remedy = _judge(declared, ground)
    return Resolved(
        declared, state, overlay.network_id, route, neighbour, cause=cause, remedy=remedy
    )


def _judge(declared: DeclaredRoute, ground: _Ground) -> tuple[RouteState, str, str]:
    overlay, via = ground.overlay, declared.via
    if declared.member == overlay.own or via in ground.own:
        return RouteState.SKIPPED, "leads through this member itself", ""
    version = declared.target.version
    if declared.source is None and version not in ground.versions:
        return RouteState.WAITING, f"{overlay.device} has no IPv{version} address yet", ""
    if declared.member is not None and declared.member not in overlay.members:
        name = format_address(declared.member)
        return (
            RouteState.WAITING,
            f"no root knows a node {name} yet",
            f"start the node {name}, or correct the route's via",
        )
    if via is not None and not ground.reaches(via):
        return (
            RouteState.WAITING,
            f"{via} is in no subnet of {overlay.device} ({ground.subnets})",
            "set via to an address that a member has in the network, or to the member's own, "
            "10 hex digits",
        )
    return RouteState.INSTALLED, "", ""
