"""Who listens to which multicast group, and frames that wait for listeners to be found.

A group's members are told by MULTICAST_LIKE and by answers to MULTICAST_GATHER, and are believed
for ten minutes. A frame for a group goes to the members known now; while fewer are known than the
network's limit, others are asked for, and those who turn up within five seconds get it too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ztlink.clock import Now
from ztlink.ids import BROADCAST_MAC, Address, MulticastGroup

MEMBER_LIFETIME: Final = 600.0
QUEUED_LIFETIME: Final = 5.0
GATHER_INTERVAL: Final = 60.0
GATHER_RETRIES: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between questions while a question for a neighbour waits and nobody is known: it may
just be joining. What a machine says to all others, often to nobody, is not worth them."""
SOLICITED_NODE_PREFIX: Final = b"\x33\x33\xff"
MAX_QUEUED_PER_GROUP: Final = 32
MAX_GROUPS: Final = 32_768
MAX_GROUPS_PER_MEMBER: Final = 4096
"""As many as we announce ourselves for hosts behind us; one member cannot displace all others."""
MAX_MEMBERS: Final = 4096


@dataclass(slots=True)
class QueuedFrame:
    """A multicast frame, and who has had it."""

    frame: bytes
    """The whole Ethernet frame."""
    adi: int
    limit: int
    """How many recipients it may have in all."""
    deadline: float
    sent_to: set[Address] = field(default_factory=set)
    """Never iterated."""


@dataclass(slots=True)
class _Group:
    members: dict[Address, float] = field(default_factory=dict)
    """When each was last mentioned."""
    queued: list[QueuedFrame] = field(default_factory=list)
    last_gather: float = float("-inf")
    gathers: int = 0
    """Questions asked since the first that nobody answered."""


class GroupTable:
    """The groups of one network."""

    def __init__(self, own: Address) -> None:
        self._own = own
        self._groups: dict[MulticastGroup, _Group] = {}
        self.size = 0
        """How many memberships of groups are kept."""
        self.counts: dict[Address, int] = {}
        """The same for each member."""
        self._retrying: dict[MulticastGroup, None] = {}
        """Groups for which others may have to be asked again: few, where members have told many."""

    def add(self, group: MulticastGroup, member: Address, now: Now) -> list[QueuedFrame]:
        """Note that `member` listens; return the waiting frames that it is to get."""
        if member == self._own or self._has_enough(group, member):
            return []
        entry = self._open(group)
        self._drop(entry, member)
        if len(entry.members) >= MAX_MEMBERS:
            self._drop(entry, next(iter(entry.members)))
        entry.members[member] = now.mono
        self.size += 1
        self.counts[member] = self.counts.get(member, 0) + 1
        entry.queued = [
            q for q in entry.queued if q.deadline >= now.mono and len(q.sent_to) < q.limit
        ]
        due = [q for q in entry.queued if member not in q.sent_to]
        for queued in due:
            queued.sent_to.add(member)
        return due

    def has(self, group: MulticastGroup, member: Address) -> bool:
        """Tell whether `member` is known to listen."""
        entry = self._groups.get(group)
        return entry is not None and member in entry.members

    def is_asked_for(self, group: MulticastGroup) -> bool:
        """Tell whether others were asked lately who listens."""
        entry = self._groups.get(group)
        return entry is not None and (bool(entry.members) or entry.last_gather > float("-inf"))

    def remove(self, group: MulticastGroup, member: Address) -> None:
        """Note that `member` does not want this group."""
        entry = self._groups.get(group)
        if entry is not None:
            self._drop(entry, member)

    def members(self, group: MulticastGroup, now: Now) -> list[Address]:
        """Return who listens, least recently mentioned first."""
        entry = self._groups.get(group)
        if entry is None:
            return []
        for member, time in list(entry.members.items()):
            if now.mono - time <= MEMBER_LIFETIME:
                break
            self._drop(entry, member)
        return list(entry.members)

    def queue(self, group: MulticastGroup, queued: QueuedFrame) -> None:
        """Keep a frame for members that turn up soon."""
        entry = self._open(group)
        if len(entry.queued) >= MAX_QUEUED_PER_GROUP:
            del entry.queued[0]
        entry.queued.append(queued)

    def gather_is_due(self, group: MulticastGroup, now: Now, *, is_urgent: bool) -> bool:
        """Tell, and note, that others are to be asked who listens."""
        entry = self._open(group)
        interval = 1.0 if is_urgent else GATHER_INTERVAL
        if now.mono - entry.last_gather < interval:
            return False
        entry.last_gather = now.mono
        entry.gathers = 0 if is_for_neighbour(group) else len(GATHER_RETRIES)
        self._retrying[group] = None
        return True

    def due_gathers(self, now: Now) -> list[MulticastGroup]:
        """Return, and note, the groups for which others are to be asked again."""
        due = []
        for group in list(self._retrying):
            entry = self._groups.get(group)
            retry_at = self._retry_at(entry) if entry is not None else float("inf")
            if entry is None or retry_at == float("inf"):
                del self._retrying[group]
            elif retry_at <= now.mono:
                entry.last_gather = now.mono
                entry.gathers += 1
                due.append(group)
        return due

    def next_gather(self) -> float:
        """Return when `due_gathers` is to be asked."""
        waiting = (self._groups[group] for group in self._retrying if group in self._groups)
        return min(map(self._retry_at, waiting), default=float("inf"))

    def _retry_at(self, entry: _Group) -> float:
        if entry.members or entry.gathers >= len(GATHER_RETRIES) or not entry.queued:
            return float("inf")
        at = entry.last_gather + GATHER_RETRIES[entry.gathers]
        return at if at <= entry.queued[-1].deadline else float("inf")

    def expire(self, now: Now) -> float | None:
        """Drop what is too old; return when to look again."""
        for group, entry in list(self._groups.items()):
            self.members(group, now)
            entry.queued = [q for q in entry.queued if q.deadline >= now.mono]
            idle = now.mono - entry.last_gather > GATHER_INTERVAL
            if idle and not entry.members and not entry.queued:
                del self._groups[group]
        return now.mono + GATHER_INTERVAL if self._groups else None

    def _drop(self, entry: _Group, member: Address) -> None:
        if entry.members.pop(member, None) is not None:
            self._uncount(member)

    def _uncount(self, member: Address) -> None:
        self.size -= 1
        self.counts[member] -= 1
        if not self.counts[member]:
            del self.counts[member]

    def _has_enough(self, group: MulticastGroup, member: Address) -> bool:
        return self.counts.get(member, 0) >= MAX_GROUPS_PER_MEMBER and not self.has(group, member)

    def _open(self, group: MulticastGroup) -> _Group:
        entry = self._groups.get(group)
        if entry is None:
            if len(self._groups) >= MAX_GROUPS:
                for member in self._groups.pop(next(iter(self._groups))).members:
                    self._uncount(member)
            entry = self._groups[group] = _Group()
        return entry


def is_for_neighbour(group: MulticastGroup) -> bool:
    """Tell whether frames to a group look for the owner of an IP address (ARP, NDP)."""
    is_arp = group.mac == BROADCAST_MAC and group.adi != 0
    return is_arp or group.mac[:3] == SOLICITED_NODE_PREFIX


def sample(
    members: Sequence[Address], most: int, random_bytes: Callable[[int], bytes]
) -> list[Address]:
    """Return at most `most` members, chosen at random where there are more, in random order."""
    chosen = list(members)
    if len(chosen) > most:
        for index in range(most):  # the first steps of a Fisher-Yates shuffle
            span = len(chosen) - index
            other = index + int.from_bytes(random_bytes(4), "big") % span
            chosen[index], chosen[other] = chosen[other], chosen[index]
    return chosen[:most]
