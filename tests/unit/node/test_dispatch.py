"""Which handler a verb comes to, in whatever form the packet arrives."""

from unittest.mock import patch

import pytest

from tests.sim.mesh import ADHOC, endpoint_of
from tests.unit.node.rig import Pair
from ztlink.batch import CipherSuite
from ztlink.ids import member_mac
from ztlink.node import dispatch
from ztlink.stats import Drop
from ztlink.wire.compress import compress
from ztlink.wire.control import Hello
from ztlink.wire.packet import MAX_PACKET_SIZE
from ztlink.wire.verbs import Verb

ETHERTYPE = b"\x88\xb5"
"""For experiments (IEEE 802): nobody answers."""


@pytest.fixture
def pair() -> Pair:
    return Pair()


def frame_payload(data: bytes) -> bytes:
    return ADHOC.to_bytes(8, "big") + ETHERTYPE + data


def deliveries(pair: Pair, datagram: bytes) -> list[bytes]:
    """Return the Ethernet frames that a datagram gives."""
    frames: list[bytes] = []
    with patch.object(pair.a.ports[ADHOC], "receive_frame", frames.append):
        pair.forger.deliver(datagram)
    return frames


def expected(pair: Pair, data: bytes) -> bytes:
    to, by = pair.a.address, pair.b.address
    return member_mac(to, ADHOC) + member_mac(by, ADHOC) + ETHERTYPE + data


def test_a_frame_is_delivered(pair: Pair) -> None:
    packet = pair.forger.seal(Verb.FRAME, frame_payload(b"plain"))
    assert deliveries(pair, packet) == [expected(pair, b"plain")]


def test_a_compressed_frame_is_delivered(pair: Pair) -> None:
    small = compress(frame_payload(bytes(200)))
    assert small is not None
    packet = pair.forger.seal(Verb.FRAME | 0x80, small)
    assert deliveries(pair, packet) == [expected(pair, bytes(200))]


def test_bits_of_the_verb_byte_that_mean_nothing_are_ignored(pair: Pair) -> None:
    packet = pair.forger.seal(Verb.FRAME | 0x60, frame_payload(b"odd"))
    assert deliveries(pair, packet) == [expected(pair, b"odd")]


def test_an_unencrypted_frame_is_refused(pair: Pair) -> None:
    packet = pair.forger.seal(Verb.FRAME, frame_payload(b"x"), suite=CipherSuite.POLY_NONE)
    assert deliveries(pair, packet) == []
    assert pair.dropped(Drop.BAD_SUITE) == 1


def test_a_packet_longer_than_any_may_be_is_refused(pair: Pair) -> None:
    data = bytes(MAX_PACKET_SIZE)
    assert deliveries(pair, pair.forger.seal(Verb.FRAME, frame_payload(data))) == []
    assert pair.dropped(Drop.TOO_LONG) == 1


def test_an_unknown_verb_is_counted_and_nothing_else(pair: Pair) -> None:
    pair.forger.send(0x1F, b"whatever")
    assert pair.dropped(Drop.UNKNOWN_VERB) == 1


@pytest.mark.parametrize("verb", sorted(dispatch.IGNORED_VERBS))
def test_verbs_of_bonding_and_tracing_are_ignored(pair: Pair, verb: int) -> None:
    before = pair.mesh.world.datagrams
    pair.forger.send(verb, bytes(10))
    assert pair.mesh.world.datagrams == before


def test_a_protected_hello_is_answered_as_one_in_clear(pair: Pair) -> None:
    hello = Hello(12, (1, 14, 1), 1_700_000_000_000, pair.b.identity.public, planet_id=None)
    answered = pair.a.core.stats.packets_out[Verb.OK]
    pair.forger.send(Verb.HELLO, hello.to_bytes(), suite=CipherSuite.SALSA_POLY)
    assert pair.a.core.stats.packets_out[Verb.OK] == answered + 1


def test_a_protected_hello_of_another_identity_is_refused(pair: Pair) -> None:
    hello = Hello(12, (1, 14, 1), 0, pair.a.identity.public, planet_id=None)
    pair.forger.send(Verb.HELLO, hello.to_bytes(), suite=CipherSuite.SALSA_POLY)
    assert pair.dropped(Drop.MALFORMED) == 1


def test_echoes_through_a_root_are_answered_a_few_times_a_second_only(pair: Pair) -> None:
    source = endpoint_of(pair.mesh.roots[0])
    answered = pair.a.core.stats.packets_out[Verb.OK]
    for _ in range(20):
        pair.forger.deliver(pair.forger.seal(Verb.ECHO, b"", hops=1), source)
    assert pair.a.core.stats.packets_out[Verb.OK] == answered + 1
