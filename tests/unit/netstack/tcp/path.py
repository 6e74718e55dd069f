"""A path as BBR sees it, for tests of BBR: what acknowledgements that come over it tell."""

from typing import Final

from tests.unit.netstack.tcp.samples import MSS, sample
from ztlink.netstack.tcp.bbr import Bbr

RTT: Final = 0.125
"""Sums and multiples of it are exact, so that limits can be met to the bit."""
RATE: Final = 800_000.0
PRODUCT: Final = 100_000
"""What the path holds."""
PACE: Final = 0.99 * RATE
"""What is sent in a second when the rate is kept."""
WINDOW: Final = 2 * PRODUCT + 3 * 2 * MSS
"""Twice what the path holds, and three of the least quantum."""
_PATIENCE: Final = 50


class Path:
    """A control, fed with what the path would tell.

    Unless told otherwise, every round trip is the least, and what the path holds is in flight.
    """

    def __init__(
        self,
        rate: float = RATE,
        rtt: float = RTT,
        *,
        first_rtt: float | None = None,
        seed: int = 0,
        start: float = 1.0,
    ) -> None:
        self.control = Bbr(MSS, seed, rtt if first_rtt is None else first_rtt, start)
        self.now = start
        self._rate = rate
        self._rtt = rtt
        self._delivered = 0
        self._prior = 0

    @property
    def gain(self) -> float:
        """What is sent, as a multiple of the rate of the path."""
        return round(self.control.rate / (0.99 * self._rate), 3)

    def round(
        self,
        rate: float | None = None,
        rtt: float | None = None,
        *,
        after: float | None = None,
        acked: int | None = None,
        **more: int,
    ) -> Bbr:
        """Let a round trip pass in which data arrived at a rate; all is told at its end."""
        rate = self._rate if rate is None else rate
        rtt = self._rtt if rtt is None else rtt
        self._prior = self._delivered
        acked = int(rate * rtt) if acked is None else acked
        return self.ack(rate, rtt, after=rtt if after is None else after, acked=acked, **more)

    def rounds(
        self, count: int, rate: float | None = None, rtt: float | None = None, **more: int
    ) -> Bbr:
        """Let some such round trips pass."""
        for _ in range(count):
            self.round(rate, rtt, **more)
        return self.control

    def ack(
        self,
        rate: float | None = None,
        rtt: float | None = None,
        *,
        after: float = 0.0,
        acked: int = MSS,
        in_flight: int | None = None,
        **more: int,
    ) -> Bbr:
        """Let one more acknowledgement come in the round trip that is under way.

        `in_flight` is what remains after it.
        """
        self.now += after
        self._delivered += acked
        left = int(self._rate * self._rtt) if in_flight is None else in_flight
        told = sample(
            self.now,
            acked=acked,
            rtt=self._rtt if rtt is None else rtt,
            least=self._rtt,
            in_flight=left + acked,
            rate=self._rate if rate is None else rate,
            prior_delivered=self._prior,
            delivered=self._delivered,
            **more,
        )
        self.control.on_ack(told)
        return self.control

    def reach(self, gain: float) -> Bbr:
        """Go on until so many times the rate is sent."""
        for _ in range(_PATIENCE):
            if self.gain == gain:
                return self.control
            self.round()
        raise AssertionError(f"{gain} times the rate is never sent")

    def settle(self) -> Bbr:
        """Find the rate, and go on to where the first of six phases at the rate begins."""
        self.rounds(4)
        self.reach(0.75)
        return self.reach(1.0)

    def overflow(self, in_flight: int) -> Bbr:
        """Let a queue stand, and lose something from it while so much is in flight."""
        self.rounds(2, rtt=2 * self._rtt)
        self.control.on_loss(in_flight, self.now)
        return self.control
