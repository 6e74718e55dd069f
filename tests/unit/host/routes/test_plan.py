"""What is done to get from the routes that are there to those that should be."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

from ztlink.host.routes.kernel import KernelRoute, Neighbour, Observed, Rule
from ztlink.host.routes.plan import Desired, RoutePlan, plan_routes
from ztlink.ids import Mac

ROUTE = KernelRoute(ip_network("10.20.0.0/16"), 7, ip_address("10.1.2.9"), 100)
OTHER = replace(ROUTE, target=ip_network("10.21.0.0/16"))
ELSEWHERE = replace(ROUTE, gateway=ip_address("10.1.2.10"))
RULE = Rule(4, 300, 9000)
HOP = Neighbour(7, ip_address("fe80::1"), Mac(bytes.fromhex("32a0b0c0d0e1")))
THROUGH_HOP = replace(ROUTE, gateway=HOP.ip)


def test_what_fits_is_not_touched() -> None:
    plan = plan_routes(Desired((ROUTE,), (RULE,), (HOP,)), Observed((ROUTE,), (RULE,), (HOP,)))
    assert plan == RoutePlan()


def test_a_plan_without_operations_has_no_size() -> None:
    assert RoutePlan().size == 0


def test_all_operations_count() -> None:
    plan = plan_routes(Desired((ROUTE,), (RULE,), (HOP,)), Observed((OTHER,)))
    assert plan.size == 4


def test_what_is_missing_is_added() -> None:
    assert plan_routes(Desired((ROUTE, OTHER)), Observed((ROUTE,))).add_routes == (OTHER,)


def test_what_nobody_wants_is_removed() -> None:
    assert plan_routes(Desired((ROUTE,)), Observed((ROUTE, OTHER))).remove_routes == (OTHER,)


def test_a_route_that_leads_elsewhere_is_replaced_in_one_step() -> None:
    plan = plan_routes(Desired((ELSEWHERE,)), Observed((ROUTE,)))
    assert plan == RoutePlan(replace_routes=(ELSEWHERE,))


def test_of_two_with_one_key_the_one_that_fits_stays() -> None:
    plan = plan_routes(Desired((ROUTE,)), Observed((ELSEWHERE, ROUTE)))
    assert plan == RoutePlan(remove_routes=(ELSEWHERE,))


def test_another_metric_is_another_route() -> None:
    cheaper = replace(ROUTE, metric=50)
    plan = plan_routes(Desired((cheaper,)), Observed((ROUTE,)))
    assert (plan.add_routes, plan.remove_routes) == ((cheaper,), (ROUTE,))


def test_another_table_is_another_route() -> None:
    moved = replace(ROUTE, table=300)
    plan = plan_routes(Desired((moved,)), Observed((ROUTE,)))
    assert (plan.add_routes, plan.remove_routes) == ((moved,), (ROUTE,))


def test_another_mtu_is_set_in_place() -> None:
    smaller = replace(ROUTE, mtu=1400)
    assert plan_routes(Desired((smaller,)), Observed((ROUTE,))).replace_routes == (smaller,)


def test_a_route_that_waits_and_is_there_stays() -> None:
    plan = plan_routes(Desired(kept={ROUTE}), Observed((ROUTE, OTHER)))
    assert plan.remove_routes == (OTHER,)


def test_one_that_leads_elsewhere_than_what_waits_does_not_stay() -> None:
    plan = plan_routes(Desired(kept={ROUTE}), Observed((ELSEWHERE,)))
    assert plan.remove_routes == (ELSEWHERE,)


def test_while_there_is_no_device_a_route_stays_wherever_it_leads() -> None:
    plan = plan_routes(Desired(kept_keys={ROUTE.key}), Observed((ELSEWHERE, OTHER)))
    assert plan.remove_routes == (OTHER,)


def test_the_next_hop_of_a_route_that_stays_stays_too() -> None:
    plan = plan_routes(Desired(kept={THROUGH_HOP}), Observed((THROUGH_HOP,), (), (HOP,)))
    assert plan == RoutePlan()


def test_rules_follow_the_routes() -> None:
    former = Rule(4, 200, 9000)
    plan = plan_routes(Desired(rules=(RULE,)), Observed(rules=(former,)))
    assert (plan.add_rules, plan.remove_rules) == ((RULE,), (former,))


def test_a_next_hop_with_another_mac_is_set_and_not_removed() -> None:
    changed = replace(HOP, mac=Mac(bytes.fromhex("32a0b0c0d0e2")))
    plan = plan_routes(Desired(neighbours=(HOP,)), Observed(neighbours=(changed,)))
    assert plan == RoutePlan(set_neighbours=(HOP,))


def test_a_next_hop_that_no_route_uses_is_removed() -> None:
    plan = plan_routes(Desired(), Observed(neighbours=(HOP,)))
    assert plan == RoutePlan(remove_neighbours=(HOP,))
