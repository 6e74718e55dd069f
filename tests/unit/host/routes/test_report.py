"""What is told of routes."""

from dataclasses import replace
from ipaddress import ip_network

from tests.unit.host.routes.declared import GATEWAY, NETWORK, declare, overlay, settings
from ztlink.conditions import Condition, Status
from ztlink.host.routes.ranges import Use
from ztlink.host.routes.report import (
    MAX_CONDITIONS,
    Harm,
    RouteRow,
    changes,
    conditions_of,
    rows_of,
)
from ztlink.host.routes.resolve import RouteState, resolve

FINE = RouteRow(NETWORK, ip_network("10.20.0.0/16"), str(GATEWAY), 100, 254, RouteState.INSTALLED)
WAITS = RouteRow(
    NETWORK, ip_network("10.21.0.0/16"), "89e92ceee5", 100, 254, RouteState.WAITING, "why", "do"
)
REFUSED = RouteRow(
    NETWORK, ip_network("10.22.0.0/16"), "", 50, 300, RouteState.REFUSED, "harm", "choose"
)
SKIPPED = RouteRow(NETWORK, ip_network("10.23.0.0/16"), "", 100, 254, RouteState.SKIPPED, "not us")
SETTINGS = settings(declare(), required=frozenset({NETWORK}))


def tell(*rows: RouteRow, error: str | None = None) -> tuple[Condition, ...]:
    return conditions_of(rows, SETTINGS, (), (), error)


def test_a_row_says_what_was_declared_and_what_became_of_it() -> None:
    assert rows_of(resolve(SETTINGS, {NETWORK: overlay()}), SETTINGS) == (FINE,)


def test_all_is_well_where_routes_are_in_place_or_for_others() -> None:
    assert tell(FINE, SKIPPED) == (Condition("routes", Status.OK),)


def test_a_route_that_waits_is_waiting() -> None:
    summary, route = tell(FINE, WAITS, SKIPPED)
    assert (summary.status, summary.cause) == (
        Status.WAITING,
        "1 of 2 declared routes are not in place",
    )
    assert route == Condition(
        "route",
        Status.WAITING,
        "10.21.0.0/16 8056c2e21c000001 metric 100 table 254",
        "waiting: why",
        "do",
    )


def test_a_route_that_leads_into_a_network_that_shuts_us_out_is_a_fault() -> None:
    shut = replace(FINE, state=RouteState.CUT_OFF, cause="ACCESS_DENIED", remedy="see to it")
    summary, route, _ = tell(shut, WAITS)
    assert (summary.status, summary.cause) == (
        Status.FAULT,
        "1 of 2 declared routes are not in place; "
        "1 of 2 declared routes lead into a network that shuts this node out",
    )
    assert (route.status, route.cause) == (Status.FAULT, "cut_off: ACCESS_DENIED")


def test_a_route_that_is_refused_is_a_fault() -> None:
    summary, route = tell(REFUSED)
    assert (summary.status, route.status) == (Status.FAULT, Status.FAULT)


def test_the_node_can_be_ready_without_routes_of_networks_that_are_not_required() -> None:
    found = conditions_of((WAITS,), settings(declare()), (), (), None)
    assert [one.is_required for one in found] == [False, False]


def test_of_ten_thousand_conditions_the_first_are_told() -> None:
    assert len(tell(*[WAITS] * 10_000)) == MAX_CONDITIONS + 1


def test_what_the_kernel_refused_altogether_is_a_fault() -> None:
    assert tell(FINE, error="cannot change routes")[0].cause == "cannot change routes"


def test_what_is_unknown_is_told_as_unknown() -> None:
    found = conditions_of((FINE,), SETTINGS, (Use.SERVICES,), (), None)[-1]
    assert (found.kind, found.status, found.subject) == (
        "clusterRanges",
        Status.UNKNOWN,
        "services",
    )
    assert "cluster.serviceCidrs" in found.remedy


def test_what_is_unknown_does_not_matter_without_routes() -> None:
    assert conditions_of((), settings(), (Use.PODS,), (), None) == (Condition("routes", Status.OK),)


def test_a_managed_route_that_is_left_out_is_a_fault() -> None:
    harm = Harm(NETWORK, ip_network("10.244.0.0/16"), "overlaps the range of pods", True)
    found = conditions_of((), SETTINGS, (), (harm,), None)[-1]
    assert found.cause == "10.244.0.0/16 is left out: it overlaps the range of pods"


def test_rows_that_are_as_before_are_no_change() -> None:
    assert changes({FINE.key: FINE, WAITS.key: FINE}, (FINE, WAITS)) == [WAITS]


def test_a_new_row_is_a_change() -> None:
    assert changes({}, (FINE,)) == [FINE]
