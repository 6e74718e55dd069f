"""A cursor over received bytes and one over bytes to send; big-endian throughout."""

from ztlink.errors import TruncatedError


class Reader:
    """Pulls fields from borrowed bytes; raises TruncatedError past the end."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)
        self._position = 0
        self._end = len(self._data)

    def __bool__(self) -> bool:
        return self._position < self._end

    @property
    def remaining(self) -> int:
        """Bytes not yet pulled."""
        return self._end - self._position

    @property
    def position(self) -> int:
        """Bytes pulled so far."""
        return self._position

    def pull_uint(self, size: int) -> int:
        """Pull an unsigned integer of `size` bytes."""
        return int.from_bytes(self._pull(size), "big")

    def pull_bytes(self, size: int) -> bytes:
        """Pull `size` bytes as a copy."""
        return bytes(self._pull(size))

    def pull_rest(self) -> bytes:
        """Pull all that is left."""
        return bytes(self._pull(self.remaining))

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        self._pull(size)

    def _pull(self, size: int) -> memoryview:
        start = self._position
        if size > self._end - start:
            raise TruncatedError(f"{size} bytes wanted at {start}, {self._end - start} left")
        self._position = start + size
        return self._data[start : start + size]


class Writer:
    """Pushes fields onto growing bytes."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def push_uint(self, value: int, size: int) -> None:
        """Push an unsigned integer of `size` bytes; OverflowError is our own mistake."""
        self._data += value.to_bytes(size, "big")

    def push_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Push bytes as they are."""
        self._data += data

    def getvalue(self) -> bytes:
        """Return all that was pushed."""
        return bytes(self._data)
