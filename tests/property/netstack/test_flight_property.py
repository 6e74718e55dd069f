"""What an acknowledgement of all that is in flight does, beside what its parts would."""

from hypothesis import given
from hypothesis import strategies as st

from ztlink.netstack.tcp.flight import Flight, Sample

Sends = list[tuple[int, int, int]]
"""Bytes, milliseconds since the last, per cent of what is in flight that is acknowledged then."""


def flown(sends: Sends) -> tuple[Flight, float]:
    """Return a flight after some sends and partial acknowledgements, and the time by then."""
    flight, now = Flight(0, 1000), 1.0
    for size, wait, share in sends:
        now += wait / 1000
        flight.send(flight.next + size, now)
        upto = flight.una + flight.in_flight * share // 100
        if upto > flight.una:
            acknowledge(flight, upto, now + 0.0005)
    return flight, now


def acknowledge(flight: Flight, upto: int, now: float) -> list[object]:
    """Acknowledge, and return what the sample says."""
    sample = Sample(now, flight.in_flight, 0.0)
    flight.acknowledge(upto, sample)
    flight.finish_sample(sample)
    return [getattr(sample, name) for name in Sample.__slots__]


def state(flight: Flight) -> list[object]:
    return [getattr(flight, name) for name in Flight.__slots__]


SENDS = st.tuples(st.integers(1, 3000), st.integers(0, 20), st.integers(0, 99))


@given(st.lists(SENDS, min_size=1, max_size=8), st.integers(1, 50))
def test_all_at_once_is_the_sum_of_all_records(sends: Sends, wait: int) -> None:
    (flight, now), (other, _) = flown(sends), flown(sends)
    other.repeated = 1  # which has it look at each record, and is found to be over
    at = now + wait / 1000
    assert acknowledge(flight, flight.next, at) == acknowledge(other, other.next, at)
    assert state(flight) == state(other)
