"""One look at a frame: what it is and where its parts begin. What cannot be parsed is marked so."""

from typing import Final, NamedTuple

from ztlink.batch import SuperFrame
from ztlink.inet.ether import ETHERTYPE_IPV4, ETHERTYPE_IPV6, OFFSET_ETHERTYPE, SIZE_ETHERNET

PROTOCOL_HOP_BY_HOP: Final = 0
PROTOCOL_ICMP: Final = 1
PROTOCOL_IGMP: Final = 2
PROTOCOL_TCP: Final = 6
PROTOCOL_UDP: Final = 17
PROTOCOL_ICMPV6: Final = 58
_EXTENSIONS: Final = frozenset({0, 43, 60, 135})


class Flow(NamedTuple):
    """Offsets are from the first byte of the Ethernet frame; -1 where there is no such part."""

    ethertype: int
    protocol: int
    transport: int


def parse(frame: SuperFrame) -> Flow:
    """Look at a frame; never raises."""
    data = frame.buffer
    size = len(data)
    if size < SIZE_ETHERNET:
        return Flow(-1, -1, -1)
    ethertype = data[OFFSET_ETHERTYPE] << 8 | data[OFFSET_ETHERTYPE + 1]
    if ethertype == ETHERTYPE_IPV4 and size >= SIZE_ETHERNET + 20:
        transport = SIZE_ETHERNET + (data[SIZE_ETHERNET] & 0x0F) * 4
        return Flow(ethertype, data[SIZE_ETHERNET + 9], transport if transport <= size else -1)
    if ethertype == ETHERTYPE_IPV6 and size >= SIZE_ETHERNET + 40:
        position, protocol = SIZE_ETHERNET + 40, data[SIZE_ETHERNET + 6]
        while protocol in _EXTENSIONS:
            if position + 8 > size:
                return Flow(ethertype, protocol, -1)
            protocol, position = data[position], position + data[position + 1] * 8 + 8
        return Flow(ethertype, protocol, position if position <= size else -1)
    return Flow(ethertype, -1, -1)
