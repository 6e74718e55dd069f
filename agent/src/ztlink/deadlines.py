"""Deadlines: one queue for a core, with lazy deletion.

An owner is scheduled at the earliest moment it may need. Late is fine, early is harmless and twice
is a no-op, because an owner looks at its own state when called and says when it wants to be called
next. So nothing is rescheduled while packets flow: a deadline that moves later is found out when it
fires.
"""

import heapq
from typing import Generic, Protocol, TypeVar

from ztlink.clock import Now


class Timed(Protocol):
    """Something that wants to be called at a deadline, and then schedules itself again."""

    def handle_timer(self, now: Now) -> None:
        """Do what is due."""


Owner = TypeVar("Owner")


class DeadlineQueue(Generic[Owner]):
    """The owners of deadlines, earliest first; equal deadlines in the order they were scheduled."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        self._deadlines: dict[Owner, float] = {}
        self._sequence = 0

    def schedule(self, owner: Owner, deadline: float | None) -> None:
        """Call `owner` at `deadline` or before.

        A later deadline than the one in force changes nothing.
        """
        if deadline is None:
            return
        current = self._deadlines.get(owner)
        if current is not None and current <= deadline:
            return
        self._deadlines[owner] = deadline
        self._sequence += 1
        heapq.heappush(self._heap, (deadline, self._sequence, owner))

    def forget(self, owner: Owner) -> None:
        """Drop an owner that is gone."""
        self._deadlines.pop(owner, None)

    def head(self) -> float | None:
        """Return the earliest deadline."""
        heap = self._heap
        while heap and self._deadlines.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, mono: float) -> Owner | None:
        """Take out one owner whose deadline has come, or return None."""
        deadline = self.head()
        if deadline is None or deadline > mono:
            return None
        owner = heapq.heappop(self._heap)[2]
        del self._deadlines[owner]
        return owner
