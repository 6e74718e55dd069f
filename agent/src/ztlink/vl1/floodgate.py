"""Where forged HELLOs come from, and how many of them the sockets should let pass.

A HELLO is the one packet that strangers may send, and to see through a forged one costs a key
agreement or at least a tag. Ours are counted by the network that they come from. When a few
hundred were refused within half a second the gate closes: the sockets, which can drop at a
fraction of the cost, let only a share of HELLOs from those networks pass, drawn by lot; of all
others too when they are too many to name. What is true is repeated by its sender and gets through
after a while, what others send from elsewhere is not touched, and nothing but HELLOs ever is.
While the gate is closed the shares follow, once a second, what still arrives; it opens again when
the flood is over.
"""

from dataclasses import dataclass
from typing import Final

from ztlink.clock import Now
from ztlink.deadlines import DeadlineQueue, Timed
from ztlink.ids import IpAddress

TRIGGER: Final = 256
"""Refused HELLOs within `WINDOW` that close the gate."""
WINDOW: Final = 0.5
INTERVAL: Final = 1.0
PASSED: Final = 100.0
"""Refused HELLOs a second that a closed gate lets pass: they tell how many there would be."""
MIN_SHARE: Final = 0.001
SETTLE_TIME: Final = 0.05
"""Seconds after an order in which what comes was received before it."""
CALM: Final = 250.0
"""Refused HELLOs a second below which a source is left alone."""
MAX_NAMED: Final = 16
MAX_COUNTED: Final = 512

Source = tuple[int, int]
"""IP version and the first 24 (IPv4) or 64 (IPv6) bits: what one host can speak for."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the sockets are to do with HELLOs."""

    named: frozenset[Source] = frozenset()
    """Sources of which only a share may pass."""
    named_share: float = 1.0
    others_share: float = 1.0


OPEN: Final = Gate()


def source_of(ip: IpAddress) -> Source:
    """Return the network that a host can take any address of."""
    return ip.version, int(ip) >> (8 if ip.version == 4 else 64)


class Floodgate:
    """Counts what was refused, and says what the sockets are to do."""

    def __init__(self, timers: DeadlineQueue[Timed]) -> None:
        self._timers = timers
        self.gate = OPEN
        """Compared by identity: another object means another order."""
        self._since = float("-inf")
        self._total = 0
        self._counts: dict[Source, int] = {}

    def __len__(self) -> int:
        """Return how many sources are being counted."""
        return len(self._counts)

    def refused(self, ip: IpAddress, now: Now) -> None:
        """Count a HELLO that was worth nothing."""
        if self.gate is OPEN and now.mono - self._since > WINDOW:
            self._begin(now.mono)
        if now.mono < self._since:
            return
        source = source_of(ip)
        if source in self._counts or len(self._counts) < MAX_COUNTED:
            self._counts[source] = self._counts.get(source, 0) + 1
        self._total += 1
        if self._total >= TRIGGER:
            self._set(now)

    def handle_timer(self, now: Now) -> None:
        """Let the shares follow what arrived since."""
        if self.gate is not OPEN:
            self._set(now)

    def _begin(self, mono: float) -> None:
        self._since = mono
        self._total = 0
        self._counts.clear()

    def _set(self, now: Now) -> None:
        """Set the gate by what would arrive without it."""
        offered, others = self._offered(max(now.mono - self._since, 0.001))
        loud = sorted(offered, key=lambda source: (-offered[source], source))[:MAX_NAMED]
        named = frozenset(source for source in loud if offered[source] >= CALM)
        others += sum(rate for source, rate in offered.items() if source not in named)
        if not named and others < CALM:
            self.gate = OPEN
            self._begin(now.mono)
            return
        self.gate = Gate(
            named,
            _share(sum(offered[source] for source in named)) if named else 1.0,
            _share(others) if others >= CALM else 1.0,
        )
        self._begin(now.mono + SETTLE_TIME)
        self._timers.schedule(self, now.mono + INTERVAL)

    def _offered(self, elapsed: float) -> tuple[dict[Source, float], float]:
        """Return what was sent a second by those that were counted, and by all others."""
        gate = self.gate
        offered = {
            source: count
            / elapsed
            / (gate.named_share if source in gate.named else gate.others_share)
            for source, count in self._counts.items()
        }
        uncounted = self._total - sum(self._counts.values())
        return offered, uncounted / elapsed / gate.others_share


def _share(offered: float) -> float:
    return max(PASSED / offered, MIN_SHARE)
