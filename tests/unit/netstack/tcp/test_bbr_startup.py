"""How BBR finds the rate of the path (STARTUP), and lets the queue go that this made (DRAIN)."""

import pytest

from tests.unit.netstack.tcp.path import PACE, PRODUCT, RATE, RTT, WINDOW, Path
from tests.unit.netstack.tcp.samples import MSS
from ztlink.netstack.tcp.bbr import Phase

QUEUE = 4 * PRODUCT


def fill() -> Path:
    """Return a path whose rate has just been found, with a queue."""
    path = Path()
    path.rounds(4, in_flight=QUEUE)
    return path


def test_startup_goes_on_while_the_rate_grows() -> None:
    path = Path()
    for step in range(8):
        path.round(100_000 * 2**step)
    assert path.control.phase is Phase.STARTUP


def test_startup_sends_at_a_rate_that_can_double() -> None:
    assert Path().round().rate == pytest.approx(2.885 * PACE)


def test_startup_does_not_slow_down() -> None:
    path = Path()
    before = path.control.rate
    assert path.round(RATE / 100).rate == before


def test_startup_ends_with_the_third_round_trip_without_growth() -> None:
    path = Path()
    phases = [path.round(in_flight=QUEUE).phase for _ in range(4)]
    assert phases == [Phase.STARTUP, Phase.STARTUP, Phase.STARTUP, Phase.DRAIN]


@pytest.mark.parametrize(("growth", "phase"), [(1.25, Phase.STARTUP), (1.249, Phase.DRAIN)])
def test_a_growth_by_a_quarter_counts_as_growth(growth: float, phase: Phase) -> None:
    path = Path()
    path.round(in_flight=QUEUE)
    assert path.rounds(3, growth * RATE, in_flight=QUEUE).phase is phase


def test_after_growth_three_more_round_trips_are_borne() -> None:
    path = Path()
    path.rounds(3)
    phases = [path.round(2 * RATE, in_flight=2 * QUEUE).phase for _ in range(4)]
    assert phases == [Phase.STARTUP, Phase.STARTUP, Phase.STARTUP, Phase.DRAIN]


def test_acknowledgements_within_a_round_trip_do_not_count_as_several() -> None:
    path = Path()
    path.round()
    phases = [path.ack().phase for _ in range(10)]
    assert phases[-1] is Phase.STARTUP


def test_round_trips_that_the_application_limits_do_not_end_startup() -> None:
    assert Path().rounds(10, is_app_limited=True).phase is Phase.STARTUP


def test_round_trips_of_an_unknown_rate_do_not_end_startup() -> None:
    assert Path().rounds(10, 0.0, acked=MSS).phase is Phase.STARTUP


@pytest.mark.parametrize(("rtt", "phase"), [(RTT, Phase.STARTUP), (2 * RTT, Phase.DRAIN)])
def test_a_loss_ends_startup_if_it_is_from_a_queue(rtt: float, phase: Phase) -> None:
    path = Path()
    path.round(in_flight=QUEUE)
    path.rounds(2, rtt=rtt, in_flight=QUEUE)
    path.control.on_loss(PRODUCT, path.now)
    assert path.ack(in_flight=QUEUE).phase is phase


def test_draining_undoes_what_startup_sent_too_much() -> None:
    assert fill().control.rate == pytest.approx(PACE / 2.885)


@pytest.mark.parametrize(
    ("in_flight", "phase"),
    [(0, Phase.PROBE_BW), (PRODUCT, Phase.PROBE_BW), (PRODUCT + 1, Phase.DRAIN)],
)
def test_draining_ends_when_no_more_is_in_flight_than_the_path_holds(
    in_flight: int, phase: Phase
) -> None:
    assert fill().ack(in_flight=in_flight).phase is phase


def test_a_startup_without_a_queue_needs_no_draining() -> None:
    assert Path().rounds(4, in_flight=PRODUCT).phase is Phase.PROBE_BW


def test_a_queue_that_others_keep_is_drained_for_four_round_trips() -> None:
    path = fill()
    phases = [path.round(in_flight=QUEUE).phase for _ in range(4)]
    assert phases == [Phase.DRAIN, Phase.DRAIN, Phase.DRAIN, Phase.PROBE_BW]


def test_a_rate_that_grows_later_is_followed_without_another_startup() -> None:
    path = Path()
    path.settle()
    assert path.rounds(3, 2 * RATE).window == WINDOW + 2 * PRODUCT
