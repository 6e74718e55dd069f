"""The address field that messages share, and scopes of IP addresses (wire.adoc#inet-address)."""

from enum import IntEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Final

from ztlink.errors import WireError
from ztlink.ids import Endpoint, IpAddress, IpInterface
from ztlink.wire.buffer import Reader, Writer

KIND_NIL: Final = 0
KIND_ETHERNET: Final = 1
KIND_BLUETOOTH: Final = 2
KIND_OTHER: Final = 3
KIND_IPV4: Final = 4
KIND_IPV6: Final = 6
_LINK_LAYER_SIZE: Final = 6


class IpScope(IntEnum):
    """How far an IP address reaches; of two direct paths that of the higher value is preferred."""

    NONE = 0
    MULTICAST = 1
    LOOPBACK = 2
    PSEUDO_PRIVATE = 3
    """Publicly assigned, yet used as private by many."""
    GLOBAL = 4
    LINK_LOCAL = 5
    SHARED = 6
    PRIVATE = 7


def pull_endpoint(reader: Reader) -> Endpoint | None:
    """Pull an address field; None for nil and for the reserved kinds."""
    kind = reader.pull_uint(1)
    match kind:
        case 4:
            ip: IpAddress = IPv4Address(reader.pull_bytes(4))
        case 6:
            ip = IPv6Address(reader.pull_bytes(16))
        case 0:
            return None
        case 1 | 2:
            reader.skip(_LINK_LAYER_SIZE)
            return None
        case 3:
            reader.skip(reader.pull_uint(2))
            return None
        case _:
            raise WireError(f"address field: kind {kind} is unknown")
    return Endpoint(ip, reader.pull_uint(2))


def push_endpoint(endpoint: Endpoint | None, writer: Writer) -> None:
    """Push an address field."""
    if endpoint is None:
        writer.push_uint(KIND_NIL, 1)
        return
    writer.push_uint(KIND_IPV4 if endpoint.ip.version == 4 else KIND_IPV6, 1)
    writer.push_bytes(endpoint.ip.packed)
    writer.push_uint(endpoint.port, 2)


def push_ip(ip: IpAddress | None, writer: Writer) -> None:
    """Push an address field that has no port."""
    push_endpoint(None if ip is None else Endpoint(ip, 0), writer)


def pull_interface(reader: Reader) -> IpInterface | None:
    """Pull an address field whose port is a prefix length."""
    endpoint = pull_endpoint(reader)
    if endpoint is None:
        return None
    if endpoint.port > endpoint.ip.max_prefixlen:
        raise WireError(f"address field: prefix /{endpoint.port} of {endpoint.ip}")
    if isinstance(endpoint.ip, IPv4Address):
        return IPv4Interface((endpoint.ip, endpoint.port))
    return IPv6Interface((endpoint.ip, endpoint.port))


def push_interface(interface: IpInterface | None, writer: Writer) -> None:
    """Push an address field whose port is a prefix length."""
    if interface is None:
        push_endpoint(None, writer)
    else:
        push_endpoint(Endpoint(interface.ip, interface.network.prefixlen), writer)


_V4_SCOPES: Final = tuple(
    (IPv4Network(text), scope)
    for scope, texts in (
        (IpScope.NONE, "0.0.0.0/8 255.0.0.0/8"),
        (IpScope.MULTICAST, "224.0.0.0/4"),
        (IpScope.LOOPBACK, "127.0.0.0/8"),
        (IpScope.LINK_LOCAL, "169.254.0.0/16"),
        (
            IpScope.PRIVATE,
            "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16 192.0.2.0/24 198.18.0.0/15"
            " 198.51.100.0/24 203.0.113.0/24",
        ),
        (
            IpScope.PSEUDO_PRIVATE,
            "6.0.0.0/8 11.0.0.0/8 21.0.0.0/8 22.0.0.0/8 25.0.0.0/8 26.0.0.0/8 28.0.0.0/8"
            " 29.0.0.0/8 30.0.0.0/8 51.0.0.0/8 55.0.0.0/8 56.0.0.0/8 240.0.0.0/4",
        ),
    )
    for text in texts.split()
)
"""The first match counts."""
_V6_LINK_LOCAL: Final = IPv6Network("fe80::/10")
_V6_PRIVATE: Final = IPv6Network("fc00::/7")
_V6_MAPPED_LOOPBACK: Final = IPv6Network("::ffff:127.0.0.0/104")


def ip_scope(ip: IpAddress) -> IpScope:
    """Classify an IP address (wire.adoc#ip-scope)."""
    if isinstance(ip, IPv4Address):
        return next((scope for network, scope in _V4_SCOPES if ip in network), IpScope.GLOBAL)
    packed = ip.packed
    if packed[0] == 0xFF:
        return IpScope.MULTICAST
    if ip in _V6_LINK_LOCAL:
        # The protocol takes fe80::1 for loopback, whatever the low bits of the prefix.
        is_one = not any(packed[2:15]) and packed[15] == 1
        return IpScope.LOOPBACK if is_one else IpScope.LINK_LOCAL
    if ip.is_unspecified:
        return IpScope.NONE
    if ip.is_loopback or ip in _V6_MAPPED_LOOPBACK:
        return IpScope.LOOPBACK
    return IpScope.PRIVATE if ip in _V6_PRIVATE else IpScope.GLOBAL
