"""Super-frames cut into frames, as a network card with segmentation offload would (RFC 9293, RFC 768)."""

from array import array
from typing import Final

from ztlink.batch import Gso, SuperFrame
from ztlink.inet.checksum import checksum, fold, ones_sum

_SIZE_ETHERNET: Final = 14
_TCP: Final = 6
_UDP: Final = 17
_FIN_PSH: Final = 0x09
_CWR: Final = 0x80


def count(frame: SuperFrame) -> int:
    """Return how many frames a super-frame is cut into."""
    if frame.gso is Gso.NONE:
        return 1
    payload = len(frame.buffer) - frame.header_size
    return max(1, -(-payload // frame.segment_size))


def sizes_of(frame: SuperFrame, payload_offset: int) -> list[int]:
    """Return the size of each piece from `payload_offset` of its frame on."""
    if frame.gso is Gso.NONE:
        return [len(frame.buffer) - payload_offset]
    header = frame.header_size - payload_offset
    payload = len(frame.buffer) - frame.header_size
    pieces = count(frame)
    last = payload - (pieces - 1) * frame.segment_size
    return [header + frame.segment_size] * (pieces - 1) + [header + last]


def cut(frame: SuperFrame, out: memoryview, starts: "array[int]", payload_offset: int) -> None:
    """Write each piece, from `payload_offset` of its frame on, to `out[starts[i]:]`, headers made good."""
    if frame.gso is Gso.NONE:
        _copy_whole(frame, out, starts[0], payload_offset)
        return
    header = bytes(frame.buffer[payload_offset : frame.header_size])
    body = frame.buffer[frame.header_size :]
    l3 = _SIZE_ETHERNET - payload_offset
    l4 = frame.checksum_start - payload_offset
    template = _Template(header, l3, l4, frame)
    position, size = 0, frame.segment_size
    for index, start in enumerate(starts):
        part = body[position : position + size]
        after = start + len(header)
        out[start:after] = header
        out[after : after + len(part)] = part
        is_last = position + size >= len(body)
        template.mend(out[start : after + len(part)], part, index, position, is_last=is_last)
        position += size


class _Template:
    """The headers of a super-frame, and what changes in them from piece to piece."""

    def __init__(self, header: bytes, l3: int, l4: int, frame: SuperFrame) -> None:
        self._l3, self._l4 = l3, l4
        self._is_v4 = header[l3] >> 4 == 4
        self._is_tcp = frame.gso in (Gso.TCPV4, Gso.TCPV6)
        self._header_size = len(header)
        addresses = header[l3 + 12 : l3 + 20] if self._is_v4 else header[l3 + 8 : l3 + 40]
        self._pseudo = ones_sum(addresses) + (_TCP if self._is_tcp else _UDP)
        self._ident = int.from_bytes(header[l3 + 4 : l3 + 6], "big")
        self._seq = int.from_bytes(header[l4 + 4 : l4 + 8], "big")
        self._flags = header[l4 + 13] if self._is_tcp else 0

    def mend(
        self, piece: memoryview, part: memoryview, index: int, position: int, *, is_last: bool
    ) -> None:
        """Make the headers of one piece good."""
        l3, l4 = self._l3, self._l4
        if self._is_v4:
            piece[l3 + 2 : l3 + 4] = (len(piece) - l3).to_bytes(2, "big")
            piece[l3 + 4 : l3 + 6] = (self._ident + index & 0xFFFF).to_bytes(2, "big")
            piece[l3 + 10 : l3 + 12] = b"\0\0"
            piece[l3 + 10 : l3 + 12] = checksum(piece[l3:l4]).to_bytes(2, "big")
        else:
            piece[l3 + 4 : l3 + 6] = (len(piece) - l3 - 40).to_bytes(2, "big")
        if self._is_tcp:
            piece[l4 + 4 : l4 + 8] = (self._seq + position & 0xFFFFFFFF).to_bytes(4, "big")
            flags = self._flags if is_last else self._flags & ~_FIN_PSH
            piece[l4 + 13] = flags if index == 0 else flags & ~_CWR
            field = l4 + 16
        else:
            piece[l4 + 4 : l4 + 6] = (len(piece) - l4).to_bytes(2, "big")
            field = l4 + 6
        piece[field : field + 2] = b"\0\0"
        total = checksum(piece[l4:], self._pseudo + len(piece) - l4)
        if not self._is_tcp and total == 0:
            total = 0xFFFF
        piece[field : field + 2] = total.to_bytes(2, "big")


def _copy_whole(frame: SuperFrame, out: memoryview, start: int, payload_offset: int) -> None:
    size = len(frame.buffer) - payload_offset
    piece = out[start : start + size]
    piece[:] = frame.buffer[payload_offset:]
    if frame.needs_checksum and frame.checksum_start >= payload_offset:
        first = frame.checksum_start - payload_offset
        field = first + frame.checksum_offset
        if field + 2 <= size:
            # The field holds the pseudo header's sum; it is part of what is summed up.
            total = 0xFFFF - fold(ones_sum(piece[first:]))
            is_udp = frame.checksum_offset == 6
            piece[field : field + 2] = (0xFFFF if is_udp and total == 0 else total).to_bytes(
                2, "big"
            )
