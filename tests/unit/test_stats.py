import pytest

from ztlink.stats import Drop, Latencies, Stats


def test_a_drop_is_counted_under_its_reason() -> None:
    stats = Stats()
    stats.drop(Drop.MALFORMED)
    assert stats.drops[Drop.MALFORMED] == 1


def test_a_drop_leaves_other_reasons_alone() -> None:
    stats = Stats()
    stats.drop(Drop.MALFORMED)
    assert sum(stats.drops) == 1


def test_several_drops_are_counted_at_once() -> None:
    stats = Stats()
    stats.drop(Drop.BAD_AUTH_TAG, 22)
    assert stats.drops[Drop.BAD_AUTH_TAG] == 22


def test_every_reason_has_a_counter() -> None:
    assert [int(reason) for reason in Drop] == list(range(len(Stats().drops)))


def test_every_verb_number_has_a_counter_each_way() -> None:
    stats = Stats()
    assert (len(stats.packets_in), len(stats.packets_out)) == (32, 32)


def test_two_nodes_share_no_counters() -> None:
    first, second = Stats(), Stats()
    first.drop(Drop.EXPIRED)
    assert second.drops[Drop.EXPIRED] == 0


@pytest.mark.parametrize(
    ("milliseconds", "bucket"), [(0.0, 0), (1.0, 0), (1.1, 1), (1000.0, 9), (1000.1, 10)]
)
def test_a_round_trip_counts_in_the_bucket_that_it_fits(milliseconds: float, bucket: int) -> None:
    latencies = Latencies()
    latencies.add(milliseconds)
    assert latencies.counts == [int(number == bucket) for number in range(11)]


def test_round_trips_add_up() -> None:
    latencies = Latencies()
    latencies.add(2.0)
    latencies.add(5.0)
    assert (sum(latencies.counts), latencies.total) == (2, 7.0)
