"""The two clocks, read together, and whether the wall clock is kept by anybody."""

import ctypes
from time import CLOCK_BOOTTIME, clock_gettime, time_ns
from typing import Final

from ztlink.clock import Now

_SIZE_TIMEX: Final = 512
"""More than `struct timex` has on any machine."""
_TIME_ERROR: Final = 5
"""What the kernel answers while nothing keeps its clock."""


def read_clock() -> Now:
    """Read CLOCK_BOOTTIME, which counts suspend and never steps, and the wall clock."""
    # As Now(...) would, without a call of Python's in between: this is read for each packet.
    return tuple.__new__(Now, (clock_gettime(CLOCK_BOOTTIME), time_ns() // 1_000_000))


def is_synchronised() -> bool | None:
    """Tell whether the kernel knows its clock to be kept (NTP, PTP); None where it cannot be told.

    It is asked without changing anything, which needs no rights.
    """
    asked = ctypes.create_string_buffer(_SIZE_TIMEX)  # all zero: no mode, only the answer
    try:
        state = int(ctypes.CDLL(None).adjtimex(asked))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else state != _TIME_ERROR
