"""Rate control by a model of the path."""

import pytest

from tests.unit.netstack.tcp.samples import MSS, sample
from ztlink.netstack.tcp.bbr import Bbr, Phase

RTT = 0.1
RATE = 1_000_000.0
PRODUCT = int(RATE * RTT)


class Path:
    """A control, fed once in a round trip with what a path would tell."""

    def __init__(self, rate: float = RATE, rtt: float = RTT) -> None:
        self.control = Bbr(MSS, 0, rtt, 1.0)
        self.rate = rate
        self.rtt = rtt
        self.product = int(rate * rtt)
        self.now = 1.0
        self.delivered = 0

    def round(self, rate: float | None = None, rtt: float | None = None, **more: float) -> Bbr:
        """Let a round trip pass in which data arrived at a rate."""
        rate = self.rate if rate is None else rate
        rtt = self.rtt if rtt is None else rtt
        self.now += rtt
        prior = self.delivered
        acked = int(rate * rtt)
        self.delivered += acked
        more.setdefault("in_flight", self.product + acked)
        told = sample(
            self.now,
            acked=acked,
            rtt=rtt,
            least=self.rtt,
            rate=rate,
            prior_delivered=prior,
            delivered=self.delivered,
            **more,  # type: ignore[arg-type] # one of them is a number of bytes
        )
        self.control.on_ack(told)
        return self.control

    def settle(self) -> Bbr:
        """Let the rate be found, and the queue drained."""
        for _ in range(12):
            self.round(in_flight=self.product)
        return self.control


def test_it_begins_with_the_first_window_at_a_multiple_of_its_rate() -> None:
    control = Bbr(MSS, 0, RTT, 1.0)
    assert control.window == 10 * MSS
    assert control.rate == pytest.approx(2.885 * 10 * MSS / RTT)


def test_without_a_round_trip_it_does_not_pace() -> None:
    assert Bbr(MSS, 0, 0.0, 1.0).rate == 0.0


def test_startup_goes_on_while_the_rate_grows() -> None:
    path = Path()
    for step in range(8):
        path.round(100_000 * 2**step)
    assert path.control.phase is Phase.STARTUP


def test_startup_ends_when_the_rate_grows_no_more() -> None:
    path = Path()
    for _ in range(5):
        path.round(in_flight=4 * PRODUCT)
    assert path.control.phase is Phase.DRAIN
    assert path.control.rate < RATE


def test_draining_ends_when_the_queue_is_gone() -> None:
    path = Path()
    for _ in range(5):
        path.round(in_flight=4 * PRODUCT)
    assert path.round(in_flight=PRODUCT).phase is Phase.PROBE_BW


def test_a_queue_that_others_keep_does_not_keep_it_draining() -> None:
    path = Path()
    for _ in range(5):
        path.round(in_flight=4 * PRODUCT)
    phases = [path.round(in_flight=4 * PRODUCT).phase for _ in range(4)]
    assert (phases[0], phases[-1]) == (Phase.DRAIN, Phase.PROBE_BW)


def test_the_pace_is_about_the_rate_of_the_path() -> None:
    path = Path()
    path.settle()
    rates = {round(path.round().rate / RATE / 0.99, 2) for _ in range(16)}
    assert rates == {0.75, 1.0, 1.25}


def test_the_window_is_twice_what_the_path_holds_and_some() -> None:
    window = Path().settle().window
    assert 2 * PRODUCT <= window <= 2 * PRODUCT + 3 * 60_000


def test_on_a_short_path_three_super_segments_may_be_in_flight_whatever_the_rate() -> None:
    """One at each host and one between them, so that none waits for the other."""
    path = Path(rtt=0.001)
    path.settle()
    for _ in range(200):
        path.round()
    assert 3 * 60_000 <= path.control.window <= 3 * 65_536


def test_on_a_short_path_more_is_sent_for_two_round_trips_and_less_for_as_many() -> None:
    """A super-segment that is sent sooner is told of by the next but one acknowledgement."""
    path = Path(1e8, 0.001)
    path.settle()
    gains = [path.round(in_flight=3 * path.product).rate / 1e8 / 0.99 for _ in range(30)]
    assert longest([gain > 1.2 for gain in gains]) == 2
    assert longest([gain < 0.8 for gain in gains]) == 2


def longest(those: list[bool]) -> int:
    """Return how many follow one another without another between them."""
    return max(len(run) for run in "".join("x" if one else " " for one in those).split())


def test_more_is_sent_until_what_was_sent_then_is_acknowledged() -> None:
    path = Path()
    path.settle()
    while path.round().rate < RATE:
        pass
    late = sample(path.now + 2 * RTT, rate=RATE, in_flight=2 * PRODUCT, delivered=path.delivered)
    path.control.on_ack(late)
    assert path.control.rate > RATE
    assert path.round(in_flight=2 * PRODUCT).rate < RATE


def test_random_loss_does_not_slow_it() -> None:
    path = Path()
    before = path.settle().window
    for _ in range(20):
        path.control.on_loss(PRODUCT, path.now)
        path.round(lost=MSS, is_recovering=True)
    assert path.control.window >= before
    assert path.control.rate > 0.7 * RATE


def test_loss_from_a_queue_bounds_what_is_in_flight() -> None:
    path = Path()
    path.settle()
    for _ in range(3):
        path.round(rtt=2 * RTT)
    path.control.on_loss(2 * PRODUCT, path.now)
    path.round(0.0, rtt=2 * RTT, is_recovering=True)
    assert path.control.window == int(0.7 * 2 * PRODUCT)


def test_that_bound_grows_by_a_segment_in_a_round_trip() -> None:
    path = Path()
    path.settle()
    for _ in range(3):
        path.round(rtt=2 * RTT)
    path.control.on_loss(PRODUCT, path.now)
    before = path.round(0.0, is_recovering=True).window
    after = path.round().window
    assert after <= before + 3 * MSS


def test_a_rate_that_falls_is_believed_after_ten_rounds() -> None:
    path = Path()
    path.settle()
    for _ in range(30):
        path.round(RATE / 2)
    assert path.control.rate < 0.7 * RATE


def test_a_rate_that_the_application_limits_is_not_believed() -> None:
    path = Path()
    path.settle()
    for _ in range(30):
        path.round(RATE / 2, is_app_limited=True)
    assert path.control.rate > 0.7 * RATE


def crumb(path: Path, rtt: float = RTT) -> Bbr:
    """Let less than a segment arrive, which was all that the application had."""
    return path.round(10 / rtt, rtt, is_app_limited=True, in_flight=10)


def test_a_crumb_leaves_the_model_as_it_was() -> None:
    path = Path()
    before = path.settle()
    model = before.phase, before.rate, before.window
    for _ in range(50):
        crumb(path)
    assert (path.control.phase, path.control.rate, path.control.window) == model


def test_a_crumb_tells_the_least_round_trip() -> None:
    path = Path()
    before = path.settle().window
    crumb(path, RTT / 2)
    assert path.round(0.9 * RATE, in_flight=PRODUCT).window < 0.6 * before


def test_crumbs_do_not_keep_the_round_trip_from_being_measured_anew() -> None:
    path = Path()
    path.settle()
    phases = [crumb(path, 1.1 * RTT).phase for _ in range(200)]
    assert Phase.PROBE_RTT in phases
    assert phases[-1] is Phase.PROBE_BW


def test_after_ten_seconds_the_round_trip_is_measured_anew() -> None:
    path = Path()
    path.settle()
    for _ in range(100):
        path.round(rtt=1.2 * RTT)
        if path.control.phase is Phase.PROBE_RTT:
            break
    assert path.control.phase is Phase.PROBE_RTT
    assert path.control.window == 4 * MSS
    for _ in range(6):
        after = path.round(rtt=1.2 * RTT, in_flight=int(0.12 * RATE) + 2 * MSS)
    assert (after.phase, after.window > PRODUCT) == (Phase.PROBE_BW, True)


def test_a_time_out_leaves_four_segments_until_recovery_ends() -> None:
    path = Path()
    before = path.settle().window
    path.control.on_timeout(PRODUCT, path.now)
    assert path.control.window == 4 * MSS
    path.control.on_recovered(path.now)
    assert path.control.window == before


def test_startup_bears_two_rounds_without_growth() -> None:
    path = Path()
    for _ in range(3):
        path.round(in_flight=4 * PRODUCT)
    assert path.control.phase is Phase.STARTUP


def test_a_growth_by_a_quarter_counts_as_growth() -> None:
    path = Path()
    for step in range(12):
        path.round(100_000 * 1.26**step)
    assert path.control.phase is Phase.STARTUP


def test_a_rate_is_remembered_for_ten_rounds() -> None:
    path = Path()
    path.settle()
    paces = [path.round(RATE / 2).rate for _ in range(9)]
    assert min(paces) > 0.7 * RATE


def test_a_slightly_longer_round_trip_is_no_queue() -> None:
    path = Path()
    before = path.settle().window
    for _ in range(3):
        path.round(rtt=1.2 * RTT)
    path.control.on_loss(2 * PRODUCT, path.now)
    path.round(rtt=1.2 * RTT, is_recovering=True)
    assert path.control.window >= before


def test_a_longer_round_trip_of_one_segment_is_no_queue() -> None:
    path = Path()
    before = path.settle().window
    path.round(rtt=3 * RTT)
    path.round()
    path.control.on_loss(2 * PRODUCT, path.now)
    path.round(is_recovering=True)
    assert path.control.window >= before


def test_losing_most_is_too_much_whatever_the_queue() -> None:
    path = Path()
    before = path.settle().window
    for _ in range(4):
        path.round(lost=100 * MSS, is_recovering=True)
    path.control.on_loss(PRODUCT, path.now)
    path.round(lost=100 * MSS, is_recovering=True)
    assert path.control.window < before / 2


def test_while_much_is_lost_the_round_trip_is_measured_more_often() -> None:
    path = Path()
    path.settle()
    phases = [path.round(rtt=1.1 * RTT, lost=10 * MSS).phase for _ in range(30)]
    assert Phase.PROBE_RTT in phases


def test_while_little_is_lost_it_is_not() -> None:
    path = Path()
    path.settle()
    phases = [path.round(rtt=1.1 * RTT, lost=MSS).phase for _ in range(30)]
    assert Phase.PROBE_RTT not in phases


def test_an_empty_queue_is_looked_at_for_a_fifth_of_a_second() -> None:
    path = Path()
    path.settle()
    while path.control.phase is not Phase.PROBE_RTT:
        path.round(rtt=1.1 * RTT)
    start = path.now
    while path.control.phase is Phase.PROBE_RTT:
        path.round(rtt=RTT, in_flight=int(RATE * RTT) + MSS)
    assert 0.2 <= path.now - start <= 0.5
