"""Forwarding for others: the hop count goes up, and nothing else happens to a packet."""

import pytest

from tests.unit.vl1.mesh import Mesh, endpoint, identity
from tests.unit.vl1.packets import open_packet, seal
from ztlink.batch import Transmit
from ztlink.stats import Drop
from ztlink.vl1.relay import MAX_HOPS
from ztlink.wire.control import Rendezvous
from ztlink.wire.packet import (
    FRAGMENT_HEADER,
    FRAGMENT_MARKER,
    OFFSET_FLAGS,
    OFFSET_FRAGMENT_HOPS,
    OFFSET_SOURCE,
)
from ztlink.wire.verbs import Verb

STRANGER = 50
"""Nobody knows this one."""


@pytest.fixture
def mesh() -> Mesh:
    """A root and two nodes that it reaches directly."""
    made = Mesh(3)
    made.run(2.0)
    return made


def fragment(receiver: int, hops: int = 0) -> bytes:
    destination = identity(receiver).address.to_bytes(5, "big")
    head = FRAGMENT_HEADER.pack(bytes(range(8)), destination, FRAGMENT_MARKER, 0x21, hops)
    return head + b"the rest of some packet"


def forwarded(mesh: Mesh, data: bytes, root: int = 0) -> list[Transmit]:
    """Have a datagram arrive at a root; return what the root sends on."""
    mesh.inject(root, data, endpoint(9))
    ctx = mesh.nodes[root].ctx
    transmits, ctx.transmits = ctx.transmits, []
    same = [t for t in transmits if bytes(t.buffer[:8]) == data[:8]]
    ctx.transmits = [t for t in transmits if bytes(t.buffer[:8]) != data[:8]]
    return same


def introductions(mesh: Mesh) -> list[Rendezvous]:
    """Take the introductions that the root has made."""
    ctx = mesh.nodes[0].ctx
    transmits, ctx.transmits = ctx.transmits, []
    opened = [open_packet(bytes(transmit.buffer)) for transmit in transmits]
    return [Rendezvous.from_bytes(p.payload) for p in opened if p.verb == Verb.RENDEZVOUS]


@pytest.mark.parametrize("hops", range(MAX_HOPS))
def test_the_hop_count_of_a_packet_is_raised_and_no_other_bit(mesh: Mesh, hops: int) -> None:
    packet = seal(1, 2, Verb.ECHO, b"for another", hops=hops)
    (sent,) = forwarded(mesh, packet)
    expected = bytearray(packet)
    expected[OFFSET_FLAGS] += 1
    assert bytes(sent.buffer) == bytes(expected)
    assert sent.destination == endpoint(2)


@pytest.mark.parametrize("hops", range(MAX_HOPS))
def test_the_hop_count_of_a_fragment_is_raised_and_no_other_bit(mesh: Mesh, hops: int) -> None:
    piece = fragment(2, hops)
    (sent,) = forwarded(mesh, piece)
    expected = bytearray(piece)
    expected[OFFSET_FRAGMENT_HOPS] += 1
    assert bytes(sent.buffer) == bytes(expected)
    assert sent.destination == endpoint(2)


@pytest.mark.parametrize("hops", range(MAX_HOPS, 8))
def test_what_has_come_too_far_goes_no_further(mesh: Mesh, hops: int) -> None:
    assert not forwarded(mesh, seal(1, 2, Verb.ECHO, hops=hops))
    assert not forwarded(mesh, fragment(2, hops))
    assert mesh.nodes[0].ctx.stats.drops[Drop.HOP_LIMIT] == 2


def test_a_relayed_packet_is_authentic_to_its_receiver(mesh: Mesh) -> None:
    (sent,) = forwarded(mesh, seal(1, 2, Verb.ECHO, b"for another"))
    opened = open_packet(bytes(sent.buffer))
    assert (opened.payload, opened.hops) == (b"for another", 1)


def test_a_node_that_is_no_root_forwards_nothing(mesh: Mesh) -> None:
    assert not forwarded(mesh, seal(2, 0, Verb.ECHO), root=1)
    assert not forwarded(mesh, fragment(0), root=1)
    assert mesh.nodes[1].ctx.stats.drops[Drop.RELAY_REFUSED] == 2


def test_what_is_relayed_is_counted(mesh: Mesh) -> None:
    before = mesh.nodes[0].ctx.stats.relayed
    forwarded(mesh, seal(1, 2, Verb.ECHO))
    forwarded(mesh, fragment(2))
    assert mesh.nodes[0].ctx.stats.relayed == before + 2


def test_a_destination_that_nobody_knows_is_a_counted_drop(mesh: Mesh) -> None:
    before = mesh.nodes[0].ctx.stats.relayed
    assert not forwarded(mesh, seal(1, STRANGER, Verb.ECHO))
    assert mesh.nodes[0].ctx.stats.drops[Drop.NO_ROUTE] == 1
    assert mesh.nodes[0].ctx.stats.relayed == before


def test_what_one_root_does_not_know_is_left_to_another() -> None:
    mesh = Mesh(3, roots=2)
    mesh.run(2.0)
    (sent,) = forwarded(mesh, seal(2, STRANGER, Verb.ECHO))
    assert sent.destination == endpoint(1)


def test_what_another_root_sent_does_not_go_back_to_it() -> None:
    mesh = Mesh(3, roots=2)
    mesh.run(2.0)
    assert not forwarded(mesh, seal(1, STRANGER, Verb.ECHO))
    assert mesh.nodes[0].ctx.stats.drops[Drop.NO_ROUTE] == 1


def test_a_destination_that_has_fallen_silent_is_tried_where_it_last_was(mesh: Mesh) -> None:
    root = mesh.nodes[0]
    silent = root.vl1.topology.peers[identity(2).address]
    mesh.blocked = {(2, 0)}
    root.vl1.egress.send_to(silent, Verb.NOP, b"", mesh.now)
    mesh.run(20.0)
    assert silent.best_path() is None
    (sent,) = forwarded(mesh, seal(1, 2, Verb.ECHO))
    assert sent.destination == endpoint(2)


# -- introductions ---------------------------------------------------------------------------


def test_who_is_relayed_is_introduced_to_the_receiver_and_it_to_them(mesh: Mesh) -> None:
    forwarded(mesh, seal(1, 2, Verb.ECHO))
    assert set(introductions(mesh)) == {
        Rendezvous(identity(1).address, endpoint(1)),
        Rendezvous(identity(2).address, endpoint(2)),
    }


def test_a_pair_is_introduced_every_thirty_seconds_at_most(mesh: Mesh) -> None:
    forwarded(mesh, seal(1, 2, Verb.ECHO))
    assert introductions(mesh)
    mesh.run(29.0)
    forwarded(mesh, seal(1, 2, Verb.ECHO))
    forwarded(mesh, seal(2, 1, Verb.ECHO))
    assert not introductions(mesh)
    mesh.run(1.5)
    forwarded(mesh, seal(2, 1, Verb.ECHO))
    assert len(introductions(mesh)) == 2


def test_a_fragment_introduces_nobody_since_it_does_not_say_who_sent_it(mesh: Mesh) -> None:
    forwarded(mesh, fragment(2))
    assert not introductions(mesh)


def test_an_unknown_source_is_relayed_but_not_introduced(mesh: Mesh) -> None:
    packet = bytearray(seal(1, 2, Verb.ECHO))
    packet[OFFSET_SOURCE : OFFSET_SOURCE + 5] = identity(STRANGER).address.to_bytes(5, "big")
    assert len(forwarded(mesh, bytes(packet))) == 1
    assert not introductions(mesh)
