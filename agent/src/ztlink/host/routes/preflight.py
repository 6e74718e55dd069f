"""The preflight: whom a route would harm, and what can be done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from ztlink.host.desired import IpNetwork
from ztlink.host.overlay import Overlay
from ztlink.host.routes.ranges import Range, RangeTable, Use
from ztlink.host.routes.resolve import Resolved, RouteState
from ztlink.ids import NetworkId, format_network_id

_HALF: Final = 1
"""Two routes with prefixes of this length are a default route in all but the name."""
_HARM: Final = {
    Use.PODS: "the range of pods",
    Use.SERVICES: "the range of services",
    Use.NODES: "the range of nodes",
    Use.NETWORK: "another network's range",
}
_ALLOW: Final = "set allowOverlap: true for this route if that is meant"


def check_routes(
    resolved: Iterable[Resolved], ranges: Iterable[Range], overlays: Mapping[NetworkId, Overlay]
) -> list[Resolved]:
    """Refuse routes to what is somebody else's; of two networks with one target the first wins."""
    taken = RangeTable(ranges)
    theirs = {one: RangeTable(overlay_ranges(overlays[one])) for one in sorted(overlays)}
    checked = []
    for one in resolved:
        if one.state in (RouteState.INSTALLED, RouteState.WAITING):
            one = _check(one, taken, theirs)
            if one.network_id is not None and one.state is not RouteState.REFUSED:
                theirs.setdefault(one.network_id, RangeTable()).add(_declared_range(one))
        checked.append(one)
    return checked


def _check(one: Resolved, taken: RangeTable, theirs: Mapping[NetworkId, RangeTable]) -> Resolved:
    target = one.declared.target
    if one.declared.allow_overlap:
        return one
    if target.prefixlen <= _HALF:
        return _refuse(one, "takes the default route's place", _ALLOW)
    found = taken.first_overlap(target)
    for network_id, table in theirs.items():
        if found is None and network_id != one.network_id:
            found = table.first_overlap(target)
    if found is None:
        return one
    return _refuse(one, *_complaint(found))


def harm_of(target: IpNetwork, ranges: RangeTable) -> str | None:
    """Say whom a managed route would harm: pods, services and nodes are not the network's."""
    found = ranges.first_overlap(target)
    return None if found is None else _complaint(found)[0]


def overlay_ranges(overlay: Overlay) -> list[Range]:
    """Return what belongs to a network: its subnets and its managed routes."""
    origin = f"network {format_network_id(overlay.network_id)}"
    targets = [
        *(address.network for address in overlay.addresses),
        *(route.target for route in overlay.routes),
    ]
    return [Range(one, Use.NETWORK, origin) for one in targets if one.prefixlen > _HALF]


def _declared_range(one: Resolved) -> Range:
    assert one.network_id is not None
    origin = f"a route declared for network {format_network_id(one.network_id)}"
    return Range(one.declared.target, Use.NETWORK, origin)


def _complaint(found: Range) -> tuple[str, str]:
    return (
        f"overlaps {_HARM[found.use]} {found.network} ({found.origin})",
        f"choose a target apart from {found.network}, or {_ALLOW}",
    )


def _refuse(one: Resolved, cause: str, remedy: str) -> Resolved:
    return replace(one, state=RouteState.REFUSED, cause=cause, remedy=remedy)
