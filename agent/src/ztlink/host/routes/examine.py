"""The preflight by itself, for a machine on which no agent runs: nothing is changed."""

from ztlink.conditions import Condition, Status
from ztlink.host.routes.preflight import check_routes
from ztlink.host.routes.reconcile import Reconciler
from ztlink.host.routes.report import conditions_of, rows_of
from ztlink.host.routes.resolve import RouteState, resolve
from ztlink.host.routes.wanted import RoutingSettings


def examine(settings: RoutingSettings) -> tuple[Condition, ...]:
    """Judge declared routes by what this machine tells of the cluster; HostError if it cannot."""
    reconciler = Reconciler()
    try:
        cluster = reconciler.look(settings, {})
    finally:
        reconciler.close()
    checked = check_routes(resolve(settings, {}), cluster.ranges, {})
    # What waits does so for the agent that is to run.
    bad = [one for one in checked if one.state in (RouteState.REFUSED, RouteState.FAILED)]
    found = conditions_of(rows_of(bad, settings), settings, cluster.unknown, (), None)
    told = tuple(one for one in found if one.kind != "routes")
    cause = f"{len(checked)} declared, of which {len(bad)} would not be made"
    return (Condition("routes", Status.FAULT if bad else Status.OK, cause=cause), *told)
