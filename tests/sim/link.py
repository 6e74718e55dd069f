"""What happens to datagrams on their way: delay, jitter, loss, doubling, overtaking, a rate."""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from ztlink.ids import Endpoint

DEFAULT_TTL: Final = 64
_OVERHEAD: Final = 28  # IPv4 and UDP headers, which count against a rate


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram."""

    source: Endpoint
    destination: Endpoint
    payload: bytes
    ttl: int = DEFAULT_TTL
    burst: int = 0
    """Equal for the datagrams of one send: back to back, they meet the same jitter."""

    def from_(self, source: Endpoint) -> "Datagram":
        """Return it with another source, as a NAT does."""
        return replace(self, source=source)

    def to(self, destination: Endpoint) -> "Datagram":
        """Return it with another destination."""
        return replace(self, destination=destination)

    def after_routers(self, count: int) -> "Datagram | None":
        """Return it after `count` routers; None where its time to live ended before."""
        return replace(self, ttl=self.ttl - count) if self.ttl > count else None


@dataclass(slots=True)
class Link:
    """A way in one direction; a test may change any property while the world goes on."""

    delay: float = 0.0
    jitter: float = 0.0
    """Seconds, the most that is added to the delay; drawn once for each burst."""
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    """How likely a datagram is held back for `reordering_delay`, while others overtake it."""
    reordering_delay: float = 0.004
    rate: float = 0.0
    """Bytes per second, 0 for no limit; what waits longer than `patience` is dropped."""
    patience: float = 0.2
    max_size: int = 65_507
    """Payload bytes; larger datagrams vanish without a word."""
    is_black_hole: bool = False
    lost: int = 0
    """Datagrams that were lost here."""
    carried: int = 0
    _burst: int = -1
    _burst_delay: float = 0.0
    _busy_until: float = 0.0
    _last_arrival: dict[tuple[Endpoint, Endpoint], float] = field(default_factory=dict)

    def arrivals(self, datagram: Datagram, time: float, chance: Random) -> list[float]:
        """Return when copies of a datagram sent at `time` come out at the other end."""
        if self._swallows(datagram, chance):
            self.lost += 1
            return []
        departure = self._depart(datagram, time)
        if departure is None:
            self.lost += 1
            return []
        self.carried += 1
        arrival = departure + self._delay_of(datagram, chance)
        if self.reordering and chance.random() < self.reordering:
            arrival += self.reordering_delay
        elif self.jitter:
            arrival = self._in_order(datagram, arrival)
        if self.duplication and chance.random() < self.duplication:
            return [arrival, arrival]
        return [arrival]

    def _swallows(self, datagram: Datagram, chance: Random) -> bool:
        if self.is_black_hole or len(datagram.payload) > self.max_size:
            return True
        return bool(self.loss) and chance.random() < self.loss

    def _depart(self, datagram: Datagram, time: float) -> float | None:
        if not self.rate:
            return time
        start = max(time, self._busy_until)
        if start - time > self.patience:
            return None
        self._busy_until = start + (len(datagram.payload) + _OVERHEAD) / self.rate
        return self._busy_until

    def _delay_of(self, datagram: Datagram, chance: Random) -> float:
        if datagram.burst != self._burst:
            self._burst = datagram.burst
            self._burst_delay = self.delay
            if self.jitter:
                self._burst_delay += chance.random() * self.jitter
        return self._burst_delay

    def _in_order(self, datagram: Datagram, arrival: float) -> float:
        flow = (datagram.source, datagram.destination)
        arrival = max(arrival, self._last_arrival.get(flow, 0.0))
        self._last_arrival[flow] = arrival
        return arrival
