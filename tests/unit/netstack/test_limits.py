"""Token buckets."""

from ztlink.netstack.limits import TokenBucket


def test_a_burst_passes_and_no_more() -> None:
    bucket = TokenBucket(10, 3)
    assert [bucket.take(1.0) for _ in range(4)] == [True, True, True, False]


def test_tokens_come_back_with_time() -> None:
    bucket = TokenBucket(10, 1)
    assert [bucket.take(time) for time in (1.0, 1.05, 1.11)] == [True, False, True]


def test_tokens_do_not_pile_up_beyond_the_burst() -> None:
    bucket = TokenBucket(10, 2)
    bucket.take(0.0)
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_a_clock_that_stands_gives_nothing() -> None:
    bucket = TokenBucket(10, 1)
    assert [bucket.take(5.0) for _ in range(3)] == [True, False, False]
