"""Nodes on a network without a controller: VL1 and frames, by themselves."""

import pytest

from tests.sim.mesh import ADHOC, COALESCING, Mesh, count_between, endpoint_of
from tests.sim.nat import NatKind
from tests.sim.node import SimNode
from ztlink.node.events import NodeOnline

CONES = [NatKind.FULL_CONE, NatKind.RESTRICTED, NatKind.PORT_RESTRICTED]


def join_two(mesh: Mesh) -> tuple[SimNode, SimNode]:
    a, b = mesh.nodes
    mesh.wait_online()
    a.join(ADHOC)
    b.join(ADHOC)
    mesh.wait_joined(ADHOC)
    return a, b


def make_pair(seed: int = 1, *, loss: float = 0.0) -> tuple[Mesh, SimNode, SimNode]:
    mesh = Mesh(seed, loss=loss)
    mesh.add("a")
    mesh.add("b")
    return mesh, *join_two(mesh)


def make_natted_pair(a_kind: NatKind, b_kind: NatKind) -> tuple[Mesh, SimNode, SimNode]:
    mesh = Mesh(1)
    mesh.add("a", behind=mesh.world.add_nat("box a", a_kind))
    mesh.add("b", behind=mesh.world.add_nat("box b", b_kind))
    return mesh, *join_two(mesh)


def test_a_node_is_online_as_soon_as_a_root_answers() -> None:
    mesh = Mesh(1, delay=0.010)
    mesh.add("a")
    assert mesh.wait_online() == pytest.approx(0.020, abs=0.001)


def test_a_node_is_online_within_two_seconds_through_loss() -> None:
    mesh = Mesh(1, loss=0.3)
    for number in range(8):
        mesh.add(f"node {number}")
    assert mesh.wait_online() < 2.0


def test_two_nodes_and_a_root_exchange_a_frame() -> None:
    mesh, a, b = make_pair()
    received = a.port(ADHOC).frames_received, b.port(ADHOC).frames_received
    assert mesh.ping_and_wait(a, b, ADHOC) is not None
    assert a.port(ADHOC).frames_received > received[0]
    assert b.port(ADHOC).frames_received > received[1]


def test_the_first_ping_between_two_strangers_is_answered_within_a_second() -> None:
    mesh, a, b = make_pair()
    round_trip = mesh.ping_and_wait(a, b, ADHOC)
    assert round_trip is not None
    assert round_trip < 1.0


def test_a_direct_path_replaces_the_relay() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b, limit=2.0)
    mesh.run(0.5)
    relayed = mesh.roots[0].core.stats.relayed
    straight = count_between(mesh.world, a, b)
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.001)
    assert (straight[0], mesh.roots[0].core.stats.relayed) == (2, relayed)


@pytest.mark.parametrize("a_kind", CONES)
@pytest.mark.parametrize("b_kind", CONES)
def test_nodes_behind_cones_go_direct(a_kind: NatKind, b_kind: NatKind) -> None:
    mesh, a, b = make_natted_pair(a_kind, b_kind)
    mesh.ping(a, b, ADHOC)
    assert mesh.wait_direct(a, b) < 5.0
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.002)


@pytest.mark.parametrize("b_kind", [NatKind.FULL_CONE, NatKind.RESTRICTED])
def test_a_symmetric_nat_goes_direct_to_a_cone_that_takes_any_port(b_kind: NatKind) -> None:
    mesh, a, b = make_natted_pair(NatKind.SYMMETRIC, b_kind)
    mesh.ping(a, b, ADHOC)
    assert mesh.wait_direct(a, b, limit=60.0) < 60.0


@pytest.mark.parametrize("b_kind", [NatKind.SYMMETRIC, NatKind.PORT_RESTRICTED])
def test_a_symmetric_nat_stays_relayed_to_what_cannot_be_punched(b_kind: NatKind) -> None:
    mesh, a, b = make_natted_pair(NatKind.SYMMETRIC, b_kind)
    for _ in range(60):
        assert mesh.ping_and_wait(a, b, ADHOC) is not None
        mesh.run(1.0)
    assert not a.has_direct_path(b)
    assert not b.has_direct_path(a)


def test_nodes_behind_one_box_meet_on_their_lan() -> None:
    mesh = Mesh(1)
    box = mesh.world.add_nat("box", NatKind.SYMMETRIC)
    mesh.add("a", behind=box)
    mesh.add("b", behind=box)
    a, b = join_two(mesh)
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    round_trip = mesh.ping_and_wait(a, b, ADHOC)
    assert round_trip is not None
    assert round_trip < 0.002


def test_a_broken_direct_path_is_replaced_by_the_relay() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    mesh.world.internet.break_path("a", "b")
    pings = mesh.keep_pinging(a, b, ADHOC, interval=0.5)
    assert mesh.wait_until(lambda: any(p.answered for p in pings)) < 5.0
    pings.clear()
    mesh.run(30.0)
    assert [p for p in pings[:-1] if p.answered is None] == []


def test_a_mended_direct_path_is_used_again() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    mesh.world.internet.break_path("a", "b")
    mesh.keep_pinging(a, b, ADHOC)
    mesh.run(20.0)
    assert not a.has_direct_path(b)
    mesh.world.internet.mend_path("a", "b")
    assert mesh.wait_direct(a, b) < 20.0


def test_a_nat_that_forgets_its_mappings_is_punched_again() -> None:
    mesh = Mesh(1)
    box = mesh.world.add_nat("box", NatKind.PORT_RESTRICTED)
    mesh.add("a", behind=box)
    mesh.add("b")
    a, b = join_two(mesh)
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    box.nat.rebind()
    mesh.run(30.0)
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.002)


def test_a_provider_that_renumbers_cuts_nobody_off() -> None:
    mesh = Mesh(1)
    box = mesh.world.add_nat("box", NatKind.FULL_CONE)
    mesh.add("a", behind=box)
    mesh.add("b")
    a, b = join_two(mesh)
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    box.renumber(mesh.world.next_ipv4())
    mesh.run(30.0)
    assert mesh.ping_and_wait(b, a, ADHOC) is not None


def test_idle_paths_keep_their_nats_open() -> None:
    mesh, a, b = make_natted_pair(NatKind.PORT_RESTRICTED, NatKind.PORT_RESTRICTED)
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    mesh.run(300.0)
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.002)


def test_the_only_root_may_die_without_ending_a_direct_path() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    mesh.roots[0].kill()
    mesh.run(120.0)
    assert mesh.ping_and_wait(a, b, ADHOC) is not None
    assert not a.is_online


@pytest.mark.parametrize("seconds", [60.0, 3600.0])
def test_a_root_that_comes_back_is_found_again(seconds: float) -> None:
    mesh, a, _ = make_pair()
    mesh.roots[0].kill()
    mesh.run(seconds)
    mesh.roots[0].start()
    mesh.wait_until(lambda: a.is_online, limit=20.0)
    assert len(a.times_of(NodeOnline)) == 3


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_a_step_of_the_wall_clock_disturbs_nothing(seconds: float) -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    a.step_clock(seconds)
    mesh.roots[0].step_clock(-seconds)
    mesh.run(60.0)
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.001)
    assert a.is_online


def test_a_peer_whose_proof_of_work_is_bad_is_not_served() -> None:
    mesh, a, b = make_pair()
    b.rejected[a.address] = None
    pings = mesh.keep_pinging(a, b, ADHOC, interval=0.1)
    mesh.run(10.0)
    late = [ping for ping in pings if ping.sent > mesh.world.time - 8.0]
    assert [ping for ping in late if ping.answered is not None] == []


def test_a_restarted_node_is_reached_again() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    b.restart()
    mesh.run(5.0)
    assert mesh.ping_and_wait(a, b, ADHOC) is not None


def test_large_frames_pass_in_fragments() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    destination = b.port(ADHOC).address(4)
    assert destination is not None
    ping = a.port(ADHOC).ping(destination, size=2700)
    mesh.run(1.0)
    assert ping.round_trip == pytest.approx(0.020, abs=0.001)


@pytest.mark.parametrize("size", [100, 1400, 2700])
@pytest.mark.parametrize("coalescing", [0.0, COALESCING])
def test_bursts_pass_whole_and_in_order(size: int, coalescing: float) -> None:
    mesh, a, b = make_pair()
    b.host.coalescing = coalescing
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    destination = b.port(ADHOC).address(4)
    assert destination is not None
    payload = b"".join(number.to_bytes(2, "big") * (size // 2) for number in range(20))
    assert a.port(ADHOC).send_udp_burst(destination, 7, payload + b"tail", size)
    mesh.run(1.0)
    pieces = [data for _, _, data in b.port(ADHOC).datagrams]
    assert [len(piece) for piece in pieces] == [size] * 20 + [4]
    assert b"".join(pieces) == payload + b"tail"


def test_loss_within_a_burst_loses_whole_datagrams_only() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    destination = b.port(ADHOC).address(4)
    assert destination is not None
    mesh.world.internet.backbone.loss = 0.1
    payload = b"".join(number.to_bytes(2, "big") * 1350 for number in range(20))
    for _ in range(10):
        a.port(ADHOC).send_udp_burst(destination, 7, payload, 2700)
    mesh.run(1.0)
    pieces = [data for _, _, data in b.port(ADHOC).datagrams]
    assert 120 < len(pieces) < 200
    assert {len(piece) for piece in pieces} == {2700}
    assert [piece for piece in pieces if piece != piece[:2] * 1350] == []


def test_nodes_on_ipv6_alone_go_direct() -> None:
    mesh = Mesh(1)
    mesh.add_on(mesh.world.add_host("a", ipv4=False, ipv6=True))
    mesh.add_on(mesh.world.add_host("b", ipv4=False, ipv6=True))
    a, b = join_two(mesh)
    mesh.ping(a, b, ADHOC)
    assert mesh.wait_direct(a, b) < 5.0
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.001)


def test_nodes_of_two_families_stay_relayed_and_reach_each_other() -> None:
    mesh = Mesh(1)
    mesh.add_on(mesh.world.add_host("a", ipv4=False, ipv6=True))
    mesh.add("b")
    a, b = join_two(mesh)
    assert mesh.ping_and_wait(a, b, ADHOC) is not None
    assert not a.has_direct_path(b)


def test_a_node_that_moves_to_another_address_is_reached_again() -> None:
    mesh, a, b = make_pair()
    mesh.ping(a, b, ADHOC)
    mesh.wait_direct(a, b)
    pings = mesh.keep_pinging(a, b, ADHOC, interval=0.5)
    a.host.detach(endpoint_of(a).ip)
    a.change_sockets()
    mesh.run(5.0)
    a.host.attach(mesh.world.internet, mesh.world.next_ipv4())
    a.change_sockets()
    pings.clear()
    mesh.wait_until(lambda: any(ping.answered for ping in pings), limit=5.0)
    mesh.wait_direct(a, b)
    assert mesh.ping_and_wait(a, b, ADHOC) == pytest.approx(0.020, abs=0.001)


def test_udp_blocked_between_two_nodes_leaves_them_relayed() -> None:
    mesh = Mesh(1)
    a, b = mesh.add("a"), mesh.add("b")
    a.host.firewall.blocked[endpoint_of(b).ip] = None
    join_two(mesh)
    pings = mesh.keep_pinging(a, b, ADHOC)
    mesh.run(60.0)
    assert [ping for ping in pings[:-1] if ping.answered is None] == []
    assert not a.has_direct_path(b)


def test_stateful_firewalls_are_punched() -> None:
    mesh = Mesh(1)
    a, b = mesh.add("a"), mesh.add("b")
    a.host.firewall.is_stateful = True
    b.host.firewall.is_stateful = True
    join_two(mesh)
    mesh.ping(a, b, ADHOC)
    assert mesh.wait_direct(a, b) < 5.0


def test_a_box_behind_a_box_goes_direct_to_the_internet() -> None:
    mesh = Mesh(1)
    outer = mesh.world.add_nat("outer", NatKind.FULL_CONE)
    inner = mesh.world.add_nat(
        "inner", NatKind.SYMMETRIC, outside=outer.inside, outside_ip="192.168.1.2"
    )
    mesh.add_on(mesh.world.add_host_behind(inner, "a", network="10.55.0.0/24"))
    mesh.add("b")
    a, b = join_two(mesh)
    mesh.ping(a, b, ADHOC)
    assert mesh.wait_direct(a, b) < 5.0


def test_twins_on_two_lans_do_not_take_each_other_for_themselves() -> None:
    mesh, a, b = make_natted_pair(NatKind.FULL_CONE, NatKind.FULL_CONE)
    assert endpoint_of(a) == endpoint_of(b)
    pings = mesh.keep_pinging(a, b, ADHOC)
    mesh.run(60.0)
    assert [ping for ping in pings[:-1] if ping.answered is None] == []


def test_frames_pass_through_loss_reordering_and_doubling() -> None:
    mesh, a, b = make_pair(loss=0.1)
    backbone = mesh.world.internet.backbone
    backbone.jitter, backbone.reordering, backbone.duplication = 0.02, 0.2, 0.2
    mesh.run(5.0)
    pings = mesh.keep_pinging(a, b, ADHOC, interval=0.1)
    mesh.run(60.0)
    answered = [ping for ping in pings if ping.answered is not None]
    assert len(answered) > 0.7 * len(pings)
    assert (a.port(ADHOC).bad_frames, b.port(ADHOC).bad_frames) == (0, 0)
