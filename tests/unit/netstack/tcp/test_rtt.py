import pytest

from ztlink.netstack.tcp.rtt import RttEstimator


def test_before_any_sample_the_time_out_is_one_second() -> None:
    assert RttEstimator().current == 1.0


def test_the_first_sample_makes_the_time_out_three_times_itself() -> None:
    rtt = RttEstimator()
    rtt.add(0.2, 1.0)
    assert (rtt.smoothed, rtt.variation) == (0.2, 0.1)
    assert rtt.current == pytest.approx(0.6)


def test_later_samples_weigh_an_eighth_and_a_quarter() -> None:
    rtt = RttEstimator()
    rtt.add(0.2, 1.0)
    rtt.add(0.4, 1.1)
    assert rtt.smoothed == pytest.approx(0.2 + 0.2 / 8)
    assert rtt.variation == pytest.approx(0.1 + (0.2 - 0.1) / 4)
    assert rtt.current == pytest.approx(rtt.smoothed + 4 * rtt.variation)


def test_the_time_out_is_never_below_its_floor() -> None:
    rtt = RttEstimator()
    rtt.add(0.001, 1.0)
    assert rtt.current == 0.2


def test_the_variation_counts_at_least_a_tick() -> None:
    rtt = RttEstimator()
    for _ in range(200):
        rtt.add(0.5, 1.0)
    assert rtt.current == pytest.approx(0.501, abs=1e-6)


def test_each_time_out_doubles_the_next() -> None:
    rtt = RttEstimator()
    rtt.back_off()
    rtt.back_off()
    assert rtt.current == 4.0


def test_the_time_out_is_capped_at_a_minute() -> None:
    rtt = RttEstimator()
    for _ in range(50):
        rtt.back_off()
    assert rtt.current == 60.0
    assert rtt.backoff == 6


def test_a_first_time_out_is_capped_too() -> None:
    rtt = RttEstimator()
    rtt.add(50.0, 1.0)
    assert rtt.current == 60.0


def test_a_sample_ends_the_back_off() -> None:
    rtt = RttEstimator()
    rtt.add(0.2, 1.0)
    rtt.back_off()
    rtt.add(0.2, 1.0)
    assert rtt.current == pytest.approx(0.2 + 4 * 0.075)


def test_after_a_repeated_syn_the_time_out_is_three_seconds() -> None:
    rtt = RttEstimator()
    rtt.back_off()
    rtt.fall_back()
    assert rtt.current == 3.0


def test_the_least_round_trip_is_kept() -> None:
    rtt = RttEstimator()
    for sample in (0.3, 0.1, 0.2):
        rtt.add(sample, 1.0)
    assert rtt.least == 0.1


def test_a_least_round_trip_that_is_seen_again_is_young_again() -> None:
    rtt = RttEstimator()
    rtt.add(0.1, 1.0)
    rtt.add(0.1, 9.0)
    rtt.add(0.2, 12.0)
    assert rtt.least == 0.1


def test_an_old_least_round_trip_is_forgotten() -> None:
    rtt = RttEstimator()
    rtt.add(0.1, 1.0)
    rtt.add(0.2, 11.0)
    assert rtt.least == 0.1
    rtt.add(0.2, 11.1)
    assert rtt.least == 0.2
