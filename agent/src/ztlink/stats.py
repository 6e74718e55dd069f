"""Counters: why packets go no further, and how many went on."""

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Final


class Drop(IntEnum):
    """Why a packet or frame went no further; a counter each, exported as a metric."""

    TOO_SHORT = 0
    OWN_SOURCE = auto()
    BAD_FRAGMENT = auto()
    REASSEMBLY_OVERFLOW = auto()
    UNKNOWN_SOURCE = auto()
    BAD_AUTH_TAG = auto()
    BAD_SUITE = auto()
    BAD_COMPRESSION = auto()
    MALFORMED = auto()
    UNKNOWN_VERB = auto()
    UNEXPECTED_REPLY = auto()
    NOT_AN_UPSTREAM = auto()
    RATE_LIMITED = auto()
    RELAY_REFUSED = auto()
    HOP_LIMIT = auto()
    NO_ROUTE = auto()
    QUEUE_FULL = auto()
    EXPIRED = auto()
    UNKNOWN_NETWORK = auto()
    NO_CONFIG = auto()
    NOT_A_MEMBER = auto()
    FILTERED = auto()
    NOT_A_BRIDGE = auto()
    BAD_FRAME = auto()
    BAD_CREDENTIAL = auto()
    BAD_CONFIG = auto()
    NOT_A_CONTROLLER = auto()
    IDENTITY_COLLISION = auto()
    INVALID_IDENTITY = auto()
    SEND_REFUSED = auto()
    TOO_LONG = auto()


class Way(IntEnum):
    """How a packet crosses from us to a peer, or from a peer to us."""

    DIRECT_IPV4 = 0
    DIRECT_IPV6 = auto()
    RELAY = auto()
    """Through a root."""

    @classmethod
    def of(cls, ip_version: int, *, is_relayed: bool) -> "Way":
        """Return the way of a packet whose datagrams are of this version of IP."""
        if is_relayed:
            return cls.RELAY
        return cls.DIRECT_IPV4 if ip_version == 4 else cls.DIRECT_IPV6


@dataclass(slots=True)
class Carried:
    """What went some way, by `Way`: all packets but HELLOs."""

    packets: list[int] = field(default_factory=lambda: [0] * len(Way))
    octets: list[int] = field(default_factory=lambda: [0] * len(Way))

    def add(self, way: Way, packets: int, octets: int) -> None:
        """Count packets."""
        self.packets[way] += packets
        self.octets[way] += octets

    def copy(self) -> "Carried":
        """Return what was counted until now."""
        return Carried(self.packets.copy(), self.octets.copy())


LATENCY_BOUNDS: Final = (1, 3, 6, 10, 30, 60, 100, 300, 600, 1000)
"""Upper bounds of a latency histogram in milliseconds; what is above them counts last."""


@dataclass(slots=True)
class Latencies:
    """A histogram of round trips."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    total: float = 0.0
    """Milliseconds."""

    def add(self, milliseconds: float) -> None:
        """Count a round trip."""
        self.counts[bisect_left(LATENCY_BOUNDS, milliseconds)] += 1
        self.total += milliseconds


@dataclass(slots=True)
class Stats:
    """Counters of one node; plain integers that a reader may copy at any time."""

    drops: list[int] = field(default_factory=lambda: [0] * len(Drop))
    datagrams_in: int = 0
    bytes_in: int = 0
    datagrams_out: int = 0
    bytes_out: int = 0
    packets_in: list[int] = field(default_factory=lambda: [0] * 32)
    """Authenticated packets by verb number."""
    packets_out: list[int] = field(default_factory=lambda: [0] * 32)
    errors_in: list[int] = field(default_factory=lambda: [0] * 256)
    """ERROR messages by their code."""
    errors_out: list[int] = field(default_factory=lambda: [0] * 256)
    carried_in: Carried = field(default_factory=Carried)
    """What peers sent, authenticated."""
    carried_out: Carried = field(default_factory=Carried)
    frames_in: int = 0
    frames_out: int = 0
    relayed: int = 0

    def drop(self, reason: Drop, count: int = 1) -> None:
        """Count a packet that goes no further."""
        self.drops[reason] += count
