"""Neighbours: which MAC an IP address has, and whether it is still there (RFC 4861 7.3).

ARP and neighbour discovery fill one cache by the same rules:

* What nobody asked for never replaces a MAC that is here, so that a member cannot take over
  another's address. A claim that contradicts the cache has the known neighbour asked at once; only
  when it is silent is the address looked for anew, and then the first answer counts.
* Packets wait in a short queue while a neighbour is looked for. When nobody answers, whoever sent
  them is told.
* There is no tick. A neighbour that is not used is not asked after; it is forgotten after a while.

....
                 resolve            answer              30 s
 (none) --------> INCOMPLETE --------> REACHABLE --------> STALE --+ use
   ^   ^  3 s of silence |                 ^   ^            |  ^   v
   |   +-----------------+        answer   |   +------------+  | DELAY
   |                        +--------------+     confirmed     |   | 5 s
   |     3 s of silence     |                                  |   v
   +---------------------- PROBE <-----------------------------+---+
                                        contradicted
....
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.ids import IpAddress, Mac
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.settings import StackSettings

REACHABLE_TIME: Final = 30.0
DELAY_TIME: Final = 5.0
RETRANSMIT_TIME: Final = 1.0
MAX_SOLICITATIONS: Final = 3
IDLE_TIME: Final = 600.0
"""After which a neighbour that is not used is forgotten."""

Solicit = Callable[[IpAddress, "Mac | None", Now], None]
"""Asks for an address: everybody, or the MAC that had it."""


class NeighborState(Enum):
    """What is known of a neighbour (RFC 4861 7.3.2)."""

    INCOMPLETE = auto()
    REACHABLE = auto()
    STALE = auto()
    DELAY = auto()
    PROBE = auto()


@dataclass(slots=True)
class Parcel:
    """Frames of one packet whose destination MAC is yet to be written."""

    frames: list[SuperFrame]
    next_hop: IpAddress
    on_failure: Callable[[Now], None] | None = None
    """Called when the neighbour does not answer."""

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return sum(len(frame.buffer) for frame in self.frames)


@dataclass(slots=True)
class Neighbor:
    """One entry of the cache."""

    ip: IpAddress
    state: NeighborState
    deadline: float
    """When the state ends; in STALE, when the neighbour was last used and may be forgotten."""
    mac: Mac | None = None
    solicitations: int = 0
    waiting: deque[Parcel] = field(default_factory=deque)
    waiting_size: int = 0


class NeighborCache:
    """The neighbours of one stack."""

    def __init__(self, solicit: Solicit, settings: StackSettings, counters: Counters) -> None:
        self._solicit = solicit
        self._settings = settings
        self._counters = counters
        self._neighbors: dict[IpAddress, Neighbor] = {}
        self._deadline: float | None = None
        """Not after the earliest deadline of all."""

    def clear(self) -> None:
        """Forget everybody, as when addresses change; what waits is dropped."""
        for neighbor in self._neighbors.values():
            self._counters.discard(Discard.UNRESOLVED, len(neighbor.waiting))
        self._neighbors.clear()
        self._deadline = None

    def state_of(self, ip: IpAddress) -> NeighborState | None:
        """Return what is known of a neighbour."""
        neighbor = self._neighbors.get(ip)
        return None if neighbor is None else neighbor.state

    # -- use ---------------------------------------------------------------------------------

    def lookup(self, ip: IpAddress, now: Now) -> Mac | None:
        """Return the MAC of a next hop; None where it is being asked for."""
        neighbor = self._neighbors.get(ip)
        if neighbor is None:
            neighbor = self._add(ip, NeighborState.INCOMPLETE, now)
            self._ask(neighbor, now)
        if neighbor.state is NeighborState.REACHABLE and neighbor.deadline <= now.mono:
            neighbor.state = NeighborState.STALE
        if neighbor.state is NeighborState.STALE:
            neighbor.state = NeighborState.DELAY
            self._set_deadline(neighbor, now.mono + DELAY_TIME)
        return neighbor.mac

    def wait(self, parcel: Parcel) -> None:
        """Keep a parcel until its next hop is known; `lookup` has just said that it is not."""
        neighbor = self._neighbors[parcel.next_hop]
        neighbor.waiting.append(parcel)
        neighbor.waiting_size += parcel.size
        while len(neighbor.waiting) > self._settings.neighbor_queue or (
            neighbor.waiting_size > self._settings.neighbor_queue_size and len(neighbor.waiting) > 1
        ):
            neighbor.waiting_size -= neighbor.waiting.popleft().size
            self._counters.discard(Discard.UNRESOLVED)

    # -- what neighbours say -----------------------------------------------------------------

    def asked_us(self, ip: IpAddress, mac: Mac, now: Now) -> list[Parcel]:
        """Take the sender of a question to us; return what waited for it."""
        neighbor = self._neighbors.get(ip)
        if neighbor is None:
            neighbor = self._add(ip, NeighborState.STALE, now)
            neighbor.mac = mac
            self._set_deadline(neighbor, now.mono + IDLE_TIME)
        elif neighbor.mac is None:
            return self._found(neighbor, mac, NeighborState.STALE, now)
        elif neighbor.mac != mac:
            self._doubt(neighbor, now)
        return []

    def answered(self, ip: IpAddress, mac: Mac, now: Now) -> list[Parcel]:
        """Take an answer that was sent to us; return what waited for it."""
        neighbor = self._neighbors.get(ip)
        if neighbor is None:
            return []
        if neighbor.mac is not None and neighbor.mac != mac:
            self._doubt(neighbor, now)
            return []
        return self._found(neighbor, mac, NeighborState.REACHABLE, now)

    def claimed(self, ip: IpAddress, mac: Mac, now: Now) -> None:
        """Take what somebody says unasked: it can only raise doubts."""
        neighbor = self._neighbors.get(ip)
        if neighbor is not None and neighbor.mac is not None and neighbor.mac != mac:
            self._doubt(neighbor, now)

    def _found(self, neighbor: Neighbor, mac: Mac, state: NeighborState, now: Now) -> list[Parcel]:
        is_reachable = state is NeighborState.REACHABLE
        neighbor.mac, neighbor.state, neighbor.solicitations = mac, state, 0
        self._set_deadline(neighbor, now.mono + (REACHABLE_TIME if is_reachable else IDLE_TIME))
        waiting = list(neighbor.waiting)
        neighbor.waiting.clear()
        neighbor.waiting_size = 0
        return waiting

    def _doubt(self, neighbor: Neighbor, now: Now) -> None:
        """Ask the neighbour that is known whether it is still there, once per contradiction."""
        if neighbor.state is not NeighborState.PROBE:
            neighbor.state, neighbor.solicitations = NeighborState.PROBE, 0
            self._ask(neighbor, now)

    # -- time --------------------------------------------------------------------------------

    def handle_timer(self, now: Now) -> None:
        """Ask again, give up, forget."""
        if self._deadline is None or self._deadline > now.mono:
            return
        self._deadline = None
        for neighbor in list(self._neighbors.values()):
            if neighbor.deadline <= now.mono:
                self._due(neighbor, now)
            if neighbor.ip in self._neighbors:
                self._note_deadline(neighbor.deadline)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due; it may be early."""
        return self._deadline

    def _due(self, neighbor: Neighbor, now: Now) -> None:
        match neighbor.state:
            case NeighborState.INCOMPLETE | NeighborState.PROBE:
                if neighbor.solicitations < MAX_SOLICITATIONS:
                    self._ask(neighbor, now)
                else:
                    self._give_up(neighbor, now)
            case NeighborState.DELAY:
                neighbor.state, neighbor.solicitations = NeighborState.PROBE, 0
                self._ask(neighbor, now)
            case NeighborState.REACHABLE:
                neighbor.state = NeighborState.STALE
                neighbor.deadline = now.mono + IDLE_TIME
            case NeighborState.STALE:
                del self._neighbors[neighbor.ip]

    def _ask(self, neighbor: Neighbor, now: Now) -> None:
        neighbor.solicitations += 1
        self._set_deadline(neighbor, now.mono + RETRANSMIT_TIME)
        self._solicit(neighbor.ip, neighbor.mac, now)

    def _give_up(self, neighbor: Neighbor, now: Now) -> None:
        del self._neighbors[neighbor.ip]
        for parcel in neighbor.waiting:
            self._counters.discard(Discard.UNRESOLVED)
            if parcel.on_failure is not None:
                parcel.on_failure(now)

    def _set_deadline(self, neighbor: Neighbor, deadline: float) -> None:
        neighbor.deadline = deadline
        self._note_deadline(deadline)

    def _note_deadline(self, deadline: float) -> None:
        if self._deadline is None or deadline < self._deadline:
            self._deadline = deadline

    def _add(self, ip: IpAddress, state: NeighborState, now: Now) -> Neighbor:
        if len(self._neighbors) >= self._settings.max_neighbors:
            self._evict()
        neighbor = self._neighbors[ip] = Neighbor(ip, state, now.mono)
        return neighbor

    def _evict(self) -> None:
        """Forget one neighbour: best one that is not in use, else the one known for longest."""
        idle = (n for n in self._neighbors.values() if n.state is NeighborState.STALE)
        victim = next(idle, None) or next(iter(self._neighbors.values()))
        self._counters.discard(Discard.UNRESOLVED, len(victim.waiting))
        del self._neighbors[victim.ip]
