"""The arithmetic of sequence numbers (RFC 9293 3.4): 32 bits on the wire, unbounded inside.

A connection counts bytes in integers that never wrap, starting at its initial sequence number. What
comes from the wire is unwrapped near a number that the connection knows, and from there on "before"
and "after" are `<` and `>`. Timestamps (RFC 7323) are compared by the same rule.
"""

from typing import Final

MASK: Final = 0xFFFF_FFFF
"""What of a number stands on the wire."""
HALF: Final = 0x8000_0000


def unwrap(wire: int, near: int) -> int:
    """Return the number nearest to `near` that has these 32 bits.

    Of two equally near ones, 2^31 away, it is the lower: half a circle ahead is behind.
    """
    return near + ((wire - near + HALF) & MASK) - HALF


def is_before(first: int, second: int) -> bool:
    """Tell whether a 32-bit number comes before another one, less than half a circle away."""
    return first != second and (second - first) & MASK < HALF
