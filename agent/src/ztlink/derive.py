"""What follows from a network id and an address: IPv6 addresses, groups, interface names."""

import base64
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from typing import Final

from ztlink.ids import (
    ADDRESS_SIZE,
    BROADCAST_MAC,
    Address,
    IpAddress,
    Mac,
    MulticastGroup,
    NetworkId,
)

SIXPLANE_PREFIX: Final = 40
RFC4193_PREFIX: Final = 88
_RFC4193_MARK: Final = b"\x99\x93"
_SOLICITED_PREFIX: Final = b"\x33\x33\xff"
_INTERFACE_BITS: Final = 40


def rfc4193_address(network_id: NetworkId, address: Address) -> IPv6Interface:
    """Return the member's address of the scheme that gives one address each."""
    packed = b"\xfd" + network_id.to_bytes(8, "big") + _RFC4193_MARK
    return IPv6Interface((packed + address.to_bytes(ADDRESS_SIZE, "big"), RFC4193_PREFIX))


def sixplane_address(network_id: NetworkId, address: Address) -> IPv6Interface:
    """Return the member's address of the scheme that gives a /80 each."""
    folded = (network_id ^ network_id >> 32) & 0xFFFF_FFFF
    packed = b"\xfc" + folded.to_bytes(4, "big") + address.to_bytes(ADDRESS_SIZE, "big")
    return IPv6Interface((packed + b"\0\0\0\0\0\x01", SIXPLANE_PREFIX))


def derived_member(own: IPv6Interface, target: IPv6Address) -> Address | None:
    """Return the member that a derived IPv6 address belongs to, judged by one of our own.

    None where `own` is of neither scheme or `target` of another network.
    """
    prefix, ours, theirs = own.network.prefixlen, own.packed, target.packed
    if prefix == RFC4193_PREFIX and ours[0] == 0xFD and ours[9:11] == _RFC4193_MARK:
        start = 11
    elif prefix == SIXPLANE_PREFIX and ours[0] == 0xFC:
        start = 5
    else:
        return None
    if ours[:start] != theirs[:start]:
        return None
    return Address(int.from_bytes(theirs[start : start + ADDRESS_SIZE], "big"))


def group_for_ip(ip: IpAddress) -> MulticastGroup:
    """Return the group by which others find out the MAC of an IP address (wire.adoc#groups)."""
    if isinstance(ip, IPv4Address):
        return MulticastGroup(BROADCAST_MAC, int(ip))
    return MulticastGroup(Mac(_SOLICITED_PREFIX + ip.packed[-3:]), 0)


def interface_names(network_id: NetworkId) -> Iterator[str]:
    """Yield names for a network's TAP, the first choice first; without end."""
    number = network_id ^ network_id >> 24
    while True:
        low = number & ((1 << _INTERFACE_BITS) - 1)
        encoded = base64.b32encode(low.to_bytes(_INTERFACE_BITS // 8, "big"))
        yield "zt" + encoded.decode().lower()
        number += 1
