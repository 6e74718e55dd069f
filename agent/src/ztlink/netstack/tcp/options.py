"""The options of a TCP header (RFC 9293 3.1, 2018, 2883, 7323): read leniently, written padded.

Nothing is raised: what is malformed ends the list, and what stood before it counts.
"""

import struct
from dataclasses import dataclass
from typing import Final

END: Final = 0
NO_OPERATION: Final = 1
MAXIMUM_SEGMENT_SIZE: Final = 2
WINDOW_SCALE: Final = 3
SACK_PERMITTED: Final = 4
SACK: Final = 5
TIMESTAMPS: Final = 8

MAX_SHIFT: Final = 14
"""RFC 7323 2.3."""
_MAX_WINDOW: Final = 0xFFFF
SIZE_TIMESTAMPS: Final = 12
"""With the padding in front."""
MAX_BLOCKS: Final = 4
"""That fit into 40 bytes; three beside timestamps."""
_TIMESTAMPS_HEAD: Final = bytes((NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10))
_TIMESTAMPS: Final = struct.Struct(">II")
_PADDED_TIMESTAMPS: Final = struct.Struct(">4sII")
_BLOCK: Final = struct.Struct(">II")


@dataclass(slots=True)
class Options:
    """What a header's options say."""

    mss: int | None = None
    shift: int | None = None
    """Of the window, at most 14."""
    is_sack_permitted: bool = False
    timestamp: int | None = None
    echo: int = 0
    blocks: tuple[tuple[int, int], ...] = ()
    """Of a selective acknowledgement, as on the wire."""


NO_OPTIONS: Final = Options()


def read_options(data: bytes) -> Options:
    """Read the options of a header."""
    if not data:
        return NO_OPTIONS
    if len(data) == SIZE_TIMESTAMPS and data.startswith(_TIMESTAMPS_HEAD):
        timestamp, echo = _TIMESTAMPS.unpack_from(data, 4)
        return Options(None, None, False, timestamp, echo)
    options = Options()
    offset = 0
    while offset < len(data) and data[offset] != END:
        if data[offset] == NO_OPERATION:
            offset += 1
            continue
        size = data[offset + 1] if offset + 1 < len(data) else 0
        if size < 2 or offset + size > len(data):
            break
        _read_option(options, data[offset], data[offset + 2 : offset + size])
        offset += size
    return options


def _read_option(options: Options, kind: int, value: bytes) -> None:
    """Take one option; of the wrong size, it does not count."""
    size = len(value)
    if kind == MAXIMUM_SEGMENT_SIZE and size == 2:
        options.mss = int.from_bytes(value, "big")
    elif kind == WINDOW_SCALE and size == 1:
        options.shift = min(value[0], MAX_SHIFT)
    elif kind == SACK_PERMITTED and size == 0:
        options.is_sack_permitted = True
    elif kind == SACK and size and size % 8 == 0:
        options.blocks = tuple(_BLOCK.iter_unpack(value))
    elif kind == TIMESTAMPS and size == 8:
        options.timestamp, options.echo = _TIMESTAMPS.unpack(value)


def window_shift(size: int) -> int:
    """Return the least scale by which a window of so many bytes can be told."""
    shift = 0
    while shift < MAX_SHIFT and (_MAX_WINDOW << shift) < size:
        shift += 1
    return shift


def syn_options(
    mss: int, shift: int | None, *, sack: bool, timestamps: tuple[int, int] | None
) -> bytes:
    """Write the options of a SYN."""
    data = bytes((MAXIMUM_SEGMENT_SIZE, 4, mss >> 8, mss & 0xFF))
    if timestamps is not None:
        head = bytes((SACK_PERMITTED, 2) if sack else (NO_OPERATION, NO_OPERATION))
        data += head + _TIMESTAMPS_HEAD[2:] + _TIMESTAMPS.pack(*timestamps)
    elif sack:
        data += bytes((NO_OPERATION, NO_OPERATION, SACK_PERMITTED, 2))
    if shift is not None:
        data += bytes((NO_OPERATION, WINDOW_SCALE, 3, shift))
    return data


def timestamp_option(timestamp: int, echo: int) -> bytes:
    """Write the timestamps, padded to 12 bytes."""
    return _PADDED_TIMESTAMPS.pack(_TIMESTAMPS_HEAD, timestamp, echo)


def sack_option(blocks: list[tuple[int, int]]) -> bytes:
    """Write a selective acknowledgement, padded; the blocks as on the wire."""
    head = bytes((NO_OPERATION, NO_OPERATION, SACK, 2 + 8 * len(blocks)))
    return head + b"".join(_BLOCK.pack(*block) for block in blocks)
