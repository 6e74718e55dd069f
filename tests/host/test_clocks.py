"""The machine's clocks."""

import time

from ztlink.drivers.clock import read_clock


def test_the_wall_clock_is_in_milliseconds() -> None:
    assert abs(read_clock().unix_ms - time.time() * 1000) < 10_000


def test_the_other_clock_never_goes_back() -> None:
    readings = [read_clock().mono for _ in range(1000)]
    assert readings == sorted(readings)


def test_the_other_clock_counts_seconds() -> None:
    before = read_clock().mono
    time.sleep(0.05)
    assert 0.05 <= read_clock().mono - before < 5
