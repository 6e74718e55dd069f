"""Waiting with deadlines."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.errors import WaitTimeoutError

T = TypeVar("T")

POLL = 0.02
"""Seconds between two looks: small beside what is measured, cheap beside what is run."""


def wait_until(
    look: Callable[[], T],
    *,
    timeout: float,
    what: str,
    poll: float = POLL,
) -> T:
    """Look until the answer is true, and return it; WaitTimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise WaitTimeoutError(f"{what}: not within {timeout:g} s (last: {answer!r})")
        time.sleep(poll)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start
