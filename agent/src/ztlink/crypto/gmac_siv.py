"""Suite 3: AES-256 in counter mode under a synthetic IV made by AES-GMAC (wire.adoc#suites).

Packet by packet, each by calls of libcrypto on contexts that stay: one call for the counter blocks
of all, made and mixed in by numpy, is slower whatever the batch.
"""

import struct
from collections.abc import Sequence
from typing import Final

from ztlink.crypto.kdf import PeerCipher
from ztlink.wire.packet import (
    MASK_AUTHENTICATED_FLAGS,
    OFFSET_AUTH_TAG,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_VERB,
)

_BLOCK: Final = 16
_COUNTER_MASK: Final = (1 << 128) - 1 ^ 1 << 31
"""Bit 31 of the 32-bit counter is cleared, so it cannot carry within a packet of legal size."""
_IV: Final = 8
"""Bytes of the tag that travel as the packet id, and before that are drawn as its nonce."""
_NONCE_TAIL: Final = bytes(4)
"""What GMAC's nonce has behind the eight bytes."""
_HALVES: Final = struct.Struct(">QQ")
_PADDED_FLAGS: Final = tuple(
    bytes((flags & MASK_AUTHENTICATED_FLAGS, 0, 0, 0, 0, 0)) for flags in range(256)
)
"""What follows the addresses under the tag, by the byte of flags."""


def _fold(packet: memoryview, iv: bytes, cipher: PeerCipher) -> int:
    """Return half a tag: the GMAC over padded header and plaintext, its halves mixed."""
    covered = b"".join(
        (
            packet[OFFSET_DESTINATION:OFFSET_FLAGS],
            _PADDED_FLAGS[packet[OFFSET_FLAGS]],
            packet[OFFSET_VERB:],
        )
    )
    high, low = _HALVES.unpack(cipher.gmac.encrypt(iv + _NONCE_TAIL, b"", covered))
    mixed: int = high ^ low
    return mixed


def _crypt(packet: memoryview, tag: bytes, cipher: PeerCipher) -> None:
    """XOR the payload of a packet with its keystream."""
    first = int.from_bytes(tag, "big") & _COUNTER_MASK
    counter = cipher.counter
    counter.reset_nonce(first.to_bytes(_BLOCK, "big"))
    payload = packet[OFFSET_VERB:]
    counter.update_into(payload, payload)


def seal(
    buffer: memoryview, starts: Sequence[int], sizes: Sequence[int], cipher: PeerCipher
) -> None:
    """Encrypt packets in place; packet ids are replaced, flags are final already."""
    packets = [buffer[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    blocks: list[bytes] = []
    for packet in packets:
        iv = bytes(packet[:_IV])
        blocks += iv, _fold(packet, iv, cipher).to_bytes(8, "big")
    tags = cipher.encrypt.update(b"".join(blocks))
    for index, packet in enumerate(packets):
        tag = tags[_BLOCK * index : _BLOCK * (index + 1)]
        _crypt(packet, tag, cipher)
        packet[:_IV] = tag[:_IV]
        packet[OFFSET_AUTH_TAG:OFFSET_VERB] = tag[_IV:]


def unseal(
    buffer: memoryview, starts: Sequence[int], sizes: Sequence[int], cipher: PeerCipher
) -> bytearray:
    """Decrypt packets in place and check them; what fails must not be looked at."""
    packets = [buffer[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    halves: list[memoryview] = []
    for packet in packets:
        halves += packet[:_IV], packet[OFFSET_AUTH_TAG:OFFSET_VERB]
    tags = b"".join(halves)
    blocks = cipher.decrypt.update(tags)
    verdicts = bytearray(len(packets))
    for index, packet in enumerate(packets):
        at = _BLOCK * index
        _crypt(packet, tags[at : at + _BLOCK], cipher)
        fold = _fold(packet, blocks[at : at + _IV], cipher)
        verdicts[index] = fold == int.from_bytes(blocks[at + _IV : at + _BLOCK], "big")
    return verdicts
