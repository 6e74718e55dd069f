"""Ethernet headers (IEEE 802.3)."""

from typing import Final

SIZE_ETHERNET: Final = 14
OFFSET_ETHERTYPE: Final = 12
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD
