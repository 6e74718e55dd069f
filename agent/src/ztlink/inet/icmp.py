"""The ICMP header (RFC 792, RFC 4443), and the types that somebody here looks at."""

from typing import Final

from ztlink.inet.checksum import checksum, ones_sum
from ztlink.inet.ip import PROTOCOL_ICMPV6

OFFSET_CHECKSUM: Final = 2
ICMPV6_MULTICAST_LISTENER_REPORT: Final = 131
ICMPV6_MULTICAST_LISTENER_DONE: Final = 132
ICMPV6_NEIGHBOR_SOLICITATION: Final = 135
ICMPV6_NEIGHBOR_ADVERTISEMENT: Final = 136
ICMPV6_MULTICAST_LISTENER_REPORT_2: Final = 143


def icmpv6_checksum(source: bytes, destination: bytes, message: bytes) -> int:
    """Return the checksum of an ICMPv6 message whose checksum field is zero (RFC 4443 2.3)."""
    pseudo = ones_sum(source) + ones_sum(destination) + len(message) + PROTOCOL_ICMPV6
    return checksum(message, pseudo)
