"""Neighbor discovery for IPv6 (RFC 4861): who is asked for, and an answer."""

import struct
from ipaddress import IPv6Address
from typing import Final

from ztlink.ids import Mac
from ztlink.inet.icmp import (
    ICMPV6_NEIGHBOR_ADVERTISEMENT,
    ICMPV6_NEIGHBOR_SOLICITATION,
    OFFSET_CHECKSUM,
    icmpv6_checksum,
)
from ztlink.inet.ip import OFFSET_IPV6_NEXT_HEADER, PROTOCOL_ICMPV6, SIZE_IPV6

SIZE_SOLICITATION: Final = 64
"""IPv6 header, ICMPv6 header and target; options may follow."""
OFFSET_TARGET: Final = 48
HOP_LIMIT: Final = 255
"""Anything less has passed a router and is not believed (RFC 4861 7.1)."""

_IPV6: Final = struct.Struct(">IHBB16s16s")
_ADVERTISEMENT: Final = struct.Struct(">BBHI16sBB6s")
_VERSION: Final = 6 << 28
_SOLICITED_AND_OVERRIDE: Final = 0x6000_0000
_OPTION_TARGET_MAC: Final = 2


def solicitation_target(payload: memoryview) -> IPv6Address | None:
    """Return whom a neighbor solicitation asks for; `payload` is that of an IPv6 frame."""
    if (
        len(payload) < SIZE_SOLICITATION
        or payload[OFFSET_IPV6_NEXT_HEADER] != PROTOCOL_ICMPV6
        or payload[SIZE_IPV6] != ICMPV6_NEIGHBOR_SOLICITATION
    ):
        return None
    return IPv6Address(bytes(payload[OFFSET_TARGET:SIZE_SOLICITATION]))


def neighbor_advertisement(target: IPv6Address, destination: IPv6Address, mac: Mac) -> bytes:
    """Return the IPv6 packet in which `target`, asked by `destination`, tells its MAC."""
    message = bytearray(
        _ADVERTISEMENT.pack(
            ICMPV6_NEIGHBOR_ADVERTISEMENT,
            0,
            0,
            _SOLICITED_AND_OVERRIDE,
            target.packed,
            _OPTION_TARGET_MAC,
            1,  # in units of eight bytes
            mac,
        )
    )
    total = icmpv6_checksum(target.packed, destination.packed, bytes(message))
    message[OFFSET_CHECKSUM : OFFSET_CHECKSUM + 2] = total.to_bytes(2, "big")
    header = _IPV6.pack(
        _VERSION, len(message), PROTOCOL_ICMPV6, HOP_LIMIT, target.packed, destination.packed
    )
    return header + bytes(message)
