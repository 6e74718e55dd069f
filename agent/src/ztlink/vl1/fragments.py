"""Packets cut into datagrams and put together again (wire.adoc#fragments)."""

from dataclasses import dataclass, field
from typing import Final

from ztlink.clock import Now
from ztlink.stats import Drop, Stats
from ztlink.wire.packet import (
    FRAGMENT_HEADER,
    FRAGMENT_MARKER,
    MAX_FRAGMENTS,
    MAX_PACKET_SIZE,
    OFFSET_FRAGMENT_COUNTS,
    OFFSET_SOURCE,
    SIZE_FRAGMENT_HEADER,
)

MAX_INCOMPLETE: Final = 256
"""Packets that wait for pieces; a multiple of what one train of a fast sender may leave open."""
LIFETIME: Final = 5.0


def longest(path_mtu: int) -> int:
    """Return the size of the longest packet that can be cut into datagrams of at most that size."""
    return path_mtu + (MAX_FRAGMENTS - 1) * (path_mtu - SIZE_FRAGMENT_HEADER)


def split(packet: bytes | bytearray, path_mtu: int) -> list[bytes]:
    """Cut a sealed packet into datagrams of at most `path_mtu` bytes, head first."""
    if len(packet) <= path_mtu:
        return [bytes(packet)]
    slice_size = path_mtu - SIZE_FRAGMENT_HEADER
    total = 1 + -(-(len(packet) - path_mtu) // slice_size)
    datagrams = [bytes(packet[:path_mtu])]
    for number in range(1, total):
        start = path_mtu + (number - 1) * slice_size
        header = FRAGMENT_HEADER.pack(
            packet[:8], packet[8:OFFSET_SOURCE], FRAGMENT_MARKER, total << 4 | number, 0
        )
        datagrams.append(header + packet[start : start + slice_size])
    return datagrams


@dataclass(slots=True)
class _Incomplete:
    created: float
    total: int = 0
    """0 until a fragment told."""
    size: int = 0
    """Bytes of all pieces."""
    pieces: dict[int, bytes] = field(default_factory=dict)
    """By number; the head is number 0."""


class Reassembler:
    """Pieces of packets, by packet id, until all are there.

    Nothing here is authenticated: the packet's own tag, checked afterwards, covers all of it. So
    the table is bounded, in packets and in the bytes of each, the oldest goes first, and what is
    too old is not completed any more.
    """

    def __init__(self, stats: Stats | None = None) -> None:
        """Make it; what is refused is counted in `stats`."""
        self._stats = stats or Stats()
        self._incomplete: dict[bytes, _Incomplete] = {}

    def __len__(self) -> int:
        return len(self._incomplete)

    def add_head(self, datagram: memoryview, now: Now) -> bytearray | None:
        """Take a head, return the packet if it is complete now."""
        return self._add(bytes(datagram[:8]), 0, 0, bytes(datagram), now)

    def add_fragment(self, datagram: memoryview, now: Now) -> bytearray | None:
        """Take a fragment, return the packet if it is complete now."""
        counts = datagram[OFFSET_FRAGMENT_COUNTS]
        total, number = counts >> 4, counts & 0x0F
        if not 1 <= number < total <= MAX_FRAGMENTS or len(datagram) <= SIZE_FRAGMENT_HEADER:
            self._stats.drop(Drop.BAD_FRAGMENT)
            return None
        piece = bytes(datagram[SIZE_FRAGMENT_HEADER:])
        return self._add(bytes(datagram[:8]), number, total, piece, now)

    def _add(
        self, packet_id: bytes, number: int, total: int, piece: bytes, now: Now
    ) -> bytearray | None:
        entry = self._incomplete.get(packet_id)
        if entry is not None and now.mono - entry.created > LIFETIME:
            del self._incomplete[packet_id]
            entry = None
        if entry is None:
            entry = self._open(packet_id, now)
        if total:
            if entry.total not in (0, total):
                self._stats.drop(Drop.BAD_FRAGMENT)
                return None
            entry.total = total
        if number not in entry.pieces:
            entry.pieces[number] = piece
            entry.size += len(piece)
        if entry.size > MAX_PACKET_SIZE:
            self._stats.drop(Drop.REASSEMBLY_OVERFLOW)
            del self._incomplete[packet_id]
            return None
        if not entry.total or len(entry.pieces) < entry.total:
            return None
        del self._incomplete[packet_id]
        return bytearray().join(entry.pieces[part] for part in range(entry.total))

    def _open(self, packet_id: bytes, now: Now) -> _Incomplete:
        if len(self._incomplete) >= MAX_INCOMPLETE:
            del self._incomplete[next(iter(self._incomplete))]
            self._stats.drop(Drop.REASSEMBLY_OVERFLOW)
        entry = self._incomplete[packet_id] = _Incomplete(now.mono)
        return entry
