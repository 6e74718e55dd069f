"""Virtual time: things that happen later, in an order that is the same in every run."""

import heapq
from collections.abc import Callable
from typing import Final

Action = Callable[[], None]

MAX_ACTIONS_AT_ONCE: Final = 200_000
"""More than this at one instant is a loop that does not let time go on."""


class Appointment:
    """One thing that will happen, unless it is cancelled."""

    __slots__ = ("action", "time")

    def __init__(self, time: float, action: Action) -> None:
        self.time = time
        self.action: Action | None = action

    def cancel(self) -> None:
        """Have it not happen; harmless when it already did."""
        self.action = None


class Schedule:
    """What happens when; things of one instant happen in the order in which they were asked for."""

    def __init__(self) -> None:
        self.time = 0.0
        """Seconds since the world began."""
        self._queue: list[tuple[float, int, Appointment]] = []
        self._count = 0
        self._at_this_instant = 0

    def at(self, time: float, action: Action) -> Appointment:
        """Have something happen at a time; the past means now."""
        appointment = Appointment(max(time, self.time), action)
        self._count += 1
        heapq.heappush(self._queue, (appointment.time, self._count, appointment))
        return appointment

    def after(self, delay: float, action: Action) -> Appointment:
        """Have something happen in a while."""
        return self.at(self.time + delay, action)

    def every(self, interval: float, action: Action, *, until: float = float("inf")) -> None:
        """Have something happen now and again, until a time."""

        def again() -> None:
            if self.time < until:
                action()
                self.after(interval, again)

        self.after(0.0, again)

    def run_until(self, time: float) -> None:
        """Let everything happen that is due by then."""
        self._advance(time, lambda: False)
        self.time = max(self.time, time)

    def run_while(self, condition: Callable[[], bool], *, limit: float) -> bool:
        """Go on while a condition holds, for `limit` seconds at most; tell whether it ended."""
        self._advance(self.time + limit, lambda: not condition())
        return not condition()

    def _advance(self, end: float, is_enough: Callable[[], bool]) -> None:
        while self._queue and self._queue[0][0] <= end and not is_enough():
            time, _, appointment = heapq.heappop(self._queue)
            if appointment.action is None:
                continue
            self._at_this_instant = self._at_this_instant + 1 if time == self.time else 0
            assert self._at_this_instant < MAX_ACTIONS_AT_ONCE, f"time stands still at {time}"
            self.time = time
            action, appointment.action = appointment.action, None
            action()
