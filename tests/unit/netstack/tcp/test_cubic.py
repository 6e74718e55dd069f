"""CUBIC (RFC 9438)."""

import pytest

from tests.unit.netstack.tcp.samples import MSS, sample
from ztlink.netstack.tcp.congestion import UNLIMITED
from ztlink.netstack.tcp.cubic import Cubic


def after_loss(segments: int) -> Cubic:
    """Return a control that lost something at so many segments, and recovered."""
    control = Cubic(MSS)
    control.window = segments * MSS
    control.on_loss(segments * MSS, 1.0)
    control.on_recovered(1.1)
    return control


def grow(control: Cubic, until: float, start: float = 1.1, rtt: float = 0.1) -> None:
    """Acknowledge a window in each round trip."""
    now = start
    while now < until:
        control.on_ack(sample(now, acked=control.window, rtt=rtt, least=rtt))
        now += rtt


def test_slow_start_grows_by_what_is_acknowledged() -> None:
    control = Cubic(MSS)
    control.on_ack(sample(acked=3 * MSS))
    assert control.window == 13 * MSS


def test_slow_start_goes_on_while_the_round_trip_does_not_grow() -> None:
    control = Cubic(MSS)
    for number in range(20):
        control.on_ack(sample(prior_delivered=number, delivered=number + 1))
    assert (control.window, control.threshold) == (30 * MSS, UNLIMITED)


def test_slow_start_ends_where_the_round_trip_has_grown() -> None:
    control = Cubic(MSS)
    for number in range(100):
        rtt = 0.1 if number < 8 else 0.2
        start = number // 8 * 8
        control.on_ack(sample(rtt=rtt, prior_delivered=start, delivered=start + 8))
    assert control.window < 100 * MSS
    assert control.threshold <= control.window


def test_a_loss_leaves_seven_tenths() -> None:
    assert after_loss(100).window == 70 * MSS


def test_a_loss_counts_what_was_in_flight() -> None:
    control = Cubic(MSS)
    control.on_loss(5 * MSS, 1.0)
    assert control.window == 3500


def test_a_loss_leaves_two_segments_at_least() -> None:
    control = Cubic(MSS)
    control.on_loss(MSS, 1.0)
    assert control.window == 2 * MSS


def test_the_window_is_back_after_the_period() -> None:
    control = after_loss(1000)
    period = (300 / 0.4) ** (1 / 3)
    grow(control, 1.1 + period)
    assert control.window == pytest.approx(1000 * MSS, rel=0.02)


def test_the_window_grows_slowly_near_where_the_loss_was() -> None:
    control = after_loss(1000)
    grow(control, 1.1 + 7.0)
    before = control.window
    grow(control, 1.1 + 9.0, start=1.1 + 7.0)
    near = control.window - before
    grow(control, 1.1 + 16.0, start=1.1 + 9.0)
    assert control.window - before - near > 10 * near


def test_a_short_path_grows_as_reno_would() -> None:
    control = after_loss(10)
    grow(control, 1.1 + 0.5, rtt=0.01)
    alpha = 3 * 0.3 / 1.7
    rounds_below = 3 / alpha
    assert control.window == pytest.approx((10 + 50 - rounds_below) * MSS, rel=0.03)


def test_back_at_its_old_window_it_grows_by_a_segment_in_a_round_trip() -> None:
    control = after_loss(10)
    grow(control, 1.1 + 0.2, rtt=0.01)
    before = control.window
    grow(control, 1.1 + 0.3, start=1.1 + 0.2, rtt=0.01)
    assert control.window - before == pytest.approx(10 * MSS, rel=0.15)


def test_a_second_loss_below_the_first_leaves_room_for_others() -> None:
    falling, level = after_loss(100), after_loss(70)
    falling.on_loss(70 * MSS, 2.0)
    level.window = 70 * MSS
    level.on_loss(70 * MSS, 2.0)
    for control in (falling, level):
        control.on_recovered(2.1)
        grow(control, 2.1 + 3.5, start=2.1)
    assert falling.window < level.window


def test_a_time_out_leaves_one_segment() -> None:
    control = Cubic(MSS)
    control.on_timeout(10 * MSS, 1.0)
    assert (control.window, control.threshold) == (MSS, 7 * MSS)


def test_during_recovery_the_window_does_not_grow() -> None:
    control = Cubic(MSS)
    control.on_ack(sample(is_recovering=True))
    assert control.window == 10 * MSS


def test_a_window_that_is_not_used_does_not_grow() -> None:
    control = Cubic(MSS)
    control.on_ack(sample(in_flight=4 * MSS))
    assert control.window == 10 * MSS


def test_a_reduction_can_be_undone() -> None:
    control = Cubic(MSS)
    control.on_loss(10 * MSS, 1.0)
    control.undo()
    assert control.window == 10 * MSS


def test_silence_brings_the_window_back_to_the_first() -> None:
    control = Cubic(MSS)
    control.on_ack(sample(acked=50 * MSS))
    control.on_idle(5.0)
    assert control.window == 10 * MSS


def test_the_window_follows_the_cube_of_the_time() -> None:
    control = after_loss(1000)
    period = (300 / 0.4) ** (1 / 3)
    grow(control, 1.1 + period / 2)
    assert control.window == pytest.approx((1000 - 0.4 * (period / 2) ** 3) * MSS, rel=0.01)


def test_a_window_that_is_half_used_grows() -> None:
    control = Cubic(MSS)
    control.on_ack(sample(in_flight=5 * MSS))
    assert control.window == 11 * MSS


def test_the_time_of_silence_does_not_count_as_growth() -> None:
    control = after_loss(20)
    control.on_ack(sample(1.2))
    control.on_idle(100.0)
    control.on_ack(sample(100.1, acked=10 * MSS))
    assert control.window == 14 * MSS
    control.on_ack(sample(100.2, acked=14 * MSS))
    assert control.window <= 15 * MSS


def test_larger_segments_need_a_window_of_two() -> None:
    control = Cubic(MSS)
    control.resize(8 * MSS)
    assert control.window == 16 * MSS


def test_smaller_segments_leave_the_window() -> None:
    control = Cubic(MSS)
    control.resize(MSS // 2)
    assert control.window == 10 * MSS


def test_the_target_is_that_of_a_round_trip_ahead() -> None:
    control = after_loss(1000)
    control.on_ack(sample(1.1, acked=700 * MSS))
    period = (300 / 0.4) ** (1 / 3)
    assert control.window == pytest.approx((1000 - 0.4 * (period - 0.1) ** 3) * MSS, rel=1e-4)


def test_the_window_grows_by_half_in_a_round_trip_at_most() -> None:
    control = after_loss(1000)
    control.on_ack(sample(1.1, acked=MSS))
    before = control.window
    control.on_ack(sample(90.0, acked=before))
    assert control.window == pytest.approx(1.5 * before, rel=1e-3)


def test_a_second_loss_below_the_first_aims_below_itself() -> None:
    control = after_loss(1000)
    control.on_loss(700 * MSS, 2.0)
    control.on_recovered(2.1)
    aim = 700 * 0.85
    period = ((aim - 490) / 0.4) ** (1 / 3)
    grow(control, 2.1 + period, start=2.1)
    assert control.window == pytest.approx(aim * MSS, rel=0.005)


def test_an_undone_reduction_lets_slow_start_go_on() -> None:
    control = Cubic(MSS)
    control.on_loss(10 * MSS, 1.0)
    control.undo()
    control.on_ack(sample(acked=3 * MSS))
    assert control.window == 13 * MSS
