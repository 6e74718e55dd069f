"""The Ethernet header (IEEE 802.3) and VLAN tags (IEEE 802.1Q)."""

from ipaddress import IPv4Address
from typing import Final

from ztlink.ids import IpAddress, Mac

SIZE_ETHERNET: Final = 14
SIZE_VLAN_TAG: Final = 4
OFFSET_DESTINATION: Final = 0
OFFSET_SOURCE: Final = 6
OFFSET_ETHERTYPE: Final = 12
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_IPV6: Final = 0x86DD
ETHERTYPE_SERVICE_VLAN: Final = 0x88A8
_MASK_IPV4_GROUP: Final = 0x7FFFFF


def ethertype_of(frame: memoryview) -> int:
    """Return the ethertype of a frame of at least 14 bytes; a VLAN tag is one."""
    return frame[OFFSET_ETHERTYPE] << 8 | frame[OFFSET_ETHERTYPE + 1]


def group_mac(group: IpAddress) -> Mac:
    """Return the MAC that frames for an IP multicast group go to (RFC 1112 6.4, RFC 2464 7)."""
    if isinstance(group, IPv4Address):
        return Mac(b"\x01\x00\x5e" + (int(group) & _MASK_IPV4_GROUP).to_bytes(3, "big"))
    return Mac(b"\x33\x33" + group.packed[-4:])
