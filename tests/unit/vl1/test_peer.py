"""A peer and its paths: which is used, how many there may be, and when all is forgotten."""

from ipaddress import ip_address

import pytest

from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity, planet
from tests.unit.vl1.packets import after
from ztlink.ids import ALL_SOCKETS, Endpoint, SocketId
from ztlink.vl1.events import PathConfirmed, PathLost, PeerLost
from ztlink.vl1.path import EXPIRY, HEARTBEAT, UNKNOWN_LATENCY, Path
from ztlink.vl1.peer import ACTIVITY_TIMEOUT, MAX_PATHS, Peer
from ztlink.wire.verbs import Verb

NEAR = endpoint(60)
FAR = endpoint(61)
PUBLIC = Endpoint(ip_address("77.1.2.3"), 9993)


@pytest.fixture
def mesh() -> Mesh:
    """A node that knows a peer of which it has no path yet."""
    made = Mesh(2)
    made.run(1.0)
    made.nodes[1].vl1.topology.add_peer(identity(5).public, made.now)
    made.nodes[1].ctx.events.clear()
    return made


def peer(mesh: Mesh) -> Peer:
    return mesh.nodes[1].vl1.topology.peers[identity(5).address]


def candidate(mesh: Mesh, where: Endpoint, socket: SocketId = SOCKET) -> Path:
    path = peer(mesh).add_path(socket, where, mesh.now)
    assert path is not None
    return path


def confirmed(mesh: Mesh, where: Endpoint, milliseconds: float = 10.0) -> Path:
    """Return a path that was answered on within some time."""
    path = candidate(mesh, where)
    peer(mesh).path_replied(path, milliseconds / 1000, mesh.now)
    return path


def all_answer(mesh: Mesh) -> None:
    """Have every path answer, so that none is under suspicion."""
    for path in peer(mesh).paths.values():
        path.received(mesh.now)


# -- which path ------------------------------------------------------------------------------


def test_a_peer_without_a_path_is_reached_through_a_root(mesh: Mesh) -> None:
    assert peer(mesh).best_path() is None
    assert peer(mesh).latency == UNKNOWN_LATENCY


def test_a_candidate_carries_no_traffic(mesh: Mesh) -> None:
    candidate(mesh, NEAR)
    assert peer(mesh).best_path() is None


def test_a_path_is_used_once_it_has_answered_and_that_is_told(mesh: Mesh) -> None:
    path = confirmed(mesh, NEAR)
    assert peer(mesh).best_path() is path
    assert PathConfirmed(identity(5).address, NEAR) in mesh.nodes[1].ctx.events
    assert peer(mesh).latency == pytest.approx(10.0)


def test_the_path_of_lower_latency_is_used(mesh: Mesh) -> None:
    confirmed(mesh, FAR, 50.0)
    near = confirmed(mesh, NEAR, 5.0)
    all_answer(mesh)
    peer(mesh).path_replied(near, 0.005, mesh.now)
    assert peer(mesh).best_path() is near


def test_a_path_that_answers_has_the_others_of_its_socket_tested(mesh: Mesh) -> None:
    old = confirmed(mesh, FAR)
    confirmed(mesh, NEAR)
    assert old.deadline() <= mesh.now.mono


def test_a_path_from_one_socket_takes_the_place_of_the_probe_from_all(mesh: Mesh) -> None:
    candidate(mesh, NEAR, ALL_SOCKETS)
    confirmed(mesh, NEAR)
    assert list(peer(mesh).paths) == [(SOCKET, NEAR)]


def test_the_same_endpoint_is_the_same_path(mesh: Mesh) -> None:
    assert candidate(mesh, NEAR) is candidate(mesh, NEAR)


def test_a_path_that_is_gone_is_found_no_more(mesh: Mesh) -> None:
    path = confirmed(mesh, NEAR)
    assert peer(mesh).path_at(SOCKET, NEAR) is path
    peer(mesh).remove_paths_of(frozenset())
    assert peer(mesh).path_at(SOCKET, NEAR) is None


def test_each_path_is_found_by_its_own_key(mesh: Mesh) -> None:
    near, far = confirmed(mesh, NEAR), confirmed(mesh, FAR)
    assert [peer(mesh).path_at(SOCKET, where) for where in (NEAR, FAR, PUBLIC)] == [near, far, None]


def test_a_path_in_use_is_the_last_resort_too(mesh: Mesh) -> None:
    assert peer(mesh).last_resort() is None
    path = confirmed(mesh, NEAR)
    assert peer(mesh).last_resort() is path


# -- silence ---------------------------------------------------------------------------------


def test_a_path_that_falls_silent_is_told_and_not_used(mesh: Mesh) -> None:
    path = confirmed(mesh, NEAR)
    peer(mesh).last_frame = mesh.now.mono
    peer(mesh).path_sent(path, mesh.now)
    mesh.run(20.0)
    assert peer(mesh).best_path() is None
    assert PathLost(identity(5).address, NEAR) in mesh.nodes[1].ctx.events
    assert peer(mesh).last_resort() is path


def test_a_silent_path_is_forgotten_in_the_end(mesh: Mesh) -> None:
    path = confirmed(mesh, NEAR)
    peer(mesh).last_frame = mesh.now.mono
    peer(mesh).path_sent(path, mesh.now)
    mesh.run(EXPIRY + 60.0)
    assert not peer(mesh).paths


def test_a_peer_that_is_silent_for_long_is_forgotten_and_that_is_told(mesh: Mesh) -> None:
    mesh.run(ACTIVITY_TIMEOUT + 1.0)
    assert identity(5).address not in mesh.nodes[1].vl1.topology.peers
    assert PeerLost(identity(5).address) in mesh.nodes[1].ctx.events


def test_a_root_is_never_forgotten(mesh: Mesh) -> None:
    mesh.blocked = {(0, 1), (1, 0)}
    mesh.run(2 * ACTIVITY_TIMEOUT)
    assert identity(0).address in mesh.nodes[1].vl1.topology.peers


def test_a_root_that_is_none_any_more_is_forgotten_after_silence(mesh: Mesh) -> None:
    mesh.blocked = {(0, 1), (1, 0)}
    mesh.run(2 * ACTIVITY_TIMEOUT)
    topology = mesh.nodes[1].vl1.topology
    topology.planet = planet(7)
    topology.update_roots(mesh.now)
    mesh.run(2 * ACTIVITY_TIMEOUT)
    assert identity(0).address not in topology.peers
    assert identity(7).address in topology.peers


def test_the_path_of_an_idle_peer_is_not_kept_alive(mesh: Mesh) -> None:
    path = confirmed(mesh, NEAR)
    path.received(mesh.now)
    before = mesh.nodes[1].ctx.stats.packets_out[Verb.HELLO]
    mesh.run(120.0)
    assert mesh.nodes[1].ctx.stats.packets_out[Verb.HELLO] == before


def test_a_stale_path_of_an_idle_peer_is_forgotten_although_the_peer_is_heard(mesh: Mesh) -> None:
    confirmed(mesh, NEAR)
    for _ in range(round(EXPIRY / 20.0) + 3):
        candidate(mesh, FAR)
        peer(mesh).path_replied(peer(mesh).paths[SOCKET, FAR], 0.01, mesh.now)
        peer(mesh).last_receive = mesh.now.mono
        mesh.run(20.0)
    assert list(peer(mesh).paths) == [(SOCKET, FAR)]


def test_the_path_of_an_active_peer_is_kept_alive(mesh: Mesh) -> None:
    confirmed(mesh, NEAR)
    peer(mesh).last_frame = mesh.now.mono
    before = mesh.nodes[1].ctx.stats.packets_out[Verb.HELLO]
    mesh.run(30.0)
    assert mesh.nodes[1].ctx.stats.packets_out[Verb.HELLO] > before


def test_activity_ends_after_some_minutes_but_for_roots(mesh: Mesh) -> None:
    known = peer(mesh)
    known.last_frame = mesh.now.mono
    assert known.is_active(mesh.now)
    later = after(mesh.now, ACTIVITY_TIMEOUT)
    assert not known.is_active(later)
    known.is_upstream = True
    assert known.is_active(later)


# -- how many, and whose ---------------------------------------------------------------------


def test_paths_are_bounded_in_number(mesh: Mesh) -> None:
    for number in range(3 * MAX_PATHS):
        candidate(mesh, endpoint(60, 1000 + number))
    assert len(peer(mesh).paths) == MAX_PATHS


def test_a_candidate_makes_room_before_a_path_that_once_worked(mesh: Mesh) -> None:
    path = confirmed(mesh, NEAR)
    for number in range(2 * MAX_PATHS):
        candidate(mesh, endpoint(60, 1000 + number))
    assert path in peer(mesh).paths.values()


def test_confirmed_paths_make_no_room(mesh: Mesh) -> None:
    for number in range(MAX_PATHS):
        confirmed(mesh, endpoint(60, 1000 + number))
    assert peer(mesh).add_path(SOCKET, PUBLIC, mesh.now) is None


def test_paths_of_a_socket_that_is_gone_are_forgotten_and_that_is_told(mesh: Mesh) -> None:
    confirmed(mesh, NEAR)
    candidate(mesh, FAR, ALL_SOCKETS)
    kept = candidate(mesh, FAR, SocketId(2))
    peer(mesh).remove_paths_of(frozenset({SocketId(2)}))
    assert list(peer(mesh).paths) == [(ALL_SOCKETS, FAR), (SocketId(2), FAR)]
    assert kept in peer(mesh).paths.values()
    assert PathLost(identity(5).address, NEAR) in mesh.nodes[1].ctx.events


def test_doubt_of_our_own_address_has_every_path_probed_at_once(mesh: Mesh) -> None:
    peer(mesh).protocol = 12
    confirmed(mesh, NEAR)
    confirmed(mesh, FAR)
    all_answer(mesh)
    mesh.nodes[1].ctx.transmits = []
    peer(mesh).suspect_paths(mesh.now)
    peer(mesh).handle_timer(mesh.now)
    destinations = {transmit.destination for transmit in mesh.nodes[1].ctx.transmits}
    assert destinations == {NEAR, FAR}


# -- paths that differ in ports alone ----------------------------------------------------------


def twins(mesh: Mesh) -> tuple[Path, Path]:
    """Return a near path and a slower one to another port of the same host, both heard now."""
    slow = confirmed(mesh, Endpoint(NEAR.ip, 44987), 20.0)
    near = confirmed(mesh, NEAR, 5.0)
    peer(mesh).path_replied(slow, 0.02, mesh.now)
    all_answer(mesh)
    peer(mesh).last_frame = mesh.now.mono
    return near, slow


def idle(mesh: Mesh, seconds: float, answering: Path) -> int:
    """Let time pass in which one path answers its probes; return how many the other sent."""
    other = next(path for path in peer(mesh).paths.values() if path is not answering)
    sent = 0
    for _ in range(int(seconds)):
        mesh.now = after(mesh.now, 1.0)
        before = other.probes
        peer(mesh).handle_timer(mesh.now)
        sent += other.probes > before
        if answering.probes:
            peer(mesh).path_replied(answering, 0.005, mesh.now)
    return sent


def test_of_paths_that_differ_in_ports_the_best_alone_is_kept_open(mesh: Mesh) -> None:
    near, slow = twins(mesh)
    assert idle(mesh, 60, near) == 0
    assert near.last_in > slow.last_in
    assert slow.is_resting
    assert not near.is_resting


def test_a_path_that_rests_is_not_chosen_while_another_is_kept_open(mesh: Mesh) -> None:
    near, slow = twins(mesh)
    idle(mesh, 60, near)
    slow.latency = 1.0
    peer(mesh).path_replied(near, 0.005, mesh.now)
    assert peer(mesh).best_path() is near


def test_a_path_that_rests_is_probed_once_the_kept_one_is_in_doubt(mesh: Mesh) -> None:
    near, slow = twins(mesh)
    idle(mesh, 60, near)
    near.suspect(mesh.now)
    peer(mesh).handle_timer(mesh.now)
    peer(mesh).handle_timer(mesh.now)
    assert slow.probes
    peer(mesh).path_replied(slow, 0.02, mesh.now)
    assert peer(mesh).best_path() is slow


def test_of_such_paths_an_idle_peer_is_sent_to_over_the_one_that_it_keeps_open(mesh: Mesh) -> None:
    near, slow = twins(mesh)
    peer(mesh).last_frame = float("-inf")
    for kept in (slow, near):
        for _ in range(3):
            mesh.now = after(mesh.now, HEARTBEAT)
            kept.received(mesh.now)
            peer(mesh).path_asked(kept, mesh.now)
            peer(mesh).handle_timer(mesh.now)
        assert peer(mesh).best_path() is kept


def test_a_path_between_other_hosts_is_kept_open_too(mesh: Mesh) -> None:
    near = confirmed(mesh, NEAR, 5.0)
    confirmed(mesh, FAR, 20.0)
    all_answer(mesh)
    peer(mesh).last_frame = mesh.now.mono
    assert idle(mesh, 60, near) > 0


def test_a_path_that_rested_for_four_minutes_is_forgotten(mesh: Mesh) -> None:
    near, slow = twins(mesh)
    mesh.nodes[1].ctx.events.clear()
    idle(mesh, EXPIRY + 20, near)
    assert list(peer(mesh).paths.values()) == [near]
    assert PathLost(identity(5).address, slow.endpoint) in mesh.nodes[1].ctx.events


def test_paths_that_rest_make_room_for_new_ones(mesh: Mesh) -> None:
    near, slow = twins(mesh)
    idle(mesh, 60, near)
    for number in range(MAX_PATHS - 1):
        confirmed(mesh, endpoint(100 + number))
    assert next(iter(peer(mesh).paths.values())) is near
    assert slow not in peer(mesh).paths.values()
