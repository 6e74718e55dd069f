"""Who asked lately, and what it said: rate limits, and whom a change can be pushed to."""

from dataclasses import dataclass
from typing import Final, TypeVar

from ztlink.clock import Now
from ztlink.controller.decide import Request
from ztlink.ids import Address, NetworkId

ONLINE_WINDOW: Final = 120.0
"""Seconds since its last request for which a member counts as online."""
ANSWER_INTERVAL: Final = 1.0
"""Seconds between requests of one member for one network that are answered in the long run; pushes
are exempt."""
ANSWER_BURST: Final = 4
"""Answers that may follow each other at once: of a member that joins, any may be lost."""
MAX_ASKERS: Final = 65_536
"""Of one network, and of all networks that there are not."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is answered, when it came, and until when those so far count."""

    mono: float
    until: float
    request: Request


class Askers:
    """Members by network; of each the last request, the longest silent first."""

    def __init__(self) -> None:
        self._by_network: dict[NetworkId, dict[Address, Asked]] = {}
        self._strays: dict[tuple[NetworkId, Address], float] = {}
        """Of networks that there are not: anybody could name millions of them."""

    def note(self, network_id: NetworkId, request: Request, now: Now) -> bool:
        """Note a request; False where those before leave no room for it."""
        address = request.identity.address
        askers = self._by_network.setdefault(network_id, {})
        last = askers.get(address)
        until = _count(last.until if last is not None else now.mono, now)
        if until is None:
            return False
        askers.pop(address, None)
        _make_room(askers)
        askers[address] = Asked(now.mono, until, request)
        return True

    def assume(self, network_id: NetworkId, request: Request, now: Now) -> None:
        """Take it that a member asked: it may ask again at any time."""
        askers = self._by_network.setdefault(network_id, {})
        _make_room(askers)
        askers[request.identity.address] = Asked(now.mono, now.mono, request)

    def invite(self, network_id: NetworkId, address: Address, now: Now) -> None:
        """Let a member ask at once, however lately it did: it was told that it should."""
        askers = self._by_network.get(network_id, {})
        last = askers.get(address)
        if last is not None:
            askers[address] = Asked(last.mono, min(last.until, now.mono), last.request)

    def note_stray(self, network_id: NetworkId, address: Address, now: Now) -> bool:
        """Note a request for a network that there is not; False where it comes too soon."""
        key = (network_id, address)
        until = _count(self._strays.get(key, now.mono), now)
        if until is None:
            return False
        self._strays.pop(key, None)
        _make_room(self._strays)
        self._strays[key] = until
        return True

    def online(self, network_id: NetworkId, now: Now) -> list[Address]:
        """Return those that asked for a network within the window."""
        askers = self._by_network.get(network_id, {})
        while askers:
            address, first = next(iter(askers.items()))
            if now.mono - first.mono <= ONLINE_WINDOW:
                break
            del askers[address]
        return list(askers)

    def last(self, network_id: NetworkId, address: Address, now: Now) -> Request | None:
        """Return what a member said when it last asked; None where that is too long ago."""
        asked = self._by_network.get(network_id, {}).get(address)
        if asked is None or now.mono - asked.mono > ONLINE_WINDOW:
            return None
        return asked.request

    def forget(self, network_id: NetworkId) -> None:
        """Forget all that asked for a network."""
        self._by_network.pop(network_id, None)


def _count(until: float, now: Now) -> float | None:
    """Count one more answer: each takes an interval, and a burst of them may lie ahead.

    `until` is when those so far are through. Return the same with the new one; None where it has
    no room.
    """
    if until > now.mono + (ANSWER_BURST - 1) * ANSWER_INTERVAL:
        return None
    return max(until, now.mono) + ANSWER_INTERVAL


def _make_room(table: dict[K, V]) -> None:
    """Forget the longest silent where there are too many."""
    if len(table) >= MAX_ASKERS:
        del table[next(iter(table))]
