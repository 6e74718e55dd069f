"""ARP (RFC 826) for IPv4 over Ethernet."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import Mac
from ztlink.inet.ether import ETHERTYPE_IPV4

SIZE_ARP: Final = 28
OFFSET_SENDER_IP: Final = 14
ARP_REQUEST: Final = 1
ARP_REPLY: Final = 2

ARP_HEADER: Final = struct.Struct(">HHBBH6sI6sI")
"""Hardware and protocol type, address sizes, operation; MAC and IP of sender and target."""
HARDWARE_ETHERNET: Final = 1
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


@dataclass(frozen=True, slots=True)
class Arp:
    """A request or a reply."""

    operation: int
    sender_mac: Mac
    sender_ip: IPv4Address
    target_mac: Mac
    target_ip: IPv4Address

    @classmethod
    def decode(cls, payload: memoryview) -> Self:
        """Read an Ethernet frame's payload."""
        if len(payload) < SIZE_ARP:
            raise WireError(f"ARP: {len(payload)} bytes")
        hardware, protocol, mac_size, ip_size, operation, sender, sender_ip, target, target_ip = (
            ARP_HEADER.unpack_from(payload)
        )
        kind = (hardware, protocol, mac_size, ip_size)
        if kind != (HARDWARE_ETHERNET, ETHERTYPE_IPV4, _SIZE_MAC, _SIZE_IP):
            raise WireError(f"ARP: {kind} is not IPv4 over Ethernet")
        if operation not in (ARP_REQUEST, ARP_REPLY):
            raise WireError(f"ARP: operation {operation}")
        return cls(
            operation, Mac(sender), IPv4Address(sender_ip), Mac(target), IPv4Address(target_ip)
        )

    def encode(self) -> bytes:
        """Return the Ethernet frame's payload."""
        return ARP_HEADER.pack(
            HARDWARE_ETHERNET,
            ETHERTYPE_IPV4,
            _SIZE_MAC,
            _SIZE_IP,
            self.operation,
            self.sender_mac,
            int(self.sender_ip),
            self.target_mac,
            int(self.target_ip),
        )
