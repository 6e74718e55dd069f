"""What the peer sent: bytes in order for the application, and islands beyond what is missing.

The window (RFC 9293 3.8.6) is what the limit leaves beside unread bytes; its right edge, once
offered, never moves back. Islands lie within the window, so that one limit bounds both. Where
something arrives twice, the bytes that came first stay.
"""

from bisect import bisect_right
from collections import deque
from operator import attrgetter
from typing import Final

_SMALL: Final = 1024
"""Bytes below which segments are gathered in a chunk that grows."""
_GROWN: Final = 16 * 1024
"""Bytes at which such a chunk is full."""
MAX_ISLANDS: Final = 1024
"""Holes that are kept track of: what would make more is not stored, and comes again."""
_MAX_PIECES: Final = 16_384
"""Chunks in all islands, each of which costs some 50 bytes beside its own."""
_RECENT: Final = 4

Chunk = bytes | bytearray
_start_of: Final = attrgetter("start")


class Island:
    """Bytes that came before others in front of them."""

    __slots__ = ("chunks", "end", "start")

    def __init__(self, start: int, end: int, chunks: list[Chunk]) -> None:
        self.start = start
        self.end = end
        self.chunks = chunks


class ReceiveBuffer:
    """Bytes by sequence number; `next` is RCV.NXT, `edge` the right edge of what was offered."""

    __slots__ = (
        "_chunks",
        "_islands",
        "_pieces",
        "_recent",
        "beyond",
        "duplicate",
        "edge",
        "held",
        "limit",
        "next",
    )

    def __init__(self, start: int, limit: int) -> None:
        self.next = start
        self.edge = start
        self.limit = limit
        self.held = 0
        """Bytes in order that the application has not read."""
        self.beyond = 0
        """Bytes in islands."""
        self.duplicate: tuple[int, int] | None = None
        """What came twice, to be reported once (RFC 2883)."""
        self._chunks: deque[Chunk | memoryview] = deque()
        self._islands: list[Island] = []
        self._recent: list[int] = []
        """Starts of what came last beyond a hole, the latest first."""
        self._pieces = 0

    def store(self, start: int, data: memoryview) -> int:
        """Take bytes that begin within the window; return how many were new.

        `data` is borrowed. What is before `next` or after `edge` does not count.
        """
        expected = self.next
        end = start + len(data)
        if end > self.edge:
            end = self.edge
            data = data[: end - start]
        if end <= start:
            return 0
        if start < expected:
            self.duplicate = (start, min(end, expected))
            if end <= expected:
                return 0
            data = data[expected - start :]
            start = expected
        if start > expected:
            return self._store_beyond(start, end, data)
        islands = self._islands
        if islands and end >= islands[0].start:
            return self._close_gap(end, data)
        self.held += end - start
        self.next = end
        _append(self._chunks, data)
        return end - start

    def _close_gap(self, end: int, data: memoryview) -> int:
        """Take bytes in order that reach an island or more; return how many were new."""
        start = self.next
        beyond = self.beyond
        islands = self._islands
        count = 0
        while count < len(islands) and islands[count].start <= end:
            island = islands[count]
            count += 1
            if end > island.start:  # twice here: what came first stays
                self.duplicate = (island.start, min(end, island.end))
            if island.start > self.next:
                _append(self._chunks, data[self.next - start : island.start - start])
            self._chunks.extend(island.chunks)
            self._pieces -= len(island.chunks)
            self.beyond -= island.end - island.start
            self.held += island.end - self.next
            self.next = island.end
        del islands[:count]
        if end > self.next:
            _append(self._chunks, data[self.next - start :])
            self.held += end - self.next
            self.next = end
        return self.next - start - (beyond - self.beyond)

    def _store_beyond(self, start: int, end: int, data: memoryview) -> int:
        """Keep bytes behind a hole, as far as none are there yet."""
        islands = self._islands
        self._recent.insert(0, start)
        del self._recent[_RECENT:]
        index = bisect_right(islands, start, key=_start_of)
        stored = 0
        at = start
        if index and islands[index - 1].end > at:
            at = min(islands[index - 1].end, end)
            self.duplicate = (start, at)
        while at < end:
            stop = min(end, islands[index].start) if index < len(islands) else end
            if stop > at:
                if not self._insert(index, at, stop, data[at - start : stop - start]):
                    break
                stored += stop - at
                index = bisect_right(islands, at, key=_start_of)
            if index < len(islands) and stop == islands[index].start:
                at = min(islands[index].end, end)
                if at > stop:
                    self.duplicate = (stop, at)
                index += 1
            else:
                at = stop
                if index and islands[index - 1].end > at:
                    at = min(islands[index - 1].end, end)
        self.beyond += stored
        return stored

    def _insert(self, index: int, start: int, end: int, data: memoryview) -> bool:
        """Add bytes in front of island `index`, joined with the islands they touch."""
        islands = self._islands
        if self._pieces >= _MAX_PIECES:
            return False
        before = islands[index - 1] if index else None
        after = islands[index] if index < len(islands) else None
        if before is not None and before.end == start:
            count = len(before.chunks)
            _append(before.chunks, data)
            self._pieces += len(before.chunks) - count
            before.end = end
            if after is not None and after.start == end:
                before.chunks += after.chunks
                before.end = after.end
                del islands[index]
            return True
        chunk: Chunk = bytearray(data) if end - start < _SMALL else bytes(data)
        if after is not None and after.start == end:
            after.chunks.insert(0, chunk)
            after.start = start
        elif len(islands) < MAX_ISLANDS:
            islands.insert(index, Island(start, end, [chunk]))
        else:
            return False
        self._pieces += 1
        return True

    def blocks(self, count: int) -> list[tuple[int, int]]:
        """Return what a selective acknowledgement tells, newest first (RFC 2018 4, 2883 4).

        What came twice stands in front, once.
        """
        blocks: list[tuple[int, int]] = []
        if self.duplicate is not None:
            blocks.append(self.duplicate)
            self.duplicate = None
        islands = self._islands
        if not islands:
            self._recent.clear()
            return blocks
        seen: list[Island] = []
        for start in self._recent:
            index = bisect_right(islands, start, key=_start_of) - 1
            if index >= 0 and start < islands[index].end and islands[index] not in seen:
                seen.append(islands[index])
        for island in islands:
            if len(seen) >= count:
                break
            if island not in seen:
                seen.append(island)
        blocks += [(island.start, island.end) for island in seen]
        return blocks[:count]

    @property
    def has_islands(self) -> bool:
        """Whether something is missing in front of what is here."""
        return bool(self._islands)

    def drop_islands(self) -> int:
        """Forget what is behind holes, under need of memory; return how many bytes."""
        dropped = self.beyond
        self._islands.clear()
        self._recent.clear()
        self._pieces = 0
        self.beyond = 0
        return dropped

    def read(self, limit: int) -> bytes | memoryview:
        """Take out up to `limit` bytes: as they lie, or short chunks joined."""
        chunks = self._chunks
        if not chunks or limit <= 0:
            return b""
        first = chunks.popleft()
        size = len(first)
        if size > limit:
            view = memoryview(first)
            chunks.appendleft(view[limit:])
            self.held -= limit
            return view[:limit]
        if size >= _GROWN or not chunks or size + len(chunks[0]) > limit:
            self.held -= size
            return memoryview(first) if isinstance(first, bytearray) else first
        parts = [first]
        while chunks and size + len(chunks[0]) <= limit:
            parts.append(chunks.popleft())
            size += len(parts[-1])
        self.held -= size
        return b"".join(parts)

    def clear(self) -> int:
        """Forget everything; return how many bytes that were."""
        freed = self.held + self.drop_islands()
        self._chunks.clear()
        self.held = 0
        return freed


def _append(chunks: deque[Chunk | memoryview] | list[Chunk], data: memoryview) -> None:
    """Copy bytes to the end of chunks; short ones into a chunk that grows."""
    if len(data) >= _SMALL:
        chunks.append(bytes(data))
        return
    last = chunks[-1] if chunks else None
    if type(last) is bytearray and len(last) < _GROWN:
        last += data
    else:
        chunks.append(bytearray(data))
