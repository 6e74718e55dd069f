"""The headers of a super-frame's pieces, and how all of them are written at once.

Every column of a header field is one strided view into the outgoing buffer, so that a field costs
one numpy operation for all pieces.
"""

from array import array
from typing import Final

import numpy as np
import numpy.typing as npt

from ztlink.inet import tcp, udp
from ztlink.inet.checksum import MODULUS, Sums, complements, ones_sum, row_sums
from ztlink.inet.ip import (
    OFFSET_IPV4_CHECKSUM,
    OFFSET_IPV4_IDENTIFICATION,
    OFFSET_IPV4_TOTAL_LENGTH,
    OFFSET_IPV6_PAYLOAD_LENGTH,
    SIZE_IPV6,
)

_NOT_FIRST: Final = 0xFF & ~tcp.FLAG_CWR
_NOT_LAST: Final = 0xFF & ~(tcp.FLAG_FIN | tcp.FLAG_PSH)


class Stamp:
    """What all pieces have in common; fields that differ are zero in `header` and in the sums."""

    __slots__ = (
        "flags",
        "header",
        "identification",
        "ip_sum",
        "is_tcp",
        "is_v4",
        "l3",
        "l4",
        "l4_sum",
        "sequence",
    )

    def __init__(self, header: bytearray, l3: int, l4: int, *, is_v4: bool, is_tcp: bool) -> None:
        self.header = header
        self.l3 = l3
        self.l4 = l4
        self.is_v4 = is_v4
        self.is_tcp = is_tcp
        self.identification = 0
        self.ip_sum = 0
        self.l4_sum = 0
        self.sequence = 0
        self.flags = 0

    def flags_of(self, *, is_first: bool, is_last: bool) -> int:
        """Return a piece's flags: FIN and PSH are for the last, CWR for the first (RFC 3168)."""
        flags = self.flags
        if not is_first:
            flags &= _NOT_FIRST
        return flags if is_last else flags & _NOT_LAST


def write_evenly(
    stamp: Stamp,
    body: memoryview,
    segment_size: int,
    out: memoryview,
    starts: "array[int]",
    sizes: "array[int]",
) -> None:
    """Write all pieces; their starts are evenly spaced, and all but the last are of one size."""
    pieces, first, stride = len(sizes), starts[0], starts[1] - starts[0]
    header_size = len(stamp.header)
    whole = pieces - 1
    last = body[whole * segment_size :]
    headers = np.ndarray((pieces, header_size), np.uint8, out, first, (stride, 1))
    headers[...] = np.frombuffer(stamp.header, np.uint8)
    parts = np.ndarray((whole, segment_size), np.uint8, out, first + header_size, (stride, 1))
    parts[...] = np.frombuffer(body, np.uint8, whole * segment_size).reshape(whole, segment_size)
    end = starts[-1] + sizes[-1]
    out[end - len(last) : end] = last
    sums = np.empty(pieces, np.int64)
    sums[:whole] = row_sums(body, 0, whole, segment_size)
    sums[whole] = ones_sum(last)
    lengths = np.frombuffer(sizes, np.uint32).astype(np.int64)
    columns = _Columns(out, first, stride, pieces)
    _write_ip(stamp, columns, lengths - stamp.l3)
    sums += lengths
    sums += stamp.l4_sum - stamp.l4
    if stamp.is_tcp:
        _write_tcp(stamp, columns, headers, sums, segment_size)
    else:
        lengths -= stamp.l4
        columns.put(stamp.l4 + udp.OFFSET_LENGTH, lengths)
        totals = complements(sums + lengths)
        totals[totals == 0] = MODULUS  # zero would mean "no checksum"
        columns.put(stamp.l4 + udp.OFFSET_CHECKSUM, totals)


class _Columns:
    """Fields of two bytes at the same place in every piece."""

    __slots__ = ("_first", "_out", "_pieces", "_stride")

    def __init__(self, out: memoryview, first: int, stride: int, pieces: int) -> None:
        self._out = out
        self._first = first
        self._stride = (stride,)
        self._pieces = (pieces,)

    def put(self, offset: int, values: Sums) -> None:
        np.ndarray(self._pieces, ">u2", self._out, self._first + offset, self._stride)[...] = values

    def put_4(self, offset: int, values: Sums) -> None:
        np.ndarray(self._pieces, ">u4", self._out, self._first + offset, self._stride)[...] = values


def _write_ip(stamp: Stamp, columns: _Columns, lengths: Sums) -> None:
    l3 = stamp.l3
    if not stamp.is_v4:
        columns.put(l3 + OFFSET_IPV6_PAYLOAD_LENGTH, lengths - SIZE_IPV6)
        return
    identifications = np.arange(len(lengths), dtype=np.int64)
    identifications += stamp.identification
    identifications &= 0xFFFF
    columns.put(l3 + OFFSET_IPV4_TOTAL_LENGTH, lengths)
    columns.put(l3 + OFFSET_IPV4_IDENTIFICATION, identifications)
    identifications += lengths
    identifications += stamp.ip_sum
    columns.put(l3 + OFFSET_IPV4_CHECKSUM, complements(identifications))


def _write_tcp(
    stamp: Stamp,
    columns: _Columns,
    headers: npt.NDArray[np.uint8],
    sums: Sums,
    segment_size: int,
) -> None:
    l4, flags = stamp.l4, stamp.flags
    sequences = np.arange(len(sums), dtype=np.int64)
    sequences *= segment_size
    sequences += stamp.sequence
    sequences &= 0xFFFF_FFFF
    columns.put_4(l4 + tcp.OFFSET_SEQUENCE, sequences)
    if flags:
        first = stamp.flags_of(is_first=True, is_last=False)
        middle = stamp.flags_of(is_first=False, is_last=False)
        last = stamp.flags_of(is_first=False, is_last=True)
        column = headers[:, l4 + tcp.OFFSET_FLAGS]
        column[...] = middle
        column[0], column[-1] = first, last
        sums += middle
        sums[0] += first - middle
        sums[-1] += last - middle
    sums += sequences
    columns.put(l4 + tcp.OFFSET_CHECKSUM, complements(sums))
