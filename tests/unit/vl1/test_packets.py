"""The helper that makes and opens packets agrees with the nodes."""

import pytest

from tests.unit.vl1.mesh import Mesh, endpoint, identity
from tests.unit.vl1.packets import encoded_moons, open_packet, seal, seal_hello, take_sent
from ztlink.batch import CipherSuite
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Hello, HelloMoon
from ztlink.wire.verbs import Verb


def test_what_is_sealed_can_be_opened() -> None:
    opened = open_packet(seal(1, 2, Verb.ECHO, b"some", hops=2))
    assert (opened.verb, opened.payload, opened.hops) == (Verb.ECHO, b"some", 2)
    assert (opened.packet_id, opened.suite) == (0x0102030405060708, CipherSuite.SALSA_POLY)


def test_a_changed_packet_cannot_be_opened() -> None:
    packet = bytearray(seal(1, 2, Verb.ECHO, b"some"))
    packet[-1] ^= 1
    with pytest.raises(AssertionError, match="not authentic"):
        open_packet(bytes(packet))


def test_a_node_answers_a_hello_that_is_made_here() -> None:
    mesh = Mesh(1)
    hello = Hello(12, (1, 14, 0), 5, identity(3).public)
    mesh.inject(0, seal_hello(identity(3), 0, hello), endpoint(3))
    assert [sent.packet.verb for sent in take_sent(mesh.nodes[0].ctx)][:1] == [Verb.OK]


def test_moons_are_written_as_a_node_reads_them() -> None:
    moons = (HelloMoon(1, 2), HelloMoon(3, 0))
    assert Hello.decode_tail(Reader(encoded_moons(moons))) == list(moons)
