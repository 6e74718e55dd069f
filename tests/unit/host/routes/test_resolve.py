"""What a declared route means on this node, now."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from tests.unit.host.routes.declared import (
    GATEWAY,
    MEMBER,
    NETWORK,
    OTHER,
    OWN,
    declare,
    other_overlay,
    overlay,
    settings,
)
from ztlink.host.desired import HostRoute
from ztlink.host.overlay import Overlay
from ztlink.host.routes.kernel import MAIN_TABLE, KernelRoute
from ztlink.host.routes.resolve import (
    Resolved,
    RouteState,
    link_local,
    members_asked,
    resolve,
    with_refusals,
)
from ztlink.host.routes.wanted import DeclaredRoute, RoutingSettings, is_for
from ztlink.ids import Mac, member_mac


def become(declared: DeclaredRoute, *overlays: Overlay) -> Resolved:
    known = {one.network_id: one for one in overlays or (overlay(),)}
    return resolve(settings(declared), known)[0]


def route_of(found: Resolved) -> KernelRoute:
    assert found.route is not None
    return found.route


# -- what is made of it ------------------------------------------------------------------------


def test_a_route_leads_through_the_networks_device() -> None:
    found = become(declare(metric=50, mtu=1400, source=ip_address("10.1.2.3")))
    assert found.state is RouteState.INSTALLED
    assert found.route == KernelRoute(
        ip_network("10.20.0.0/16"), 7, GATEWAY, 50, MAIN_TABLE, ip_address("10.1.2.3"), 1400
    )


def test_a_route_has_the_table_of_all() -> None:
    known = {NETWORK: overlay()}
    found = resolve(settings(declare(), table=300), known)[0]
    assert route_of(found).table == 300


def test_a_table_of_its_own_wins() -> None:
    found = resolve(settings(declare(table=400), table=300), {NETWORK: overlay()})[0]
    assert route_of(found).table == 400


def test_a_route_without_a_via_is_on_the_link() -> None:
    assert route_of(become(declare(via=None))).gateway is None


def test_a_member_is_the_next_hop_by_its_mac() -> None:
    found = become(declare(member=MEMBER))
    mac = member_mac(MEMBER, NETWORK)
    assert found.neighbour is not None
    assert (found.neighbour.mac, found.neighbour.ip) == (mac, link_local(mac))
    assert route_of(found).gateway == link_local(mac)


def test_the_address_of_a_link_follows_from_a_mac() -> None:
    assert link_local(Mac(bytes.fromhex("32a0b0c0d0e1"))) == ip_address("fe80::30a0:b0ff:fec0:d0e1")


def test_the_only_network_need_not_be_named() -> None:
    found = become(declare(network_id=None))
    assert (found.state, found.network_id) == (RouteState.INSTALLED, NETWORK)


def test_of_several_networks_one_must_be_named() -> None:
    found = become(declare(network_id=None), overlay(), other_overlay())
    assert found.state is RouteState.FAILED
    assert "8056c2e21c000001, 8056c2e21c000002" in found.remedy


def test_of_two_with_one_target_table_and_metric_the_first_is_made() -> None:
    twice = settings(declare(), declare(via=ip_address("10.1.2.10")))
    first, second = resolve(twice, {NETWORK: overlay()})
    assert (first.state, second.state) == (RouteState.INSTALLED, RouteState.FAILED)
    assert "metric" in second.remedy


def test_one_for_other_nodes_is_no_second() -> None:
    twice = settings(declare(nodes=("control-*",)), declare())
    found = resolve(twice, {NETWORK: overlay()})
    assert [one.state for one in found] == [RouteState.SKIPPED, RouteState.INSTALLED]


# -- who has it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "name", "is_meant"),
    [
        ((), "worker-1", True),
        (("worker-*",), "worker-1", True),
        (("worker-*",), "control-1", False),
        (("control-*", "worker-1"), "worker-1", True),
        (("WORKER-*",), "worker-1", False),
        (("worker-[12]",), "worker-3", False),
    ],
)
def test_patterns_name_nodes(patterns: tuple[str, ...], name: str, is_meant: bool) -> None:
    assert is_for(patterns, name) == is_meant


def test_a_route_for_other_nodes_is_skipped() -> None:
    found = become(declare(nodes=("control-*",)))
    assert found.state is RouteState.SKIPPED
    assert "control-*" in found.cause
    assert "worker-1" in found.cause


@pytest.mark.parametrize(
    "way", [{"member": OWN}, {"via": ip_address("10.1.2.3")}], ids=["member", "IP"]
)
def test_a_route_through_this_member_is_skipped(way: dict[str, Any]) -> None:
    assert become(declare(**way)).state is RouteState.SKIPPED


# -- what it waits for -------------------------------------------------------------------------


def test_a_route_waits_for_its_network() -> None:
    found = become(declare(network_id=OTHER))
    assert (found.state, found.cause) == (RouteState.WAITING, "its network has no device yet")


def test_a_route_waits_for_an_address_of_its_family() -> None:
    found = become(declare(), overlay(addresses=(ip_interface("fd12::3/64"),)))
    assert (found.state, found.cause) == (
        RouteState.WAITING,
        "zttest0 has no IPv4 address yet",
    )


def test_a_route_waits_for_a_member_that_nobody_knows() -> None:
    found = become(declare(member=MEMBER), overlay(members=frozenset()))
    assert (found.state, found.cause) == (
        RouteState.WAITING,
        "no root knows a node 89e92ceee5 yet",
    )


def test_a_route_waits_for_a_subnet_with_its_via() -> None:
    found = become(declare(via=ip_address("10.66.0.1")))
    assert found.state is RouteState.WAITING
    assert "10.66.0.1 is in no subnet of zttest0 (10.1.2.0/24, fd12::/64)" in found.cause


def test_a_via_may_be_in_reach_by_a_managed_route() -> None:
    managed = HostRoute(ip_network("10.66.0.0/24"))
    found = become(declare(via=ip_address("10.66.0.1")), overlay(routes=(managed,)))
    assert found.state is RouteState.INSTALLED


def test_a_via_behind_a_gateway_is_not_in_reach() -> None:
    managed = HostRoute(ip_network("10.66.0.0/24"), GATEWAY)
    found = become(declare(via=ip_address("10.66.0.1")), overlay(routes=(managed,)))
    assert found.state is RouteState.WAITING


def test_a_waiting_route_is_known_where_its_device_is() -> None:
    found = become(declare(member=MEMBER), overlay(members=frozenset()))
    assert found.route == route_of(become(declare(member=MEMBER)))


# -- networks that shut this node out ------------------------------------------------------------

SHUT = overlay(refusal="ACCESS_DENIED: not authorised")


def seen(*declared: DeclaredRoute, by: Overlay = SHUT) -> list[Resolved]:
    known = {by.network_id: by}
    return list(with_refusals(resolve(settings(*declared), known), known))


def test_a_route_into_a_network_that_shuts_us_out_says_so() -> None:
    (found,) = seen(declare())
    assert found.state is RouteState.CUT_OFF
    assert found.cause.endswith(": ACCESS_DENIED: not authorised")


def test_a_route_into_a_network_that_shuts_us_out_stays() -> None:
    assert route_of(seen(declare())[0]) == route_of(become(declare()))


def test_a_route_that_waits_in_a_network_that_shuts_us_out_waits() -> None:
    assert seen(declare(via=ip_address("10.66.0.1")))[0].state is RouteState.WAITING


def test_a_route_into_a_network_that_lets_us_in_is_as_before() -> None:
    assert seen(declare(), by=overlay())[0] == become(declare())


# -- members that are looked for ---------------------------------------------------------------


def test_members_are_looked_for_that_routes_of_this_node_lead_through() -> None:
    wanted = RoutingSettings(
        (declare(), declare(member=MEMBER), declare(member=OWN, nodes=("control-*",))),
        node_name="worker-1",
    )
    assert members_asked(wanted) == {(NETWORK, MEMBER)}


def test_another_device_is_another_route() -> None:
    again = replace(overlay(), index=9)
    assert route_of(become(declare(), again)).index == 9
