"""The two clocks, read together."""

import time

from ztlink.clock import Now


def read_clock() -> Now:
    """Read CLOCK_BOOTTIME, which counts suspend and never steps, and the wall clock."""
    return Now(time.clock_gettime(time.CLOCK_BOOTTIME), time.time_ns() // 1_000_000)
