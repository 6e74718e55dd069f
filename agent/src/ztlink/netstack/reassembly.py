"""Fragments put together (RFC 791 3.2, RFC 8200 4.5): bounded, and overlaps are refused (RFC 5722).

Of a datagram whose fragments overlap nothing is kept but its name: what comes of it later is
dropped until its time is over. The same fragment twice does no harm. Memory is bounded in all and
for each sender, whose oldest datagrams give way, so that nobody can keep others from sending
fragments.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ztlink.clock import Now
from ztlink.netstack.counters import Counters, Discard

MAX_SIZE: Final = 65_535
MAX_PIECES: Final = 256
SHARE: Final = 4
"""One sender may have one part in so many of all memory."""
OVERHEAD: Final = 256
"""Bytes that a datagram costs besides its fragments."""
MAX_QUOTE: Final = 1232


class FragmentKey(NamedTuple):
    """What the fragments of a datagram have in common."""

    source: bytes
    destination: bytes
    identification: int
    protocol: int
    """Of IPv4; 0 for IPv6, where only the first fragment's counts."""


class Fragment(NamedTuple):
    """One piece of a datagram; its buffers are borrowed."""

    start: int
    payload: memoryview
    is_last: bool
    protocol: int
    quote: memoryview
    """The packet that carried it."""


class Whole(NamedTuple):
    """A datagram that is complete."""

    payload: memoryview
    protocol: int
    quote: memoryview


class Expired(NamedTuple):
    """A datagram whose time is over, of which the first fragment is here."""

    key: FragmentKey
    quote: memoryview


@dataclass(slots=True)
class _Datagram:
    deadline: float
    starts: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes that are here."""
    end: int | None = None
    """Where the last fragment ends."""
    protocol: int = 0
    quote: bytes = b""
    """Of the first fragment."""
    is_refused: bool = False

    @property
    def cost(self) -> int:
        return self.size + OVERHEAD


@dataclass(slots=True)
class _Sender:
    size: int = 0
    keys: dict[FragmentKey, None] = field(default_factory=dict)
    """Its datagrams, the oldest first."""


class Reassembly:
    """The datagrams of which fragments are here; the oldest first."""

    def __init__(self, limit: int, timeout: float, counters: Counters) -> None:
        self._limit = limit
        self._timeout = timeout
        self._counters = counters
        self.datagrams: dict[FragmentKey, _Datagram] = {}
        self._senders: dict[bytes, _Sender] = {}
        self.size = 0
        """Bytes that all cost."""

    def add(self, key: FragmentKey, fragment: Fragment, now: Now) -> Whole | None:
        """Take a fragment; return the datagram if it is complete now."""
        datagram = self.datagrams.get(key)
        if datagram is None:
            datagram = _Datagram(now.mono + self._timeout)
            self.datagrams[key] = datagram
            self._senders.setdefault(key.source, _Sender()).keys[key] = None
            self._charge(key.source, OVERHEAD)
        if datagram.is_refused:
            self._counters.discard(Discard.FRAGMENTS_OVERLAP)
            return None
        if not self._insert(key, datagram, fragment):
            return None
        if datagram.size == datagram.end:
            self._forget(key)
            return Whole(
                memoryview(b"".join(datagram.pieces)),
                datagram.protocol,
                memoryview(datagram.quote),
            )
        self._make_room(key)
        return None

    def expire(self, now: Now) -> list[Expired]:
        """Drop what is too old; return that which a sender should hear of."""
        expired: list[Expired] = []
        for key, datagram in list(self.datagrams.items()):
            if datagram.deadline > now.mono:
                break
            self._forget(key)
            self._counters.discard(Discard.FRAGMENTS_EXPIRED)
            if datagram.quote:
                expired.append(Expired(key, memoryview(datagram.quote)))
        return expired

    def get_timer(self) -> float | None:
        """Return when to call `expire`."""
        for datagram in self.datagrams.values():
            return datagram.deadline
        return None

    def _insert(self, key: FragmentKey, datagram: _Datagram, fragment: Fragment) -> bool:
        start, size = fragment.start, len(fragment.payload)
        index = bisect_left(datagram.starts, start)
        if index < len(datagram.starts) and datagram.starts[index] == start:
            if datagram.pieces[index] == fragment.payload and self._ends_so(datagram, fragment):
                return False
            return self._refuse(key, datagram)
        if not self._fits(datagram, index, start, start + size, is_last=fragment.is_last):
            return self._refuse(key, datagram)
        if len(datagram.starts) >= MAX_PIECES:
            self._counters.discard(Discard.FRAGMENTS_FULL)
            return False
        datagram.starts.insert(index, start)
        datagram.pieces.insert(index, bytes(fragment.payload))
        datagram.size += size
        self._charge(key.source, size)
        if fragment.is_last:
            datagram.end = start + size
        if start == 0:
            datagram.protocol = fragment.protocol
            datagram.quote = bytes(fragment.quote[:MAX_QUOTE])
        return True

    def _ends_so(self, datagram: _Datagram, fragment: Fragment) -> bool:
        end = fragment.start + len(fragment.payload)
        return fragment.is_last == (datagram.end == end)

    def _fits(
        self, datagram: _Datagram, index: int, start: int, end: int, *, is_last: bool
    ) -> bool:
        """Tell whether a piece lies in a gap, and within the end if that is known."""
        if index > 0 and datagram.starts[index - 1] + len(datagram.pieces[index - 1]) > start:
            return False
        if index < len(datagram.starts) and datagram.starts[index] < end:
            return False
        if datagram.end is not None:
            return end <= datagram.end and not is_last
        return not (is_last and index < len(datagram.starts))

    def _refuse(self, key: FragmentKey, datagram: _Datagram) -> bool:
        self._counters.discard(Discard.FRAGMENTS_OVERLAP)
        self._charge(key.source, -datagram.size)
        datagram.starts, datagram.pieces = [], []
        datagram.size, datagram.end, datagram.quote = 0, None, b""
        datagram.is_refused = True
        return False

    def _make_room(self, key: FragmentKey) -> None:
        share = self._limit // SHARE
        while (sender := self._senders.get(key.source)) is not None and sender.size > share:
            self._evict(next(iter(sender.keys)))
        while self.size > self._limit:
            self._evict(next(iter(self.datagrams)))

    def _evict(self, key: FragmentKey) -> None:
        self._counters.discard(Discard.FRAGMENTS_FULL)
        self._forget(key)

    def _forget(self, key: FragmentKey) -> None:
        datagram = self.datagrams.pop(key)
        self._charge(key.source, -datagram.cost)
        sender = self._senders[key.source]
        del sender.keys[key]
        if not sender.keys:
            del self._senders[key.source]

    def _charge(self, source: bytes, size: int) -> None:
        self.size += size
        self._senders[source].size += size
