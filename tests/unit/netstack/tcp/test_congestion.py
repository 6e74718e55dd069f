"""NewReno (RFC 5681, 6928, 7661) behind the face of congestion control."""

import pytest

from tests.unit.netstack.tcp.samples import MSS, sample
from ztlink.netstack.tcp.congestion import NewReno, initial_window


@pytest.mark.parametrize(
    ("mss", "window"), [(500, 5000), (1460, 14_600), (2728, 14_600), (9000, 18_000)]
)
def test_the_first_window_is_ten_segments_or_14600_bytes(mss: int, window: int) -> None:
    assert initial_window(mss) == window


def test_slow_start_grows_by_what_is_acknowledged() -> None:
    control = NewReno(MSS)
    control.on_ack(sample(acked=3 * MSS))
    assert control.window == 13 * MSS


def test_a_loss_halves_what_is_in_flight() -> None:
    control = NewReno(MSS)
    control.on_loss(20 * MSS, 1.0)
    assert (control.window, control.threshold) == (10 * MSS, 10 * MSS)


def test_a_loss_leaves_two_segments_at_least() -> None:
    control = NewReno(MSS)
    control.on_loss(MSS, 1.0)
    assert control.window == 2 * MSS


def test_after_a_loss_the_window_grows_by_a_segment_in_a_round_trip() -> None:
    control = NewReno(MSS)
    control.on_loss(20 * MSS, 1.0)
    for _ in range(9):
        control.on_ack(sample())
    assert control.window == 10 * MSS
    control.on_ack(sample())
    assert control.window == 11 * MSS


def test_during_recovery_the_window_does_not_grow() -> None:
    control = NewReno(MSS)
    control.on_ack(sample(acked=3 * MSS, is_recovering=True))
    assert control.window == 10 * MSS


def test_a_window_that_is_not_used_does_not_grow() -> None:
    control = NewReno(MSS)
    control.on_ack(sample(in_flight=4 * MSS))
    assert control.window == 10 * MSS


def test_a_window_that_is_half_used_grows() -> None:
    control = NewReno(MSS)
    control.on_ack(sample(in_flight=5 * MSS))
    assert control.window == 11 * MSS


def test_a_time_out_leaves_one_segment() -> None:
    control = NewReno(MSS)
    control.on_timeout(10 * MSS, 1.0)
    assert (control.window, control.threshold) == (MSS, 5 * MSS)


def test_after_a_time_out_slow_start_ends_at_the_threshold() -> None:
    control = NewReno(MSS)
    control.on_timeout(8 * MSS, 1.0)
    for _ in range(3):
        control.on_ack(sample())
    assert control.window == 4 * MSS
    control.on_ack(sample())
    assert control.window == 4 * MSS


def test_a_reduction_can_be_undone() -> None:
    control = NewReno(MSS)
    control.on_loss(6 * MSS, 1.0)
    control.undo()
    assert control.window == 10 * MSS
    assert control.threshold > 1 << 40


def test_a_reduction_cannot_be_undone_after_recovery() -> None:
    control = NewReno(MSS)
    control.on_loss(6 * MSS, 1.0)
    control.on_recovered(2.0)
    control.undo()
    assert control.window == 3 * MSS


def test_silence_brings_the_window_back_to_the_first() -> None:
    control = NewReno(MSS)
    control.on_ack(sample(acked=50 * MSS))
    control.on_idle(5.0)
    assert control.window == 10 * MSS


def test_silence_does_not_widen_the_window() -> None:
    control = NewReno(MSS)
    control.on_loss(8 * MSS, 1.0)
    control.on_idle(5.0)
    assert control.window == 4 * MSS


def test_windows_are_not_paced() -> None:
    assert NewReno(MSS).rate == 0.0


def test_what_is_acknowledged_beyond_a_window_counts_for_the_next() -> None:
    control = NewReno(MSS)
    control.on_loss(20 * MSS, 1.0)
    control.on_ack(sample(acked=15 * MSS))
    assert control.window == 11 * MSS
    control.on_ack(sample(acked=6 * MSS))
    control.on_ack(sample(acked=MSS))
    assert control.window == 12 * MSS


def test_a_loss_counts_from_nothing_again() -> None:
    control = NewReno(MSS)
    control.on_loss(20 * MSS, 1.0)
    control.on_ack(sample(acked=9 * MSS))
    control.on_loss(20 * MSS, 2.0)
    control.on_ack(sample(acked=9 * MSS))
    assert control.window == 10 * MSS


def test_a_time_out_leaves_a_threshold_of_two_segments_at_least() -> None:
    control = NewReno(MSS)
    control.on_timeout(MSS, 1.0)
    assert control.threshold == 2 * MSS


def test_larger_segments_need_a_window_of_two() -> None:
    control = NewReno(MSS)
    control.resize(8 * MSS)
    assert control.window == 16 * MSS


def test_smaller_segments_leave_the_window() -> None:
    control = NewReno(MSS)
    control.resize(MSS // 2)
    assert control.window == 10 * MSS


def test_slow_start_does_not_pass_the_threshold() -> None:
    control = NewReno(MSS)
    control.on_timeout(8 * MSS, 1.0)
    control.on_ack(sample(acked=20 * MSS))
    assert control.window == 4 * MSS
