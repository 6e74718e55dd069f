"""When something was last done for each of many; what is long ago is as good as never."""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from ztlink.clock import Now

NEVER: Final = float("-inf")
K = TypeVar("K", bound=Hashable)


class Recent(Generic[K]):
    """Times by key, bounded in number and in age: the longest ago is forgotten first."""

    __slots__ = ("_lifetime", "_most", "_times")

    def __init__(self, lifetime: float, most: int) -> None:
        """Make it empty; what is longer ago than `lifetime` seconds means nothing to its owner."""
        self._lifetime = lifetime
        self._most = most
        self._times: dict[K, float] = {}

    def __len__(self) -> int:
        return len(self._times)

    def note(self, key: K, now: Now) -> None:
        """Remember that it is done now."""
        times = self._times
        times.pop(key, None)
        times[key] = now.mono
        oldest = next(iter(times))
        while len(times) > self._most or now.mono - times[oldest] > self._lifetime:
            del times[oldest]
            oldest = next(iter(times))

    def last(self, key: K) -> float:
        """Return when it was done; NEVER where it was not, or too long ago."""
        return self._times.get(key, NEVER)
