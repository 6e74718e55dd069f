"""Asking again what was refused for a moment: connections that break, 429, 5xx.

Pauses double up to a bound, and chance spreads them: many who were refused together do not come
back together. What the other side says of when to come back (Retry-After) is the least.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

PASSING: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses of HTTP that may be others in a moment."""
MAX_PAUSE: Final = 5.0


class PassingError(Exception):
    """What may be better in a moment."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Retries:
    """For how long something is tried, and how often."""

    read_time: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    patience: float
    """Seconds."""
    first_pause: float

    async def run(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` returns; its last PassingError once the patience has ended."""
        deadline = self.read_time() + self.patience
        for pause in _pauses(self.first_pause):
            try:
                return await ask()
            except PassingError as error:
                wait = max(self._spread(pause), error.retry_after)
                if self.read_time() + wait > deadline:
                    raise
                logger.info("%s: %s, again in %.1f s", what, error, wait)
                await asyncio.sleep(wait)
        raise AssertionError("pauses do not end")

    def _spread(self, pause: float) -> float:
        return pause * (1 + self.random_bytes(1)[0] / 255) / 2


def read_retry_after(text: str) -> float:
    """Return the seconds of a Retry-After; 0 for a date, which few send, or for nothing."""
    return float(text) if text.isdecimal() else 0.0


def _pauses(pause: float) -> Iterator[float]:
    while True:
        yield pause
        pause = min(2 * pause, MAX_PAUSE)
