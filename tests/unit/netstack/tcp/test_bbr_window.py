"""How much BBR has in flight."""

import pytest

from tests.unit.netstack.tcp.path import PRODUCT, RATE, RTT, WINDOW, Path
from tests.unit.netstack.tcp.samples import MSS

SUPER_SEGMENT = 60_000
SHORT = 0.0099
"""A round trip of hosts more than of the path."""


@pytest.mark.parametrize(
    ("rate", "quantum"),
    [(RATE, 2 * MSS), (10 * RATE, 7_920), (100 * RATE, SUPER_SEGMENT)],
    ids=["two segments", "what a millisecond takes", "a super-segment"],
)
def test_it_is_twice_what_the_path_holds_and_three_quanta(rate: float, quantum: int) -> None:
    assert Path(rate).settle().window == 2 * rate * RTT + 3 * quantum


@pytest.mark.parametrize(
    ("rate", "rtt", "window"),
    [
        (RATE, 0.01, 2 * 8_000 + 3 * 2 * MSS),
        (RATE, SHORT, 2 * 65_536),
        (10 * RATE, SHORT, 2 * 79_200 + SUPER_SEGMENT),
    ],
    ids=["not short", "slow", "fast"],
)
def test_on_a_short_path_a_super_segment_may_be_in_flight_at_each_host(
    rate: float, rtt: float, window: int
) -> None:
    path = Path(rate, rtt)
    path.settle()
    assert path.rounds(20).window == window


def test_startup_grows_by_what_is_acknowledged() -> None:
    assert Path().round(acked=3 * MSS).window == 13 * MSS


@pytest.mark.parametrize(("wanted", "window"), [(20_000, 20_000), (20_001, 21_000)])
def test_startup_grows_until_the_model_is_the_limit(wanted: int, window: int) -> None:
    path = Path()
    assert path.round(0.0, acked=10_000).window == 20_000
    rate = (wanted - 3 * 2 * MSS + 0.5) / 2.885 / RTT
    assert path.round(rate, acked=1_000).window == window


@pytest.mark.parametrize(("delivered", "window"), [(9_999, 19_999), (10_000, 10_000)])
def test_it_grows_whatever_the_model_wants_until_the_first_window_is_delivered(
    delivered: int, window: int
) -> None:
    assert Path().round(MSS, acked=delivered).window == window


def test_while_no_rate_is_known_it_grows_by_what_is_acknowledged() -> None:
    assert Path().rounds(4, 0.0, acked=30 * MSS).window == 130 * MSS


def test_while_no_round_trip_is_known_it_grows_by_what_is_acknowledged() -> None:
    path = Path(first_rtt=0.0)
    assert path.rounds(5, rtt=0.0, acked=50 * MSS).window == 260 * MSS


def test_it_shrinks_with_the_round_trip() -> None:
    path = Path()
    path.settle()
    assert path.ack(rtt=RTT / 2).window == WINDOW - PRODUCT


def test_a_time_out_leaves_four_segments_until_recovery_ends() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    assert path.control.window == 4 * MSS
    path.control.on_recovered(path.now)
    assert path.control.window == WINDOW


def test_after_a_time_out_it_grows_by_what_is_acknowledged() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    assert path.ack(acked=3 * MSS).window == 7 * MSS


def test_a_second_time_out_does_not_forget_what_there_was_before_the_first() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    path.control.on_timeout(4 * MSS, path.now)
    path.control.on_recovered(path.now)
    assert path.control.window == WINDOW


def test_a_time_out_for_nothing_is_taken_back() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    path.control.undo()
    assert path.control.window == WINDOW


def test_what_there_was_before_a_time_out_is_restored_once() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    path.control.on_recovered(path.now)
    smaller = path.rounds(11, RATE / 2).window
    path.control.on_recovered(path.now)
    assert path.control.window == smaller < WINDOW


def test_four_segments_of_a_new_size_fit() -> None:
    path = Path()
    path.settle()
    path.control.on_timeout(PRODUCT, path.now)
    path.control.resize(5 * MSS)
    assert path.ack(acked=1).window == 4 * 5 * MSS
