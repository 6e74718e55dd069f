"""How much somebody may cost: tokens that are spent, and come back with time."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from ztlink.clock import Now

K = TypeVar("K", bound=Hashable)


class Budget:
    """A token bucket."""

    __slots__ = ("_burst", "_last", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._last = float("-inf")

    def spend(self, now: Now) -> bool:
        """Take one token if there is one."""
        if not self.has_one(now):
            return False
        self._tokens -= 1.0
        return True

    def has_one(self, now: Now) -> bool:
        """Tell whether there is a token."""
        self._fill(now)
        return self._tokens >= 1.0

    def is_full(self, now: Now) -> bool:
        """Tell whether all that was spent is back."""
        self._fill(now)
        return self._tokens >= self._burst

    def charge(self, cost: float, now: Now) -> None:
        """Take what something has cost, be it more than there is: then the rest is owed."""
        self._fill(now)
        self._tokens -= cost

    def _fill(self, now: Now) -> None:
        elapsed = now.mono - self._last
        self._last = now.mono
        self._tokens = min(self._burst, self._tokens + max(elapsed, 0.0) * self._rate)


class Budgets(Generic[K]):
    """A budget for each of many; one that is full is as good as none, and is not kept."""

    def __init__(self, rate: float, burst: float, most: int) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._budgets: dict[K, Budget] = {}
        """The longest unused first."""

    def __len__(self) -> int:
        return len(self._budgets)

    def spend(self, key: K, now: Now) -> bool:
        """Take one token of somebody's budget if there is one."""
        return self._use(key, now).spend(now)

    def charge(self, key: K, cost: float, now: Now) -> None:
        """Take from somebody's budget what something has cost, be it more than there is."""
        self._use(key, now).charge(cost, now)

    def find(self, key: K) -> Budget | None:
        """Return the budget of somebody who has used it lately."""
        return self._budgets.get(key)

    def _use(self, key: K, now: Now) -> Budget:
        budgets = self._budgets
        used = budgets.pop(key, None) or Budget(self._rate, self._burst)
        while budgets:
            oldest = next(iter(budgets))
            if len(budgets) < self._most and not budgets[oldest].is_full(now):
                break
            del budgets[oldest]
        budgets[key] = used
        return used
