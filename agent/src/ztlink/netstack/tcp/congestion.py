"""How much may be in flight: the face of congestion control, and NewReno (RFC 5681, 6582).

A control sees acknowledgements as samples and losses as events; it tells a window and, if it paces,
a rate. What is in flight is counted without what is known to be lost or to have arrived (RFC 6675),
so that during recovery, the same window says when to send. Acknowledgements are counted in bytes
(RFC 3465), because one may stand for a super-segment.
"""

from typing import Final, Protocol

from ztlink.netstack.tcp.flight import Sample
from ztlink.netstack.tcp.hystart import HyStart

INITIAL_BYTES: Final = 14_600
INITIAL_SEGMENTS: Final = 10
UNLIMITED: Final = 1 << 62


class Congestion(Protocol):
    """A congestion control of one connection."""

    window: int
    """Bytes that may be in flight."""
    rate: float
    """Bytes per second at which to send; 0: as acknowledgements come."""

    def on_ack(self, sample: Sample) -> None:
        """Take an acknowledgement of something new."""

    def on_loss(self, in_flight: int, now: float) -> None:
        """Take the first loss of a round trip: recovery begins."""

    def on_recovered(self, now: float) -> None:
        """Everything is acknowledged that was sent before recovery began."""

    def on_timeout(self, in_flight: int, now: float) -> None:
        """Nothing was acknowledged in time; all is lost."""

    def on_idle(self, now: float) -> None:
        """Begin to send again after a time-out's length of silence (RFC 5681 4.1)."""

    def undo(self) -> None:
        """Take back the last reduction: it was for nothing."""

    def resize(self, mss: int) -> None:
        """Count with another size of segments from now on."""


def initial_window(mss: int) -> int:
    """Return what may be sent before the first acknowledgement (RFC 6928)."""
    return min(INITIAL_SEGMENTS * mss, max(2 * mss, INITIAL_BYTES))


class NewReno:
    """Additive increase, multiplicative decrease; slow start by HyStart++."""

    __slots__ = ("_acked", "_hystart", "_mss", "_undo", "rate", "threshold", "window")

    def __init__(self, mss: int) -> None:
        self._mss = mss
        self.window = initial_window(mss)
        self.rate = 0.0
        self.threshold = UNLIMITED
        self._hystart = HyStart()
        self._acked = 0
        self._undo = (0, 0)

    def on_ack(self, sample: Sample) -> None:
        if sample.is_recovering or 2 * sample.prior_in_flight < self.window:
            return  # what was not used tells nothing (RFC 7661)
        if self.window < self.threshold:
            grown = self.window + self._hystart.increase(sample)
            self.window = min(grown, self.threshold)
            if self._hystart.is_done:
                self.threshold = self.window
            return
        self._acked += sample.acked
        if self._acked >= self.window:
            self._acked -= self.window
            self.window += self._mss

    def on_loss(self, in_flight: int, now: float) -> None:
        self._undo = (self.window, self.threshold)
        self.threshold = max(in_flight // 2, 2 * self._mss)
        self.window = self.threshold
        self._acked = 0

    def on_recovered(self, now: float) -> None:
        self._undo = (0, 0)

    def on_timeout(self, in_flight: int, now: float) -> None:
        self._undo = (self.window, self.threshold)
        self.threshold = max(in_flight // 2, 2 * self._mss)
        self.window = self._mss
        self._acked = 0

    def on_idle(self, now: float) -> None:
        self.window = min(self.window, initial_window(self._mss))

    def undo(self) -> None:
        window, threshold = self._undo
        if window:
            self.window = max(self.window, window)
            self.threshold = max(self.threshold, threshold)

    def resize(self, mss: int) -> None:
        self._mss = mss
        self.window = max(self.window, 2 * mss)
