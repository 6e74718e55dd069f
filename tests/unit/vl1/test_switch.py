"""Datagrams in: what is held, what is refused, and what nobody can make a node keep."""

from unittest.mock import patch

import pytest

from tests.unit.vl1.mesh import Mesh, endpoint, identity
from ztlink.batch import CipherSuite, Train, Verdict
from ztlink.crypto.armor import armor_one
from ztlink.crypto.identity import agree
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.ids import Address
from ztlink.stats import Drop, Way
from ztlink.vl1.switch import MAX_HELD
from ztlink.vl1.topology import MAX_PENDING_OF_STRANGERS
from ztlink.wire.packet import OFFSET_FLAGS
from ztlink.wire.verbs import Verb

FIRST_STRANGER = 0x1000000000


def junk(receiver: int, sender: int) -> bytes:
    """Return a packet that nobody can open yet."""
    head = bytes(range(8)) + identity(receiver).address.to_bytes(5, "big")
    return head + sender.to_bytes(5, "big") + bytes([0x88]) + bytes(40)


def sealed(sender: int, receiver: int, verb: Verb, payload: bytes = b"") -> bytes:
    """Return an authentic packet of one node for another."""
    cipher = PeerCipher(derive_session_keys(agree(identity(sender), identity(receiver).public)))
    packet = bytearray(8) + identity(receiver).address.to_bytes(5, "big")
    packet += identity(sender).address.to_bytes(5, "big") + bytes(9) + bytes([verb])
    packet += payload
    armor_one(packet, cipher, CipherSuite.SALSA_POLY)
    return bytes(packet)


@pytest.fixture
def mesh() -> Mesh:
    """A root and two nodes that the root knows."""
    made = Mesh(3)
    made.run(2.0)
    return made


def user_messages(mesh: Mesh) -> int:
    return mesh.nodes[1].ctx.stats.packets_in[Verb.USER_MESSAGE]


def test_a_packet_of_an_unknown_sender_is_opened_once_the_root_told_who_it_is(mesh: Mesh) -> None:
    mesh.inject(1, sealed(2, 1, Verb.USER_MESSAGE, bytes(8)), endpoint(2))
    assert user_messages(mesh) == 0
    mesh.run(1.0)
    assert user_messages(mesh) == 1


@pytest.mark.parametrize(("hops", "way"), [(0, Way.DIRECT_IPV4), (1, Way.RELAY)])
def test_what_comes_is_counted_by_its_way(mesh: Mesh, hops: int, way: Way) -> None:
    mesh.inject(1, sealed(2, 1, Verb.USER_MESSAGE, bytes(8)), endpoint(2))
    mesh.run(1.0)
    carried = mesh.nodes[1].ctx.stats.carried_in
    packets, octets = carried.packets[way], carried.octets[way]
    packet = bytearray(sealed(2, 1, Verb.USER_MESSAGE, bytes(8)))
    packet[OFFSET_FLAGS] |= hops
    mesh.inject(1, bytes(packet), endpoint(2))
    assert (carried.packets[way], carried.octets[way]) == (packets + 1, octets + len(packet))


def test_what_is_not_authentic_is_counted_for_no_way(mesh: Mesh) -> None:
    mesh.inject(1, sealed(2, 1, Verb.USER_MESSAGE, bytes(8)), endpoint(2))
    mesh.run(1.0)
    before = mesh.nodes[1].ctx.stats.carried_in.copy()
    forged = bytearray(sealed(2, 1, Verb.USER_MESSAGE, bytes(8)))
    forged[-1] ^= 1
    mesh.inject(1, bytes(forged), endpoint(2))
    assert mesh.nodes[1].ctx.stats.carried_in == before


def test_a_packet_that_waited_too_long_is_not_opened(mesh: Mesh) -> None:
    mesh.blocked = {(0, 1), (1, 0)}
    mesh.inject(1, sealed(2, 1, Verb.USER_MESSAGE, bytes(8)), endpoint(2))
    mesh.run(5.5)
    mesh.blocked = set()
    mesh.run(60.0)
    mesh.nodes[1].vl1.topology.when_known(identity(2).address, mesh.now)
    mesh.run(1.0)
    assert identity(2).address in mesh.nodes[1].vl1.topology.peers
    assert user_messages(mesh) == 0
    assert mesh.nodes[1].ctx.stats.drops[Drop.EXPIRED] == 1


def test_a_flood_of_strangers_does_not_keep_us_from_asking(mesh: Mesh) -> None:
    for number in range(3 * MAX_PENDING_OF_STRANGERS):
        mesh.inject(1, junk(1, FIRST_STRANGER + number), endpoint(9))
    topology = mesh.nodes[1].vl1.topology
    assert topology.when_known(Address(FIRST_STRANGER - 1), mesh.now)
    assert mesh.nodes[1].ctx.stats.drops[Drop.UNKNOWN_SOURCE] > 0


def test_packets_of_strangers_are_kept_in_bounds(mesh: Mesh) -> None:
    for number in range(2 * MAX_HELD):
        mesh.inject(1, junk(1, FIRST_STRANGER + number % 300), endpoint(9))
    dropped = mesh.nodes[1].ctx.stats.drops[Drop.QUEUE_FULL]
    assert dropped >= MAX_HELD


def test_a_packet_in_our_own_name_is_refused(mesh: Mesh) -> None:
    mesh.inject(1, junk(1, identity(1).address), endpoint(9))
    assert mesh.nodes[1].ctx.stats.drops[Drop.OWN_SOURCE] == 1


@pytest.mark.parametrize("size", [1, 3, 5, 16, 27])
def test_what_is_too_short_to_be_a_packet_is_counted(mesh: Mesh, size: int) -> None:
    mesh.inject(1, bytes(size), endpoint(9))
    assert mesh.nodes[1].ctx.stats.drops[Drop.TOO_SHORT] == 1


@pytest.mark.parametrize("suite", [2, 4, 5, 6, 7])
def test_a_suite_that_is_none_is_refused(mesh: Mesh, suite: int) -> None:
    packet = bytearray(junk(1, identity(0).address))
    packet[18] = suite << 3
    mesh.inject(1, bytes(packet), endpoint(0))
    stats = mesh.nodes[1].ctx.stats
    assert stats.drops[Drop.BAD_SUITE] + stats.drops[Drop.BAD_AUTH_TAG] == 1


def test_a_train_of_several_senders_is_sorted_by_sender(mesh: Mesh) -> None:
    mesh.run(1.0)
    mesh.inject(1, sealed(2, 1, Verb.ECHO), endpoint(2))
    mesh.run(1.0)
    packets = [sealed(2, 1, Verb.ECHO), sealed(0, 1, Verb.ECHO)]
    assert len(packets[0]) == len(packets[1])
    data = bytearray(b"".join(packets))
    node = mesh.nodes[1]
    before = node.ctx.stats.packets_in[Verb.ECHO]
    train = Train(memoryview(data), len(packets[0]), endpoint(9), next(iter(node.ctx.sockets)))
    node.vl1.receive(train, mesh.now)
    assert node.ctx.stats.packets_in[Verb.ECHO] == before + 2


def test_a_frame_that_is_tried_again_in_vain_waits_no_longer_for_that(mesh: Mesh) -> None:
    node = mesh.nodes[1]
    root = identity(0).address
    with patch.object(node.upper, "receive_run", return_value=Verdict.RETRY):
        mesh.inject(1, sealed(0, 1, Verb.FRAME, bytes(20)), endpoint(0))
        mesh.run(3.0)
        node.vl1.switch.retry_held(root, mesh.now)
        mesh.run(3.0)
    node.vl1.switch.retry_held(root, mesh.now)
    assert node.ctx.stats.drops[Drop.EXPIRED] == 1
