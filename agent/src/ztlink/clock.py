"""Time as a value: read once per wake-up by a driver, passed into the core."""

from typing import NamedTuple


class Now(NamedTuple):
    """One reading of the two clocks."""

    mono: float
    """Seconds of CLOCK_BOOTTIME: for every timer and interval; never steps, counts suspend."""

    unix_ms: int
    """Milliseconds since the Unix epoch: only for fields on the wire and for people."""
