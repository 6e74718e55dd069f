"""IPv4 (RFC 791) and IPv6 headers with extensions (RFC 8200 4), read in place and written."""

import struct
from typing import Final

from ztlink.inet.checksum import MODULUS, fold

VERSION_4: Final = 4
VERSION_6: Final = 6
SIZE_IPV4: Final = 20
SIZE_IPV6: Final = 40

OFFSET_IPV4_TOTAL_LENGTH: Final = 2
OFFSET_IPV4_IDENTIFICATION: Final = 4
OFFSET_IPV4_CHECKSUM: Final = 10
OFFSET_IPV4_SOURCE: Final = 12
OFFSET_IPV6_PAYLOAD_LENGTH: Final = 4
OFFSET_IPV6_NEXT_HEADER: Final = 6
OFFSET_IPV6_SOURCE: Final = 8
OFFSET_IPV6_DESTINATION: Final = 24

IPV4_HEADER: Final = struct.Struct(">BBHHHBBHII")
"""Version and IHL, TOS, total length, identification, flags and fragment offset, TTL, protocol,
checksum, source, destination."""
IPV6_HEADER: Final = struct.Struct(">IHBBQQQQ")
"""Version, class and label; payload length, next header, hop limit; both addresses in halves."""

IPV4_DONT_FRAGMENT: Final = 0x4000
IPV4_MORE_FRAGMENTS: Final = 0x2000
IPV4_FRAGMENT_OFFSET: Final = 0x1FFF

PROTOCOL_HOP_BY_HOP: Final = 0
PROTOCOL_ICMP: Final = 1
PROTOCOL_IGMP: Final = 2
PROTOCOL_TCP: Final = 6
PROTOCOL_UDP: Final = 17
PROTOCOL_ROUTING: Final = 43
PROTOCOL_FRAGMENT: Final = 44
PROTOCOL_ICMPV6: Final = 58
PROTOCOL_DESTINATION_OPTIONS: Final = 60
PROTOCOL_SCTP: Final = 132
PROTOCOL_MOBILITY: Final = 135
PROTOCOL_UDP_LITE: Final = 136
PROTOCOLS_WITH_PORTS: Final = frozenset(
    (PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP, PROTOCOL_UDP_LITE)
)
_PASSED_OVER: Final = frozenset(
    (
        PROTOCOL_HOP_BY_HOP,
        PROTOCOL_ROUTING,
        PROTOCOL_DESTINATION_OPTIONS,
        PROTOCOL_MOBILITY,
    )
)
_SIZE_EXTENSION_UNIT: Final = 8
_IPV4_FIRST: Final = VERSION_4 << 4 | SIZE_IPV4 // 4
"""Version and length of a header without options."""
_LOW_HALF: Final = (1 << 64) - 1


def ipv6_payload(frame: memoryview, offset: int) -> tuple[int, int]:
    """Return protocol and offset of what follows the IPv6 header at `offset` and its extensions.

    Fragment, authentication and encryption headers are not passed over. The protocol is -1 where a
    header reaches past the end of the frame.
    """
    end = len(frame)
    position = offset + SIZE_IPV6
    protocol = frame[offset + OFFSET_IPV6_NEXT_HEADER]
    while protocol in _PASSED_OVER:
        if position + _SIZE_EXTENSION_UNIT > end:
            return -1, 0
        protocol = frame[position]
        position += (frame[position + 1] + 1) * _SIZE_EXTENSION_UNIT
    return (protocol, position) if position <= end else (-1, 0)


def ipv4_header(
    source: int,
    destination: int,
    protocol: int,
    payload_size: int,
    *,
    ttl: int,
    identification: int = 0,
    fragment: int = IPV4_DONT_FRAGMENT,
) -> bytes:
    """Return an IPv4 header without options, its checksum good."""
    total = SIZE_IPV4 + payload_size
    words = (_IPV4_FIRST << 8) + total + identification + fragment + (ttl << 8 | protocol)
    return IPV4_HEADER.pack(
        _IPV4_FIRST,
        0,
        total,
        identification,
        fragment,
        ttl,
        protocol,
        MODULUS - fold(words + source + destination),  # 2^16 is 1: halves need not be taken apart
        source,
        destination,
    )


def ipv6_header(
    source: int, destination: int, protocol: int, payload_size: int, *, hop_limit: int
) -> bytes:
    """Return an IPv6 header; `payload_size` counts extension headers, and `protocol` names one."""
    return IPV6_HEADER.pack(
        VERSION_6 << 28,
        payload_size,
        protocol,
        hop_limit,
        source >> 64,
        source & _LOW_HALF,
        destination >> 64,
        destination & _LOW_HALF,
    )
