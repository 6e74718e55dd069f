"""What the application wrote and the peer has not acknowledged: chunks, found by sequence number.

Chunks are immutable, so that pieces of them can be lent out without a copy. Large `bytes` are kept
as they come; small ones are gathered, so that a thousand small writes are no thousand objects.
"""

from bisect import bisect_right
from typing import Final

_SMALL: Final = 2048
"""Bytes below which chunks are joined, by a copy."""


class SendBuffer:
    """Bytes from `start` up to `end`, both sequence numbers."""

    __slots__ = ("_chunks", "_starts", "end", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        """Bytes before it are acknowledged; a chunk that holds them may still be here."""
        self.end = start
        self._chunks: list[memoryview] = []
        self._starts: list[int] = []

    def __len__(self) -> int:
        return self.end - self.start

    def append(self, data: memoryview) -> None:
        """Keep bytes; the view is kept as it is where it is long and over `bytes`."""
        size = len(data)
        if size < _SMALL and self._chunks and len(self._chunks[-1]) < _SMALL:
            self._chunks[-1] = memoryview(b"".join((self._chunks[-1], data)))
        else:
            if size < _SMALL or not (data.readonly and type(data.obj) is bytes):
                data = memoryview(bytes(data))
            self._chunks.append(data)
            self._starts.append(self.end)
        self.end += size

    def pieces(self, first: int, size: int) -> tuple[memoryview, ...]:
        """Return the bytes from sequence number `first` on."""
        index = bisect_right(self._starts, first) - 1
        chunk = self._chunks[index]
        offset = first - self._starts[index]
        if offset + size <= len(chunk):
            return (chunk if size == len(chunk) else chunk[offset : offset + size],)
        pieces = [chunk[offset:] if offset else chunk]
        size -= len(pieces[0])
        while size > 0:
            index += 1
            chunk = self._chunks[index]
            pieces.append(chunk if size >= len(chunk) else chunk[:size])
            size -= len(chunk)
        return tuple(pieces)

    def release(self, upto: int) -> int:
        """Forget what is acknowledged; return how many bytes that were."""
        freed = upto - self.start
        self.start = upto
        if upto == self.end:
            self._chunks.clear()
            self._starts.clear()
        else:
            count = bisect_right(self._starts, upto) - 1
            if count > 0:
                del self._chunks[:count], self._starts[:count]
        return freed

    def clear(self) -> int:
        """Forget everything; return how many bytes that were."""
        return self.release(self.end)
