"""How soon two members talk again after what may happen to them, to their boxes and to a root."""

import pytest

from tests.scale import scaled
from tests.sim.internet import Gateway
from tests.sim.mesh import endpoint_of
from tests.sim.nat import NatKind
from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh
from tests.sim.recovery import (
    Conversation,
    Replayer,
    confirmed_endpoints,
    converse,
    converse_through_root,
)

CONES = [NatKind.FULL_CONE, NatKind.RESTRICTED, NatKind.PORT_RESTRICTED]
SIDES = ["a", "b"]


def behind_box(kind: NatKind, side: str) -> tuple[Conversation, Gateway]:
    """Have two members talk, one of them behind a box."""
    mesh = PrivateMesh(1)
    box = mesh.world.add_nat("box", kind)
    if side == "a":
        return converse(mesh=mesh, a_box=box), box
    return converse(mesh=mesh, b_box=box), box


def either(talk: Conversation, side: str) -> SimNode:
    return talk.a if side == "a" else talk.b


# -- direct paths -------------------------------------------------------------------------------


def test_a_direct_path_that_goes_silent_is_left_for_the_relay_within_three_seconds() -> None:
    talk = converse()
    start = talk.mesh.world.time
    talk.mesh.world.internet.break_path("a", "b")
    assert talk.interruption(start) <= 3.0


@pytest.mark.parametrize("ends", [("a", "b"), ("b", "a")])
def test_a_direct_path_that_is_dead_in_one_direction_is_left_within_three_seconds(
    ends: tuple[str, str],
) -> None:
    talk = converse()
    start = talk.mesh.world.time
    talk.mesh.world.internet.break_path(*ends, one_way=True)
    assert talk.interruption(start) <= 3.0


@pytest.mark.parametrize("minutes", [0.1, 0.5, 1.0, 3.0])
def test_a_direct_path_is_won_back_within_fifteen_seconds_of_its_return(minutes: float) -> None:
    talk = converse()
    talk.mesh.world.internet.break_path("a", "b")
    talk.mesh.run(minutes * 60.0)
    talk.mesh.world.internet.mend_path("a", "b")
    assert talk.mesh.wait_direct(talk.a, talk.b) <= 15.0


def test_the_return_of_a_direct_path_loses_nothing() -> None:
    talk = converse()
    talk.mesh.world.internet.break_path("a", "b")
    talk.mesh.run(60.0)
    talk.mesh.world.internet.mend_path("a", "b")
    start = talk.mesh.world.time
    talk.mesh.run(30.0)
    assert talk.lost_since(start) == []


def test_a_direct_path_that_went_silent_while_nobody_sent_is_left_within_three_seconds() -> None:
    mesh = PrivateMesh(1)
    a, b = mesh.add_member("a"), mesh.add_member("b")
    mesh.wait_joined(mesh.network)
    mesh.ping(a, b, mesh.network)
    mesh.wait_direct(a, b)
    mesh.run(120.0)
    mesh.world.internet.break_path("a", "b")
    talk = Conversation(mesh, a, b)
    assert talk.interruption(mesh.world.time) <= 3.0


# -- roots --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_a_dead_root_is_replaced_by_another_within_five_seconds(seed: int, number: int) -> None:
    talk = converse_through_root(seed, roots=2)
    start = talk.mesh.world.time
    talk.mesh.roots[number].kill()
    assert talk.interruption(start) <= 5.0


def test_the_death_of_all_roots_interrupts_no_direct_path() -> None:
    talk = converse(mesh=PrivateMesh(1, roots=2))
    start = talk.mesh.world.time
    for root in talk.mesh.roots:
        root.kill()
    talk.mesh.run(120.0)
    assert talk.lost_since(start) == []


@pytest.mark.parametrize("seconds", [0.0, 3.0, 30.0, 300.0])
def test_a_root_that_restarts_serves_its_clients_again_within_five_seconds(seconds: float) -> None:
    talk = converse_through_root()
    (root,) = talk.mesh.roots
    root.kill()
    talk.mesh.run(seconds)
    start = talk.mesh.world.time
    root.start()
    assert talk.interruption(start) <= 5.0


def test_a_root_that_restarts_serves_idle_clients_again_within_five_seconds() -> None:
    mesh = PrivateMesh(1)
    mesh.world.internet.break_path("a", "b")
    mesh.add_member("a")
    mesh.add_member("b")
    mesh.wait_joined(mesh.network)
    mesh.run(620.0)
    mesh.roots[0].restart()
    start = mesh.world.time
    a, b = mesh.nodes[1:]
    assert Conversation(mesh, a, b).interruption(start) <= 5.0


# -- addresses and boxes ------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_traffic_resumes_within_three_seconds_when_a_host_changes_its_address(side: str) -> None:
    talk = converse()
    world, node = talk.mesh.world, either(talk, side)
    start = world.time
    node.host.detach(endpoint_of(node).ip)
    node.host.attach(world.internet, world.next_ipv4())
    node.change_sockets()
    assert talk.interruption(start) <= 3.0


@pytest.mark.parametrize("side", SIDES)
def test_a_changed_address_is_used_directly_again_within_three_seconds(side: str) -> None:
    talk = converse()
    world, node = talk.mesh.world, either(talk, side)
    node.host.detach(endpoint_of(node).ip)
    node.host.attach(world.internet, world.next_ipv4())
    node.change_sockets()
    talk.mesh.run(3.0)
    ping = talk.mesh.ping(talk.a, talk.b, talk.mesh.network)
    talk.mesh.run(1.0)
    assert ping.round_trip == pytest.approx(0.020, abs=0.001)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", NatKind)
def test_traffic_resumes_within_five_seconds_when_a_box_forgets_its_mappings(
    kind: NatKind, side: str
) -> None:
    talk, box = behind_box(kind, side)
    start = talk.mesh.world.time
    box.nat.rebind()
    assert talk.interruption(start) <= 5.0


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", CONES)
def test_traffic_resumes_within_five_seconds_when_a_box_is_renumbered(
    kind: NatKind, side: str
) -> None:
    talk, box = behind_box(kind, side)
    start = talk.mesh.world.time
    box.renumber(talk.mesh.world.next_ipv4())
    assert talk.interruption(start) <= 5.0


@pytest.mark.parametrize("kind", [NatKind.PORT_RESTRICTED, NatKind.SYMMETRIC])
def test_an_idle_node_behind_a_careless_box_is_reached_at_once_by_a_stranger(
    kind: NatKind,
) -> None:
    mesh = PrivateMesh(1, roots=2)
    box = mesh.world.add_nat("box", kind, lifetime=30.0)
    idle = mesh.add_member("idle", behind=box)
    mesh.wait_joined(mesh.network)
    mesh.run(1800.0)
    stranger = mesh.add_member("stranger")
    mesh.wait_joined(mesh.network)
    ping = mesh.ping(stranger, idle, mesh.network)
    mesh.run(1.0)
    assert ping.round_trip is not None


# -- restarts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seconds", [0.0, 5.0, 60.0])
def test_a_node_that_is_killed_and_restarted_talks_again_within_two_seconds(
    side: str, seconds: float
) -> None:
    talk = converse()
    node = either(talk, side)
    node.kill()
    talk.mesh.run(seconds)
    start = talk.mesh.world.time
    node.start()
    assert talk.interruption(start) <= 2.0


@pytest.mark.parametrize("side", SIDES)
def test_a_node_behind_a_box_that_is_restarted_talks_again_within_two_seconds(side: str) -> None:
    talk, _ = behind_box(NatKind.PORT_RESTRICTED, side)
    start = talk.mesh.world.time
    either(talk, side).restart()
    assert talk.interruption(start) <= 2.0


@pytest.mark.parametrize("seconds", [20.0, 300.0, 1200.0])
@pytest.mark.parametrize("side", SIDES)
def test_a_suspended_node_talks_again_within_two_seconds_of_its_wake_up(
    side: str, seconds: float
) -> None:
    talk = converse()
    node = either(talk, side)
    node.suspend(seconds)
    talk.mesh.run(seconds)
    assert talk.interruption(talk.mesh.world.time) <= 2.0


# -- starts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_node_is_online_within_five_seconds_through_heavy_loss(seed: int) -> None:
    mesh = PrivateMesh(seed)
    host = mesh.world.add_host("a")
    host.up.loss = host.down.loss = 0.3
    node = mesh.add_on(host)
    assert mesh.wait_until(lambda: node.is_online) <= 5.0


def join_through_loss(seed: int) -> float:
    mesh = PrivateMesh(seed)
    host = mesh.world.add_host("a")
    host.up.loss = host.down.loss = 0.3
    node = mesh.add_on(host)
    mesh.wait_online()
    mesh.admit(node)
    return mesh.wait_joined(mesh.network)


def test_of_twenty_nodes_nineteen_are_configured_within_five_seconds_through_heavy_loss() -> None:
    times = sorted(join_through_loss(seed) for seed in range(scaled(1000)))
    assert times[len(times) * 19 // 20] <= 5.0


def test_a_node_asks_for_its_configuration_often_at_first() -> None:
    mesh = PrivateMesh(1)
    mesh.wait_online()
    mesh.controller.node.kill()
    node = mesh.add_member("a")
    mesh.run(5.0)
    mesh.controller.node.start()
    assert mesh.wait_joined(mesh.network, [node]) <= 0.5


# -- replays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_spoofed", [False, True])
@pytest.mark.parametrize("delay", [0.0, 0.5, 12.0])
def test_replayed_datagrams_teach_no_path(is_spoofed: bool, delay: float) -> None:
    mesh = PrivateMesh(1)
    replayer = Replayer(mesh.world, delay=delay, is_spoofed=is_spoofed)
    talk = converse(mesh=mesh)
    start = mesh.world.time
    mesh.run(20.0)
    assert replayer.count > 400
    assert talk.lost_since(start) == []
    nodes = (*mesh.nodes, *mesh.roots)
    assert [n.name for n in nodes if replayer.endpoint in confirmed_endpoints(n)] == []
    assert confirmed_endpoints(talk.a) == {endpoint_of(n) for n in nodes if n is not talk.a}


def test_replayed_datagrams_do_not_keep_a_dead_path() -> None:
    talk = converse()
    replayer = Replayer(talk.mesh.world, delay=0.3, is_spoofed=True, repetitions=20)
    talk.mesh.run(5.0)
    talk.b.host.up.is_black_hole = True
    replayer.stop_listening()
    talk.mesh.run(15.0)
    assert replayer.count > 1000
    assert not talk.a.has_direct_path(talk.b)
