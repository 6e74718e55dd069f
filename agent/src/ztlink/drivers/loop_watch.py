"""Descriptors watched by an asyncio loop, for a pump that runs in it.

As if by an epoll of the pump's own, but for its being asked: that would be a system call more for
each wake-up, and its descriptor another one that the loop's has to look into.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable


class LoopWatch:
    """What `select.epoll` is to a pump with a thread; see `loop.Watch`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[int], None]) -> None:
        """Make it; `on_ready` is called with a descriptor whenever that is ready."""
        self._loop = loop
        self._on_ready = on_ready
        self._interests: dict[int, int] = {}

    def register(self, descriptor: int, interest: int) -> None:
        """Begin to watch; anew where the number is known, since another may have it now."""
        self.unregister(descriptor)
        self._interests[descriptor] = 0
        self.modify(descriptor, interest)

    def modify(self, descriptor: int, interest: int) -> None:
        """Watch for what is of interest now, be it nothing."""
        changed = self._interests[descriptor] ^ interest
        self._interests[descriptor] = interest
        loop = self._loop
        if changed & interest & select.EPOLLIN:
            loop.add_reader(descriptor, self._on_ready, descriptor)
        elif changed & select.EPOLLIN:
            loop.remove_reader(descriptor)
        if changed & interest & select.EPOLLOUT:
            loop.add_writer(descriptor, self._on_ready, descriptor)
        elif changed & select.EPOLLOUT:
            loop.remove_writer(descriptor)

    def unregister(self, descriptor: int) -> None:
        """Watch no longer; a closed descriptor has left by itself."""
        if self._interests.pop(descriptor, None) is None:
            return
        for remove in (self._loop.remove_writer, self._loop.remove_reader):
            with contextlib.suppress(OSError):  # it is closed: the loop forgets it, too
                remove(descriptor)

    def close(self) -> None:
        """Watch nothing."""
        for descriptor in tuple(self._interests):
            self.unregister(descriptor)
