"""Neighbor discovery for IPv6 (RFC 4861): solicitations and advertisements."""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import Mac
from ztlink.inet.icmp import (
    ICMPV6_NEIGHBOR_ADVERTISEMENT,
    ICMPV6_NEIGHBOR_SOLICITATION,
    icmp_message,
)
from ztlink.inet.ip import OFFSET_IPV6_NEXT_HEADER, PROTOCOL_ICMPV6, SIZE_IPV6, ipv6_header

SIZE_SOLICITATION: Final = 64
"""IPv6 header, ICMPv6 header and target; options may follow."""
OFFSET_TARGET: Final = 48
HOP_LIMIT: Final = 255
"""Anything less has passed a router and is not believed (RFC 4861 7.1)."""
ALL_NODES: Final = IPv6Address("ff02::1")
UNSPECIFIED: Final = IPv6Address("::")

_SIZE_MESSAGE: Final = 24
_OFFSET_FLAGS: Final = 4
_OFFSET_MESSAGE_TARGET: Final = 8
_FLAG_SOLICITED: Final = 0x40
_FLAG_OVERRIDE: Final = 0x20
_OPTION_SOURCE_MAC: Final = 1
_OPTION_TARGET_MAC: Final = 2
_OPTION: Final = struct.Struct(">BB6s")
_UNIT: Final = 8
"""Options are as long as a multiple of this says."""
_SOLICITED_NODE_PREFIX: Final = IPv6Address("ff02::1:ff00:0").packed[:13]


def solicited_node(ip: IPv6Address) -> IPv6Address:
    """Return the group in which who has an address listens for questions (RFC 4291 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE_PREFIX + ip.packed[13:])


@dataclass(frozen=True, slots=True)
class Solicitation:
    """The question who has `target`."""

    target: IPv6Address
    mac: Mac | None
    """The asker's, where it says so."""

    @classmethod
    def decode(cls, message: memoryview) -> Self:
        """Read an ICMPv6 message; its checksum and hop limit are the caller's matter."""
        return cls(_target(message), _mac_option(message, _OPTION_SOURCE_MAC))


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The statement that `target` is at `mac`."""

    target: IPv6Address
    mac: Mac | None
    is_solicited: bool
    is_override: bool

    @classmethod
    def decode(cls, message: memoryview) -> Self:
        """Read an ICMPv6 message; its checksum and hop limit are the caller's matter."""
        target, mac = _target(message), _mac_option(message, _OPTION_TARGET_MAC)
        flags = message[_OFFSET_FLAGS]
        return cls(target, mac, bool(flags & _FLAG_SOLICITED), bool(flags & _FLAG_OVERRIDE))


def _target(message: memoryview) -> IPv6Address:
    if len(message) < _SIZE_MESSAGE:
        raise WireError(f"neighbor discovery: {len(message)} bytes")
    if message[1] != 0:
        raise WireError(f"neighbor discovery: code {message[1]}")
    target = IPv6Address(bytes(message[_OFFSET_MESSAGE_TARGET:_SIZE_MESSAGE]))
    if target.is_multicast:
        raise WireError(f"neighbor discovery: target {target}")
    return target


def _mac_option(message: memoryview, kind: int) -> Mac | None:
    """Return the MAC of an option of this kind; options of other kinds are passed over."""
    found: Mac | None = None
    position = _SIZE_MESSAGE
    while position < len(message):
        if position + 2 > len(message) or message[position + 1] == 0:
            raise WireError("neighbor discovery: an option without a length")
        size = message[position + 1] * _UNIT
        if position + size > len(message):
            raise WireError(f"neighbor discovery: an option of {size} bytes is cut short")
        if message[position] == kind and size == _UNIT:
            found = Mac(bytes(message[position + 2 : position + size]))
        position += size
    return found


def solicitation_target(payload: memoryview) -> IPv6Address | None:
    """Return whom a neighbor solicitation asks for; `payload` is that of an IPv6 frame."""
    if (
        len(payload) < SIZE_SOLICITATION
        or payload[OFFSET_IPV6_NEXT_HEADER] != PROTOCOL_ICMPV6
        or payload[SIZE_IPV6] != ICMPV6_NEIGHBOR_SOLICITATION
    ):
        return None
    return IPv6Address(bytes(payload[OFFSET_TARGET:SIZE_SOLICITATION]))


def neighbor_solicitation(
    target: IPv6Address, source: IPv6Address, destination: IPv6Address, mac: Mac | None
) -> bytes:
    """Return the IPv6 packet that asks who has `target`; without a MAC, to see if nobody has."""
    option = b"" if mac is None else _OPTION.pack(_OPTION_SOURCE_MAC, 1, mac)
    return _packet(
        ICMPV6_NEIGHBOR_SOLICITATION, 0, target.packed + option, source.packed, destination.packed
    )


def neighbor_advertisement(
    target: IPv6Address, destination: IPv6Address, mac: Mac, *, is_solicited: bool = True
) -> bytes:
    """Return the IPv6 packet in which `target`, asked by `destination`, tells its MAC."""
    flags = _FLAG_OVERRIDE | (_FLAG_SOLICITED if is_solicited else 0)
    body = target.packed + _OPTION.pack(_OPTION_TARGET_MAC, 1, mac)
    return _packet(
        ICMPV6_NEIGHBOR_ADVERTISEMENT, flags << 24, body, target.packed, destination.packed
    )


def _packet(kind: int, rest: int, body: bytes, source: bytes, destination: bytes) -> bytes:
    message = icmp_message(kind, 0, rest, body, source, destination)
    ends = int.from_bytes(source, "big"), int.from_bytes(destination, "big")
    return ipv6_header(*ends, PROTOCOL_ICMPV6, len(message), hop_limit=HOP_LIMIT) + message
