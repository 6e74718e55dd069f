"""ARP requests (RFC 826)."""

import struct
from typing import Final

from ztlink.inet.ether import ETHERTYPE_IPV4

SIZE_ARP: Final = 28
OFFSET_SENDER_IP: Final = 14
ARP_REQUEST: Final = 1

ARP_HEADER: Final = struct.Struct(">HHBBH6sI6sI")
"""Hardware and protocol type, address sizes, operation; MAC and IP of sender and target."""
_SIZE_MAC: Final = 6
_SIZE_IP: Final = 4


def requested_ip(payload: memoryview) -> int | None:
    """Return the IPv4 address, as a number, that the packet asks for; None where it asks for none.

    Only the low byte of the operation is looked at, and the hardware type not at all
    (wire.adoc#groups).
    """
    if len(payload) < SIZE_ARP:
        return None
    _, protocol, mac_size, ip_size, operation, _, _, _, target = ARP_HEADER.unpack_from(payload)
    if protocol != ETHERTYPE_IPV4 or mac_size != _SIZE_MAC or ip_size != _SIZE_IP:
        return None
    return int(target) if operation & 0xFF == ARP_REQUEST else None
