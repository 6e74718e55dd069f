"""Packet and fragment headers: offsets and sizes, used in place (wire.adoc#packet)."""

from struct import Struct
from typing import Final

OFFSET_PACKET_ID: Final = 0
OFFSET_DESTINATION: Final = 8
OFFSET_SOURCE: Final = 13
OFFSET_FLAGS: Final = 18
OFFSET_AUTH_TAG: Final = 19
OFFSET_VERB: Final = 27
OFFSET_PAYLOAD: Final = 28

SIZE_PACKET_ID: Final = 8
SIZE_ADDRESS: Final = 5
SIZE_AUTH_TAG: Final = 8
SIZE_HEADER: Final = 28

FLAG_LEGACY_ENCRYPTED: Final = 0x80
FLAG_FRAGMENTED: Final = 0x40
MASK_SUITE: Final = 0x38
SHIFT_SUITE: Final = 3
MASK_HOPS: Final = 0x07
MASK_AUTHENTICATED_FLAGS: Final = 0xF8

VERB_MASK: Final = 0x1F
VERB_FLAG_COMPRESSED: Final = 0x80

FRAGMENT_MARKER: Final = 0xFF
OFFSET_FRAGMENT_MARKER: Final = 13
OFFSET_FRAGMENT_COUNTS: Final = 14
OFFSET_FRAGMENT_HOPS: Final = 15
SIZE_FRAGMENT_HEADER: Final = 16

MAX_FRAGMENTS: Final = 7
DEFAULT_PATH_MTU: Final = 1432
MAX_PACKET_SIZE: Final = 10_024  # 7 x 1432
MIN_COMPRESSIBLE_SIZE: Final = 92

HEADER: Final = Struct("!8s5s5sB8sB")
"""Packet id, destination, source, flags, auth tag, verb."""
FRAGMENT_HEADER: Final = Struct("!8s5sBBB")
"""Packet id, destination, marker, total and number, hops."""
