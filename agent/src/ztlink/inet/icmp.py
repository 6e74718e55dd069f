"""The ICMP header (RFC 792, RFC 4443), and the types that somebody here looks at."""

import struct
from typing import Final

from ztlink.inet.checksum import MODULUS, checksum, fold, ones_sum
from ztlink.inet.ip import PROTOCOL_ICMPV6

SIZE_ICMP: Final = 8
OFFSET_CHECKSUM: Final = 2
ICMP_HEADER: Final = struct.Struct(">BBHI")
"""Type, code, checksum, and four bytes that each type uses in its own way."""

ICMP_ECHO_REPLY: Final = 0
ICMP_UNREACHABLE: Final = 3
ICMP_ECHO_REQUEST: Final = 8
ICMP_TIME_EXCEEDED: Final = 11
ICMP_PARAMETER_PROBLEM: Final = 12
CODE_PROTOCOL_UNREACHABLE: Final = 2
CODE_PORT_UNREACHABLE: Final = 3
CODE_FRAGMENTATION_NEEDED: Final = 4

ICMPV6_UNREACHABLE: Final = 1
ICMPV6_PACKET_TOO_BIG: Final = 2
ICMPV6_TIME_EXCEEDED: Final = 3
ICMPV6_PARAMETER_PROBLEM: Final = 4
ICMPV6_ECHO_REQUEST: Final = 128
ICMPV6_ECHO_REPLY: Final = 129
ICMPV6_MULTICAST_LISTENER_REPORT: Final = 131
ICMPV6_MULTICAST_LISTENER_DONE: Final = 132
ICMPV6_NEIGHBOR_SOLICITATION: Final = 135
ICMPV6_NEIGHBOR_ADVERTISEMENT: Final = 136
ICMPV6_MULTICAST_LISTENER_REPORT_2: Final = 143
CODE_V6_PORT_UNREACHABLE: Final = 4
CODE_V6_UNKNOWN_HEADER: Final = 1
CODE_V6_UNKNOWN_OPTION: Final = 2
CODE_REASSEMBLY_TIMEOUT: Final = 1
"""Of `time exceeded`, in both versions."""


def icmpv6_checksum(source: bytes, destination: bytes, message: bytes) -> int:
    """Return the checksum of an ICMPv6 message whose checksum field is zero (RFC 4443 2.3)."""
    pseudo = ones_sum(source) + ones_sum(destination) + len(message) + PROTOCOL_ICMPV6
    return checksum(message, pseudo)


def is_icmp_good(message: memoryview, source: bytes, destination: bytes) -> bool:
    """Tell whether a message has the checksum that belongs to it and to its (packed) addresses."""
    total = ones_sum(message)
    if len(source) == 16:
        total += ones_sum(source) + ones_sum(destination) + len(message) + PROTOCOL_ICMPV6
    return fold(total) == MODULUS


def icmp_message(
    kind: int, code: int, rest: int, body: bytes | memoryview, source: bytes, destination: bytes
) -> bytes:
    """Return a message with its checksum; ICMPv6 where the (packed) addresses are IPv6's."""
    message = bytearray(ICMP_HEADER.pack(kind, code, 0, rest))
    message += body
    if len(source) == 16:
        total = icmpv6_checksum(source, destination, bytes(message))
    else:
        total = checksum(message)
    message[OFFSET_CHECKSUM : OFFSET_CHECKSUM + 2] = total.to_bytes(2, "big")
    return bytes(message)
