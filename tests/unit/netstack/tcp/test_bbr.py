"""Rate control by a model of the path: the rate, and what tells nothing of it."""

import pytest

from tests.unit.netstack.tcp.path import PACE, PRODUCT, RATE, RTT, WINDOW, Path
from tests.unit.netstack.tcp.samples import MSS
from ztlink.netstack.tcp.bbr import Bbr, Phase

FIRST_RATE = 2.885 * 10 * MSS / RTT


def test_it_begins_with_the_first_window_at_a_multiple_of_its_rate() -> None:
    control = Bbr(MSS, 0, RTT, 1.0)
    assert control.window == 10 * MSS
    assert control.rate == pytest.approx(FIRST_RATE)


def test_without_a_round_trip_it_does_not_pace() -> None:
    assert Bbr(MSS, 0, 0.0, 1.0).rate == 0.0


def test_without_a_rate_it_does_not_pace() -> None:
    assert Path(first_rtt=0.0).round(0.0, acked=MSS).rate == 0.0


def test_a_first_loss_before_anything_arrived_bounds_nothing() -> None:
    path = Path()
    path.control.on_loss(MSS, path.now)
    assert path.round(acked=MSS).window == 11 * MSS


def test_the_pace_is_a_little_less_than_the_rate_of_the_path() -> None:
    assert Path().settle().rate == pytest.approx(0.99 * RATE)


def test_a_rate_that_grows_is_believed_at_once() -> None:
    path = Path()
    path.settle()
    assert path.ack(2 * RATE).rate == pytest.approx(2 * PACE)


@pytest.mark.parametrize(("rounds", "believed"), [(1, RATE), (10, RATE), (11, RATE / 2)])
def test_a_rate_is_remembered_for_ten_round_trips(rounds: int, believed: float) -> None:
    path = Path()
    path.settle()
    path.rounds(rounds, RATE / 2)
    assert path.control.window == 2 * believed * RTT + 6 * MSS


def test_a_rate_that_the_application_limits_is_not_believed() -> None:
    path = Path()
    path.settle()
    assert path.rounds(30, RATE / 2, is_app_limited=True).window == WINDOW


def test_a_rate_that_is_reached_although_the_application_limits_it_is_remembered_anew() -> None:
    path = Path()
    path.settle()
    path.rounds(8, is_app_limited=True)
    assert path.rounds(10, RATE / 2).window == WINDOW


def test_a_rate_that_is_not_known_is_not_taken_for_none() -> None:
    path = Path()
    path.settle()
    assert path.rounds(12, 0.0, acked=PRODUCT).window == WINDOW


@pytest.mark.parametrize(("rtt", "pace"), [(RTT, 4 * MSS / RTT), (2 * RTT, 2 * MSS / RTT)])
def test_four_segments_at_least_are_sent_in_a_round_trip(rtt: float, pace: float) -> None:
    path = Path()
    path.rounds(6, 10 * MSS, in_flight=0)
    assert path.round(10 * MSS, rtt, in_flight=0).rate == pytest.approx(pace)


def test_a_rate_is_kept_although_no_round_trip_is_known() -> None:
    path = Path(first_rtt=0.0)
    control = path.round(rtt=0.0, after=RTT, acked=PRODUCT)
    assert control.rate == pytest.approx(2.885 * PACE)


def test_the_first_round_trip_that_is_measured_is_the_least() -> None:
    assert Path(first_rtt=0.0).settle().window == WINDOW


def test_what_tells_no_round_trip_leaves_the_least() -> None:
    path = Path()
    path.settle()
    assert path.round(rtt=0.0, after=RTT, acked=PRODUCT).window == WINDOW


def test_after_a_silence_no_more_than_the_rate_is_sent() -> None:
    path = Path()
    path.settle()
    path.reach(1.25)
    path.control.on_idle(path.now)
    assert path.ack().rate == pytest.approx(PACE)


def test_after_a_silence_the_search_for_the_rate_goes_on() -> None:
    path = Path()
    path.control.on_idle(path.now)
    assert path.round().rate == pytest.approx(2.885 * PACE)


# A crumb: less than a segment, and that was all that the application had.


def crumb(path: Path, rtt: float = RTT) -> Bbr:
    """Let a crumb arrive."""
    return path.round(RATE, rtt, acked=10, is_app_limited=True, in_flight=0)


def test_a_crumb_leaves_the_model_as_it_was() -> None:
    path = Path()
    before = path.settle()
    model = before.phase, before.rate, before.window
    for _ in range(50):
        crumb(path)
    assert (path.control.phase, path.control.rate, path.control.window) == model


def test_a_crumb_tells_the_least_round_trip() -> None:
    path = Path()
    path.settle()
    crumb(path, RTT / 2)
    assert path.round(in_flight=PRODUCT).window == WINDOW - PRODUCT


def test_crumbs_do_not_keep_the_round_trip_from_being_measured_anew() -> None:
    path = Path()
    path.settle()
    phases = [crumb(path, 1.1 * RTT).phase for _ in range(200)]
    assert Phase.PROBE_RTT in phases
    assert phases[-1] is Phase.PROBE_BW


@pytest.mark.parametrize(
    ("acked", "in_flight", "is_app_limited", "is_crumb"),
    [
        (MSS - 1, 0, True, True),
        (MSS, 0, True, False),
        (MSS - 1, 1, True, False),
        (MSS - 1, 0, False, False),
    ],
)
def test_what_is_more_than_a_crumb_tells_a_rate(
    acked: int, in_flight: int, is_app_limited: bool, is_crumb: bool
) -> None:
    path = Path()
    before = path.settle().rate
    path.ack(2 * RATE, acked=acked, in_flight=in_flight, is_app_limited=is_app_limited)
    assert (path.control.rate == before) is is_crumb


def test_draining_ends_although_there_is_no_more_to_send() -> None:
    path = Path()
    path.rounds(4, in_flight=4 * PRODUCT)
    assert crumb(path).phase is Phase.PROBE_BW
