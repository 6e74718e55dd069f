"""IPv4 (RFC 791): headers that came in are judged, payloads that go out get theirs."""

from dataclasses import dataclass
from typing import Final

from ztlink.errors import WireError
from ztlink.inet.checksum import MODULUS, ones_sum
from ztlink.inet.ip import (
    IPV4_FRAGMENT_OFFSET,
    IPV4_HEADER,
    IPV4_MORE_FRAGMENTS,
    SIZE_IPV4,
    VERSION_4,
    ipv4_header,
)
from ztlink.netstack.counters import Discard
from ztlink.netstack.reassembly import MAX_SIZE, Fragment, FragmentKey

MAX_PAYLOAD: Final = MAX_SIZE - SIZE_IPV4
MIN_PATH_MTU: Final = 576
"""What a report of a small MTU may bring us down to (RFC 1191 3 would allow 68)."""
_UNIT: Final = 8
_OPTION_END: Final = 0
_OPTION_NOTHING: Final = 1
_SOURCE_ROUTES: Final = frozenset((131, 137))


class RefusedError(WireError):
    """A packet that goes no further, and under which heading that is counted."""

    def __init__(self, reason: Discard) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(slots=True)
class Ipv4Packet:
    """What the header says."""

    source: bytes
    destination: bytes
    protocol: int
    ttl: int
    payload: memoryview
    quote: memoryview
    fragment_start: int
    has_more: bool
    identification: int

    @property
    def is_fragment(self) -> bool:
        """Whether it is a piece of a datagram."""
        return self.has_more or self.fragment_start > 0

    def fragment(self) -> tuple[FragmentKey, Fragment]:
        """Return it as a piece of a datagram."""
        size = len(self.payload)
        start, end = self.fragment_start, self.fragment_start + size
        if size == 0 or end > MAX_PAYLOAD or (self.has_more and size % _UNIT):
            raise RefusedError(Discard.BAD_FRAGMENT)
        key = FragmentKey(self.source, self.destination, self.identification, self.protocol)
        return key, Fragment(start, self.payload, not self.has_more, self.protocol, self.quote)


def read_ipv4(packet: memoryview, *, is_verified: bool = False) -> Ipv4Packet:
    """Read a packet; what follows its total length is padding of Ethernet's."""
    if len(packet) < SIZE_IPV4:
        raise RefusedError(Discard.MALFORMED)
    first, _, total, identification, fragment, ttl, protocol, _, _, _ = IPV4_HEADER.unpack_from(
        packet
    )
    size = (first & 0x0F) * 4
    if first >> 4 != VERSION_4 or not SIZE_IPV4 <= size <= total <= len(packet):
        raise RefusedError(Discard.MALFORMED)
    if not is_verified and ones_sum(packet[:size]) != MODULUS:
        raise RefusedError(Discard.BAD_CHECKSUM)
    if size > SIZE_IPV4 and _has_source_route(packet[SIZE_IPV4:size]):
        raise RefusedError(Discard.MALFORMED)
    return Ipv4Packet(
        bytes(packet[12:16]),
        bytes(packet[16:20]),
        protocol,
        ttl,
        packet[size:total],
        packet[:total],
        (fragment & IPV4_FRAGMENT_OFFSET) * _UNIT,
        bool(fragment & IPV4_MORE_FRAGMENTS),
        identification,
    )


def _has_source_route(options: memoryview) -> bool:
    """Tell whether options ask for a way of the sender's choice, or cannot be read."""
    position = 0
    while position < len(options):
        kind = options[position]
        if kind == _OPTION_END:
            return False
        if kind == _OPTION_NOTHING:
            position += 1
            continue
        if position + 1 >= len(options) or options[position + 1] < 2 or kind in _SOURCE_ROUTES:
            return True
        position += options[position + 1]
    return position > len(options)


def write_ipv4(
    source: int,
    destination: int,
    protocol: int,
    payload: bytes,
    *,
    ttl: int,
    mtu: int,
    identification: int,
) -> list[bytes]:
    """Return a packet, or its fragments where it is larger than the MTU."""
    if SIZE_IPV4 + len(payload) <= mtu:
        header = ipv4_header(source, destination, protocol, len(payload), ttl=ttl)
        return [header + payload]
    step = (mtu - SIZE_IPV4) // _UNIT * _UNIT
    packets = []
    for start in range(0, len(payload), step):
        piece = payload[start : start + step]
        more = IPV4_MORE_FRAGMENTS if start + step < len(payload) else 0
        header = ipv4_header(
            source,
            destination,
            protocol,
            len(piece),
            ttl=ttl,
            identification=identification,
            fragment=more | start // _UNIT,
        )
        packets.append(header + piece)
    return packets
