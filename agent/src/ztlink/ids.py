"""Identifiers of the protocol: addresses, networks, packets, MACs, endpoints."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Final, NewType

Address = NewType("Address", int)
"""A 40-bit ZeroTier address."""

NetworkId = NewType("NetworkId", int)
"""A 64-bit network id: the controller's address and 24 bits of its choice."""

PacketId = NewType("PacketId", int)
"""The 64 bits at the head of a packet, as on the wire."""

Mac = NewType("Mac", bytes)
"""A 6-byte Ethernet address in transmission order."""

SocketId = NewType("SocketId", int)
"""A local UDP socket, as numbered by the driver that opened it."""

IpAddress = IPv4Address | IPv6Address
IpInterface = IPv4Interface | IPv6Interface

ADDRESS_SIZE: Final = 5
MAC_SIZE: Final = 6
ALL_SOCKETS: Final = SocketId(-1)
BROADCAST_MAC: Final = Mac(b"\xff" * MAC_SIZE)
RESERVED_ADDRESS_PREFIX: Final = 0xFF
_ADDRESS_BITS: Final = 40
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An IP address and a UDP port."""

    ip: IpAddress
    port: int

    def __str__(self) -> str:
        return f"{self.ip}/{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class MulticastGroup:
    """A multicast MAC and its additional distinguishing information (ADI, 32 bits)."""

    mac: Mac
    adi: int = 0


def is_reserved(address: Address) -> bool:
    """Tell whether no node may have this address (wire.adoc#address)."""
    return address == 0 or address >> (_ADDRESS_BITS - 8) == RESERVED_ADDRESS_PREFIX


def controller_of(network_id: NetworkId) -> Address:
    """Return the address of the controller that a network id names."""
    return Address(network_id >> 24)


def format_address(address: Address) -> str:
    """Write an address as 10 lower-case hex digits."""
    return f"{address:010x}"


def format_network_id(network_id: NetworkId) -> str:
    """Write a network id as 16 lower-case hex digits."""
    return f"{network_id:016x}"


def format_mac(mac: Mac) -> str:
    """Write a MAC as six colon-separated hex bytes."""
    return mac.hex(":")


def parse_address(text: str) -> Address:
    """Read 10 hex digits; raises ValueError with the text."""
    return Address(_parse_hex(text, 10, "ZeroTier address"))


def parse_network_id(text: str) -> NetworkId:
    """Read 16 hex digits; raises ValueError with the text."""
    return NetworkId(_parse_hex(text, 16, "network id"))


def _parse_hex(text: str, digits: int, what: str) -> int:
    if len(text) != digits or not _HEX_DIGITS.issuperset(text):
        raise ValueError(f"{what}: {text!r} is not {digits} hex digits")
    return int(text, 16)


@lru_cache(maxsize=256)
def _mac_parts(network_id: NetworkId) -> tuple[int, int]:
    """Return what all MACs of a network begin with, and what addresses are mixed with in them."""
    mask = (network_id >> 8).to_bytes(7, "little")[:ADDRESS_SIZE]
    return first_mac_byte(network_id) << _ADDRESS_BITS, int.from_bytes(mask, "big")


def first_mac_byte(network_id: NetworkId) -> int:
    """Return the first byte of every member's MAC on a network (wire.adoc#mac)."""
    first = (network_id & 0xFE) | 0x02
    return 0x32 if first == 0x52 else first  # 0x52 collides with some hypervisors' range


def member_mac(address: Address, network_id: NetworkId) -> Mac:
    """Derive the MAC that a member has on a network (wire.adoc#mac)."""
    first, mask = _mac_parts(network_id)
    return Mac((first | address ^ mask).to_bytes(MAC_SIZE, "big"))


def mac_member(mac: bytes, network_id: NetworkId) -> Address:
    """Return the member that a MAC of this network belongs to; the inverse of `member_mac`."""
    return Address(int.from_bytes(mac[1:MAC_SIZE], "big") ^ _mac_parts(network_id)[1])


def is_multicast(mac: bytes) -> bool:
    """Tell whether a MAC is a group address; broadcast is one."""
    return bool(mac[0] & 1)
