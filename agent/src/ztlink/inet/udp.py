"""The UDP header (RFC 768), read in place and written."""

import struct
from typing import Final

from ztlink.inet.checksum import checksum, ones_sum
from ztlink.inet.ip import PROTOCOL_UDP

SIZE_UDP: Final = 8
OFFSET_LENGTH: Final = 4
OFFSET_CHECKSUM: Final = 6

UDP_HEADER: Final = struct.Struct(">HHHH")
"""Ports, length, checksum."""


def udp_packet(
    source: bytes, destination: bytes, source_port: int, destination_port: int, data: bytes
) -> bytes:
    """Return header and data, with the checksum that belongs to these (packed) addresses."""
    size = SIZE_UDP + len(data)
    pseudo = ones_sum(source + destination) + PROTOCOL_UDP + size
    header = UDP_HEADER.pack(source_port, destination_port, size, 0)
    total = checksum(data, pseudo + ones_sum(header))
    # Zero would say that there is no checksum (RFC 768); it is the same number as 0xFFFF.
    return UDP_HEADER.pack(source_port, destination_port, size, total or 0xFFFF) + data
