"""The Internet checksum (RFC 1071), of one piece or of many at once.

The sum does not depend on byte order but for a swap at the end, and 2^16 is 1 modulo 65,535: so a
short piece is one big integer taken modulo 65,535, and a long one is summed by numpy, 16 bits at a
time.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

MODULUS: Final = 0xFFFF
_LONG: Final = 640
"""Bytes from which on numpy is the faster way."""

Sums = npt.NDArray[np.int64]


def fold(total: int) -> int:
    """Fold a sum to 16 bits, as adding carries to it does: only zero becomes zero."""
    return total % MODULUS or (MODULUS if total else 0)


def ones_sum(data: bytes | bytearray | memoryview) -> int:
    """Return the one's complement sum of 16-bit words, folded; an odd byte is padded with zero."""
    size = len(data)
    if size < _LONG:
        total = int.from_bytes(data, "big")
        if size & 1:
            total <<= 8
        return total % MODULUS or (MODULUS if total else 0)
    swapped = fold(int(np.frombuffer(data, "<u2", size >> 1).sum(dtype=np.uint64)))
    total = (swapped & 0xFF) << 8 | swapped >> 8
    return fold(total + (data[-1] << 8) if size & 1 else total)


def checksum(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Return the checksum of `data`, where `start` is the sum of what else it covers."""
    return MODULUS - fold(ones_sum(data) + start)


def row_sums(data: memoryview, offset: int, rows: int, size: int) -> Sums:
    """Return the sums of `rows` pieces of `size` bytes that lie end to end, each below 65,535."""
    if size & 1:
        odd = np.frombuffer(data, np.uint8, rows * size, offset).reshape(rows, size)
        high = odd[:, 0::2].sum(axis=1, dtype=np.int64)
        sums: Sums = (high * 256 + odd[:, 1::2].sum(axis=1, dtype=np.int64)) % MODULUS
        return sums
    words = np.frombuffer(data, "<u2", rows * (size >> 1), offset).reshape(rows, size >> 1)
    swapped: Sums = words.sum(axis=1, dtype=np.uint32).astype(np.int64) % MODULUS
    return (swapped & 0xFF) << 8 | swapped >> 8


def complements(sums: Sums) -> Sums:
    """Return the checksums that belong to sums, none of which is of nothing but zeros."""
    folded = sums % MODULUS
    folded[folded == 0] = MODULUS
    return MODULUS - folded
