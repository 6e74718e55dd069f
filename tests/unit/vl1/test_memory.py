"""What a node remembers of its peers over a restart, and what it believes of that."""

from dataclasses import replace

import pytest

from tests.unit.vl1.mesh import Mesh, Node, endpoint, identity
from ztlink.stats import Drop
from ztlink.vl1 import memory
from ztlink.vl1.events import StateChanged
from ztlink.vl1.memory import GREETINGS, state_key
from ztlink.vl1.peer import ACTIVITY_TIMEOUT
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.verbs import Verb


def known(number: int, *at: int) -> KnownPeer:
    return KnownPeer(identity(number).public, 12, (1, 14, 1), tuple(endpoint(n) for n in at))


def files(node: Node) -> dict[str, bytes | None]:
    """Return what a node had written, the last of each file."""
    return {e.key: e.value for e in node.ctx.events if isinstance(e, StateChanged)}


def validate(node: Node, mesh: Mesh) -> None:
    for identity_ in node.vl1.take_validations():
        node.vl1.strangers.validated(identity_, ok=True, now=mesh.now)


def has_path(mesh: Mesh, one: int, other: int) -> bool:
    peer = mesh.nodes[one].vl1.topology.peers.get(identity(other).public.address)
    return peer is not None and peer.best_path() is not None


# -- what is kept --------------------------------------------------------------------------------


def test_a_peer_that_was_reached_is_kept_with_its_endpoint() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    value = files(mesh.nodes[1])[state_key(mesh.nodes[0].address)]
    assert value is not None
    assert KnownPeer.from_bytes(value) == replace(known(0, 0), protocol=12)


def test_a_peer_whose_proof_of_work_is_being_checked_is_kept_as_such() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    value = files(mesh.nodes[0])[state_key(mesh.nodes[1].address)]
    assert value is not None
    assert KnownPeer.from_bytes(value) == KnownPeer(identity(1).public, endpoints=(endpoint(1),))


def test_peers_that_are_kept_unchecked_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_UNCHECKED", 2)
    mesh = Mesh(6)
    mesh.run(1)
    assert len(files(mesh.nodes[0])) == 2


def test_the_others_are_kept_when_they_were_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_UNCHECKED", 2)
    mesh = Mesh(6)
    mesh.run(1)
    validate(mesh.nodes[0], mesh)
    assert len(files(mesh.nodes[0])) == 5


def test_nothing_is_kept_of_a_peer_that_falls_silent_before_it_was_checked() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.blocked = {(1, 0)}
    mesh.run(2 * ACTIVITY_TIMEOUT)
    assert files(mesh.nodes[0])[state_key(mesh.nodes[1].address)] is None


def test_a_peer_that_was_kept_unchecked_is_checked_after_the_start() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.restart(0, [replace(known(1, 1), protocol=0)])
    mesh.run(0.1)
    assert has_path(mesh, 0, 1)
    assert mesh.nodes[0].vl1.take_validations() == [identity(1).public]


def test_a_peer_that_was_checked_is_not_checked_again_after_the_start() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.restart(0, [known(1, 1)])
    mesh.run(0.1)
    assert mesh.nodes[0].vl1.take_validations() == []


def test_a_peer_is_kept_once_its_proof_of_work_was_found_good() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    validate(mesh.nodes[0], mesh)
    value = files(mesh.nodes[0])[state_key(mesh.nodes[1].address)]
    assert value is not None
    assert KnownPeer.from_bytes(value).protocol == 12


def test_what_did_not_change_is_not_written_again() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.nodes[1].ctx.events.clear()
    mesh.run(200)
    assert files(mesh.nodes[1]) == {}


def test_the_endpoint_of_a_peer_that_fell_silent_is_kept_for_a_while() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.nodes[1].ctx.events.clear()
    mesh.blocked = {(0, 1)}
    mesh.run(100)
    assert files(mesh.nodes[1]) == {}


def test_of_a_peer_that_was_silent_for_long_only_the_identity_is_kept() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    validate(mesh.nodes[0], mesh)
    mesh.blocked = {(1, 0)}
    mesh.run(2 * ACTIVITY_TIMEOUT)
    value = files(mesh.nodes[0])[state_key(mesh.nodes[1].address)]
    assert value is not None
    assert KnownPeer.from_bytes(value).endpoints == ()


def test_files_of_the_silent_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_KNOWN", 1)
    mesh = Mesh(1)
    root = mesh.restart(0, [known(2)])
    silent, present = root.vl1.topology, identity(1).public
    peer = silent.add_peer(present, mesh.now)
    assert peer is not None
    root.vl1.memory.note(peer)
    root.vl1.memory.silenced(peer)
    assert files(root)[state_key(identity(2).address)] is None


# -- what it is good for -------------------------------------------------------------------------


def test_a_restarted_root_has_its_clients_back_without_waiting_for_them() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.restart(0, [known(1, 1)])
    mesh.run(0.1)
    assert has_path(mesh, 0, 1)


def test_a_root_that_remembers_nobody_waits_for_its_clients() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    mesh.restart(0)
    mesh.run(0.1)
    assert not has_path(mesh, 0, 1)


def test_a_restarted_node_talks_to_its_peers_without_a_root() -> None:
    mesh = Mesh(3)
    mesh.blocked = {(0, 1), (1, 0), (0, 2), (2, 0)}
    mesh.restart(1, [known(2, 2)])
    mesh.restart(2, [known(1, 1)])
    mesh.run(0.1)
    assert (has_path(mesh, 1, 2), has_path(mesh, 2, 1)) == (True, True)


def test_a_peer_known_by_name_alone_needs_no_whois() -> None:
    mesh = Mesh(3)
    mesh.run(1)
    node = mesh.restart(1, [known(2)])
    node.vl1.egress.send(identity(2).address, Verb.ECHO, b"", mesh.now)
    assert node.ctx.stats.packets_out[Verb.WHOIS] == 0
    assert identity(2).address in node.vl1.topology.peers


def test_a_root_tells_of_those_it_remembers() -> None:
    mesh = Mesh(3)
    mesh.restart(0, [known(2)])
    mesh.run(0.5)
    mesh.nodes[1].vl1.topology.when_known(identity(2).address, mesh.now)
    mesh.run(0.1)
    assert identity(2).address in mesh.nodes[1].vl1.topology.peers


def test_an_identity_is_told_without_making_a_peer() -> None:
    node = Mesh(1).restart(0, [known(2)])
    assert node.vl1.memory.identity_of(identity(2).address) == identity(2).public
    assert identity(2).address not in node.vl1.topology.peers


def test_many_are_greeted_a_few_at_a_time() -> None:
    mesh = Mesh(1)
    many = [known(number, number) for number in range(1, 2 * GREETINGS + 2)]
    root = mesh.restart(0, many)
    owner = root.ctx.timers.pop_due(mesh.now.mono)
    assert owner is root.vl1.memory
    owner.handle_timer(mesh.now)
    assert len(root.vl1.topology.peers) == GREETINGS
    mesh.run(1)
    assert len(root.vl1.topology.peers) == len(many)


def test_no_more_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_KNOWN", 2)
    node = Mesh(1).restart(0, [known(1), known(2), known(3)])
    found = [node.vl1.memory.identity_of(identity(n).address) is not None for n in (1, 2, 3)]
    assert found == [True, True, False]


# -- what is not believed ------------------------------------------------------------------------


def test_an_endpoint_from_a_file_is_no_path_before_it_answers() -> None:
    mesh = Mesh(2)
    mesh.blocked = {(1, 0)}
    mesh.restart(0, [known(1, 1)])
    mesh.run(1)
    assert not has_path(mesh, 0, 1)


def test_a_version_from_a_file_is_not_believed() -> None:
    mesh = Mesh(2)
    mesh.blocked = {(1, 0)}
    root = mesh.restart(0, [known(1, 1)])
    mesh.run(0.1)
    assert root.vl1.topology.peers[identity(1).address].protocol == 0


def damaged(number: int) -> KnownPeer:
    """Return a record with the right address and somebody else's keys."""
    true, other = identity(number).public, identity(99).public
    return KnownPeer(replace(other, address=true.address), 12, (1, 14, 1), ())


def greet_root_with_damaged_file() -> tuple[Mesh, Node]:
    mesh = Mesh(2)
    root = mesh.restart(0, [damaged(1)])
    mesh.run(0.5)
    return mesh, root


def test_a_peer_that_contradicts_a_file_is_not_told_off() -> None:
    mesh, root = greet_root_with_damaged_file()
    assert root.ctx.stats.drops[Drop.IDENTITY_COLLISION] > 0
    assert root.ctx.stats.packets_out[Verb.ERROR] == 0
    assert mesh.nodes[1].ctx.stats.packets_in[Verb.ERROR] == 0


def test_a_damaged_file_is_found_out_by_its_proof_of_work_and_removed() -> None:
    mesh, root = greet_root_with_damaged_file()
    (doubted,) = root.vl1.take_validations()
    assert doubted == damaged(1).identity
    root.vl1.strangers.validated(doubted, ok=False, now=mesh.now)
    assert files(root) == {state_key(identity(1).address): None}
    mesh.run(6)
    assert root.vl1.topology.peers[identity(1).address].identity == identity(1).public


def test_a_good_file_outlasts_who_contradicts_it() -> None:
    mesh, root = greet_root_with_damaged_file()
    (doubted,) = root.vl1.take_validations()
    root.vl1.strangers.validated(doubted, ok=True, now=mesh.now)
    mesh.run(6)
    assert root.vl1.topology.peers[identity(1).address].identity == damaged(1).identity
    assert root.ctx.stats.packets_out[Verb.ERROR] > 0


def test_a_peer_that_has_spoken_is_proven() -> None:
    mesh = Mesh(2)
    root = mesh.restart(0, [known(1, 1)])
    mesh.run(0.1)
    assert not root.vl1.memory.is_unproven(root.vl1.topology.peers[identity(1).address])


def test_the_first_packet_of_a_remembered_peer_is_opened() -> None:
    mesh = Mesh(2)
    mesh.run(1)
    root = mesh.restart(0, [known(1)])
    before = root.ctx.stats.packets_in[Verb.WHOIS]
    mesh.nodes[1].vl1.introductions.ask_whois(identity(5).address, mesh.now)
    mesh.run(0.01)
    assert root.ctx.stats.packets_in[Verb.WHOIS] == before + 1
