"""Ranges of addresses that are somebody's, and what overlaps with them."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ztlink.host.desired import IpNetwork


class Use(StrEnum):
    """Whose a range is."""

    PODS = "pods"
    SERVICES = "services"
    NODES = "nodes"
    NETWORK = "network"
    """Another network's: of ZeroTier, of a VPN, whatever has a route here."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range, and how it is known."""

    network: IpNetwork
    use: Use
    origin: str
    """For people: `cluster.podCidrs`, a file, a route."""


class RangeTable:
    """Ranges by their prefix: whether one overlaps with ten thousand is told in a few look-ups.

    Two ranges overlap where one contains the other: those around a target are found by its own
    prefixes, those inside by their order.
    """

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._by_prefix: dict[tuple[int, int, int], Range] = {}
        self._lengths: set[tuple[int, int]] = set()
        self._order: list[tuple[int, int, int]] = []
        for one in ranges:
            self.add(one)

    def __iter__(self) -> Iterator[Range]:
        return iter(self._by_prefix.values())

    def add(self, one: Range) -> None:
        """Add a range; of two of the same the first stays."""
        version, length = one.network.version, one.network.prefixlen
        start = int(one.network.network_address)
        if (version, length, start) not in self._by_prefix:
            self._by_prefix[version, length, start] = one
            self._lengths.add((version, length))
            insort(self._order, (version, start, length))

    def first_overlap(self, target: IpNetwork) -> Range | None:
        """Return a range that contains the target or lies in it."""
        version, length = target.version, target.prefixlen
        start, bits = int(target.network_address), target.max_prefixlen
        for of, shorter in self._lengths:
            if of == version and shorter <= length:
                around = self._by_prefix.get(
                    (version, shorter, start >> bits - shorter << bits - shorter)
                )
                if around is not None:
                    return around
        at = bisect_left(self._order, (version, start, 0))
        if at < len(self._order):
            of, first, inner = self._order[at]
            if of == version and first >> bits - length == start >> bits - length:
                return self._by_prefix[version, inner, first]
        return None
