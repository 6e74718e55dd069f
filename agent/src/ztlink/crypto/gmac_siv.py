"""Suite 3: AES-256 in counter mode under a synthetic IV made by AES-GMAC (wire.adoc#suites).

The sixteen bytes of padded header that precede the plaintext under the tag are written over the end
of the packet's own header for as long as the tag is computed, so that header and plaintext need not
be copied together.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ztlink.crypto.kdf import PeerCipher
from ztlink.wire.packet import (
    MASK_AUTHENTICATED_FLAGS,
    OFFSET_AUTH_TAG,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_VERB,
)

_AAD_HEADER_SIZE: Final = 16
_AAD_START: Final = OFFSET_VERB - _AAD_HEADER_SIZE
_BLOCK: Final = 16
_COUNTER_MASK: Final = (1 << 128) - 1 ^ 1 << 31
"""Bit 31 of the 32-bit counter is cleared, so it cannot carry within a packet of legal size."""
_FEW_BLOCKS: Final = 24
"""Up to here numbers are faster than numpy, after a rest by far: they touch less memory."""


def _aad_tag(packet: memoryview, iv: bytes, cipher: PeerCipher) -> bytes:
    """Return the GMAC over padded header and plaintext."""
    saved = bytes(packet[_AAD_START:OFFSET_VERB])
    packet[_AAD_START:OFFSET_VERB] = (
        bytes(packet[OFFSET_DESTINATION:OFFSET_FLAGS])
        + bytes((packet[OFFSET_FLAGS] & MASK_AUTHENTICATED_FLAGS,))
        + bytes(5)
    )
    tag = cipher.gmac.encrypt(iv + bytes(4), b"", packet[_AAD_START:])
    packet[_AAD_START:OFFSET_VERB] = saved
    return tag


def _fold(tag: bytes) -> bytes:
    value = int.from_bytes(tag, "big")
    return ((value >> 64) ^ (value & 0xFFFFFFFFFFFFFFFF)).to_bytes(8, "big")


def _crypt(
    buffer: memoryview, starts: Sequence[int], sizes: Sequence[int], tags: bytes, cipher: PeerCipher
) -> None:
    """XOR the payloads of a batch with their keystreams: one AES call over all counter blocks."""
    counts = [-(-(size - OFFSET_VERB) // _BLOCK) for size in sizes]
    total = sum(counts)
    if total <= _FEW_BLOCKS:
        _crypt_few(buffer, starts, sizes, counts, tags, cipher)
        return
    counters = np.empty((total, 2), ">u8")
    heads = np.frombuffer(tags, ">u8").reshape(len(counts), 2)
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    counters[:, 0] = heads[owner, 0]
    low = heads[:, 1] & np.uint64(_COUNTER_MASK & 0xFFFFFFFFFFFFFFFF)
    counters[:, 1] = low[owner] + (np.arange(total) - first).astype(np.uint64)
    stream = np.frombuffer(cipher.encrypt.update(counters.tobytes()), np.uint8)
    whole: npt.NDArray[np.uint8] = np.frombuffer(buffer, np.uint8)
    position = 0
    for start, size, count in zip(starts, sizes, counts, strict=True):
        view = whole[start + OFFSET_VERB : start + size]
        np.bitwise_xor(view, stream[position : position + len(view)], out=view)
        position += count * _BLOCK


def _crypt_few(
    buffer: memoryview,
    starts: Sequence[int],
    sizes: Sequence[int],
    counts: Sequence[int],
    tags: bytes,
    cipher: PeerCipher,
) -> None:
    """Do as `_crypt` does, on few blocks."""
    counters = bytearray()
    for index, count in enumerate(counts):
        first = int.from_bytes(tags[_BLOCK * index : _BLOCK * (index + 1)], "big") & _COUNTER_MASK
        for number in range(first, first + count):
            counters += number.to_bytes(_BLOCK, "big")
    stream = cipher.encrypt.update(counters)
    position = 0
    for start, size, count in zip(starts, sizes, counts, strict=True):
        first, end = start + OFFSET_VERB, start + size
        mask = int.from_bytes(stream[position : position + end - first], "big")
        mixed = int.from_bytes(buffer[first:end], "big") ^ mask
        buffer[first:end] = mixed.to_bytes(end - first, "big")
        position += count * _BLOCK


def seal(
    buffer: memoryview, starts: Sequence[int], sizes: Sequence[int], cipher: PeerCipher
) -> None:
    """Encrypt packets in place; packet ids are replaced, flags are final already."""
    blocks = bytearray()
    for start, size in zip(starts, sizes, strict=True):
        packet = buffer[start : start + size]
        iv = bytes(packet[:8])
        blocks += iv + _fold(_aad_tag(packet, iv, cipher))
    tags = cipher.encrypt.update(bytes(blocks))
    _crypt(buffer, starts, sizes, tags, cipher)
    for index, start in enumerate(starts):
        tag = tags[_BLOCK * index : _BLOCK * (index + 1)]
        buffer[start : start + 8] = tag[:8]
        buffer[start + OFFSET_AUTH_TAG : start + OFFSET_VERB] = tag[8:]


def unseal(
    buffer: memoryview, starts: Sequence[int], sizes: Sequence[int], cipher: PeerCipher
) -> bytearray:
    """Decrypt packets in place and check them; what fails must not be looked at."""
    tags = b"".join(
        bytes(buffer[start : start + 8])
        + bytes(buffer[start + OFFSET_AUTH_TAG : start + OFFSET_VERB])
        for start in starts
    )
    _crypt(buffer, starts, sizes, tags, cipher)
    ivs = cipher.decrypt.update(tags)
    verdicts = bytearray(len(starts))
    for index, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        at = _BLOCK * index
        tag = _aad_tag(buffer[start : start + size], ivs[at : at + 8], cipher)
        difference = int.from_bytes(_fold(tag), "big") ^ int.from_bytes(
            ivs[at + 8 : at + 16], "big"
        )
        verdicts[index] = difference == 0
    return verdicts
