"""How BBR measures the least round trip anew (PROBE_RTT)."""

import pytest

from tests.unit.netstack.tcp.path import PACE, PRODUCT, RATE, RTT, WINDOW, Path
from tests.unit.netstack.tcp.samples import MSS
from ztlink.netstack.tcp.bbr import Phase

LONGER = 1.1 * RTT
FLOOR = 4 * MSS


def probing() -> Path:
    """Return a path on which the round trip has just begun to be measured anew."""
    path = Path()
    path.settle()
    path.round(after=10.1)
    return path


# When.


@pytest.mark.parametrize(("after", "phase"), [(10.0, Phase.PROBE_BW), (10.001, Phase.PROBE_RTT)])
def test_a_least_round_trip_is_believed_for_ten_seconds(after: float, phase: Phase) -> None:
    path = Path()
    path.settle()
    assert path.ack(rtt=LONGER, after=after).phase is phase


def test_a_least_round_trip_that_is_seen_again_is_believed_anew() -> None:
    path = Path()
    path.settle()
    phases = {path.round().phase for _ in range(200)}
    assert phases == {Phase.PROBE_BW}


MOMENT = 7.5
"""A multiple of 2.5 seconds."""


@pytest.mark.parametrize("start", [4.25, 5.0])
@pytest.mark.parametrize(
    ("at", "phase"), [(MOMENT - 0.001, Phase.PROBE_BW), (MOMENT, Phase.PROBE_RTT)]
)
def test_while_much_is_lost_all_flows_measure_it_at_the_same_moments(
    start: float, at: float, phase: Phase
) -> None:
    path = Path(start=start)
    path.settle()
    assert path.ack(rtt=LONGER, after=at - path.now, lost=10 * MSS).phase is phase


@pytest.mark.parametrize(
    ("lost", "phase"), [(0, Phase.PROBE_BW), (3_000, Phase.PROBE_BW), (3_001, Phase.PROBE_RTT)]
)
def test_much_is_more_than_three_in_a_hundred(lost: int, phase: Phase) -> None:
    path = Path(start=5.0)
    path.settle()
    path.ack(rtt=LONGER, after=MOMENT - path.now, acked=100_000 - lost, lost=lost)
    assert path.control.phase is phase


# What is done.


def test_no_more_than_four_segments_are_in_flight_meanwhile() -> None:
    path = probing()
    assert (path.control.phase, path.control.window) == (Phase.PROBE_RTT, FLOOR)


@pytest.mark.parametrize("gain", [1.25, 0.75, 1.0])
def test_the_rate_is_kept_meanwhile(gain: float) -> None:
    path = Path()
    path.settle()
    path.reach(gain)
    assert path.ack(after=10.1).rate == pytest.approx(PACE)


def test_after_a_loss_from_a_queue_no_more_than_two_segments_are_in_flight() -> None:
    path = Path()
    path.settle()
    path.overflow(PRODUCT)
    assert path.ack(after=10.1, is_recovering=True).window == 2 * MSS


def test_a_loss_whose_bound_is_gone_leaves_four() -> None:
    path = Path()
    path.settle()
    path.overflow(10 * PRODUCT)
    path.ack()
    assert path.ack(after=10.1).window == FLOOR


# How long.


@pytest.mark.parametrize(
    ("in_flight", "phase"), [(FLOOR, Phase.PROBE_BW), (FLOOR + 1, Phase.PROBE_RTT)]
)
def test_it_lasts_until_the_queue_is_empty(in_flight: int, phase: Phase) -> None:
    assert probing().rounds(4, in_flight=in_flight).phase is phase


@pytest.mark.parametrize(("after", "phase"), [(0.199, Phase.PROBE_RTT), (0.2, Phase.PROBE_BW)])
def test_an_empty_queue_is_looked_at_for_a_fifth_of_a_second(after: float, phase: Phase) -> None:
    path = probing()
    path.round(in_flight=0)
    assert path.round(after=after, in_flight=0).phase is phase


def test_an_empty_queue_is_looked_at_for_a_round_trip() -> None:
    path = probing()
    path.round(in_flight=0)
    assert path.ack(after=0.3, in_flight=0).phase is Phase.PROBE_RTT
    assert path.round(in_flight=0).phase is Phase.PROBE_BW


def test_another_such_moment_meanwhile_does_not_prolong_it() -> None:
    path = Path(start=5.0)
    path.settle()
    path.ack(rtt=LONGER, after=MOMENT - path.now, lost=10 * MSS)
    path.round(rtt=LONGER, after=2.4, acked=MSS, in_flight=0)
    assert path.round(rtt=LONGER, after=0.2, acked=MSS).phase is Phase.PROBE_BW


def test_each_time_lasts_as_long() -> None:
    path = probing()
    path.rounds(3, in_flight=0)
    assert path.round(after=10.1).phase is Phase.PROBE_RTT
    assert path.round().phase is Phase.PROBE_RTT


# And then.


def test_what_was_in_flight_before_may_be_again() -> None:
    path = probing()
    assert path.rounds(3, in_flight=0, acked=MSS).window == WINDOW


def test_what_was_in_flight_before_a_time_out_may_be_again() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    path.round(after=10.1, acked=MSS)
    assert path.rounds(3, in_flight=0, acked=MSS).window == WINDOW


def test_a_longer_round_trip_is_believed_then() -> None:
    path = Path()
    path.settle()
    path.round(rtt=2 * RTT, after=10.1)
    path.rounds(3, rtt=2 * RTT, in_flight=0)
    assert path.round(rtt=2 * RTT).window == WINDOW + 2 * PRODUCT


@pytest.mark.parametrize(("after", "phase"), [(9.9, Phase.PROBE_BW), (10.1, Phase.PROBE_RTT)])
def test_it_is_measured_again_ten_seconds_after_the_end(after: float, phase: Phase) -> None:
    path = probing()
    assert path.rounds(3, rtt=LONGER, in_flight=0).phase is Phase.PROBE_BW
    assert path.ack(rtt=LONGER, after=after).phase is phase


@pytest.mark.parametrize("seed", range(7))
def test_the_cycle_begins_anew(seed: int) -> None:
    path = Path(seed=seed)
    path.settle()
    path.round(after=10.1)
    path.rounds(3, in_flight=0)
    path.reach(1.25)
    path.ack(after=2 * RTT, prior_in_flight=2 * PRODUCT)  # sent before
    assert path.gain == 1.25


def test_a_flow_that_has_not_found_the_rate_goes_on_to_search() -> None:
    path = Path()
    path.round(is_app_limited=True)
    assert path.ack(after=10.1, rtt=LONGER, is_app_limited=True).phase is Phase.PROBE_RTT
    path.rounds(3, in_flight=0, is_app_limited=True)
    assert path.control.phase is Phase.STARTUP
    assert path.round(2 * RATE).rate == pytest.approx(2 * 2.885 * PACE)


@pytest.mark.parametrize("ending", ["on_recovered", "undo"])
def test_recovery_that_ends_meanwhile_leaves_the_window_for_afterwards(ending: str) -> None:
    path = probing()
    path.control.on_timeout(PRODUCT, path.now)
    if ending == "undo":
        path.control.undo()
    else:
        path.control.on_recovered(path.now)
    assert path.ack(in_flight=0).window == FLOOR
    while path.round(in_flight=0).phase is Phase.PROBE_RTT:
        pass
    assert path.control.window >= WINDOW - PRODUCT
