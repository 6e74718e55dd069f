"""Messages that wait for a way to a peer that is known: no path of its own, and no root either.

So it is right after a start, when peers are known from the disk and nobody has answered yet. Most
messages are not worth it, for whoever sends them says them again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.stats import Drop, Stats

WAITING_LIFETIME: Final = 5.0
"""Seconds: as long as messages wait for a peer to become known."""
MAX_WAITING: Final = 8192
"""In all: of the size of a configuration, they would take some ten megabytes."""

Resume = Callable[[Now], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message."""

    deadline: float
    resume: Resume


class WaitingRoom:
    """Messages by peer, in their order; the peer that was last written to is the last.

    What waited too long is counted when it is met.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._by_peer: dict[Address, list[Waiting]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, address: Address) -> bool:
        return address in self._by_peer

    def add(self, address: Address, resume: Resume, now: Now) -> bool:
        """Have `resume` called once there is a way, within the lifetime; False if it is full."""
        self._forget_old(now)
        if self._count >= MAX_WAITING:
            return False
        messages = self._by_peer.pop(address, [])
        messages.append(Waiting(now.mono + WAITING_LIFETIME, resume))
        self._by_peer[address] = messages
        self._count += 1
        return True

    def way_found(self, address: Address, now: Now) -> None:
        """Send what waits for one peer."""
        messages = self._by_peer.pop(address, [])
        self._count -= len(messages)
        for message in messages:
            if message.deadline >= now.mono:
                message.resume(now)
            else:
                self._stats.drop(Drop.NO_ROUTE)

    def root_found(self, now: Now) -> None:
        """Send all: a root relays to everybody."""
        for address in list(self._by_peer):
            self.way_found(address, now)

    def _forget_old(self, now: Now) -> None:
        """Forget peers whose last message is too old, the first that there are."""
        while self._by_peer:
            address, messages = next(iter(self._by_peer.items()))
            if messages[-1].deadline >= now.mono:
                return
            self._count -= len(messages)
            self._stats.drop(Drop.NO_ROUTE, len(messages))
            del self._by_peer[address]
