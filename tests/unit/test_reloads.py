"""What is told of readings of the configuration."""

from ztlink.conditions import Status
from ztlink.reloads import ReloadBook, ReloadCounts


def test_a_start_is_well_and_counts_for_nothing() -> None:
    book = ReloadBook(100.0)
    assert book.condition.status is Status.OK
    assert book.counts == ReloadCounts(success_unix=100.0)


def test_a_good_file_is_counted_with_its_time() -> None:
    book = ReloadBook(100.0)
    book.succeeded(200.0)
    assert book.counts == ReloadCounts(successes=1, success_unix=200.0)


def test_a_bad_file_is_told_and_is_no_obstacle_to_readiness() -> None:
    book = ReloadBook(100.0)
    book.failed(200.0, "port: 0: should be more")
    assert (book.condition.status, book.condition.cause) == (
        Status.FAULT,
        "port: 0: should be more",
    )
    assert not book.condition.is_required
    assert book.counts == ReloadCounts(
        failures=1, is_current=False, success_unix=100.0, failure_unix=200.0
    )


def test_a_good_file_after_a_bad_one_makes_all_well() -> None:
    book = ReloadBook(100.0)
    book.failed(200.0, "no")
    book.succeeded(300.0)
    assert (book.condition.status, book.counts.is_current) == (Status.OK, True)


def test_keys_that_wait_for_the_next_start_are_named() -> None:
    book = ReloadBook(100.0)
    book.succeeded(200.0, ("port", "home"))
    assert book.condition.cause.startswith("port, home: ")
    assert (book.condition.status, book.counts.is_current) == (Status.FAULT, False)
