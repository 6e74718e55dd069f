"""The TCP header (RFC 9293 3.1), read in place."""

import struct
from typing import Final

SIZE_TCP: Final = 20
OFFSET_SEQUENCE: Final = 4
OFFSET_DATA_OFFSET: Final = 12
OFFSET_FLAGS: Final = 13
OFFSET_CHECKSUM: Final = 16

FLAG_FIN: Final = 0x01
FLAG_SYN: Final = 0x02
FLAG_RST: Final = 0x04
FLAG_PSH: Final = 0x08
FLAG_ACK: Final = 0x10
FLAG_URG: Final = 0x20
FLAG_ECE: Final = 0x40
FLAG_CWR: Final = 0x80

TCP_HEADER: Final = struct.Struct(">HHIIHHHH")
"""Ports, sequence, acknowledgement, data offset and flags, window, checksum, urgent pointer."""


def header_size(frame: memoryview, offset: int) -> int:
    """Return the size that the header at `offset` tells; its first 20 bytes are in the frame."""
    return (frame[offset + OFFSET_DATA_OFFSET] >> 4) * 4
