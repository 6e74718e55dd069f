"""What is told of routes: rows for people, conditions for health, counts for metrics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ztlink.conditions import Condition, Status
from ztlink.host.desired import IpNetwork
from ztlink.host.routes.kernel import Key
from ztlink.host.routes.ranges import Use
from ztlink.host.routes.resolve import Resolved, RouteState, key_of
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.ids import NetworkId, format_network_id

MAX_CONDITIONS: Final = 20
"""Of single routes: of ten thousand that all wait, the others are counted."""
_STATUS: Final = {
    RouteState.WAITING: Status.WAITING,
    RouteState.CUT_OFF: Status.FAULT,
    RouteState.REFUSED: Status.FAULT,
    RouteState.FAILED: Status.FAULT,
}
_KEYS: Final = {
    Use.PODS: "cluster.podCidrs",
    Use.SERVICES: "cluster.serviceCidrs",
    Use.NODES: "cluster.nodeCidrs",
}


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A declared route, and how it is."""

    network_id: NetworkId | None
    target: IpNetwork
    way: str
    """The IP address or the member through which it leads; empty for on the link."""
    metric: int
    table: int
    state: RouteState
    cause: str = ""
    remedy: str = ""

    @property
    def key(self) -> Key:
        """What there is one of."""
        return self.target, self.table, self.metric


@dataclass(frozen=True, slots=True)
class Harm:
    """Something that a network's controller wants and that would harm the cluster."""

    network_id: NetworkId
    target: IpNetwork
    cause: str
    is_left_out: bool
    """A route is; the subnet of an address is not, as without it there is no network."""


def rows_of(resolved: Iterable[Resolved], settings: RoutingSettings) -> tuple[RouteRow, ...]:
    """Return a row for each declared route, in the order of the configuration."""
    return tuple(
        RouteRow(
            one.network_id,
            one.declared.target,
            one.declared.way,
            one.declared.metric,
            key_of(one.declared, settings)[1],
            one.state,
            one.cause,
            one.remedy,
        )
        for one in resolved
    )


def conditions_of(
    rows: Sequence[RouteRow],
    settings: RoutingSettings,
    unknown: Iterable[Use],
    harm: Iterable[Harm],
    error: str | None,
) -> tuple[Condition, ...]:
    """Return what is well and what is not."""
    bad = [row for row in rows if row.state in _STATUS]
    return (
        _summary(rows, bad, error, settings),
        *(_of_route(row, settings.required) for row in bad[:MAX_CONDITIONS]),
        *(_of_harm(one, settings.required) for one in harm),
        *(_unknown(unknown) if settings.routes else ()),
    )


def _summary(
    rows: Sequence[RouteRow], bad: Sequence[RouteRow], error: str | None, settings: RoutingSettings
) -> Condition:
    if error is not None:
        return Condition(
            "routes",
            Status.FAULT,
            cause=error,
            remedy="the agent needs CAP_NET_ADMIN; its log says more",
        )
    needed = [row for row in bad if _is_required(row.network_id, settings.required)]
    if not bad:
        return Condition("routes", Status.OK)
    is_fault = any(_STATUS[row.state] is Status.FAULT for row in bad)
    wanted = sum(row.state is not RouteState.SKIPPED for row in rows)
    cut_off = sum(row.state is RouteState.CUT_OFF for row in bad)
    told = (
        (len(bad) - cut_off, f"of {wanted} declared routes are not in place"),
        (cut_off, f"of {wanted} declared routes lead into a network that shuts this node out"),
    )
    return Condition(
        "routes",
        Status.FAULT if is_fault else Status.WAITING,
        cause="; ".join(f"{count} {what}" for count, what in told if count),
        is_required=bool(needed),
    )


def _of_route(row: RouteRow, required: frozenset[NetworkId]) -> Condition:
    network = "" if row.network_id is None else f" {format_network_id(row.network_id)}"
    return Condition(
        "route",
        _STATUS[row.state],
        f"{row.target}{network} metric {row.metric} table {row.table}",
        f"{row.state}: {row.cause}",
        row.remedy,
        _is_required(row.network_id, required),
    )


def _is_required(network_id: NetworkId | None, required: frozenset[NetworkId]) -> bool:
    return bool(required) if network_id is None else network_id in required


def _of_harm(one: Harm, required: frozenset[NetworkId]) -> Condition:
    what = "is left out: it" if one.is_left_out else "is the network's subnet, and"
    return Condition(
        "managedRoute",
        Status.FAULT,
        f"{one.target} {format_network_id(one.network_id)}",
        f"{one.target} {what} {one.cause}",
        "have the network's controller use another range",
        one.network_id in required,
    )


def _unknown(uses: Iterable[Use]) -> Iterator[Condition]:
    for use in uses:
        yield Condition(
            "clusterRanges",
            Status.UNKNOWN,
            use.value,
            f"the range of {use.value} is not known: routes are not compared with it",
            f"set {_KEYS[use]}; outside of a cluster, cluster.detect: false",
            is_required=False,
        )


def changes(before: Mapping[Key, RouteRow], rows: Iterable[RouteRow]) -> list[RouteRow]:
    """Return the rows whose state or cause is another one now."""
    return [
        row
        for row in rows
        if (known := before.get(row.key)) is None
        or (known.state, known.cause) != (row.state, row.cause)
    ]
