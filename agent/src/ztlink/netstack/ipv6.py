"""IPv6 (RFC 8200): headers that came in are walked over, payloads that go out get theirs.

Extension headers are skipped where that is safe: their number and the number of their options is
bounded, and an option says itself what is to be done by who does not know it.
"""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from ztlink.inet.icmp import CODE_V6_UNKNOWN_HEADER, CODE_V6_UNKNOWN_OPTION
from ztlink.inet.ip import (
    IPV6_HEADER,
    OFFSET_IPV6_DESTINATION,
    OFFSET_IPV6_NEXT_HEADER,
    OFFSET_IPV6_PAYLOAD_LENGTH,
    OFFSET_IPV6_SOURCE,
    PROTOCOL_DESTINATION_OPTIONS,
    PROTOCOL_FRAGMENT,
    PROTOCOL_HOP_BY_HOP,
    PROTOCOL_ROUTING,
    SIZE_IPV6,
    VERSION_6,
    ipv6_header,
)
from ztlink.netstack.counters import Discard
from ztlink.netstack.ipv4 import RefusedError
from ztlink.netstack.reassembly import MAX_SIZE, Fragment, FragmentKey

MIN_MTU: Final = 1280
PROTOCOL_NONE: Final = 59
MAX_HEADERS: Final = 8
MAX_OPTIONS: Final = 32
SIZE_FRAGMENT: Final = 8
_CODE_ERRONEOUS: Final = 0
_UNIT: Final = 8
_FRAGMENT: Final = struct.Struct(">BBHI")
_FRAGMENT_MORE: Final = 1
_FRAGMENT_OFFSET: Final = 0xFFF8
_OPTION_PAD_1: Final = 0
_OPTION_PAD_N: Final = 1


class ParameterProblemError(RefusedError):
    """A packet whose sender is to be told what is wrong with it, and where (RFC 4443 3.4)."""

    def __init__(self, code: int, pointer: int, *, answers_groups: bool = False) -> None:
        reason = Discard.UNKNOWN_PROTOCOL if code == CODE_V6_UNKNOWN_HEADER else Discard.MALFORMED
        super().__init__(reason)
        self.code = code
        self.pointer = pointer
        self.answers_groups = answers_groups
        """Whether the sender hears of it although it sent to a group."""


@dataclass(slots=True)
class Ipv6Packet:
    """What the fixed header says."""

    source: bytes
    destination: bytes
    next_header: int
    hop_limit: int
    whole: memoryview
    """Without what follows the payload length."""


class Upper(NamedTuple):
    """What follows the extension headers."""

    protocol: int
    offset: int
    fragment: Fragment | None = None
    identification: int = 0


def read_ipv6(packet: memoryview) -> Ipv6Packet:
    """Read the fixed header."""
    if len(packet) < SIZE_IPV6:
        raise RefusedError(Discard.MALFORMED)
    first, size, next_header, hop_limit, _, _, _, _ = IPV6_HEADER.unpack_from(packet)
    end = SIZE_IPV6 + size
    if first >> 28 != VERSION_6 or end > len(packet):
        raise RefusedError(Discard.MALFORMED)
    return Ipv6Packet(
        bytes(packet[OFFSET_IPV6_SOURCE:OFFSET_IPV6_DESTINATION]),
        bytes(packet[OFFSET_IPV6_DESTINATION:SIZE_IPV6]),
        next_header,
        hop_limit,
        packet[:end],
    )


def find_upper(packet: memoryview, protocol: int, offset: int, *, is_cut: bool = False) -> Upper:
    """Return what follows the extension headers, of which `protocol` is the first, at `offset`.

    `packet` begins with the IPv6 header, or is what was put together of fragments; its end may be
    missing if `is_cut`. A fragment ends the walk. Raises `RefusedError`, or `ParameterProblemError`
    where the sender is to be told.
    """
    at = OFFSET_IPV6_NEXT_HEADER
    """Where the header at hand is named."""
    for number in range(MAX_HEADERS):
        if protocol == PROTOCOL_FRAGMENT:
            upper = _read_fragment(packet, offset, is_cut=is_cut)
            if upper.fragment is not None:
                return upper
            at, protocol, offset = offset, upper.protocol, upper.offset
            continue
        if protocol == PROTOCOL_HOP_BY_HOP and (number or offset != SIZE_IPV6):
            raise ParameterProblemError(CODE_V6_UNKNOWN_HEADER, at)
        if protocol not in (PROTOCOL_HOP_BY_HOP, PROTOCOL_DESTINATION_OPTIONS, PROTOCOL_ROUTING):
            return Upper(protocol, offset)
        if offset + _UNIT > len(packet):
            raise RefusedError(Discard.MALFORMED)
        size = (packet[offset + 1] + 1) * _UNIT
        if offset + size > len(packet):
            raise RefusedError(Discard.MALFORMED)
        if protocol == PROTOCOL_ROUTING:
            if packet[offset + 3]:  # segments that are left: we are no router
                raise ParameterProblemError(_CODE_ERRONEOUS, offset + 2)
        else:
            _read_options(packet, offset + 2, offset + size)
        at, protocol, offset = offset, packet[offset], offset + size
    raise RefusedError(Discard.MALFORMED)


def _read_options(packet: memoryview, position: int, end: int) -> None:
    """Judge the options of a header; the two highest bits of each say what to do (RFC 8200 4.2)."""
    for _ in range(MAX_OPTIONS):
        if position >= end:
            break
        kind = packet[position]
        if kind == _OPTION_PAD_1:
            position += 1
            continue
        if position + 2 > end:
            break
        if kind != _OPTION_PAD_N and kind >> 6:
            _refuse_option(kind >> 6, position)
        position += 2 + packet[position + 1]
    if position != end:
        raise RefusedError(Discard.MALFORMED)


def _refuse_option(action: int, position: int) -> None:
    if action == 1:
        raise RefusedError(Discard.MALFORMED)
    raise ParameterProblemError(CODE_V6_UNKNOWN_OPTION, position, answers_groups=action == 2)


def _read_fragment(packet: memoryview, offset: int, *, is_cut: bool) -> Upper:
    """Return a fragment, or what follows if it is the only one (RFC 6946)."""
    if offset + SIZE_FRAGMENT > len(packet):
        raise RefusedError(Discard.BAD_FRAGMENT)
    protocol, _, where, identification = _FRAGMENT.unpack_from(packet, offset)
    after = offset + SIZE_FRAGMENT
    start, has_more = where & _FRAGMENT_OFFSET, bool(where & _FRAGMENT_MORE)
    size = len(packet) - after
    if start == 0 and not has_more:
        return Upper(protocol, after)
    if has_more and size % _UNIT and not is_cut:
        raise ParameterProblemError(_CODE_ERRONEOUS, OFFSET_IPV6_PAYLOAD_LENGTH)
    if start + size > MAX_SIZE:
        raise ParameterProblemError(_CODE_ERRONEOUS, offset + 2)
    if size == 0:
        raise RefusedError(Discard.BAD_FRAGMENT)
    fragment = Fragment(start, packet[after:], not has_more, protocol, packet)
    return Upper(PROTOCOL_FRAGMENT, offset, fragment, identification)


def fragment_key(packet: Ipv6Packet, identification: int) -> FragmentKey:
    """Return what the fragments of a datagram have in common."""
    return FragmentKey(packet.source, packet.destination, identification, 0)


def write_ipv6(
    source: int,
    destination: int,
    protocol: int,
    payload: bytes,
    *,
    hop_limit: int,
    mtu: int,
    identification: int,
) -> list[bytes]:
    """Return a packet, or its fragments where it is larger than the MTU."""
    if SIZE_IPV6 + len(payload) <= mtu:
        header = ipv6_header(source, destination, protocol, len(payload), hop_limit=hop_limit)
        return [header + payload]
    step = (mtu - SIZE_IPV6 - SIZE_FRAGMENT) // _UNIT * _UNIT
    packets = []
    for start in range(0, len(payload), step):
        piece = payload[start : start + step]
        more = _FRAGMENT_MORE if start + step < len(payload) else 0
        size = SIZE_FRAGMENT + len(piece)
        header = ipv6_header(source, destination, PROTOCOL_FRAGMENT, size, hop_limit=hop_limit)
        packets.append(header + _FRAGMENT.pack(protocol, 0, start | more, identification) + piece)
    return packets
