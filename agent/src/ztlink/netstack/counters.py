"""Why a packet went no further in a stack; a counter each."""

from dataclasses import dataclass, field
from enum import IntEnum, auto


class Discard(IntEnum):
    """Why a frame, a packet or a datagram was dropped."""

    NOT_OURS = 0
    """For another MAC or another IP address."""
    UNKNOWN_ETHERTYPE = auto()
    MALFORMED = auto()
    BAD_CHECKSUM = auto()
    SPOOFED = auto()
    """From an address that nobody can have, or that is ours."""
    BAD_FRAGMENT = auto()
    FRAGMENTS_OVERLAP = auto()
    FRAGMENTS_FULL = auto()
    FRAGMENTS_EXPIRED = auto()
    UNKNOWN_PROTOCOL = auto()
    NO_SOCKET = auto()
    SOCKET_FULL = auto()
    """The application does not take its datagrams."""
    BAD_NEIGHBOR = auto()
    """An ARP or NDP message that contradicts itself or the rules."""
    IMPLAUSIBLE_ERROR = auto()
    """An ICMP error about what we did not send."""
    RATE_LIMITED = auto()
    NO_ROUTE = auto()
    UNRESOLVED = auto()
    """Waited for a neighbour that did not answer, or of whom too much waited."""


@dataclass(slots=True)
class Counters:
    """Counters of one stack; plain integers that a reader may copy at any time."""

    discards: list[int] = field(default_factory=lambda: [0] * len(Discard))
    frames_in: int = 0
    frames_out: int = 0

    def discard(self, reason: Discard, count: int = 1) -> None:
        """Count what goes no further."""
        self.discards[reason] += count
