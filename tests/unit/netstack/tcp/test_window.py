"""Windows on both sides: RFC 9293 3.8.6."""

from dataclasses import replace

from tests.unit.netstack.tcp.rig import ACK, MSS, PEER_INITIAL, RENO, Rig, data_of, rig_in
from ztlink.netstack.events import ConnectionReset, Reason
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.settings import ConnectionOptions
from ztlink.netstack.tcp.state import State


def edge(rig: Rig) -> int:
    """Return the right edge of what we offered last, by the peer's count."""
    out = rig.sent[-1][1]
    return out.acknowledgement + (out.window << 7) - PEER_INITIAL & MASK


def test_data_keeps_to_the_peers_window() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=3000)
    rig.write(b"a" * 9000)
    assert sum(out.size for _, out in rig.sent) == 3000


def test_a_wider_window_lets_more_out() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=3000)
    rig.write(b"a" * 9000)
    (out,) = rig.receive(ACK, window=5000)
    assert out.size == 5000


def test_an_old_segment_does_not_set_the_window() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"x" * 10)
    rig.receive(ACK, window=3000)
    rig.receive(ACK, seq=rig.peer - 10, data=b"x" * 10 + b"y", window=9000)
    rig.write(b"a" * 9000)
    assert sum(out.size for _, out in rig.sent) == 3000


def test_an_old_acknowledgement_does_not_set_the_window() -> None:
    rig = rig_in(State.ESTABLISHED)
    before = rig.ours
    rig.write(b"a" * 1000)
    rig.receive(ACK, window=3000)
    rig.receive(ACK, ack=before, window=9000)
    rig.sent.clear()
    rig.write(b"a" * 9000)
    assert sum(out.size for _, out in rig.sent) == 3000


def test_a_closed_window_is_probed_with_a_byte() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=0)
    assert rig.write(b"abc") == []
    (probe,) = rig.advance(0.5)
    assert data_of(probe) == b"a"


def test_probes_back_off_and_go_on_while_the_peer_answers() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=0)
    before = rig.ours
    rig.write(b"abc")
    rig.sent.clear()
    while rig.mono < 2000:
        if rig.advance(0.1):
            rig.receive(ACK, ack=before, window=0)
    gaps = [b[0] - a[0] for a, b in zip(rig.sent, rig.sent[1:], strict=False)]
    assert not rig.events
    assert gaps[0] < 1.5
    assert 59 < gaps[-1] < 61
    assert {out.size for _, out in rig.sent} == {1}


def test_a_closed_window_does_not_outlive_the_application_for_long() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=0)
    before = rig.ours
    rig.write(b"abc")
    rig.close()
    while rig.mono < 1000 and not rig.events:
        if rig.advance(1.0):
            rig.receive(ACK, ack=before, window=0)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_a_probe_that_is_never_answered_ends_it() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=0)
    rig.write(b"abc")
    rig.advance(500)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_a_window_that_opens_lets_everything_out_at_once() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=0)
    before = rig.ours
    rig.write(b"abc")
    rig.advance(0.5)
    rig.receive(ACK, ack=before, window=0)
    out = rig.receive(ACK, ack=before, window=5000)
    assert b"".join(data_of(segment) for segment in out) == b"abc"


def test_a_lost_window_update_is_made_good_by_a_probe() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=0)
    rig.write(b"abc")
    rig.advance(0.5)
    out = rig.receive(ACK, window=5000)
    assert b"".join(data_of(segment) for segment in out) == b"bc"


def test_a_window_that_shrinks_below_what_was_sent_is_probed() -> None:
    rig = rig_in(State.ESTABLISHED)
    before = rig.ours
    rig.write(b"a" * 5000)
    rig.receive(ACK, ack=before + 1000, window=0)
    rig.advance(1.0)
    assert rig.sent[-1][1].sequence == before + 1000
    assert rig.sent[-1][1].size == MSS
    rig.receive(ACK, ack=before + 1000, window=9000)
    rig.advance(2.0)
    assert rig.sent[-1][1].sequence >= before + 1000


def test_a_silly_window_is_not_used() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=300)
    assert rig.write(b"a" * 9000) == []


def test_a_silly_window_is_used_when_the_persist_timer_says_so() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, window=300)
    rig.write(b"a" * 9000)
    (out,) = rig.advance(0.5)
    assert out.size == 300


def test_half_of_the_largest_window_is_not_silly() -> None:
    rig = Rig()
    rig.window = 800
    rig.connect()
    rig.receive(ACK, window=400)
    (out,) = rig.write(b"a" * 9000)
    assert out.size == 400


def test_the_window_is_what_the_application_left_free() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"x" * 20_000, size=1000)
    assert rig.sent[-1][1].window == -(-(128 * 1024 - 20_000) >> 7)


def test_the_right_edge_never_moves_back() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"x" * 1000)
    before = edge(rig)
    rig.layer.set_options(rig.id, ConnectionOptions(receive_buffer=3000), rig.now)
    rig.receive(ACK, data=b"x" * 5000, size=1000)
    assert edge(rig) > before - (1 << 7)


def test_the_right_edge_does_not_move_by_little() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=8000, max_receive_buffer=8000))
    rig.receive(ACK, data=b"x" * 7000, size=1000)
    rig.read(300)
    (ack,) = rig.receive(ACK, data=b"x" * 10)
    assert ack.window == 990


def test_an_edge_that_cannot_be_told_does_not_creep_on() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"x")
    first = edge(rig)
    for _ in range(500):
        rig.receive(ACK, data=b"x" * 101)
    assert rig.layer.readable(rig.id) == 50_501
    assert abs(edge(rig) - first) < 1 << 7


def test_a_read_that_frees_much_is_told_to_the_peer() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=8000, max_receive_buffer=8000))
    rig.receive(ACK, data=b"x" * 8000, size=1000)
    rig.read(6000)
    (update,) = rig.drain()
    assert update.window == 6000


def test_a_read_that_frees_little_is_not_told() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=8000, max_receive_buffer=8000))
    rig.receive(ACK, data=b"x" * 8000, size=1000)
    rig.read(500)
    assert rig.drain() == []


def test_what_lies_beyond_the_window_is_not_taken() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=3000, max_receive_buffer=3000))
    rig.receive(ACK, data=b"x" * 2000)
    rig.receive(ACK, data=b"y" * 5000)
    assert rig.layer.readable(rig.id) <= 3000


def test_a_segment_into_a_full_buffer_is_acknowledged_and_not_taken() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=3000, max_receive_buffer=3000))
    rig.receive(ACK, data=b"x" * 3000)
    (ack,) = rig.receive(ACK, seq=rig.peer, data=b"y")
    assert (ack.acknowledgement, ack.window) == (rig.peer, 0)


def test_an_acknowledgement_counts_though_our_window_is_closed() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=3000, max_receive_buffer=3000))
    rig.receive(ACK, data=b"x" * 3000)
    rig.write(b"abc")
    rig.receive(ACK)
    assert rig.layer.unacknowledged(rig.id) == 0


def test_the_receive_buffer_grows_with_what_is_read() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=20_000))
    for _ in range(6):
        rig.receive(ACK, data=b"x" * 15_000, size=1000)
        rig.read()
        rig.drain()
        rig.mono += 0.1
    assert rig.sent[-1][1].window << 7 > 25_000


def test_the_receive_buffer_does_not_grow_for_a_slow_reader() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=20_000))
    for _ in range(6):
        rig.receive(ACK, data=b"x" * 2000, size=1000)
        rig.read(2000)
        rig.drain()
        rig.mono += 0.1
    assert rig.sent[-1][1].window << 7 <= 20_000


def test_the_receive_buffer_has_a_limit() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, receive_buffer=20_000, max_receive_buffer=30_000))
    for _ in range(9):
        rig.receive(ACK, data=b"x" * 15_000, size=1000)
        rig.read()
        rig.drain()
        rig.mono += 0.1
    assert rig.sent[-1][1].window <= 30_000
