"""Frames joined to super-frames, as a network card with receive offload does it.

Neighbours that belong together have headers that differ only in a few fields. The header of each
frame is read as one big integer; with these fields masked out, it is the same number for all frames
of a run. Joined frames are copied once, end to end, and then their checksums are verified together,
by one sum over all rows. What does not join is delivered where it lies: the Ethernet header is
written in front of it, over what carried it here.

The rules are those of the kernel's own receive offload: what is joined can be cut again.
"""

from dataclasses import dataclass
from typing import Final

from ztlink.batch import Gso, PacketBatch, SuperFrame
from ztlink.inet import tcp
from ztlink.inet.checksum import MODULUS, checksum, fold, ones_sum, row_sums
from ztlink.inet.ether import ETHERTYPE_IPV4, ETHERTYPE_IPV6, OFFSET_ETHERTYPE, SIZE_ETHERNET
from ztlink.inet.ip import (
    OFFSET_IPV4_CHECKSUM,
    OFFSET_IPV4_IDENTIFICATION,
    OFFSET_IPV4_SOURCE,
    OFFSET_IPV4_TOTAL_LENGTH,
    OFFSET_IPV6_NEXT_HEADER,
    OFFSET_IPV6_PAYLOAD_LENGTH,
    OFFSET_IPV6_SOURCE,
    PROTOCOL_TCP,
    SIZE_IPV4,
    SIZE_IPV6,
)

MAX_TOTAL: Final = 65_535
"""Bytes of a joined IP packet; what IPv4's total length can say."""

_IPV4_NO_OPTIONS: Final = 0x45
_IPV4_DONT_FRAGMENT: Final = 0x40
_IPV4_FRAGMENT: Final = 0x3F
_JOINED_FLAGS: Final = tcp.FLAG_FIN | tcp.FLAG_PSH | tcp.FLAG_CWR
_ENDING_FLAGS: Final = tcp.FLAG_FIN | tcp.FLAG_PSH
_LONE_FLAGS: Final = tcp.FLAG_SYN | tcp.FLAG_RST | tcp.FLAG_URG


@dataclass(frozen=True, slots=True)
class _Family:
    """How the two versions of IP differ here."""

    gso: Gso
    size: int
    length_offset: int
    length_bias: int
    """What the length field does not count."""
    source_offset: int


_V4: Final = _Family(Gso.TCPV4, SIZE_IPV4, OFFSET_IPV4_TOTAL_LENGTH, 0, OFFSET_IPV4_SOURCE)
_V6: Final = _Family(
    Gso.TCPV6, SIZE_IPV6, OFFSET_IPV6_PAYLOAD_LENGTH, SIZE_IPV6, OFFSET_IPV6_SOURCE
)


class _Segment:
    """One frame that may be joined."""

    __slots__ = (
        "flags",
        "identification",
        "is_atomic",
        "key",
        "l4_sum",
        "payload",
        "sequence",
        "size",
        "start",
    )

    def __init__(self, start: int, size: int, payload: int) -> None:
        self.start = start
        self.size = size
        self.payload = payload
        """Bytes behind the headers."""
        self.key = 0
        """The headers without what may differ."""
        self.l4_sum = 0
        """Of the pseudo header and the TCP header; a multiple of 65,535 with the payload's."""
        self.identification = 0
        self.is_atomic = True
        """Never to be fragmented, so that the identification means nothing (RFC 6864)."""
        self.sequence = 0
        self.flags = 0


def coalesce(batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
    """Return the frames of a batch in order, neighbours of one TCP flow joined.

    `offset` bytes into each span begins an IP packet, or what else the ethertype in `header` (14
    bytes) says; there is room for the header in front of it. Spans that end before are left out.
    """
    ethertype = header[OFFSET_ETHERTYPE] << 8 | header[OFFSET_ETHERTYPE + 1]
    family = {ETHERTYPE_IPV4: _V4, ETHERTYPE_IPV6: _V6}.get(ethertype)
    if family is None or len(batch) == 1:
        return one_by_one(batch, offset, header)
    buffer = batch.buffer
    frames: list[SuperFrame] = []
    run: list[_Segment] = []
    for span_start, span_size in zip(batch.starts, batch.sizes, strict=True):
        start, size = span_start + offset, span_size - offset
        if size <= 0:
            continue
        segment = _read(buffer, start, size, family)
        if segment is not None and run and _follows(segment, run):
            run.append(segment)
            continue
        _finish(buffer, run, family, header, frames)
        run = []
        if segment is None:
            frames.append(_in_place(buffer, start, size, header))
        else:
            run.append(segment)
    _finish(buffer, run, family, header, frames)
    return frames


def one_by_one(batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
    """Return the frames of a batch in order, none joined; see `coalesce`."""
    return [
        _in_place(batch.buffer, start + offset, size - offset, header)
        for start, size in zip(batch.starts, batch.sizes, strict=True)
        if size > offset
    ]


def _in_place(buffer: memoryview, start: int, size: int, header: bytes) -> SuperFrame:
    first = start - SIZE_ETHERNET
    buffer[first:start] = header
    return SuperFrame(buffer[first : start + size])


def _read(buffer: memoryview, start: int, size: int, family: _Family) -> _Segment | None:
    """Return a TCP segment with payload and good IP header; None for all that is never joined."""
    l4 = start + family.size
    if size <= family.size + tcp.SIZE_TCP:
        return None
    if family is _V4:
        if buffer[start] != _IPV4_NO_OPTIONS or buffer[start + 9] != PROTOCOL_TCP:
            return None
    elif buffer[start] >> 4 != 6 or buffer[start + OFFSET_IPV6_NEXT_HEADER] != PROTOCOL_TCP:
        return None
    tcp_size = tcp.header_size(buffer, l4)
    payload = size - family.size - tcp_size
    flags = buffer[l4 + tcp.OFFSET_FLAGS]
    if tcp_size < tcp.SIZE_TCP or payload <= 0 or flags & _LONE_FLAGS or not flags & tcp.FLAG_ACK:
        return None
    at = start + family.length_offset
    if buffer[at] << 8 | buffer[at + 1] != size - family.length_bias:
        return None
    segment = _Segment(start, size, payload)
    segment.flags = flags
    return _read_sums(buffer, segment, l4, tcp_size, family)


def _read_sums(
    buffer: memoryview, segment: _Segment, l4: int, tcp_size: int, family: _Family
) -> _Segment | None:
    start = segment.start
    ip_header = int.from_bytes(buffer[start:l4], "big")
    if family is _V4:
        if ip_header % MODULUS or buffer[start + 6] & _IPV4_FRAGMENT or buffer[start + 7]:
            return None  # a bad checksum; a fragment
        at = start + OFFSET_IPV4_IDENTIFICATION
        segment.identification = buffer[at] << 8 | buffer[at + 1]
        segment.is_atomic = bool(buffer[start + 6] & _IPV4_DONT_FRAGMENT)
        addresses = ip_header & _MASK_V4_ADDRESSES
        ip_header &= _MASK_V4
    else:
        addresses = ip_header & _MASK_V6_ADDRESSES
        ip_header &= _MASK_V6
    tcp_header = int.from_bytes(buffer[l4 : l4 + tcp_size], "big")
    segment.l4_sum = addresses % MODULUS + PROTOCOL_TCP + tcp_size + segment.payload
    segment.l4_sum += tcp_header % MODULUS
    options = 8 * (tcp_size - tcp.SIZE_TCP)
    segment.sequence = tcp_header >> (options + 96) & 0xFFFF_FFFF
    masked = tcp_header & (_MASK_TCP << options | (1 << options) - 1)
    segment.key = (ip_header << 8 * tcp_size | masked) << 8 | tcp_size
    return segment


def _mask(size: int, *fields: tuple[int, int]) -> int:
    """Return a mask over a header of `size` bytes that leaves out fields (offset, size)."""
    mask = bytearray(b"\xff" * size)
    for offset, width in fields:
        mask[offset : offset + width] = bytes(width)
    return int.from_bytes(mask, "big")


_MASK_V4: Final = _mask(
    SIZE_IPV4,
    (OFFSET_IPV4_TOTAL_LENGTH, 2),
    (OFFSET_IPV4_IDENTIFICATION, 2),
    (OFFSET_IPV4_CHECKSUM, 2),
)
_MASK_V6: Final = _mask(SIZE_IPV6, (OFFSET_IPV6_PAYLOAD_LENGTH, 2))
_MASK_V4_ADDRESSES: Final = _mask(SIZE_IPV4, (0, OFFSET_IPV4_SOURCE))
_MASK_V6_ADDRESSES: Final = _mask(SIZE_IPV6, (0, OFFSET_IPV6_SOURCE))
_MASK_TCP: Final = _mask(tcp.SIZE_TCP, (tcp.OFFSET_SEQUENCE, 4), (tcp.OFFSET_CHECKSUM, 2)) & ~(
    _JOINED_FLAGS << 8 * (tcp.SIZE_TCP - 1 - tcp.OFFSET_FLAGS)
)


def _follows(segment: _Segment, run: list[_Segment]) -> bool:
    """Tell whether a segment continues a run."""
    first, last = run[0], run[-1]
    if (
        segment.key != first.key
        or segment.sequence != last.sequence + last.payload & 0xFFFF_FFFF
        or last.payload != first.payload
        or segment.payload > first.payload
        or last.flags & _ENDING_FLAGS
        or segment.flags & tcp.FLAG_CWR
    ):
        return False
    number = len(run)
    headers = first.size - first.payload
    if headers + number * first.payload + segment.payload > MAX_TOTAL:
        return False
    return _identification_follows(segment, run)


def _identification_follows(segment: _Segment, run: list[_Segment]) -> bool:
    """Tell whether identifications count up, or stay the same where they mean nothing."""
    first, number = run[0].identification, len(run)
    if segment.identification == first:
        return segment.is_atomic and run[-1].identification == first
    counts_up = number == 1 or run[1].identification != first
    return counts_up and segment.identification == first + number & 0xFFFF


def _finish(
    buffer: memoryview,
    run: list[_Segment],
    family: _Family,
    header: bytes,
    frames: list[SuperFrame],
) -> None:
    """Append a run as one super-frame; where a checksum is bad, its frame stands alone."""
    if not run:
        return
    first, last = run[0], run[-1]
    if len(run) == 1:
        frames.append(_in_place(buffer, first.start, first.size, header))
        return
    headers = first.size - first.payload
    parts: list[bytes | memoryview] = [header, buffer[first.start : first.start + headers]]
    parts += [buffer[s.start + headers : s.start + s.size] for s in run]
    joined = memoryview(bytearray().join(parts))
    offset = SIZE_ETHERNET + headers
    whole = len(run) - 1
    sums: list[int] = row_sums(joined, offset, whole, first.payload).tolist()
    sums.append(ones_sum(joined[offset + whole * first.payload :]))
    if any((s.l4_sum + total) % MODULUS for s, total in zip(run, sums, strict=True)):
        for part in _without_bad(run, sums):
            _finish(buffer, part, family, header, frames)
        return
    flags = first.flags | last.flags
    _write_headers(joined, family, flags)
    frames.append(
        SuperFrame(
            joined,
            family.gso,
            header_size=offset,
            segment_size=first.payload,
            needs_checksum=True,
            checksum_start=SIZE_ETHERNET + family.size,
            checksum_offset=tcp.OFFSET_CHECKSUM,
        )
    )


def _without_bad(run: list[_Segment], sums: list[int]) -> list[list[_Segment]]:
    """Return a run in pieces, each segment with a bad checksum a piece of its own."""
    pieces: list[list[_Segment]] = [[]]
    for segment, total in zip(run, sums, strict=True):
        if (segment.l4_sum + total) % MODULUS:
            pieces += [[segment], []]
        else:
            pieces[-1].append(segment)
    return pieces


def _write_headers(joined: memoryview, family: _Family, flags: int) -> None:
    """Make the first frame's headers those of all: lengths, flags, and the pseudo header's sum."""
    packet = joined[SIZE_ETHERNET:]
    total = len(packet)
    _put(packet, family.length_offset, total - family.length_bias)
    if family is _V4:
        _put(packet, OFFSET_IPV4_CHECKSUM, 0)
        _put(packet, OFFSET_IPV4_CHECKSUM, checksum(packet[:SIZE_IPV4]))
    packet[family.size + tcp.OFFSET_FLAGS] = flags
    pseudo = ones_sum(packet[family.source_offset : family.size])
    pseudo += PROTOCOL_TCP + total - family.size
    _put(packet, family.size + tcp.OFFSET_CHECKSUM, fold(pseudo))


def _put(packet: memoryview, offset: int, value: int) -> None:
    packet[offset] = value >> 8
    packet[offset + 1] = value & 0xFF
