"""How much somebody may cost: tokens that are spent, and come back with time."""

from ztlink.clock import Now


class Budget:
    """A token bucket."""

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
        elapsed = now.mono - self._last
        self._last = now.mono
        self._tokens = min(self._burst, self._tokens + max(elapsed, 0.0) * self._rate)
        return self._tokens >= 1.0

    def charge(self, cost: float, now: Now) -> None:
        """Take what something has cost, be it more than there is: then the rest is owed."""
        self.has_one(now)
        self._tokens -= cost
