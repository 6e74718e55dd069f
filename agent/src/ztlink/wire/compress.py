"""LZ4 blocks in packets: the payload alone, no frame, no length (wire.adoc#compression)."""

from typing import Final

import lz4.block  # type: ignore[import-untyped]  # the package brings no types

from ztlink.errors import WireError
from ztlink.wire.packet import MAX_PACKET_SIZE, MIN_COMPRESSIBLE_SIZE, SIZE_HEADER

MAX_PAYLOAD_SIZE: Final = MAX_PACKET_SIZE - SIZE_HEADER
MIN_PAYLOAD_SIZE: Final = MIN_COMPRESSIBLE_SIZE - SIZE_HEADER
"""Payloads must be longer than this to be worth a try."""
_LAST_NIBBLE: Final = 15
_MIN_MATCH: Final = 4


def compress(payload: bytes) -> bytes | None:
    """Return a smaller block, or None where there is no gain."""
    if len(payload) <= MIN_PAYLOAD_SIZE:
        return None
    block: bytes = lz4.block.compress(payload, store_size=False)
    return block if len(block) < len(payload) else None


def decompress(block: bytes) -> bytes:
    """Return the payload of a block; an empty block is an empty payload."""
    if not block:
        return b""
    if _has_zero_offset(block):
        raise WireError("LZ4 block: a match at offset 0")
    try:
        payload: bytes = lz4.block.decompress(block, uncompressed_size=MAX_PAYLOAD_SIZE)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise WireError(f"LZ4 block: {error}") from error
    if not payload:
        raise WireError("LZ4 block: nothing in it")
    return payload


def _has_zero_offset(block: bytes) -> bool:
    """Look for a match at offset 0, which decoders expand to whatever the buffer held before."""
    position, end = 0, len(block)
    while position < end:
        token = block[position]
        literals, position = _length(block, position + 1, token >> 4)
        position += literals
        if position + 2 > end:
            return False  # the last sequence has no match; what is cut the decoder refuses
        if block[position] == block[position + 1] == 0:
            return True
        _, position = _length(block, position + 2, token & _LAST_NIBBLE)
    return False


def _length(block: bytes, position: int, length: int) -> tuple[int, int]:
    if length == _LAST_NIBBLE:
        while position < len(block):
            byte = block[position]
            position += 1
            length += byte
            if byte != 0xFF:
                break
    return length, position
