"""How BBR keeps the rate (PROBE_BW): a bit more, a bit less, and six times as it is."""

import pytest

from tests.unit.netstack.tcp.path import PRODUCT, RTT, Path
from tests.unit.netstack.tcp.samples import MSS

LONGER = 1.01 * RTT
CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
SEEN = PRODUCT * 5 // 4
"""What is in flight when a rate of five quarters shows."""


def settled(gain: float) -> Path:
    """Return a path on which so many times the rate has just begun to be sent."""
    path = Path()
    path.settle()
    path.reach(gain)
    return path


def first_cycle(seed: int) -> tuple[float, ...]:
    """Return what is sent in eight round trips, once the rate is found."""
    path = Path(seed=seed)
    path.rounds(4)
    gains = [path.gain]
    for _ in CYCLE[1:]:
        path.round(after=LONGER)
        gains.append(path.gain)
    return tuple(gains)


def test_more_and_less_and_six_times_the_rate_is_sent() -> None:
    path = settled(1.25)
    gains = []
    for _ in CYCLE:
        gains.append(path.gain)
        path.round(after=LONGER)
    assert tuple(gains) == CYCLE
    assert path.gain == 1.25


def test_flows_begin_anywhere_but_with_less() -> None:
    starts = (0, 2, 3, 4, 5, 6, 7)
    assert {first_cycle(seed) for seed in range(14)} == {CYCLE[at:] + CYCLE[:at] for at in starts}


@pytest.mark.parametrize("seed", range(7))
def test_wherever_a_flow_begins_it_stays_for_a_round_trip(seed: int) -> None:
    path = Path(seed=seed)
    path.rounds(4)
    before = path.gain
    path.ack(after=RTT)
    assert path.gain == before


# A bit less.


@pytest.mark.parametrize(("after", "gain"), [(RTT, 0.75), (LONGER, 1.0)])
def test_less_is_sent_for_a_round_trip(after: float, gain: float) -> None:
    path = settled(0.75)
    path.round(after=after, in_flight=2 * PRODUCT)
    assert path.gain == gain


def test_less_is_sent_until_what_was_sent_then_is_acknowledged() -> None:
    path = settled(0.75)
    path.ack(after=LONGER, in_flight=2 * PRODUCT)
    assert path.gain == 0.75
    path.round(in_flight=2 * PRODUCT)
    assert path.gain == 1.0


@pytest.mark.parametrize(("in_flight", "gain"), [(PRODUCT + 1, 0.75), (PRODUCT, 1.0)])
def test_less_is_sent_until_the_queue_is_gone(in_flight: int, gain: float) -> None:
    path = settled(0.75)
    path.ack(after=RTT / 4, in_flight=in_flight)
    assert path.gain == gain


# As it is.


def test_the_rate_is_kept_for_six_round_trips_whatever_is_in_flight() -> None:
    path = settled(1.0)
    gains = []
    for _ in range(6):
        path.round(after=LONGER, in_flight=0, prior_in_flight=0)
        gains.append(path.gain)
    assert gains == [1.0, 1.0, 1.0, 1.0, 1.0, 1.25]


def test_acknowledgements_within_a_round_trip_are_no_phases() -> None:
    path = settled(1.0)
    for _ in range(10):
        path.ack(after=RTT / 100, in_flight=0)
    assert path.gain == 1.0


# A bit more.


@pytest.mark.parametrize(("prior", "gain"), [(SEEN - 1, 1.25), (SEEN, 0.75)])
def test_more_is_sent_until_that_much_is_in_flight(prior: int, gain: float) -> None:
    path = settled(1.25)
    path.round(after=LONGER, prior_in_flight=prior)
    assert path.gain == gain


def test_more_is_sent_until_what_was_sent_then_is_acknowledged() -> None:
    path = settled(1.25)
    path.ack(after=LONGER, prior_in_flight=SEEN)
    assert path.gain == 1.25
    path.round(prior_in_flight=SEEN)
    assert path.gain == 0.75


@pytest.mark.parametrize(("after", "gain"), [(RTT, 1.25), (LONGER, 0.75)])
def test_more_is_sent_for_a_round_trip_at_least(after: float, gain: float) -> None:
    path = settled(1.25)
    path.round(after=after, prior_in_flight=SEEN)
    assert path.gain == gain


def test_after_a_loss_more_is_sent_for_one_round_trip_only() -> None:
    path = settled(1.25)
    path.ack(after=RTT, lost=1, prior_in_flight=PRODUCT)
    assert path.gain == 1.25
    path.ack(after=RTT / 100, prior_in_flight=PRODUCT)
    assert path.gain == 0.75


def test_a_loss_from_a_queue_that_time_tells_ends_it_as_well() -> None:
    path = settled(1.25)
    path.rounds(2, rtt=2 * RTT, prior_in_flight=PRODUCT)
    assert path.gain == 1.25
    path.control.on_loss(PRODUCT, path.now)
    path.ack(prior_in_flight=PRODUCT)
    assert path.gain == 0.75


@pytest.mark.parametrize("seed", range(7))
def test_a_loss_of_another_phase_does_not_end_it(seed: int) -> None:
    path = Path(seed=seed)
    path.rounds(4)
    path.reach(0.75)
    path.reach(1.0)
    path.ack(lost=1)
    path.reach(1.25)
    path.round(after=LONGER, prior_in_flight=PRODUCT)
    assert path.gain == 1.25


@pytest.mark.parametrize("seed", range(7))
def test_the_first_time_is_no_shorter(seed: int) -> None:
    path = Path(seed=seed)
    path.rounds(4)
    path.reach(1.25)
    path.round(after=LONGER, prior_in_flight=PRODUCT)
    assert path.gain == 1.25


# On a short path, a super-segment that is sent sooner is told of by the next but one.


@pytest.mark.parametrize(
    ("rtt", "gains"), [(0.01, [0.75, 1.0, 1.0, 1.0]), (0.0099, [1.25, 0.75, 0.75, 1.0])]
)
def test_on_a_short_path_more_and_less_are_sent_for_two_round_trips(
    rtt: float, gains: list[float]
) -> None:
    path = Path(rtt=rtt)
    path.settle()
    path.reach(1.25)
    seen = []
    for _ in gains:
        path.round(after=1.01 * rtt, in_flight=PRODUCT)
        seen.append(path.gain)
    assert seen == gains


def test_a_loss_before_it_does_not_end_sending_more() -> None:
    """A flow that begins with more stays until what it sent is acknowledged."""
    path = Path(seed=2)
    path.ack(lost=MSS)
    path.rounds(4)
    assert path.gain == 1.25
    path.ack(after=LONGER)
    assert path.gain == 1.25
