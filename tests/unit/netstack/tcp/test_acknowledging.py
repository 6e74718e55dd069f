"""When we acknowledge: RFC 1122 4.2.3.2, RFC 5681 4.2, RFC 2018, RFC 2883."""

import pytest

from tests.unit.netstack.tcp.rig import ACK, FIN, Rig, described, options_of, rig_in
from ztlink.netstack.tcp.settings import ConnectionOptions
from ztlink.netstack.tcp.state import State

QUICK = 16
"""Segments that are acknowledged at once when a connection is young."""


@pytest.fixture
def rig() -> Rig:
    """Return a connection that is not young any more."""
    rig = rig_in(State.ESTABLISHED)
    for _ in range(QUICK):
        rig.receive(ACK, data=b"x" * 1000)
    rig.read()
    rig.drain()
    return rig


def test_a_lone_segment_is_acknowledged_after_40_ms(rig: Rig) -> None:
    assert rig.receive(ACK, data=b"x" * 1000) == []
    assert rig.advance(0.039) == []
    (ack,) = rig.advance(0.002)
    assert (described(ack), ack.acknowledgement) == ("A", rig.peer)


def test_the_second_full_segment_is_acknowledged_at_once(rig: Rig) -> None:
    rig.receive(ACK, data=b"x" * 1000)
    (ack,) = rig.receive(ACK, data=b"x" * 1000)
    assert ack.acknowledgement == rig.peer


def test_a_super_segment_is_acknowledged_once(rig: Rig) -> None:
    acks = rig.receive(ACK, data=b"x" * 20_000, size=1000)
    assert [ack.acknowledgement for ack in acks] == [rig.peer]


def test_small_segments_may_wait_together(rig: Rig) -> None:
    assert rig.receive(ACK, data=b"x" * 10) == []
    assert rig.receive(ACK, data=b"x" * 10) == []
    assert len(rig.advance(0.05)) == 1


def test_a_young_connection_acknowledges_at_once() -> None:
    assert len(rig_in(State.ESTABLISHED).receive(ACK, data=b"x")) == 1


def test_a_small_buffer_is_acknowledged_at_once(rig: Rig) -> None:
    rig.layer.set_options(rig.id, ConnectionOptions(receive_buffer=4000), rig.now)
    assert len(rig.receive(ACK, data=b"x" * 1000)) == 1


def test_a_segment_out_of_order_is_acknowledged_at_once(rig: Rig) -> None:
    (ack,) = rig.receive(ACK, seq=rig.peer + 1000, data=b"x" * 1000)
    assert ack.acknowledgement == rig.peer
    start = rig.peer + 1000
    assert options_of(ack).blocks == ((start, start + 1000),)


def test_a_segment_that_fills_a_hole_is_acknowledged_at_once(rig: Rig) -> None:
    rig.receive(ACK, seq=rig.peer + 1000, data=b"x" * 1000)
    (ack,) = rig.receive(ACK, seq=rig.peer, data=b"x" * 1000)
    assert ack.acknowledgement == rig.peer + 2000
    assert options_of(ack).blocks == ()


def test_a_fin_is_acknowledged_at_once(rig: Rig) -> None:
    (ack,) = rig.receive(FIN | ACK)
    assert ack.acknowledgement == rig.peer


def test_a_segment_that_came_before_is_acknowledged_and_told(rig: Rig) -> None:
    (ack,) = rig.receive(ACK, seq=rig.peer - 1000, data=b"x" * 1000)
    assert ack.acknowledgement == rig.peer
    assert options_of(ack).blocks == ((rig.peer - 1000, rig.peer),)


def test_without_sack_each_segment_out_of_order_is_a_duplicate() -> None:
    rig = Rig(sack=False)
    rig.connect()
    acks = rig.receive(ACK, seq=rig.peer + 1000, data=b"x" * 3000, size=1000)
    assert [ack.acknowledgement for ack in acks] == [rig.peer] * 3


def test_acknowledgements_are_not_acknowledged(rig: Rig) -> None:
    assert rig.receive(ACK) == []
    assert rig.advance(1) == []


def test_a_keep_alive_is_answered(rig: Rig) -> None:
    (ack,) = rig.receive(ACK, seq=rig.peer - 1)
    assert (described(ack), ack.acknowledgement) == ("A", rig.peer)


def test_a_keep_alive_with_an_old_byte_is_answered(rig: Rig) -> None:
    (ack,) = rig.receive(ACK, seq=rig.peer - 1, data=b"x")
    assert ack.acknowledgement == rig.peer
