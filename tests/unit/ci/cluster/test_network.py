"""Who is plugged in where (ci/cluster/network)."""

import pytest

from ci.cluster.network import control_plan, enter, node_plan, places

NODES = places(["a", "b", "c"])
PLANS = [*control_plan("bench-control"), *node_plan("bench-control", "bench-b", NODES[1], NODES)]


def test_nodes_have_addresses_of_their_own() -> None:
    assert [place.address for place in NODES] == ["10.250.0.11", "10.250.0.12", "10.250.0.13"]


def test_pods_of_a_node_have_a_range_of_their_own() -> None:
    assert [place.pods for place in NODES] == ["10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"]


@pytest.mark.parametrize("command", PLANS, ids=" ".join)
def test_no_command_changes_the_machines_own_network(command: list[str]) -> None:
    is_named = command[:3] == ["ip", "netns", "add"]
    is_inside = command[:2] == ["ip", "-n"] or command[0] == "nsenter" or "netns" in command
    assert is_named or is_inside


def test_a_node_finds_the_pods_of_all_others() -> None:
    routes = [command[-3:] for command in PLANS if command[:3] == ["ip", "-n", "bench-b"]]
    assert ["10.244.1.0/24", "via", "10.250.0.11"] in routes
    assert ["10.244.3.0/24", "via", "10.250.0.13"] in routes
    assert ["10.244.2.0/24", "via", "10.250.0.12"] not in routes


def test_entering_leaves_the_control_groups_in_sight() -> None:
    assert enter("bench-a", "true") == ["nsenter", "--net=/run/netns/bench-a", "true"]
