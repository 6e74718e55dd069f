"""What losses tell BBR: nothing, unless they are from a queue, or too many."""

import pytest

from tests.unit.netstack.tcp.path import PACE, PRODUCT, RATE, RTT, WINDOW, Path
from tests.unit.netstack.tcp.samples import MSS
from ztlink.netstack.tcp.bbr import Phase

BOUND = 70_000
"""What may be in flight after a loss from a queue of what the path holds."""
QUEUE_RTT = 1.25 * RTT + 0.002
"""What a round trip may take without a queue."""
LONG = QUEUE_RTT + 0.0001


def settled() -> Path:
    """Return a path whose rate is known."""
    path = Path()
    path.settle()
    return path


def lose(path: Path, in_flight: int = PRODUCT) -> int:
    """Lose something, and return the window then."""
    path.control.on_loss(in_flight, path.now)
    return path.ack(is_recovering=True).window


def bounded(in_flight: int = PRODUCT) -> Path:
    """Return a path on which something was lost from a queue; recovery is over."""
    path = settled()
    path.overflow(in_flight)
    path.ack(rtt=2 * RTT, is_recovering=True)
    return path


def test_random_loss_does_not_slow_it() -> None:
    path = settled()
    for _ in range(20):
        path.control.on_loss(PRODUCT, path.now)
        path.round(lost=MSS, is_recovering=True)
    assert path.control.window == WINDOW
    assert path.control.rate >= 0.75 * PACE


# Whether there is a queue.


@pytest.mark.parametrize(
    ("before", "now", "window"),
    [
        (LONG, LONG, BOUND),
        (QUEUE_RTT, LONG, WINDOW),
        (LONG, QUEUE_RTT, WINDOW),
        (RTT, 2 * RTT, WINDOW),
        (2 * RTT, RTT, WINDOW),
    ],
)
def test_a_queue_is_where_two_round_trips_took_much_longer_than_the_least(
    before: float, now: float, window: int
) -> None:
    path = settled()
    path.round(rtt=before)
    path.round(rtt=now)
    assert lose(path) == window


def test_one_segment_that_took_no_longer_shows_that_there_is_no_queue() -> None:
    path = settled()
    path.rounds(2, rtt=2 * RTT)
    path.ack(rtt=RTT)
    path.ack(rtt=2 * RTT)
    assert lose(path) == WINDOW


def test_in_the_first_round_trip_nothing_is_known_of_a_queue() -> None:
    path = Path()
    path.round(rtt=2 * RTT)
    assert lose(path) > PRODUCT


def test_a_round_trip_that_tells_no_time_yet_is_judged_by_the_one_before() -> None:
    path = settled()
    path.round(rtt=2 * RTT)
    path.round(rtt=0.0, after=RTT)
    assert lose(path) == BOUND


def test_a_round_trip_that_told_no_time_is_no_sign_of_a_queue() -> None:
    path = settled()
    path.round(rtt=0.0, after=RTT)
    path.round(rtt=2 * RTT)
    assert lose(path) == WINDOW


# What may be in flight after a loss from a queue.


@pytest.mark.parametrize(
    ("in_flight", "window"), [(2 * PRODUCT, 2 * BOUND), (PRODUCT, BOUND), (MSS, 2 * MSS)]
)
def test_a_loss_from_a_queue_leaves_seven_tenths_but_two_segments(
    in_flight: int, window: int
) -> None:
    path = settled()
    path.overflow(in_flight)
    assert path.ack(is_recovering=True).window == window


@pytest.mark.parametrize(
    ("in_flight", "window"), [(PRODUCT, int(0.7 * BOUND)), (PRODUCT // 2, BOUND // 2)]
)
def test_a_second_loss_leaves_seven_tenths_of_the_bound_or_of_what_is_in_flight(
    in_flight: int, window: int
) -> None:
    path = bounded()
    path.control.on_loss(in_flight, path.now)
    assert path.ack(is_recovering=True).window == window


@pytest.mark.parametrize(("acked", "growth"), [(BOUND, MSS), (BOUND // 2, MSS // 2), (10, 1)])
def test_the_bound_grows_by_a_segment_in_a_round_trip_rounded_up(acked: int, growth: int) -> None:
    path = bounded()
    path.ack(acked=acked)
    assert path.ack().window == BOUND + growth


def test_the_bound_grows_from_two_segments_where_it_is_no_more() -> None:
    path = bounded(MSS)
    path.ack(acked=2 * MSS)
    assert path.ack().window == 3 * MSS


def test_the_bound_does_not_grow_during_recovery() -> None:
    path = bounded()
    path.ack(acked=BOUND, is_recovering=True)
    assert path.ack().window == BOUND


def test_a_crumb_lets_the_bound_grow() -> None:
    path = bounded(MSS)
    path.round(acked=MSS // 2, is_app_limited=True, in_flight=0)
    assert path.ack().window == 2 * MSS + MSS // 4


@pytest.mark.parametrize(
    ("in_flight", "window"), [(294_286, WINDOW), (294_288, 2 * 2 * PRODUCT + 6 * MSS)]
)
def test_a_bound_beyond_what_the_model_wants_is_none(in_flight: int, window: int) -> None:
    path = bounded(in_flight)
    assert path.round(2 * RATE, is_recovering=True).window == window


def test_a_time_out_leaves_less_than_the_bound() -> None:
    path = bounded()
    path.control.on_timeout(PRODUCT, path.now)
    assert path.ack().window == 5 * MSS


# Too many losses.


@pytest.mark.parametrize(
    ("acked", "lost", "window"),
    [
        (60_000, 40_000, WINDOW),
        (59_999, 40_001, BOUND),
        (10_000, 40_000, WINDOW),
        (9_999, 40_001, BOUND),
        (120_000, 80_000, WINDOW),
        (119_999, 80_001, BOUND),
    ],
)
def test_more_than_two_fifths_of_a_hundred_segments_are_too_many_whatever_the_queue(
    acked: int, lost: int, window: int
) -> None:
    path = settled()
    path.ack(acked=acked, lost=lost)
    assert lose(path) == window


@pytest.mark.parametrize(("acked", "window"), [(10_000, BOUND), (30_000, WINDOW)])
def test_what_arrives_makes_good_for_losses(acked: int, window: int) -> None:
    path = settled()
    path.ack(acked=50_000, lost=50_000)
    path.ack(acked=acked)
    assert lose(path) == window


def test_a_crumb_that_arrives_makes_good_for_losses() -> None:
    path = settled()
    path.ack(acked=59_999, lost=40_001)
    path.ack(acked=MSS - 1, is_app_limited=True, in_flight=0)
    assert lose(path) == WINDOW


def test_what_is_lost_with_a_crumb_counts() -> None:
    path = settled()
    path.ack(acked=MSS - 1, lost=40_001, is_app_limited=True, in_flight=0)
    assert lose(path) == BOUND


def test_too_many_losses_without_a_queue_leave_four_segments() -> None:
    path = settled()
    path.ack(acked=9_999, lost=40_001)
    assert lose(path, in_flight=MSS) == 4 * MSS


# Losses that were none: what had been sent again had arrived.


def test_a_loss_that_was_none_bounds_nothing() -> None:
    path = settled()
    path.overflow(PRODUCT)
    path.ack(rtt=2 * RTT, is_recovering=True)
    path.control.undo()
    assert path.rounds(2).window == WINDOW


def test_a_loss_that_was_none_leaves_the_bound_of_the_one_before() -> None:
    path = bounded()
    path.control.on_recovered(path.now)
    path.control.on_loss(PRODUCT, path.now)
    path.control.undo()
    assert path.ack(is_recovering=True).window == BOUND


def test_a_loss_that_was_none_does_not_end_the_search_for_the_rate() -> None:
    path = Path()
    path.overflow(PRODUCT)
    path.control.undo()
    path.round(2 * RATE)
    assert path.control.phase is Phase.STARTUP


def test_a_loss_that_was_none_does_not_begin_the_search_anew() -> None:
    path = Path()
    path.overflow(PRODUCT)
    path.round(in_flight=0)
    path.control.undo()
    assert path.round(2 * RATE).phase is Phase.PROBE_BW
    assert path.gain <= 2 * 1.25


@pytest.mark.parametrize("ending", ["recovered", "timed out"])
def test_what_recovery_was_for_is_not_taken_back_later(ending: str) -> None:
    path = bounded()
    if ending == "recovered":
        path.control.on_recovered(path.now)
    else:
        path.control.on_timeout(PRODUCT, path.now)
    path.control.undo()
    assert path.ack(is_recovering=True).window == BOUND
