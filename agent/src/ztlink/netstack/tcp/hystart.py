"""HyStart++ (RFC 9406): leave slow start when the round trip grows, before something is lost.

Samples are fewer here than the RFC counts on, because an acknowledgement may stand for a whole
super-segment: a round is judged from its fourth sample on.
"""

from typing import Final

from ztlink.netstack.tcp.flight import Sample

_MIN_RISE: Final = 0.004
_MAX_RISE: Final = 0.016
_RISE_DIVISOR: Final = 8
_SAMPLES: Final = 4
_CAUTIOUS_DIVISOR: Final = 4
_CAUTIOUS_ROUNDS: Final = 5


class HyStart:
    """The rounds of one slow start."""

    __slots__ = (
        "_baseline",
        "_least",
        "_previous",
        "_round_end",
        "_rounds",
        "_samples",
        "is_done",
    )

    def __init__(self) -> None:
        self.is_done = False
        """Slow start is over."""
        self._least = 0.0
        """Least round trip in this round, and in the one before; 0: none."""
        self._previous = 0.0
        self._samples = 0
        self._round_end = 0
        self._rounds = 0
        """Cautious rounds so far, counted from 1; 0: not cautious."""
        self._baseline = 0.0
        """The round trip that made us cautious."""

    def increase(self, sample: Sample) -> int:
        """Return how much the window grows by an acknowledgement."""
        if sample.prior_delivered >= self._round_end:
            self._next_round(sample)
        if sample.rtt:
            self._samples += 1
            self._least = min(self._least or sample.rtt, sample.rtt)
        if self._samples >= _SAMPLES and self._least and self._previous:
            self._judge()
        return sample.acked // _CAUTIOUS_DIVISOR if self._rounds else sample.acked

    def _next_round(self, sample: Sample) -> None:
        self._round_end = sample.delivered
        self._previous, self._least = self._least, 0.0
        self._samples = 0
        if self._rounds:
            self._rounds += 1
            self.is_done = self._rounds > _CAUTIOUS_ROUNDS

    def _judge(self) -> None:
        if self._rounds:
            if self._least < self._baseline:
                self._rounds = 0  # it was only a jitter
            return
        rise = min(max(self._previous / _RISE_DIVISOR, _MIN_RISE), _MAX_RISE)
        if self._least >= self._previous + rise:
            self._rounds = 1
            self._baseline = self._least
