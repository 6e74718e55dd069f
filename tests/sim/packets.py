"""Packets as bytes: checksums, IP headers, the groups that go with addresses."""

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

from ztlink.ids import BROADCAST_MAC, IpAddress, Mac, MulticastGroup

PROTOCOL_ICMP: Final = 1
PROTOCOL_UDP: Final = 17
PROTOCOL_ICMPV6: Final = 58
_IPV4: Final = Struct("!BBHHHBBH4s4s")
_IPV6: Final = Struct("!IHBB16s16s")
_SOLICITED_NODE: Final = int(IPv6Address("ff02::1:ff00:0"))


def checksum(data: bytes) -> int:
    """Return the Internet checksum."""
    padded = data + bytes(len(data) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def group_of(ip: IpAddress) -> MulticastGroup:
    """Return the group by which others look for an address."""
    if isinstance(ip, IPv4Address):
        return MulticastGroup(BROADCAST_MAC, int(ip))
    return MulticastGroup(Mac(b"\x33\x33\xff" + ip.packed[13:]))


def solicited_node(ip: IpAddress) -> IPv6Address:
    """Return the multicast address by which others look for an IPv6 address."""
    return IPv6Address(_SOLICITED_NODE | int(ip) & 0xFFFFFF)


def covered(source: IpAddress, destination: IpAddress, protocol: int, body: bytes) -> bytes:
    """Return what the checksum of an ICMP or UDP message covers: most know the IP addresses."""
    if protocol == PROTOCOL_ICMP:
        return body
    if source.version == 4:
        head = source.packed + destination.packed + bytes([0, protocol])
        return head + len(body).to_bytes(2, "big") + body
    head = source.packed + destination.packed + len(body).to_bytes(4, "big")
    return head + bytes([0, 0, 0, protocol]) + body


def with_checksum(body: bytes, total: int) -> bytes:
    """Write the checksum of an ICMP message into it."""
    return body[:2] + total.to_bytes(2, "big") + body[4:]


def ip_packet(source: IpAddress, destination: IpAddress, protocol: int, body: bytes) -> bytes:
    """Put an IP header before a payload."""
    if source.version == 6:
        hops = 255 if protocol == PROTOCOL_ICMPV6 else 64
        version = 6 << 28
        packed = (source.packed, destination.packed)
        return _IPV6.pack(version, len(body), protocol, hops, *packed) + body
    total = _IPV4.size + len(body)
    packed = (source.packed, destination.packed)
    header = _IPV4.pack(0x45, 0, total, 0, 0x4000, 64, protocol, 0, *packed)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body
