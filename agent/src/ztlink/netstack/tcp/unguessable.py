"""Numbers that nobody else may guess: initial sequence numbers, ports, SYN cookies.

A SYN cookie is an initial sequence number that says, with a hash that only we can make, what a SYN
said: so that a listener whose queue is full answers without remembering. What does not fit into 32
bits is put into the low bits of the timestamp that the peer echoes.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from ztlink.netstack.seqnum import MASK

_TICKS_PER_SECOND: Final = 250_000
"""RFC 9293 3.4.1: a clock of four microseconds."""
FIRST_PORT: Final = 32_768
_PORTS: Final = 32_768

_COOKIE_PERIOD: Final = 64.0
_COOKIE_MSS: Final = (536, 1220, 1300, 1400, 1440, 1460, 2700, 8900)
_NO_SHIFT: Final = 15
STAMP_MASK: Final = 63


class Secrets:
    """Keyed hashes of one layer."""

    __slots__ = ("_key", "_random_bytes")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._key = random_bytes(32)

    def initial_sequence(self, flow: bytes, now: float) -> int:
        """Return an ISN: a clock, and a hash of who speaks to whom (RFC 6528)."""
        return int(now * _TICKS_PER_SECOND) + self._hash(b"isn", flow) & MASK

    def timestamp_offset(self, flow: bytes) -> int:
        """Return where the timestamp clock of a flow begins (RFC 7323 5.4).

        Always the same: a peer whose end of the flow is still in TIME_WAIT lets a new connection
        in only if its timestamps go on where the old ones were (RFC 6191).
        """
        return self._hash(b"stamp", flow)

    def port_candidates(self) -> range:
        """Return the ephemeral ports in a random order of start (RFC 6056 3.3.1)."""
        start = int.from_bytes(self._random_bytes(2), "big") % _PORTS
        return range(start, start + _PORTS)

    def port(self, candidate: int) -> int:
        """Return the port that a candidate stands for."""
        return FIRST_PORT + candidate % _PORTS

    def _hash(self, *parts: bytes) -> int:
        digest = hashlib.blake2s(b"".join(parts), digest_size=4, key=self._key).digest()
        return int.from_bytes(digest, "big")

    # SYN cookies.

    def cookie(self, flow: bytes, peer_initial: int, mss: int, now: float) -> int:
        """Return the initial sequence number that stands for a SYN."""
        index = max(bisect_right(_COOKIE_MSS, mss) - 1, 0)
        return self._cookie(flow, peer_initial, int(now / _COOKIE_PERIOD), index)

    def _cookie(self, flow: bytes, peer_initial: int, period: int, index: int) -> int:
        head = (period & 31) << 3 | index
        said = peer_initial.to_bytes(4, "big") + period.to_bytes(8, "big") + bytes((head,))
        return head << 24 | self._hash(b"cookie", flow, said) >> 8

    def read_cookie(self, flow: bytes, peer_initial: int, cookie: int, now: float) -> int | None:
        """Return the segment size that a cookie of the last two minutes tells; None: no cookie."""
        period = int(now / _COOKIE_PERIOD)
        index = cookie >> 24 & 7
        for candidate in (period, period - 1):
            if candidate >= 0 and self._cookie(flow, peer_initial, candidate, index) == cookie:
                return _COOKIE_MSS[index]
        return None


def stamp_options(timestamp: int, *, has_sack: bool, shift: int | None) -> int:
    """Put what a SYN offered into the low bits of a timestamp."""
    bits = (_NO_SHIFT if shift is None else shift) << 1 | has_sack
    return (timestamp & ~STAMP_MASK | bits) & MASK


def read_stamp(echo: int) -> tuple[bool, int | None]:
    """Return whether SACK was offered, and the window's shift."""
    shift = echo >> 1 & 15
    return bool(echo & 1), None if shift == _NO_SHIFT else shift
