"""Super-frames cut into frames, as a network card with segmentation offload does it.

The headers of all pieces are those of the super-frame but for a few fields: lengths, IPv4
identification, TCP sequence and flags, checksums (RFC 791, RFC 768, RFC 9293). So the header with
these fields zeroed is summed up once; each piece adds its own values and the sum of its payload.
Where the pieces lie evenly spaced, as they do in a train, numpy copies and sums all at once
(`inet.stamp`); each byte is copied once either way.

How far the headers reach is read from them and not from `SuperFrame.header_size`: what the kernel
puts there is only a hint. A super-frame whose headers do not fit its offload type is one piece.
"""

from array import array
from typing import Final

from ztlink.batch import Gso, SuperFrame
from ztlink.inet import stamp, tcp, udp
from ztlink.inet.checksum import MODULUS, checksum, fold, ones_sum
from ztlink.inet.ether import (
    ETHERTYPE_SERVICE_VLAN,
    ETHERTYPE_VLAN,
    SIZE_ETHERNET,
    SIZE_VLAN_TAG,
    ethertype_of,
)
from ztlink.inet.ip import (
    IPV4_HEADER,
    OFFSET_IPV4_CHECKSUM,
    OFFSET_IPV4_IDENTIFICATION,
    OFFSET_IPV4_SOURCE,
    OFFSET_IPV4_TOTAL_LENGTH,
    OFFSET_IPV6_PAYLOAD_LENGTH,
    OFFSET_IPV6_SOURCE,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    SIZE_IPV4,
    SIZE_IPV6,
    VERSION_4,
    VERSION_6,
)
from ztlink.inet.stamp import Stamp

_WHOLE: Final = Gso.NONE
"""A global is found faster than a member of an enumeration."""
MIN_BATCH: Final = 8
"""Pieces from which on numpy is the faster way."""


def count(frame: SuperFrame) -> int:
    """Return how many frames a super-frame is cut into."""
    after = _header_end(frame)
    if after == 0:
        return 1
    return max(1, -(-(len(frame.buffer) - after) // frame.segment_size))


def sizes_of(frame: SuperFrame, payload_offset: int) -> "array[int]":
    """Return the size of each piece from `payload_offset` of its frame on."""
    after = _header_end(frame)
    total = len(frame.buffer)
    if after == 0:
        return array("I", [total - payload_offset])
    pieces = max(1, -(-(total - after) // frame.segment_size))
    last = total - (pieces - 1) * frame.segment_size - payload_offset
    sizes = array("I", [after - payload_offset + frame.segment_size]) * pieces
    sizes[-1] = last
    return sizes


def cut(
    frame: SuperFrame, out: memoryview, starts: "array[int]", payload_offset: int
) -> "array[int]":
    """Write piece `i`, from `payload_offset` of its frame on, to `out[starts[i]:]`, made good.

    `payload_offset` is at most where the IP header begins. Returns the size of each piece.
    """
    sizes = sizes_of(frame, payload_offset)
    after = _header_end(frame)
    if after == 0:
        _copy_whole(frame, out[starts[0] : starts[0] + sizes[0]], payload_offset)
        return sizes
    piece_stamp = _stamp(frame, after, payload_offset)
    if len(sizes) >= MIN_BATCH and _is_even(starts):
        stamp.write_evenly(
            piece_stamp, frame.buffer[after:], frame.segment_size, out, starts, sizes
        )
    else:
        _write_each(piece_stamp, frame.buffer[after:], frame.segment_size, out, starts, sizes)
    return sizes


def _is_even(starts: "array[int]") -> bool:
    first, stride = starts[0], starts[1] - starts[0]
    return stride > 0 and starts == array("I", range(first, first + stride * len(starts), stride))


def _header_end(frame: SuperFrame) -> int:
    """Return where the payload of TCP or UDP begins; 0 where the super-frame cannot be cut."""
    if frame.gso is _WHOLE or frame.segment_size <= 0:
        return 0
    if frame.body_offset < 0:
        frame.body_offset = _find_header_end(frame)
    return frame.body_offset


def _find_header_end(frame: SuperFrame) -> int:
    buffer, l4 = frame.buffer, frame.checksum_start
    l3 = _l3_offset(buffer)
    if l3 == 0:
        return 0
    version = buffer[l3] >> 4
    if version == VERSION_4:
        if frame.gso is Gso.TCPV6 or l4 != l3 + (buffer[l3] & 0x0F) * 4 or l4 < l3 + SIZE_IPV4:
            return 0
    elif version != VERSION_6 or frame.gso is Gso.TCPV4 or l4 < l3 + SIZE_IPV6:
        return 0
    if frame.gso is Gso.UDP_L4:
        after = l4 + udp.SIZE_UDP
    elif l4 + tcp.SIZE_TCP > len(buffer):
        return 0
    else:
        after = l4 + max(tcp.SIZE_TCP, tcp.header_size(buffer, l4))
    return after if after <= len(buffer) else 0


def _l3_offset(buffer: memoryview) -> int:
    """Return where the IP header is, behind VLAN tags if any; 0 where there is no room for one."""
    offset = SIZE_ETHERNET
    if len(buffer) < offset + SIZE_IPV4:
        return 0
    ethertype = ethertype_of(buffer)
    while ethertype in (ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN):
        ethertype = buffer[offset + 2] << 8 | buffer[offset + 3]
        offset += SIZE_VLAN_TAG
        if len(buffer) < offset + SIZE_IPV4:
            return 0
    return offset


def _stamp(frame: SuperFrame, after: int, payload_offset: int) -> Stamp:
    """Read the headers, and sum up what is the same in all pieces."""
    header = bytearray(frame.buffer[payload_offset:after])
    l3 = _l3_offset(frame.buffer) - payload_offset
    l4 = frame.checksum_start - payload_offset
    is_v4 = header[l3] >> 4 == VERSION_4
    is_tcp = frame.gso is not Gso.UDP_L4
    result = Stamp(header, l3, l4, is_v4=is_v4, is_tcp=is_tcp)
    if is_v4:
        result.identification = IPV4_HEADER.unpack_from(header, l3)[3]
        _clear(header, l3 + OFFSET_IPV4_TOTAL_LENGTH)
        _clear(header, l3 + OFFSET_IPV4_IDENTIFICATION)
        _clear(header, l3 + OFFSET_IPV4_CHECKSUM)
        result.ip_sum = ones_sum(header[l3:l4])
        addresses = header[l3 + OFFSET_IPV4_SOURCE : l3 + SIZE_IPV4]
    else:
        addresses = header[l3 + OFFSET_IPV6_SOURCE : l3 + SIZE_IPV6]
    if is_tcp:
        sequence = l4 + tcp.OFFSET_SEQUENCE
        result.sequence = int.from_bytes(header[sequence : sequence + 4], "big")
        result.flags = header[l4 + tcp.OFFSET_FLAGS]
        _clear(header, sequence)
        _clear(header, sequence + 2)
        header[l4 + tcp.OFFSET_FLAGS] = 0
        _clear(header, l4 + tcp.OFFSET_CHECKSUM)
    else:
        _clear(header, l4 + udp.OFFSET_LENGTH)
        _clear(header, l4 + udp.OFFSET_CHECKSUM)
    protocol = PROTOCOL_TCP if is_tcp else PROTOCOL_UDP
    result.l4_sum = ones_sum(addresses) + protocol + ones_sum(header[l4:])
    return result


def _clear(header: bytearray, offset: int) -> None:
    header[offset : offset + 2] = b"\0\0"


def _write_each(
    piece_stamp: Stamp,
    body: memoryview,
    segment_size: int,
    out: memoryview,
    starts: "array[int]",
    sizes: "array[int]",
) -> None:
    header_size = len(piece_stamp.header)
    for index, size in enumerate(sizes):
        start = starts[index]
        piece = out[start : start + size]
        position = index * segment_size
        part = body[position : position + segment_size]
        piece[:header_size] = piece_stamp.header
        piece[header_size:] = part
        _mend(piece_stamp, piece, part, index, position, is_last=index == len(sizes) - 1)


def _mend(
    piece_stamp: Stamp,
    piece: memoryview,
    part: memoryview,
    index: int,
    position: int,
    *,
    is_last: bool,
) -> None:
    """Write the fields that are a piece's own."""
    l3, l4 = piece_stamp.l3, piece_stamp.l4
    length = len(piece) - l3
    if piece_stamp.is_v4:
        identification = piece_stamp.identification + index & 0xFFFF
        total = piece_stamp.ip_sum + length + identification
        _put(piece, l3 + OFFSET_IPV4_TOTAL_LENGTH, length)
        _put(piece, l3 + OFFSET_IPV4_IDENTIFICATION, identification)
        _put(piece, l3 + OFFSET_IPV4_CHECKSUM, MODULUS - fold(total))
    else:
        _put(piece, l3 + OFFSET_IPV6_PAYLOAD_LENGTH, length - SIZE_IPV6)
    l4_length = len(piece) - l4
    total = piece_stamp.l4_sum + l4_length + ones_sum(part)
    if piece_stamp.is_tcp:
        sequence = piece_stamp.sequence + position & 0xFFFF_FFFF
        flags = piece_stamp.flags_of(is_first=index == 0, is_last=is_last)
        _put(piece, l4 + tcp.OFFSET_SEQUENCE, sequence >> 16)
        _put(piece, l4 + tcp.OFFSET_SEQUENCE + 2, sequence & 0xFFFF)
        piece[l4 + tcp.OFFSET_FLAGS] = flags
        total += sequence + flags
        _put(piece, l4 + tcp.OFFSET_CHECKSUM, MODULUS - fold(total))
    else:
        _put(piece, l4 + udp.OFFSET_LENGTH, l4_length)
        _put(piece, l4 + udp.OFFSET_CHECKSUM, (MODULUS - fold(total + l4_length)) or MODULUS)


def _put(piece: memoryview, offset: int, value: int) -> None:
    piece[offset] = value >> 8
    piece[offset + 1] = value & 0xFF


def _copy_whole(frame: SuperFrame, piece: memoryview, payload_offset: int) -> None:
    """Copy the one piece, and complete its checksum where that was left to the card."""
    piece[:] = frame.buffer[payload_offset:]
    complete(frame, piece, payload_offset)


def complete(frame: SuperFrame, piece: memoryview, payload_offset: int) -> None:
    """Complete the checksum in the copy of a whole frame, where that was left to the card."""
    first = frame.checksum_start - payload_offset
    field = first + frame.checksum_offset
    if not frame.needs_checksum or first < 0 or field + 2 > len(piece):
        return
    # The field holds the pseudo header's sum and counts as data; zero says "no checksum" to UDP.
    _put(piece, field, checksum(piece[first:]) or MODULUS)
