"""The scoreboard: what is in flight, sacked, lost; and what that tells of rate and round trip."""

from math import inf

import pytest

from ztlink.netstack.tcp.flight import Flight, Sample

MSS = 1000


def flight_of(*ends: int) -> Flight:
    """Return a flight from 0 with super-segments sent 10 ms apart, the first at 1.0."""
    flight = Flight(0, MSS)
    for index, end in enumerate(ends):
        flight.send(end, 1.0 + index / 100)
    return flight


def acknowledge(flight: Flight, upto: int, now: float, *blocks: tuple[int, int]) -> Sample:
    sample = Sample(now, flight.in_flight, 0.0)
    if upto > flight.una:
        flight.acknowledge(upto, sample)
    for start, end in blocks:
        flight.mark_sacked(start, end, sample)
    flight.finish_sample(sample)
    return sample


def spans(flight: Flight) -> list[tuple[int, int]]:
    return [(record.start, record.end) for record in flight.records]


def test_what_is_sent_is_in_flight() -> None:
    assert flight_of(3000, 8000).in_flight == 8000


def test_a_record_is_cut_where_an_acknowledgement_ends() -> None:
    flight = flight_of(3000, 8000)
    sample = acknowledge(flight, 4000, 1.2)
    assert spans(flight) == [(4000, 8000)]
    assert (sample.acked, flight.in_flight) == (4000, 4000)


def test_a_block_within_a_record_cuts_it_in_three() -> None:
    flight = flight_of(8000)
    sample = acknowledge(flight, 0, 1.2, (2000, 3000))
    assert spans(flight) == [(0, 2000), (2000, 3000), (3000, 8000)]
    assert (sample.acked, flight.sacked, flight.in_flight) == (1000, 1000, 7000)


def test_sacked_neighbours_are_joined() -> None:
    flight = flight_of(4000, 8000)
    acknowledge(flight, 0, 1.2, (1000, 2000), (3000, 6000))
    acknowledge(flight, 0, 1.3, (2000, 3000))
    assert spans(flight) == [(0, 1000), (1000, 6000), (6000, 8000)]


def test_a_block_told_twice_counts_once() -> None:
    flight = flight_of(8000)
    acknowledge(flight, 0, 1.2, (2000, 3000))
    assert acknowledge(flight, 0, 1.3, (2000, 3000)).acked == 0
    assert flight.sacked == 1000


def test_what_was_sacked_does_not_count_again_when_acknowledged() -> None:
    flight = flight_of(8000)
    acknowledge(flight, 0, 1.2, (2000, 3000))
    assert acknowledge(flight, 8000, 1.3).acked == 7000
    assert (flight.sacked, flight.in_flight, flight.delivered) == (0, 0, 8000)


def test_a_lost_record_that_arrives_is_not_lost() -> None:
    flight = flight_of(8000)
    flight.lose_first(MSS)
    acknowledge(flight, 0, 1.2, (0, 1000))
    assert (flight.lost, flight.sacked) == (0, 1000)


def test_lost_neighbours_are_sent_again_together() -> None:
    flight = flight_of(1000, 2000, 3000, 4000)
    flight.lose_all()
    record = flight.first_lost()
    assert record is not None
    assert flight.repeat(record, 2500, 2.0) == 2500
    assert (flight.lost, flight.in_flight) == (1500, 2500)
    rest = flight.first_lost()
    assert rest is not None
    assert rest.start == 2500


def test_what_was_sent_before_something_that_arrived_is_lost_when_late() -> None:
    flight = flight_of(1000, 2000, 3000)
    acknowledge(flight, 0, 1.11, (1000, 2000))
    assert flight.detect_losses(1.11, 0.02) == pytest.approx(1.12)
    assert flight.lost == 0
    assert flight.detect_losses(1.121, 0.02) == inf
    assert (flight.lost, flight.records[0].is_lost) == (1000, True)


def test_what_was_sent_after_it_is_not_lost() -> None:
    flight = flight_of(1000, 2000, 3000)
    acknowledge(flight, 1000, 1.1)
    assert flight.detect_losses(9.0, 0.0) == inf
    assert flight.lost == 0


def test_a_retransmission_is_lost_when_something_sent_later_arrives() -> None:
    flight = flight_of(1000, 2000)
    acknowledge(flight, 0, 1.11, (1000, 2000))
    flight.detect_losses(1.2, 0.0)
    record = flight.first_lost()
    assert record is not None
    flight.repeat(record, MSS, 1.2)
    flight.send(3000, 1.21)
    acknowledge(flight, 0, 1.31, (2000, 3000))
    flight.detect_losses(1.31, 0.0)
    assert flight.lost == 1000


def test_an_early_answer_to_a_retransmission_is_to_the_first() -> None:
    flight = flight_of(1000, 2000)
    acknowledge(flight, 0, 1.11, (1000, 2000))
    flight.detect_losses(1.2, 0.0)
    record = flight.first_lost()
    assert record is not None
    flight.repeat(record, MSS, 1.2)
    flight.send(3000, 1.19)
    sample = Sample(1.205, flight.in_flight, 0.1)
    flight.acknowledge(1000, sample)
    flight.detect_losses(9.0, 0.0)
    assert flight.lost == 0


def test_the_round_trip_is_that_of_what_was_sent_once() -> None:
    flight = flight_of(1000, 2000)
    assert acknowledge(flight, 2000, 1.11).rtt == pytest.approx(0.1)
    flight.send(3000, 2.0)
    flight.lose_all()
    record = flight.first_lost()
    assert record is not None
    flight.repeat(record, MSS, 3.0)
    assert acknowledge(flight, 3000, 3.1).rtt == 0.0


def test_the_rate_is_what_arrived_since_a_segment_was_sent() -> None:
    flight = flight_of(1000)
    acknowledge(flight, 1000, 1.1)
    for index in range(10):
        flight.send(2000 + 1000 * index, 1.1 + index / 100)
    rates = [acknowledge(flight, 2000 + 1000 * i, 1.2 + i / 100).rate for i in range(10)]
    assert rates[-1] == pytest.approx(10_000 / 0.19)


def test_a_burst_of_acknowledgements_does_not_look_fast() -> None:
    flight = flight_of(1000)
    acknowledge(flight, 1000, 1.1)
    for index in range(10):
        flight.send(2000 + 1000 * index, 1.1 + index / 100)
    assert acknowledge(flight, 11_000, 1.3).rate <= 10_000 / 0.09


def test_what_was_sent_for_want_of_data_is_marked() -> None:
    flight = flight_of(1000)
    flight.app_limited_until = 1000
    flight.send(2000, 1.05)
    acknowledge(flight, 1000, 1.1)
    assert acknowledge(flight, 2000, 1.2).is_app_limited
    flight.send(3000, 1.3)
    assert not acknowledge(flight, 3000, 1.4).is_app_limited


def test_reordering_is_seen_where_what_was_sent_once_arrives_late() -> None:
    flight = flight_of(1000, 2000)
    acknowledge(flight, 0, 1.1, (1000, 2000))
    assert not flight.is_reordering
    acknowledge(flight, 2000, 1.12)
    assert flight.is_reordering


def test_the_reordering_window_is_a_quarter_of_the_least_round_trip() -> None:
    flight = flight_of(8000)
    assert flight.reordering_window(0.1, 0.2, is_recovering=False) == pytest.approx(0.025)


def test_the_reordering_window_is_nothing_in_recovery_without_reordering() -> None:
    assert flight_of(8000).reordering_window(0.1, 0.2, is_recovering=True) == 0.0


def test_the_reordering_window_widens_up_to_a_round_trip() -> None:
    flight = flight_of(8000)
    flight.widen_reordering()
    assert flight.reordering_window(0.1, 0.2, is_recovering=False) == pytest.approx(0.05)
    for _ in range(20):
        flight.widen_reordering()
    assert flight.reordering_window(0.1, 0.2, is_recovering=False) == 0.2


def test_the_reordering_window_is_as_at_first_after_sixteen_recoveries() -> None:
    flight = flight_of(8000)
    flight.widen_reordering()
    for _ in range(15):
        flight.end_recovery()
    assert flight.reordering_steps == 2
    flight.end_recovery()
    assert flight.reordering_steps == 1
