"""Rules of VL1, each seen on a small mesh."""

from ipaddress import ip_address

from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity
from tests.unit.vl1.packets import seal
from ztlink.ids import Endpoint, PacketId
from ztlink.stats import Drop
from ztlink.vl1.peer import ACTIVITY_TIMEOUT, DOUBT_INTERVAL
from ztlink.vl1.requests import MAX_WAYS
from ztlink.wire.control import DirectPath, OkHello, PushDirectPaths, Rendezvous
from ztlink.wire.packet import MASK_HOPS, OFFSET_FLAGS
from ztlink.wire.verbs import Verb

STRANGE = Endpoint(ip_address("10.9.9.9"), 1234)


def drops(mesh: Mesh, node: int, reason: Drop) -> int:
    return mesh.nodes[node].ctx.stats.drops[reason]


def connect(mesh: Mesh, one: int, other: int) -> None:
    """Have two nodes find each other and a direct path."""
    mesh.run(1)
    mesh.nodes[one].vl1.egress.send(mesh.nodes[other].address, Verb.ECHO, b"", mesh.now)
    mesh.run(1)


def test_a_node_is_online_as_soon_as_a_root_answers() -> None:
    mesh = Mesh(2)
    mesh.run(0.001)
    assert mesh.nodes[1].vl1.topology.online


def test_a_node_without_a_reachable_root_is_not_online() -> None:
    mesh = Mesh(2)
    mesh.blocked = {(0, 1)}
    mesh.run(30)
    assert not mesh.nodes[1].vl1.topology.online


def test_a_root_that_comes_back_is_found_within_five_seconds() -> None:
    mesh = Mesh(2)
    mesh.blocked = {(0, 1)}
    mesh.run(60)
    mesh.blocked = set()
    mesh.run(5.1)
    assert mesh.nodes[1].vl1.topology.online


def test_a_root_that_is_away_for_long_leaves_no_timer_that_is_always_due() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.blocked = {(0, 1)}
    mesh.run(2 * ACTIVITY_TIMEOUT)
    assert (mesh.nodes[1].ctx.timers.head() or 0.0) > mesh.now.mono


def test_a_root_that_does_not_answer_is_greeted_often_for_five_seconds() -> None:
    mesh = Mesh(2)
    mesh.blocked = {(0, 1)}
    mesh.run(5)
    assert len([1 for s, r, _ in mesh.log if (s, r) == (1, 0)]) == 13


def test_a_root_that_does_not_answer_for_long_is_greeted_every_three_seconds() -> None:
    mesh = Mesh(2)
    mesh.blocked = {(0, 1)}
    mesh.run(600)
    mesh.log.clear()
    mesh.run(60)
    assert len([1 for s, r, _ in mesh.log if (s, r) == (1, 0)]) == 20


def test_two_nodes_find_a_direct_path_through_the_root() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    path = peer.best_path()
    assert path is not None
    assert path.endpoint == endpoint(2)


def test_two_nodes_that_cannot_reach_each_other_talk_through_the_root() -> None:
    mesh = Mesh(3)
    mesh.blocked = {(1, 2), (2, 1)}
    connect(mesh, 1, 2)
    sender = mesh.nodes[1]
    peer = sender.vl1.topology.peers[mesh.nodes[2].address]
    before = mesh.nodes[1].ctx.stats.packets_in[Verb.OK]
    sender.vl1.egress.send(peer.address, Verb.ECHO, b"relayed", mesh.now)
    mesh.run(0.1)
    assert peer.best_path() is None
    assert mesh.nodes[1].ctx.stats.packets_in[Verb.OK] > before


def test_a_relayed_packet_carries_one_hop() -> None:
    mesh = Mesh(3)
    mesh.blocked = {(1, 2), (2, 1)}
    connect(mesh, 1, 2)
    relayed = [data for s, r, data in mesh.log if (s, r) == (0, 2) and data[13:18] == b(mesh, 1)]
    assert {data[OFFSET_FLAGS] & MASK_HOPS for data in relayed} == {1}


def b(mesh: Mesh, node: int) -> bytes:
    return mesh.nodes[node].address.to_bytes(5, "big")


def test_a_packet_that_went_too_far_is_not_relayed() -> None:
    mesh = Mesh(3)
    mesh.run(1)
    mesh.inject(0, bytes(8) + b(mesh, 2) + b(mesh, 1) + bytes([3]) + bytes(9), endpoint(1))
    assert drops(mesh, 0, Drop.HOP_LIMIT) == 1


def test_a_node_that_is_no_root_does_not_relay() -> None:
    mesh = Mesh(3)
    mesh.run(1)
    mesh.inject(1, bytes(8) + b(mesh, 2) + b(mesh, 0) + bytes(10), endpoint(0))
    assert drops(mesh, 1, Drop.RELAY_REFUSED) == 1


def test_a_path_that_goes_silent_is_left_for_the_relay_within_three_seconds() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    mesh.blocked = {(1, 2), (2, 1)}
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    mesh.nodes[1].vl1.egress.send(peer.address, Verb.NOP, b"", mesh.now)
    mesh.run(3)
    assert peer.best_path() is None


def test_a_path_that_went_silent_is_used_where_there_is_no_relay() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    mesh.blocked = {(1, 2), (2, 1), (0, 1)}
    sender, peer = mesh.nodes[1], mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    for _ in range(8):
        sender.vl1.egress.send(peer.address, Verb.NOP, b"", mesh.now)
        sender.vl1.egress.send(mesh.nodes[0].address, Verb.NOP, b"", mesh.now)
        mesh.run(0.5)
    assert (peer.best_path(), sender.vl1.topology.online) == (None, False)
    mesh.blocked = {(0, 1)}
    before = mesh.nodes[2].ctx.stats.packets_in[Verb.NOP]
    sender.vl1.egress.send(peer.address, Verb.NOP, b"", mesh.now)
    mesh.run(0.01)
    assert mesh.nodes[2].ctx.stats.packets_in[Verb.NOP] == before + 1


def test_packets_through_the_relay_have_the_direct_path_tested() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    mesh.run(DOUBT_INTERVAL)
    mesh.blocked = {(1, 2), (2, 1)}
    receiver = mesh.nodes[1].vl1
    peer = receiver.topology.peers[mesh.nodes[2].address]
    peer.heard_through_relay(mesh.now)
    mesh.run(1.0)
    assert peer.best_path() is None


def test_packets_through_the_relay_cost_one_probe_in_two_seconds_where_the_path_is_good() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    mesh.log.clear()
    for _ in range(40):
        peer.heard_through_relay(mesh.now)
        mesh.run(0.1)
    assert len([1 for s, r, _ in mesh.log if (s, r) == (1, 2)]) == 2
    assert peer.best_path() is not None


def test_an_answer_that_is_sent_again_does_not_keep_a_path_alive() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    mesh.log.clear()
    peer.suspect_paths(mesh.now)
    mesh.run(0.1)
    (answer,) = [data for s, r, data in mesh.log if (s, r) == (2, 1)]
    mesh.blocked = {(1, 2), (2, 1)}
    peer.suspect_paths(mesh.now)
    for _ in range(20):
        mesh.run(0.05)
        mesh.inject(1, answer, endpoint(2))
    assert peer.best_path() is None


def test_a_lost_path_is_won_back_within_fifteen_seconds_of_its_return() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    mesh.blocked = {(1, 2), (2, 1)}
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    peer.last_frame = mesh.now.mono
    mesh.nodes[1].vl1.egress.send(peer.address, Verb.NOP, b"", mesh.now)
    mesh.run(60)
    mesh.blocked = set()
    mesh.run(15)
    assert peer.best_path() is not None


def test_a_replayed_packet_from_another_address_teaches_no_path() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    captured = [data for s, r, data in mesh.log if (s, r) == (2, 1) and len(data) > 27]
    for data in captured:
        mesh.inject(1, data, STRANGE)
    mesh.run(5)
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    assert all(path.endpoint != STRANGE for path in peer.paths.values() if path.is_confirmed)


def test_a_changed_packet_is_dropped_and_counted() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    data = bytearray(next(d for s, r, d in mesh.log if (s, r) == (2, 1) and len(d) > 27))
    data[-1] ^= 1
    mesh.inject(1, bytes(data), endpoint(2))
    assert drops(mesh, 1, Drop.BAD_AUTH_TAG) == 1


def test_the_datagram_that_opens_a_nat_is_not_counted_as_a_fault() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.inject(1, b"1234", endpoint(0))
    assert drops(mesh, 1, Drop.TOO_SHORT) == 0


def test_a_short_datagram_is_counted() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.inject(1, bytes(20), endpoint(0))
    assert drops(mesh, 1, Drop.TOO_SHORT) == 1


def test_a_rendezvous_counts_only_from_a_root() -> None:
    mesh = Mesh(4)
    connect(mesh, 1, 2)
    meeting = Rendezvous(mesh.nodes[3].address, STRANGE).to_bytes()
    mesh.nodes[2].vl1.egress.send(mesh.nodes[1].address, Verb.RENDEZVOUS, meeting, mesh.now)
    mesh.run(0.1)
    assert drops(mesh, 1, Drop.NOT_AN_UPSTREAM) == 1


def test_pushes_beyond_the_limit_are_not_followed() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    push = PushDirectPaths((DirectPath(STRANGE),)).to_bytes()
    for _ in range(12):
        mesh.nodes[2].vl1.egress.send(mesh.nodes[1].address, Verb.PUSH_DIRECT_PATHS, push, mesh.now)
        mesh.run(0.2)
    assert drops(mesh, 1, Drop.RATE_LIMITED) > 0


def test_a_pushed_address_is_probed() -> None:
    mesh = Mesh(3)
    mesh.blocked = {(1, 2), (2, 1)}
    connect(mesh, 1, 2)
    push = PushDirectPaths((DirectPath(STRANGE),)).to_bytes()
    sender = mesh.nodes[2].vl1.egress
    sender.send(mesh.nodes[1].address, Verb.PUSH_DIRECT_PATHS, push, mesh.now)
    mesh.run(0.1)
    peer = mesh.nodes[1].vl1.topology.peers[mesh.nodes[2].address]
    assert any(path.endpoint == STRANGE for path in peer.paths.values())


def test_an_answer_to_nothing_is_dropped() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    body = bytes([Verb.ECHO]) + bytes(8)
    mesh.nodes[2].vl1.egress.send(mesh.nodes[1].address, Verb.OK, body, mesh.now)
    mesh.run(0.1)
    assert drops(mesh, 1, Drop.UNEXPECTED_REPLY) == 1


def greet_root(mesh: Mesh) -> bytes:
    """Have node 1 greet the root; return the id of its HELLO."""
    vl1 = mesh.nodes[1].vl1
    root = vl1.topology.peers[mesh.nodes[0].address]
    vl1.introductions.send_hello(root, SOCKET, endpoint(0), mesh.now)
    return bytes(mesh.nodes[1].ctx.transmits[-1].buffer[:8])


def test_an_answer_to_a_hello_counts_once_by_each_way() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.blocked = {(1, 0)}
    hello = greet_root(mesh)
    seen = Endpoint(ip_address("10.7.7.7"), 1)
    ok = OkHello(PacketId(int.from_bytes(hello, "big")), 0, 12, (1, 0, 0), seen).to_bytes()
    before = drops(mesh, 1, Drop.UNEXPECTED_REPLY)
    for _ in range(3):
        mesh.inject(1, seal(0, 1, Verb.OK, ok), endpoint(0))
    assert drops(mesh, 1, Drop.UNEXPECTED_REPLY) == before + 2


def test_answers_to_a_hello_by_ever_other_ways_are_bounded() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.blocked = {(1, 0)}
    hello = greet_root(mesh)
    ok = OkHello(PacketId(int.from_bytes(hello, "big")), 0, 12, (1, 0, 0)).to_bytes()
    before = drops(mesh, 1, Drop.UNEXPECTED_REPLY)
    for port in range(1, MAX_WAYS + 11):
        mesh.inject(1, seal(0, 1, Verb.OK, ok), Endpoint(endpoint(0).ip, port))
    assert drops(mesh, 1, Drop.UNEXPECTED_REPLY) == before + 10


def test_a_peer_whose_proof_of_work_fails_is_removed() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    root = mesh.nodes[0].vl1
    (newcomer,) = root.take_validations()
    root.strangers.validated(newcomer, False, mesh.now)
    assert newcomer.address not in root.topology.peers


def test_a_newcomer_is_served_before_its_proof_of_work_is_checked() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    assert mesh.nodes[0].vl1.take_validations() == [identity(1).public]
    assert mesh.nodes[1].vl1.topology.online


def test_an_unknown_address_is_asked_for_again_while_something_waits() -> None:
    mesh = Mesh(3)
    mesh.run(1)
    stranger = identity(50).address
    mesh.nodes[1].vl1.egress.send(stranger, Verb.NOP, b"", mesh.now)
    before = mesh.nodes[0].ctx.stats.packets_in[Verb.WHOIS]
    mesh.run(5)
    assert mesh.nodes[0].ctx.stats.packets_in[Verb.WHOIS] - before >= 4


def test_nothing_is_sent_by_an_idle_mesh_but_heartbeats() -> None:
    mesh = Mesh(3)
    connect(mesh, 1, 2)
    mesh.run(600)
    mesh.log.clear()
    mesh.run(60)
    assert len(mesh.log) <= 2 * 2 * 5  # two nodes, an ECHO and its answer every 14 s


def test_a_changed_local_address_is_used_at_once() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    node = mesh.nodes[1]
    node.vl1.set_sockets({SOCKET: Endpoint(ip_address("10.0.0.2"), 4000)}, mesh.now)
    mesh.run(0.5)
    assert node.vl1.topology.online
