"""How often something may be done."""


class TokenBucket:
    """Lets `rate` things a second pass, and `burst` at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._time = float("-inf")

    def take(self, mono: float) -> bool:
        """Tell, and note, whether one more may pass."""
        if mono > self._time:
            gained = (mono - self._time) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
            self._time = mono
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
