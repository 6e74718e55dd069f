"""Nodes on a network with a controller: certificates, statuses, pushes."""

import pytest

from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh
from ztlink.ids import NetworkId
from ztlink.node.events import NetworkStatus


def make_pair(
    seed: int = 1, *, delay: float = 0.010, loss: float = 0.0
) -> tuple[PrivateMesh, SimNode, SimNode]:
    mesh = PrivateMesh(seed, delay=delay, loss=loss)
    a, b = mesh.add_member("a"), mesh.add_member("b")
    mesh.wait_joined(mesh.network)
    return mesh, a, b


def test_an_authorised_node_has_its_configuration_within_half_a_second() -> None:
    mesh = PrivateMesh(1)
    mesh.wait_online()
    mesh.add_member("a")
    assert mesh.wait_joined(mesh.network) < 0.5


def test_a_node_that_is_not_authorised_is_refused() -> None:
    mesh = PrivateMesh(1)
    node = mesh.add("stranger")
    node.join(mesh.network)
    mesh.run(5.0)
    assert node.status(mesh.network) is NetworkStatus.ACCESS_DENIED


def test_a_node_that_is_authorised_later_is_let_in_without_a_restart() -> None:
    mesh = PrivateMesh(1)
    node = mesh.add("late")
    node.join(mesh.network)
    mesh.run(20.0)
    mesh.controller.authorise(mesh.network, node.address)
    assert mesh.wait_joined(mesh.network) < 0.5


def test_a_controller_that_restarts_remembers_its_members() -> None:
    mesh, a, b = make_pair()
    mesh.controller.restart()
    mesh.run(130.0)
    assert a.status(mesh.network) is NetworkStatus.OK
    mesh.controller.deauthorise(mesh.network, b.address)
    mesh.run(1.0)
    assert b.status(mesh.network) is NetworkStatus.ACCESS_DENIED


def test_a_controller_that_was_set_back_and_restarts_cuts_nobody_off() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, mesh.network)
    mesh.run(5.0)
    mesh.controller.node.step_clock(-7200.0)
    mesh.controller.restart()
    pings = mesh.keep_pinging(a, b, mesh.network)
    mesh.run(150.0)
    assert [ping for ping in pings[:-1] if ping.answered is None] == []


def test_a_controller_that_was_set_forward_cuts_nobody_off_for_long() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, mesh.network)
    mesh.run(5.0)
    mesh.controller.node.step_clock(86_400.0)
    mesh.run(70.0)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


def test_a_refresh_that_was_lost_is_asked_for_again_soon() -> None:
    mesh, a, _ = make_pair()
    before = a.core.network_views(a.clock.now())[0].config
    mesh.run(58.0)
    a.host.up.loss = 1.0
    mesh.run(4.0)
    a.host.up.loss = 0.0
    mesh.run(5.0)
    after = a.core.network_views(a.clock.now())[0].config
    assert before is not None
    assert after is not None
    assert after.timestamp > before.timestamp


def test_a_member_whose_announcement_was_lost_is_found_within_seconds() -> None:
    mesh = PrivateMesh(1)
    a = mesh.add_member("a")
    mesh.wait_joined(mesh.network)
    b = mesh.add_member("b")
    mesh.wait_joined(mesh.network)
    b.host.up.loss = 1.0
    mesh.run(0.1)
    b.host.up.loss = 0.0
    pings = mesh.keep_pinging(a, b, mesh.network)
    assert mesh.wait_until(lambda: any(ping.answered for ping in pings)) < 5.0


def test_rules_of_the_network_hold() -> None:
    mesh, a, b = make_pair()
    assert mesh.ping_and_wait(a, b, mesh.network) is not None
    drop_icmp = [{"type": "MATCH_IP_PROTOCOL", "ipProtocol": 1}, {"type": "ACTION_DROP"}]
    mesh.controller.update(mesh.network, rules=[*drop_icmp, {"type": "ACTION_ACCEPT"}])
    mesh.run(1.0)
    assert mesh.ping_and_wait(a, b, mesh.network) is None
    ping = mesh.ping(a, b, mesh.network, version=6)
    mesh.run(1.0)
    assert ping.round_trip is not None


def test_a_network_that_is_not_there_is_not_found() -> None:
    mesh = PrivateMesh(1)
    node = mesh.add("lost")
    nowhere = NetworkId(mesh.network + 1)
    node.join(nowhere)
    mesh.run(5.0)
    assert node.status(nowhere) is NetworkStatus.NOT_FOUND


def test_a_node_waits_for_a_controller_that_is_off() -> None:
    mesh = PrivateMesh(1)
    mesh.wait_online()
    mesh.controller.node.kill()
    node = mesh.add_member("early")
    mesh.run(20.0)
    assert node.status(mesh.network) is NetworkStatus.REQUESTING_CONFIGURATION
    mesh.controller.node.start()
    assert mesh.wait_joined(mesh.network) < 10.0


@pytest.mark.parametrize("version", [4, 6])
def test_the_first_ping_of_two_freshly_joined_nodes_is_answered_within_a_second(
    version: int,
) -> None:
    mesh = PrivateMesh(1)
    mesh.wait_online()
    a, b = mesh.add_member("a"), mesh.add_member("b")
    mesh.wait_joined(mesh.network)
    ping = mesh.ping(a, b, mesh.network, version=version)
    mesh.run(1.0)
    assert ping.round_trip is not None


@pytest.mark.parametrize("delay", [0.0005, 0.005, 0.020, 0.050])
def test_the_first_ping_is_answered_within_a_second_at_any_delay(delay: float) -> None:
    mesh, a, b = make_pair(delay=delay)
    assert mesh.ping_and_wait(a, b, mesh.network, limit=1.0) is not None


def test_the_first_ping_is_answered_within_a_second_by_one_that_is_far_from_the_root() -> None:
    mesh = PrivateMesh(1, delay=0.001)
    mesh.wait_online()
    far = mesh.world.add_host("b")
    far.up.delay = far.down.delay = 0.040
    a, b = mesh.add_member("a"), mesh.admit(mesh.add_on(far))
    mesh.wait_joined(mesh.network)
    assert mesh.ping_and_wait(a, b, mesh.network, limit=1.0) is not None


@pytest.mark.parametrize("seed", range(20))
def test_two_members_find_each_other_through_loss_within_a_few_retries(seed: int) -> None:
    mesh, a, b = make_pair(seed, loss=0.1)
    pings = mesh.keep_pinging(a, b, mesh.network, interval=0.2)
    assert mesh.wait_until(lambda: any(ping.answered for ping in pings)) < 4.5


def test_members_of_a_private_network_go_direct() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, mesh.network)
    assert mesh.wait_direct(a, b) < 5.0
    assert mesh.ping_and_wait(a, b, mesh.network) == pytest.approx(0.020, abs=0.001)


def test_traffic_of_a_deauthorised_member_stops_both_ways_within_a_second() -> None:
    mesh, a, b = make_pair()
    there = mesh.keep_pinging(a, b, mesh.network, interval=0.2)
    back = mesh.keep_pinging(b, a, mesh.network, interval=0.2)
    mesh.run(10.0)
    mesh.controller.deauthorise(mesh.network, b.address)
    end = mesh.world.time + 1.0
    mesh.run(30.0)
    late = [ping for ping in there + back if ping.sent > end]
    assert len(late) > 200
    assert [ping for ping in late if ping.answered is not None] == []


def test_a_deauthorised_member_learns_it_at_once() -> None:
    mesh, _, b = make_pair()
    mesh.controller.deauthorise(mesh.network, b.address)
    mesh.run(0.5)
    assert b.status(mesh.network) is NetworkStatus.ACCESS_DENIED


def test_a_member_that_is_authorised_again_is_back_without_a_restart() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, mesh.network)
    mesh.run(5.0)
    mesh.controller.deauthorise(mesh.network, b.address)
    mesh.run(120.0)
    mesh.controller.authorise(mesh.network, b.address)
    mesh.wait_joined(mesh.network, [b])
    pings = mesh.keep_pinging(a, b, mesh.network)
    mesh.wait_until(lambda: any(ping.answered for ping in pings), limit=10.0)
    mesh.run(5.0)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


def test_certificates_are_renewed_for_hours() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, mesh.network)
    mesh.run(3 * 3600.0)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


def test_a_change_of_the_network_reaches_its_members_at_once() -> None:
    mesh, a, _ = make_pair()
    before = a.core.network_views(a.clock.now())[0].config
    mesh.run(1.0)
    mesh.controller.update(mesh.network, mtu=1500)
    mesh.run(1.0)
    after = a.core.network_views(a.clock.now())[0].config
    assert before is not None
    assert after is not None
    assert (before.mtu, after.mtu) == (2800, 1500)


def test_the_controller_may_be_a_member_itself() -> None:
    mesh, a, _ = make_pair()
    own = mesh.controller.node
    mesh.controller.authorise(mesh.network, own.address)
    own.join(mesh.network)
    mesh.wait_joined(mesh.network, [own])
    assert mesh.ping_and_wait(a, own, mesh.network, limit=1.0) is not None


def test_members_keep_talking_while_the_controller_is_off() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, mesh.network)
    mesh.run(5.0)
    mesh.controller.node.kill()
    mesh.run(600.0)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


@pytest.mark.parametrize("seconds", [0.0, 50.0])
def test_strangers_find_each_other_through_a_root_that_was_started_anew(seconds: float) -> None:
    mesh, a, b = make_pair()
    mesh.run(70.0)
    mesh.controller.node.kill()
    mesh.roots[0].kill()
    mesh.run(seconds)
    mesh.roots[0].start()
    mesh.run(5.0)
    assert mesh.ping_and_wait(a, b, mesh.network, limit=1.0) is not None


def test_a_network_that_was_left_delivers_nothing() -> None:
    mesh, a, b = make_pair()
    mesh.ping_and_wait(a, b, mesh.network)
    machine = b.port(mesh.network)
    address = machine.address(4)
    assert address is not None
    b.leave(mesh.network)
    received = machine.frames_received
    ping = a.port(mesh.network).ping(address)
    mesh.run(5.0)
    assert (ping.answered, machine.frames_received) == (None, received)


def test_strangers_with_a_private_network_id_get_no_frame_in() -> None:
    mesh, a, _ = make_pair()
    stranger = mesh.add("stranger")
    stranger.join(mesh.network)
    mesh.run(5.0)
    received = a.port(mesh.network).frames_received
    stranger.port(mesh.network).configure(a.port(mesh.network).interfaces)
    address = a.port(mesh.network).address(4)
    assert address is not None
    stranger.port(mesh.network).ping(address)
    mesh.run(5.0)
    assert a.port(mesh.network).frames_received == received


def test_a_node_on_two_networks_keeps_them_apart() -> None:
    mesh = PrivateMesh(seed=61)
    a, b, c = (mesh.add_member(name) for name in "abc")
    second = mesh.controller.create(2)
    for node in (a, b):
        mesh.controller.authorise(second, node.address)
        node.join(second)
    mesh.wait_joined(mesh.network)
    mesh.wait_joined(second, (a, b))
    assert mesh.ping_and_wait(a, b, mesh.network) is not None
    assert mesh.ping_and_wait(a, b, second) is not None
    assert mesh.ping_and_wait(a, c, mesh.network) is not None
    a.leave(second)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


def test_credentials_of_many_packets_let_the_tagged_member_through() -> None:
    mesh = PrivateMesh(seed=62)
    a, b = mesh.add_member("a"), mesh.add_member("b")
    tags = [[number, 1] for number in range(100)]
    for node in (a, b):
        mesh.controller.service.update_member(mesh.network, node.address, {"tags": tags})
    rules = [
        {"type": "MATCH_TAGS_EQUAL", "id": 99, "value": 1, "not": True},
        {"type": "ACTION_DROP"},
        {"type": "ACTION_ACCEPT"},
    ]
    mesh.controller.update(mesh.network, rules=rules)
    mesh.wait_joined(mesh.network)
    pings = mesh.keep_pinging(a, b, mesh.network)
    mesh.run(10.0)
    assert pings[-2].answered is not None
