"""What an ICMP error quotes: a packet of ours, as far as it says whose it was."""

from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from ztlink.ids import IpAddress
from ztlink.inet.ip import (
    IPV4_FRAGMENT_OFFSET,
    IPV4_HEADER,
    OFFSET_IPV6_PAYLOAD_LENGTH,
    SIZE_IPV4,
    SIZE_IPV6,
    VERSION_4,
)
from ztlink.netstack.ipv4 import RefusedError
from ztlink.netstack.ipv6 import find_upper

MIN_L4: Final = 8
"""Ports and sequence number of TCP, all of UDP's header, identifier and sequence of an echo."""


class Quoted(NamedTuple):
    """The head of a packet that we are said to have sent."""

    local: IpAddress
    remote: IpAddress
    protocol: int
    l4: memoryview
    """At least eight bytes."""
    size: int
    """What the IP header says of the whole packet's size."""


def read_quoted(body: memoryview, version: int) -> Quoted | None:
    """Read the packet in an error; None where it says too little."""
    return _read_v4(body) if version == VERSION_4 else _read_v6(body)


def _read_v4(body: memoryview) -> Quoted | None:
    if len(body) < SIZE_IPV4:
        return None
    first, _, total, _, fragment, _, protocol, _, source, destination = IPV4_HEADER.unpack_from(
        body
    )
    size = (first & 0x0F) * 4
    if first >> 4 != VERSION_4 or size < SIZE_IPV4 or fragment & IPV4_FRAGMENT_OFFSET:
        return None
    if len(body) < size + MIN_L4:
        return None
    return Quoted(IPv4Address(source), IPv4Address(destination), protocol, body[size:], total)


def _read_v6(body: memoryview) -> Quoted | None:
    if len(body) < SIZE_IPV6 or body[0] >> 4 != 6:
        return None
    try:
        upper = find_upper(body, body[6], SIZE_IPV6, is_cut=True)
    except RefusedError:
        return None
    protocol, l4 = upper.protocol, body[upper.offset :]
    if upper.fragment is not None:
        if upper.fragment.start:
            return None
        protocol, l4 = upper.fragment.protocol, upper.fragment.payload
    if len(l4) < MIN_L4:
        return None
    at = OFFSET_IPV6_PAYLOAD_LENGTH
    size = SIZE_IPV6 + (body[at] << 8 | body[at + 1])
    return Quoted(
        IPv6Address(bytes(body[8:24])), IPv6Address(bytes(body[24:40])), protocol, l4, size
    )
