"""What an attacker may send who guesses: RFC 5961, RFC 7323 5, bounded queues and memory."""

from dataclasses import replace

import pytest

from tests.unit.netstack.tcp.rig import (
    ACK,
    FIN,
    RENO,
    RST,
    SYN,
    Rig,
    described,
    options_of,
    rig_in,
)
from ztlink.netstack.events import ConnectionReset, Reason, Writable
from ztlink.netstack.tcp.state import State


def test_a_reset_with_the_next_number_is_taken() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(RST)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.RESET)]


def test_a_reset_elsewhere_in_the_window_is_challenged() -> None:
    rig = rig_in(State.ESTABLISHED)
    (challenge,) = rig.receive(RST, seq=rig.peer + 1)
    assert (described(challenge), challenge.acknowledgement) == ("A", rig.peer)
    assert rig.state() is State.ESTABLISHED


@pytest.mark.parametrize("offset", [-1, -1000, 200_000, 1 << 31])
def test_a_reset_out_of_the_window_is_dropped(offset: int) -> None:
    rig = rig_in(State.ESTABLISHED)
    assert rig.receive(RST, seq=rig.peer + offset) == []
    assert rig.state() is State.ESTABLISHED


@pytest.mark.parametrize("offset", [0, 1, -1, 100_000, 1 << 31])
def test_a_syn_in_a_connection_is_challenged(offset: int) -> None:
    rig = rig_in(State.ESTABLISHED)
    (challenge,) = rig.receive(SYN, seq=rig.peer + offset)
    assert (described(challenge), challenge.acknowledgement) == ("A", rig.peer)
    assert rig.state() is State.ESTABLISHED


def test_data_that_acknowledges_what_was_not_sent_is_dropped() -> None:
    rig = rig_in(State.ESTABLISHED)
    (challenge,) = rig.receive(ACK, ack=rig.ours + 1, data=b"evil", seq=rig.peer)
    assert described(challenge) == "A"
    assert rig.layer.readable(rig.id) == 0


def test_data_that_acknowledges_what_is_long_gone_is_dropped() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, ack=rig.ours - 70_000, data=b"evil", seq=rig.peer)
    assert rig.layer.readable(rig.id) == 0


def test_data_without_an_acknowledgement_is_dropped() -> None:
    rig = rig_in(State.ESTABLISHED)
    assert rig.receive(0, data=b"evil", seq=rig.peer) == []
    assert rig.layer.readable(rig.id) == 0


def test_challenges_are_few() -> None:
    rig = rig_in(State.ESTABLISHED)
    answers = sum(len(rig.receive(RST, seq=rig.peer + 1)) for _ in range(100))
    assert answers == 1
    rig.mono += 0.2
    assert len(rig.receive(RST, seq=rig.peer + 1)) == 1


def test_challenges_of_all_connections_are_bounded() -> None:
    rig = Rig()
    connections = []
    for port in range(300):
        rig.local = replace(rig.local, port=1000 + port)
        rig.connect(round_trip=0)
        connections.append((rig.local, rig.peer, rig.ours))
    answers = 0
    rig.mono = 200.0
    for rig.local, rig.peer, rig.ours in connections:
        answers += len(rig.receive(RST, seq=rig.peer + 1))
    assert 100 <= answers <= 200


def test_two_stacks_do_not_acknowledge_each_other_for_ever() -> None:
    rig = rig_in(State.ESTABLISHED)
    answers = sum(len(rig.receive(ACK, seq=rig.peer + 300_000)) for _ in range(100))
    assert answers <= 1


def stamped() -> Rig:
    rig = Rig(replace(RENO, timestamps=True))
    rig.stamp = 0xFFFF_FFF0
    rig.connect()
    rig.stamp = 10
    rig.receive(ACK, data=b"new")
    rig.read()
    return rig


def test_a_segment_from_before_the_last_is_dropped_and_acknowledged() -> None:
    rig = stamped()
    rig.stamp = 0xFFFF_FFF8
    (ack,) = rig.receive(ACK, data=b"old", seq=rig.peer)
    assert ack.acknowledgement == rig.peer
    assert rig.layer.readable(rig.id) == 0


def test_a_reset_is_taken_whatever_its_timestamp() -> None:
    rig = stamped()
    rig.stamp = 0xFFFF_FFF8
    rig.receive(RST)
    assert isinstance(rig.pop_events()[-1], ConnectionReset)


def test_a_timestamp_of_weeks_ago_does_not_hold_up() -> None:
    rig = stamped()
    rig.mono += 25 * 86_400
    rig.stamp = 0xFFFF_FFF8
    rig.receive(ACK, data=b"now")
    assert rig.read() == b"now"


def test_a_segment_out_of_order_does_not_set_the_echo() -> None:
    rig = stamped()
    rig.stamp = 50
    (ack,) = rig.receive(ACK, seq=rig.peer + 100, data=b"later")
    assert options_of(ack).echo == 10


def test_bytes_beyond_a_hole_are_bounded_by_the_window() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=10_000, max_receive_buffer=10_000))
    rig.receive(ACK, seq=rig.peer + 1, data=b"x" * 60_000)
    rig.receive(ACK, seq=rig.peer, data=b"y")
    assert rig.layer.readable(rig.id) <= 10_000


def test_all_connections_together_are_bounded_when_they_write() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, total_memory=50_000, send_buffer=40_000))
    first = rig.id
    rig.layer.write(first, bytes(40_000), rig.now)
    rig.drain()
    rig.local = replace(rig.local, port=81)
    rig.connect()
    assert rig.layer.write(rig.id, bytes(40_000), rig.now) == 10_000
    assert rig.layer.write(rig.id, bytes(40_000), rig.now) == 0
    rig.layer.abort(first, rig.now)
    assert rig.pop_events() == [Writable(rig.id)]
    assert rig.layer.write(rig.id, bytes(30_000), rig.now) == 30_000


def test_need_of_memory_stops_the_window() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, total_memory=10_000))
    rig.receive(ACK, data=b"x" * 20_000, size=1000)
    before = rig.sent[-1][1]
    rig.receive(ACK, data=b"x" * 20_000, size=1000)
    after = rig.sent[-1][1]
    assert after.window <= before.window - (20_000 >> 7)


def test_need_of_memory_drops_what_is_beyond_holes() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, total_memory=10_000))
    rig.receive(ACK, seq=rig.peer + 1, data=b"x" * 20_000, size=1000)
    (ack,) = rig.receive(ACK, seq=rig.peer + 30_000, data=b"y")
    assert options_of(ack).blocks == ()


def test_a_fin_out_of_the_window_is_not_taken() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(FIN | ACK, seq=rig.peer + 200_000)
    assert rig.state() is State.ESTABLISHED
