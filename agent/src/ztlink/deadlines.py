"""Deadlines: one queue for a core, with lazy deletion.

An owner is scheduled at the earliest moment it may need. Late is fine, early is harmless and twice
is a no-op, because an owner looks at its own state when called and says when it wants to be called
next. So nothing is rescheduled while packets flow: a deadline that moves later is found out when it
fires. A deadline that moves ahead leaves its old entry behind; where such are the most, all go.
"""

import heapq
from collections.abc import Iterable
from typing import Final, Generic, Protocol, TypeVar

from ztlink.clock import Now


def earliest(deadlines: Iterable[float | None]) -> float | None:
    """Return the earliest of the deadlines that there are."""
    first = None
    for deadline in deadlines:
        if deadline is not None and (first is None or deadline < first):
            first = deadline
    return first


def sooner(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two deadlines, of which either may not be there."""
    return other if one is None or (other is not None and other < one) else one


class Timed(Protocol):
    """Something that wants to be called at a deadline, and then schedules itself again."""

    def handle_timer(self, now: Now) -> None:
        """Do what is due."""


Owner = TypeVar("Owner")
LEAST_ENTRIES: Final = 64
"""A heap below this is not worth a look at what in it is void."""


class DeadlineQueue(Generic[Owner]):
    """The owners of deadlines, earliest first; equal deadlines in the order they were scheduled."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        """What is first is in force, whatever is behind it."""
        self._entries: dict[Owner, tuple[float, int, Owner]] = {}
        """All that is in force; everything else in the heap is void."""
        self._sequence = 0

    def __len__(self) -> int:
        """Count the entries, those included that are void and not yet dropped."""
        return len(self._heap)

    def schedule(self, owner: Owner, deadline: float | None) -> None:
        """Call `owner` at `deadline` or before.

        A later deadline than the one in force changes nothing.
        """
        if deadline is None:
            return
        current = self._entries.get(owner)
        if current is not None and current[0] <= deadline:
            return
        self._sequence += 1
        entry = self._entries[owner] = (deadline, self._sequence, owner)
        heapq.heappush(self._heap, entry)
        self._bound()

    def forget(self, owner: Owner) -> None:
        """Drop an owner that is gone."""
        self._entries.pop(owner, None)
        self._bound()
        self._drop_void()

    def head(self) -> float | None:
        """Return the earliest deadline."""
        heap = self._heap
        return heap[0][0] if heap else None

    def pop_due(self, mono: float) -> Owner | None:
        """Take out one owner whose deadline has come, or return None."""
        deadline = self.head()
        if deadline is None or deadline > mono:
            return None
        owner = heapq.heappop(self._heap)[2]
        del self._entries[owner]
        self._drop_void()
        return owner

    def _drop_void(self) -> None:
        """Have what is in force come first, after what was first has gone."""
        heap, entries = self._heap, self._entries
        while heap and entries.get(heap[0][2]) is not heap[0]:
            heapq.heappop(heap)

    def _bound(self) -> None:
        """Drop what is void where it is more than half: so an owner costs the same for ever."""
        if len(self._heap) > max(LEAST_ENTRIES, 2 * len(self._entries)):
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)
