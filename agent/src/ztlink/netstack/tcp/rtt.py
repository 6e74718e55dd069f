"""The round trip and the time-out made of it (RFC 6298), and the least round trip of late."""

from typing import Final

INITIAL_TIMEOUT: Final = 1.0
"""RFC 6298 2.1."""
FALLBACK_TIMEOUT: Final = 3.0
"""After a SYN that had to be repeated (RFC 6298 5.7)."""
MIN_TIMEOUT: Final = 0.2
"""Below RFC 6298's one second, as everyone has it: peers delay acknowledgements by 40 ms."""
MAX_TIMEOUT: Final = 60.0
GRANULARITY: Final = 0.001
MIN_WINDOW: Final = 10.0
"""Seconds after which a least round trip is no longer believed."""


class RttEstimator:
    """Round trips in, time-out out; all in seconds."""

    __slots__ = ("backoff", "least", "least_at", "smoothed", "timeout", "variation")

    def __init__(self) -> None:
        self.smoothed = 0.0
        """0 until there is a sample."""
        self.variation = 0.0
        self.least = 0.0
        """Of the last ten seconds; 0 until there is a sample."""
        self.least_at = 0.0
        self.timeout = INITIAL_TIMEOUT
        """Without the back-off."""
        self.backoff = 0
        """How often the time-out has been doubled; a sample ends it (Karn)."""

    def add(self, sample: float, now: float) -> None:
        """Take a round trip of a segment that was sent once."""
        if not self.smoothed:
            self.smoothed = sample
            self.variation = sample / 2
        else:
            self.variation += (abs(self.smoothed - sample) - self.variation) / 4
            self.smoothed += (sample - self.smoothed) / 8
        if sample <= self.least or not self.least or now - self.least_at > MIN_WINDOW:
            self.least = sample
            self.least_at = now
        timeout = self.smoothed + max(GRANULARITY, 4 * self.variation)
        self.timeout = min(max(timeout, MIN_TIMEOUT), MAX_TIMEOUT)
        self.backoff = 0

    def fall_back(self) -> None:
        """Do without a round trip, because the handshake took several attempts (RFC 6298 5.7)."""
        self.timeout = FALLBACK_TIMEOUT
        self.backoff = 0

    def back_off(self) -> None:
        """Double the time-out, up to its cap."""
        if self.timeout * (1 << self.backoff) < MAX_TIMEOUT:
            self.backoff += 1

    @property
    def current(self) -> float:
        """The time-out in force."""
        if not self.backoff:
            return self.timeout
        return min(self.timeout * (1 << self.backoff), MAX_TIMEOUT)
