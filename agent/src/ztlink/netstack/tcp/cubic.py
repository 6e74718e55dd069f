"""CUBIC (RFC 9438): a window that grows with the cube of the time since the last loss."""

from typing import Final

from ztlink.netstack.tcp.congestion import UNLIMITED, initial_window
from ztlink.netstack.tcp.flight import Sample
from ztlink.netstack.tcp.hystart import HyStart

_C: Final = 0.4
"""Segments per second cubed."""
_BETA: Final = 0.7
_ALPHA: Final = 3 * (1 - _BETA) / (1 + _BETA)
"""What makes Reno's growth equal with this beta, until it is back at its old window."""


class Cubic:
    """Windows are segments with a fraction inside, bytes outside."""

    __slots__ = (
        "_alpha",
        "_epoch",
        "_estimate",
        "_hystart",
        "_maximum",
        "_mss",
        "_origin",
        "_period",
        "_prior",
        "_segments",
        "_undo",
        "rate",
        "threshold",
        "window",
    )

    def __init__(self, mss: int) -> None:
        self._mss = mss
        self.window = initial_window(mss)
        self.rate = 0.0
        self.threshold = UNLIMITED
        self._hystart = HyStart()
        self._segments = 0.0
        """The window in congestion avoidance."""
        self._maximum = 0.0
        """W_max: where the last loss was, or a little below (fast convergence)."""
        self._prior = 0.0
        """The window at the last loss."""
        self._origin = 0.0
        self._epoch = 0.0
        """When this congestion avoidance began; 0: with the next acknowledgement."""
        self._period = 0.0
        """K: seconds from the epoch until the window is back at W_max."""
        self._estimate = 0.0
        """W_est: what Reno would have."""
        self._alpha = _ALPHA
        self._undo: tuple[int, int, float, float] | None = None

    def on_ack(self, sample: Sample) -> None:
        if sample.is_recovering or 2 * sample.prior_in_flight < self.window:
            return
        if self.window < self.threshold:
            grown = self.window + self._hystart.increase(sample)
            self.window = min(grown, self.threshold)
            if self._hystart.is_done:
                self.threshold = self.window
            return
        if not self._epoch:
            self._begin(sample.now)
        acked = sample.acked / self._mss
        elapsed = sample.now - self._epoch + sample.least
        target = self._origin + _C * (elapsed - self._period) ** 3
        target = min(max(target, self._segments), 1.5 * self._segments)
        if self._estimate >= self._prior:
            self._alpha = 1.0
        self._estimate += self._alpha * acked / self._segments
        following = self._segments + (target - self._segments) * acked / self._segments
        self._segments = max(following, self._estimate)
        self.window = int(self._segments * self._mss)

    def _begin(self, now: float) -> None:
        """Start an epoch at the present window (RFC 9438 4.2)."""
        self._epoch = now
        self._segments = self.window / self._mss
        self._estimate = self._segments
        self._alpha = _ALPHA
        self._origin = max(self._maximum, self._segments)
        distance = self._origin - self._segments
        self._period = (distance / _C) ** (1 / 3)

    def on_loss(self, in_flight: int, now: float) -> None:
        self._reduce(in_flight)
        self.window = self.threshold

    def on_recovered(self, now: float) -> None:
        self._undo = None

    def on_timeout(self, in_flight: int, now: float) -> None:
        self._reduce(in_flight)
        self.window = self._mss

    def _reduce(self, in_flight: int) -> None:
        self._undo = (self.window, self.threshold, self._maximum, self._prior)
        segments = self.window / self._mss
        is_falling = segments < self._maximum
        self._maximum = segments * (1 + _BETA) / 2 if is_falling else segments
        self._prior = segments
        self._epoch = 0.0
        self.threshold = max(int(min(self.window, in_flight) * _BETA), 2 * self._mss)

    def on_idle(self, now: float) -> None:
        self._epoch = 0.0
        self.window = min(self.window, initial_window(self._mss))

    def undo(self) -> None:
        if self._undo is not None:
            window, threshold, self._maximum, self._prior = self._undo
            self.window = max(self.window, window)
            self.threshold = max(self.threshold, threshold)
            self._epoch = 0.0

    def resize(self, mss: int) -> None:
        self._mss = mss
        self._epoch = 0.0
        self.window = max(self.window, 2 * mss)
