"""What streams and datagrams have in common: what waits to be sent, and the end of a transport.

The flow control of writers is asyncio's own, with types: what `loop.sendfile` insists on.
"""

import asyncio
import collections
from abc import abstractmethod
from asyncio import transports
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class FlowControl(transports._FlowControlMixin, Generic[T]):  # noqa: SLF001 - a base class
    """Pauses a protocol above the high-water mark, resumes it below the low one, ends once."""

    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(names, loop)
        self._names = names
        self._unwritten: collections.deque[T] = collections.deque()
        self._unwritten_size = 0
        self._is_closing = False
        self._is_lost = False

    def pause_if_full(self) -> None:
        """Have the protocol write no more, where too much waits."""
        self._maybe_pause_protocol()  # type: ignore[attr-defined] # unknown to typeshed

    def resume_if_drained(self) -> None:
        """Have the protocol write again, where little waits."""
        self._maybe_resume_protocol()  # type: ignore[attr-defined] # unknown to typeshed

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the stack has not taken yet."""
        return self._unwritten_size

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `peername`, `sockname`, or the default."""
        return self._names.get(name, default)

    # -- the end -----------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Tell whether it is closing or closed."""
        return self._is_closing

    def close(self) -> None:
        """Close, after what waits is with the stack; a stream delivers that and its end."""
        if self._is_closing:
            return
        self._is_closing = True
        if not self._unwritten:
            self._finish()

    @abstractmethod
    def _finish(self) -> None:
        """Close what the stack has of it, and lose that."""

    def _become_lost(self) -> bool:
        """Drop what waits; return whether this is the end, which comes once."""
        if self._is_lost:
            return False
        self._is_lost = self._is_closing = True
        self._unwritten.clear()
        self._unwritten_size = 0
        return True
