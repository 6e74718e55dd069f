"""HyStart++ (RFC 9406)."""

from tests.unit.netstack.tcp.samples import MSS, sample
from ztlink.netstack.tcp.hystart import HyStart


class Rounds:
    """Rounds of eight acknowledgements."""

    def __init__(self) -> None:
        self.hystart = HyStart()
        self.delivered = 0

    def run(self, rtt: float) -> list[int]:
        """Run a round with this round trip; return the growth by each acknowledgement."""
        start = self.delivered
        grown = []
        for _ in range(8):
            self.delivered += MSS
            told = sample(rtt=rtt, prior_delivered=start, delivered=start + 8 * MSS)
            grown.append(self.hystart.increase(told))
        return grown


def test_an_even_round_trip_lets_the_window_double() -> None:
    rounds = Rounds()
    assert [sum(rounds.run(0.1)) for _ in range(5)] == [8 * MSS] * 5
    assert not rounds.hystart.is_done


def test_a_longer_round_trip_slows_the_growth_to_a_quarter() -> None:
    rounds = Rounds()
    rounds.run(0.1)
    assert rounds.run(0.12)[-1] == MSS // 4


def test_a_round_is_judged_from_its_fourth_sample_on() -> None:
    rounds = Rounds()
    rounds.run(0.1)
    assert rounds.run(0.12)[:4] == [MSS, MSS, MSS, MSS // 4]


def test_a_rise_below_four_milliseconds_is_nothing() -> None:
    rounds = Rounds()
    rounds.run(0.01)
    assert sum(rounds.run(0.0139)) == 8 * MSS


def test_a_rise_of_four_milliseconds_is_something() -> None:
    rounds = Rounds()
    rounds.run(0.01)
    assert rounds.run(0.0142)[-1] == MSS // 4


def test_a_rise_between_is_an_eighth_of_the_round_trip() -> None:
    below, above = Rounds(), Rounds()
    below.run(0.1)
    above.run(0.1)
    assert sum(below.run(0.112)) == 8 * MSS
    assert above.run(0.113)[-1] == MSS // 4


def test_the_least_round_trip_of_a_round_counts() -> None:
    rounds = Rounds()
    rounds.run(0.1)
    end = rounds.delivered + 8 * MSS
    for rtt in (0.1, 0.2, 0.2, 0.2):
        told = sample(rtt=rtt, prior_delivered=rounds.delivered, delivered=end)
        assert rounds.hystart.increase(told) == MSS


def test_a_rise_of_sixteen_milliseconds_is_enough() -> None:
    rounds = Rounds()
    rounds.run(0.5)
    assert rounds.run(0.5165)[-1] == MSS // 4


def test_five_cautious_rounds_end_slow_start() -> None:
    rounds = Rounds()
    rounds.run(0.1)
    for _ in range(5):
        rounds.run(0.12)
    assert not rounds.hystart.is_done
    rounds.run(0.12)
    assert rounds.hystart.is_done


def test_a_shorter_round_trip_ends_the_caution() -> None:
    rounds = Rounds()
    rounds.run(0.1)
    rounds.run(0.12)
    rounds.run(0.1)
    assert sum(rounds.run(0.1)) == 8 * MSS
