"""How losses are found and made good: RFC 6298, 6675, 6582, 8985, 2883, 3522."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.unit.netstack.tcp.rig import (
    ACK,
    FIN,
    MSS,
    RENO,
    Rig,
    data_of,
    described,
    options_of,
    rig_in,
)
from ztlink.netstack.events import ConnectionReset, Reason
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.tcp.state import State


@pytest.fixture
def rig() -> Rig:
    """Return a connection with a round trip of 100 ms and ten segments in flight."""
    rig = rig_in(State.ESTABLISHED)
    rig.start = rig.ours  # type: ignore[attr-defined] # for these tests alone
    rig.write(b"".join(bytes([65 + i]) * MSS for i in range(10)))
    rig.mono += 0.1
    return rig


def at(rig: Rig, segments: float) -> int:
    """Return the sequence number behind so many segments."""
    return rig.start + int(segments * MSS)  # type: ignore[attr-defined,no-any-return]


def sack(rig: Rig, first: int, last: int, ack: int = 0) -> list[Outgoing]:
    """Acknowledge up to segment `ack`, and the segments from `first` to `last` selectively."""
    options = rig.sack_blocks((at(rig, first), at(rig, last)))
    return rig.receive(ACK, ack=at(rig, ack), options=options)


def repeats(rig: Rig, out: list[Outgoing]) -> list[bytes]:
    """Return the first byte and size of what was sent again."""
    return [data_of(o) for o in out if o.sequence < at(rig, 10)]


def test_three_segments_beyond_a_hole_make_it_lost(rig: Rig) -> None:
    assert repeats(rig, sack(rig, 1, 3)) == []
    assert repeats(rig, sack(rig, 1, 4)) == [b"A" * MSS]


def test_a_hole_of_several_segments_is_one_super_segment(rig: Rig) -> None:
    out = sack(rig, 3, 10)
    (again,) = [o for o in out if o.sequence < at(rig, 10)]
    assert (again.size, again.segment_size) == (3 * MSS, MSS)


def test_only_the_holes_are_sent_again(rig: Rig) -> None:
    blocks = rig.sack_blocks((at(rig, 6), at(rig, 10)), (at(rig, 2), at(rig, 5)))
    out = rig.receive(ACK, ack=at(rig, 1), options=blocks)
    assert repeats(rig, out) == [b"B" * MSS, b"F" * MSS]


def test_less_than_three_segments_are_waited_for(rig: Rig) -> None:
    sack(rig, 1, 2)
    rig.sent.clear()
    rig.advance(0.024)
    assert rig.sent == []
    rig.advance(0.002)
    assert data_of(rig.sent[0][1]) == b"A" * MSS


def test_what_arrives_late_is_not_sent_again(rig: Rig) -> None:
    sack(rig, 1, 2)
    rig.mono += 0.01
    rig.receive(ACK, ack=at(rig, 10))
    rig.sent.clear()
    rig.advance(0.1)
    assert rig.sent == []


def test_once_reordering_was_seen_three_segments_are_waited_for(rig: Rig) -> None:
    sack(rig, 1, 2)
    rig.mono += 0.01
    rig.receive(ACK, ack=at(rig, 2))  # the first came after the second
    assert repeats(rig, sack(rig, 3, 7, ack=2)) == []


def test_recovery_halves_the_window(rig: Rig) -> None:
    sack(rig, 1, 4)
    rig.layer.write(rig.id, b"z" * 50_000, rig.now)
    rig.receive(ACK, ack=at(rig, 10))
    rig.drain()
    new = sum(o.size for _, o in rig.sent if o.sequence >= at(rig, 10))
    assert new == 5 * MSS


def test_the_window_is_halved_once_in_a_round_trip(rig: Rig) -> None:
    sack(rig, 1, 4)
    rig.receive(
        ACK,
        ack=at(rig, 1),
        options=rig.sack_blocks((at(rig, 2), at(rig, 5)), (at(rig, 6), at(rig, 10))),
    )
    rig.layer.write(rig.id, b"z" * 50_000, rig.now)
    rig.receive(ACK, ack=at(rig, 10))
    rig.drain()
    assert sum(o.size for _, o in rig.sent if o.sequence >= at(rig, 10)) == 5 * MSS


def test_a_retransmission_that_is_lost_is_found_by_time(rig: Rig) -> None:
    sack(rig, 1, 4)
    rig.write(b"z" * 5000)
    rig.mono += 0.1
    sack(rig, 1, 9)
    rig.layer.write(rig.id, b"y" * 5000, rig.now)
    rig.mono += 0.05
    rig.drain()
    rig.mono += 0.1
    rig.sent.clear()
    sack(rig, 1, 13)
    out = rig.drain() + rig.advance(0.1)
    assert any(o.sequence == at(rig, 0) for _, o in rig.sent) or out


def test_without_sack_three_duplicates_make_the_first_lost() -> None:
    rig = Rig(sack=False)
    rig.connect()
    start = rig.ours
    rig.write(b"".join(bytes([65 + i]) * MSS for i in range(10)))
    rig.mono += 0.1
    assert rig.receive(ACK, ack=start) == []
    assert rig.receive(ACK, ack=start) == []
    (again,) = rig.receive(ACK, ack=start)
    assert data_of(again) == b"A" * MSS


def test_without_sack_a_partial_acknowledgement_tells_the_next_hole() -> None:
    rig = Rig(sack=False)
    rig.connect()
    start = rig.ours
    rig.write(b"".join(bytes([65 + i]) * MSS for i in range(10)))
    rig.mono += 0.1
    for _ in range(3):
        rig.receive(ACK, ack=start)
    (again,) = rig.receive(ACK, ack=start + 4 * MSS)
    assert data_of(again) == b"E" * MSS


def test_a_duplicate_with_another_window_does_not_count() -> None:
    rig = Rig(sack=False)
    rig.connect()
    start = rig.ours
    rig.write(b"x" * 10_000)
    for window in (60_000, 59_000, 58_000, 57_000):
        assert rig.receive(ACK, ack=start, window=window) == []


def test_silence_makes_the_tail_be_probed(rig: Rig) -> None:
    (probe,) = rig.advance(0.15)
    assert data_of(probe) == b"J" * MSS


def test_new_data_probes_if_there_is_some(rig: Rig) -> None:
    rig.layer.write(rig.id, b"z" * 5000, rig.now)
    rig.drain()
    (probe,) = rig.advance(0.15)
    assert (probe.sequence, probe.size) == (at(rig, 10), MSS)


def test_a_probe_is_sent_once(rig: Rig) -> None:
    rig.advance(0.15)
    rig.sent.clear()
    rig.advance(0.24)
    assert rig.sent == []


def test_a_probe_that_repaired_a_loss_halves_the_window(rig: Rig) -> None:
    rig.receive(ACK, ack=at(rig, 9))
    rig.advance(0.3)
    rig.layer.write(rig.id, b"z" * 50_000, rig.now)
    rig.receive(ACK, ack=at(rig, 10))
    rig.drain()
    new = sum(o.size for _, o in rig.sent if o.sequence >= at(rig, 10))
    assert new <= 10 * MSS


def test_a_time_out_sends_the_first_segment_again(rig: Rig) -> None:
    rig.advance(0.15)
    rig.sent.clear()
    rig.advance(0.5)
    ((_, again),) = rig.sent
    assert (again.sequence, again.size) == (at(rig, 0), MSS)


def test_time_outs_back_off(rig: Rig) -> None:
    rig.advance(60)
    moments = [moment for moment, o in rig.sent if o.sequence == at(rig, 0)][-4:]
    gaps = [b - a for a, b in pairwise(moments)]
    assert [round(b / a, 1) for a, b in pairwise(gaps)] == [2.0, 2.0]


def test_after_a_time_out_slow_start_makes_good_what_was_lost(rig: Rig) -> None:
    rig.advance(0.7)
    rig.sent.clear()
    out = rig.receive(ACK, ack=at(rig, 1))
    assert sum(o.size for o in out) == 2 * MSS
    rig.mono += 0.1
    out = rig.receive(ACK, ack=at(rig, 3))
    assert sum(o.size for o in out) == 4 * MSS


def test_after_a_time_out_only_what_is_not_sacked_is_sent_again(rig: Rig) -> None:
    sack(rig, 1, 2)
    rig.advance(1.0)
    rig.sent.clear()
    rig.receive(ACK, ack=at(rig, 2))
    assert at(rig, 1) not in [o.sequence for _, o in rig.sent]


def test_a_peer_that_reneges_gets_everything_again(rig: Rig) -> None:
    rig.receive(ACK, ack=at(rig, 1), options=rig.sack_blocks((at(rig, 2), at(rig, 10))))
    rig.receive(ACK, ack=at(rig, 2))
    rig.sent.clear()
    for _ in range(20):
        rig.advance(1.0)
        seen = [o for _, o in rig.sent if o.sequence == at(rig, 2)]
        if seen:
            break
    assert seen


def test_data_that_is_never_acknowledged_ends_it() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"x" * 100)
    rig.advance(299)
    assert not rig.events
    rig.advance(70)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_data_is_always_awaited_by_a_timer(rig: Rig) -> None:
    rig.receive(ACK, ack=at(rig, 5))
    timer = rig.layer.get_timer()
    assert timer is not None
    assert timer < rig.mono + 1


def test_an_acknowledgement_between_time_out_and_repeat_is_not_lost() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"x" * 100)
    timer = rig.layer.get_timer()
    assert timer is not None
    while rig.layer.get_timer() is not None and not rig.layer.has_output():
        rig.mono = max(rig.mono, rig.layer.get_timer() or 0)
        rig.layer.handle_timer(rig.now)
    assert rig.receive(ACK) == []
    assert rig.layer.unacknowledged(rig.id) == 0
    assert rig.advance(100) == []


def test_a_fin_that_is_lost_is_sent_again() -> None:
    rig = rig_in(State.ESTABLISHED)
    start = rig.ours
    rig.write(b"x" * 3000)
    rig.shutdown()
    rig.receive(ACK, ack=start + 3000)
    (again,) = rig.advance(0.4)
    assert (described(again), again.sequence) == ("FA", start + 3000)
    rig.receive(ACK)
    assert rig.state() is State.FIN_WAIT_2


def test_a_fin_may_be_acknowledged_selectively() -> None:
    rig = rig_in(State.ESTABLISHED)
    start = rig.ours
    rig.layer.write(rig.id, b"x" * 3000, rig.now)
    rig.shutdown()
    rig.mono += 0.1
    blocks = rig.sack_blocks((start + 1000, start + 3001))
    out = rig.receive(ACK, ack=start, options=blocks)
    rig.receive(ACK, ack=start + 3001)
    assert rig.state() is State.FIN_WAIT_2
    assert all(not o.flags & FIN for o in out)


def test_a_segment_sent_again_in_vain_undoes_the_halving(rig: Rig) -> None:
    rig.layer.write(rig.id, b"z" * 50_000, rig.now)
    sack(rig, 1, 4)
    rig.sent.clear()
    rig.mono += 0.1
    rig.receive(ACK, ack=at(rig, 10), options=rig.sack_blocks((at(rig, 0), at(rig, 1))))
    rig.drain()
    assert sum(o.size for _, o in rig.sent) >= 9 * MSS


def test_a_time_out_that_came_too_early_is_undone() -> None:
    rig = Rig(replace(RENO, timestamps=True))
    rig.stamp = 1000
    rig.connect()
    start = rig.ours

    (first,) = rig.write(b"x" * 9880)
    rig.layer.write(rig.id, b"y" * 50_000, rig.now)
    rig.advance(0.55)
    rig.echo = options_of(first).timestamp or 0
    rig.stamp = 2000
    rig.sent.clear()
    rig.receive(ACK, ack=start + 9880)
    assert all(o.sequence >= start + 9880 for _, o in rig.sent)
    assert sum(o.size for _, o in rig.sent) >= 9 * 988
