"""The UDP header (RFC 768), read in place."""

import struct
from typing import Final

SIZE_UDP: Final = 8
OFFSET_LENGTH: Final = 4
OFFSET_CHECKSUM: Final = 6

UDP_HEADER: Final = struct.Struct(">HHHH")
"""Ports, length, checksum."""
