"""Suite 3: AES-256 in counter mode under a synthetic IV made by AES-GMAC (wire.adoc#suites).

Packet by packet, each by calls of libcrypto on contexts that stay: one call for the counter blocks
of all, made and mixed in by numpy, is slower whatever the batch.
"""

import struct
from hmac import compare_digest
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


def _fold(packet: memoryview, payload: memoryview, iv: bytes, cipher: PeerCipher) -> bytes:
    """Return half a tag: the GMAC over padded header and plaintext, its halves mixed."""
    flags = _PADDED_FLAGS[packet[OFFSET_FLAGS]]
    covered = b"".join((packet[OFFSET_DESTINATION:OFFSET_FLAGS], flags, payload))
    high, low = _HALVES.unpack(cipher.gmac.encrypt(iv + _NONCE_TAIL, b"", covered))
    mixed: int = high ^ low
    return mixed.to_bytes(8, "big")


def _crypt(payload: memoryview, tag: bytes, cipher: PeerCipher) -> None:
    """XOR a payload with its keystream."""
    first = int.from_bytes(tag, "big") & _COUNTER_MASK
    counter = cipher.counter
    counter.reset_nonce(first.to_bytes(_BLOCK, "big"))
    counter.update_into(payload, payload)


def seal(packet: memoryview, cipher: PeerCipher) -> None:
    """Encrypt a packet in place; its id is replaced, its flags are final already."""
    payload = packet[OFFSET_VERB:]
    iv = bytes(packet[:_IV])
    tag = cipher.encrypt.update(iv + _fold(packet, payload, iv, cipher))
    _crypt(payload, tag, cipher)
    packet[:_IV] = tag[:_IV]
    packet[OFFSET_AUTH_TAG:OFFSET_VERB] = tag[_IV:]


def unseal(packet: memoryview, cipher: PeerCipher) -> bool:
    """Decrypt a packet in place and check it; one that fails must not be looked at."""
    payload = packet[OFFSET_VERB:]
    tag = b"".join((packet[:_IV], packet[OFFSET_AUTH_TAG:OFFSET_VERB]))
    _crypt(payload, tag, cipher)
    block = cipher.decrypt.update(tag)
    return compare_digest(_fold(packet, payload, block[:_IV], cipher), block[_IV:])
