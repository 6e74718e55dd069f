"""Whom a route would harm."""

from ipaddress import ip_network

import pytest

from tests.unit.host.routes.declared import (
    MEMBER,
    NETWORK,
    OTHER,
    declare,
    other_overlay,
    overlay,
    settings,
)
from ztlink.host.desired import HostRoute
from ztlink.host.overlay import Overlay
from ztlink.host.routes.preflight import check_routes, harm_of
from ztlink.host.routes.ranges import Range, RangeTable, Use
from ztlink.host.routes.resolve import Resolved, RouteState, resolve
from ztlink.host.routes.wanted import DeclaredRoute

PODS = Range(ip_network("10.244.0.0/16"), Use.PODS, "cluster.podCidrs")
SERVICES = Range(ip_network("10.96.0.0/12"), Use.SERVICES, "cluster.serviceCidrs")
NODES = Range(ip_network("172.18.0.0/16"), Use.NODES, "a route of this machine, dev eth0")
RANGES = (PODS, SERVICES, NODES)
BOTH = (overlay(), other_overlay())


def check(*declared: DeclaredRoute, overlays: tuple[Overlay, ...] = BOTH) -> list[Resolved]:
    known = {one.network_id: one for one in overlays}
    return check_routes(resolve(settings(*declared), known), RANGES, known)


def test_a_route_that_harms_nobody_passes() -> None:
    assert check(declare())[0].state is RouteState.INSTALLED


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("10.244.7.0/24", "overlaps the range of pods 10.244.0.0/16 (cluster.podCidrs)"),
        ("10.240.0.0/12", "overlaps the range of pods 10.244.0.0/16 (cluster.podCidrs)"),
        ("10.96.0.0/16", "overlaps the range of services 10.96.0.0/12 (cluster.serviceCidrs)"),
        (
            "172.18.0.2/32",
            "overlaps the range of nodes 172.18.0.0/16 (a route of this machine, dev eth0)",
        ),
        (
            "10.5.7.0/24",
            "overlaps another network's range 10.5.0.0/16 (network 8056c2e21c000002)",
        ),
        ("0.0.0.0/0", "takes the default route's place"),
        ("128.0.0.0/1", "takes the default route's place"),
        ("::/0", "takes the default route's place"),
    ],
)
def test_a_route_to_what_is_somebody_elses_is_refused(target: str, cause: str) -> None:
    found = check(declare(target))[0]
    assert (found.state, found.cause) == (RouteState.REFUSED, cause)


def test_a_refusal_says_what_helps() -> None:
    assert check(declare("10.244.7.0/24"))[0].remedy == (
        "choose a target apart from 10.244.0.0/16, "
        "or set allowOverlap: true for this route if that is meant"
    )


@pytest.mark.parametrize("target", ["10.244.7.0/24", "10.5.7.0/24", "0.0.0.0/0"])
def test_an_overlap_that_is_meant_passes(target: str) -> None:
    assert check(declare(target, allow_overlap=True))[0].state is RouteState.INSTALLED


def test_a_networks_own_range_is_no_overlap() -> None:
    assert check(declare("10.1.2.128/25"))[0].state is RouteState.INSTALLED


def test_another_networks_managed_route_is_an_overlap() -> None:
    managed = (HostRoute(ip_network("10.20.0.0/16")),)
    found = check(declare(), overlays=(overlay(), other_overlay(routes=managed)))[0]
    assert found.state is RouteState.REFUSED


def test_another_networks_default_route_is_none() -> None:
    managed = (HostRoute(ip_network("0.0.0.0/1")),)
    found = check(declare(), overlays=(overlay(), other_overlay(routes=managed)))[0]
    assert found.state is RouteState.INSTALLED


def test_of_two_networks_with_one_target_the_first_has_it() -> None:
    found = check(declare(), declare("10.20.7.0/24", network_id=OTHER, via=None))
    assert [one.state for one in found] == [RouteState.INSTALLED, RouteState.REFUSED]
    assert "a route declared for network 8056c2e21c000001" in found[1].cause


def test_routes_of_one_network_may_lie_in_each_other() -> None:
    found = check(declare(), declare("10.20.7.0/24"))
    assert [one.state for one in found] == [RouteState.INSTALLED] * 2


def test_a_refused_route_takes_nothing() -> None:
    found = check(declare("10.244.0.0/16"), declare("10.244.0.0/24", network_id=OTHER, via=None))
    assert "cluster.podCidrs" in found[1].cause


def test_a_waiting_route_is_refused_before_it_has_waited() -> None:
    found = check(
        declare("10.244.7.0/24", member=MEMBER), overlays=(overlay(members=frozenset()),)
    )[0]
    assert found.state is RouteState.REFUSED


def test_a_skipped_route_is_not_judged() -> None:
    assert check(declare("10.244.7.0/24", nodes=("x",)))[0].state is RouteState.SKIPPED


def test_managed_routes_are_judged_by_the_clusters_ranges() -> None:
    table = RangeTable(RANGES)
    assert harm_of(ip_network("10.244.0.0/14"), table) == (
        "overlaps the range of pods 10.244.0.0/16 (cluster.podCidrs)"
    )
    assert harm_of(ip_network("10.20.0.0/16"), table) is None


def test_the_network_of_a_route_is_found_by_its_id() -> None:
    assert check(declare())[0].network_id == NETWORK
