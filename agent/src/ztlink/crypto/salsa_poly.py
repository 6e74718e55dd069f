"""Suites 0 and 1: Salsa20/12 and Poly1305 with a key made for each packet (wire.adoc#suites)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.poly1305 import Poly1305

from ztlink.batch import CipherSuite
from ztlink.crypto.kdf import PeerCipher
from ztlink.crypto.salsa import keystreams
from ztlink.wire.packet import (
    MASK_AUTHENTICATED_FLAGS,
    MASK_SUITE,
    OFFSET_AUTH_TAG,
    OFFSET_FLAGS,
    OFFSET_VERB,
    SHIFT_SUITE,
    SIZE_AUTH_TAG,
)

_POLY_KEY_SIZE: Final = 32
_FIRST_PAYLOAD_BLOCK: Final = 64
"""The first block of keystream makes the key of the tag; the payload begins at the second."""


def packet_key(packet: memoryview, cipher: PeerCipher) -> bytes:
    """Return the key of one packet: the pair's key mangled by header and length."""
    size = len(packet)
    salt = bytes(packet[:OFFSET_FLAGS]) + bytes(
        (packet[OFFSET_FLAGS] & MASK_AUTHENTICATED_FLAGS, size & 0xFF, size >> 8)
    )
    key = cipher.keys.salsa
    mangled = int.from_bytes(key[:21], "big") ^ int.from_bytes(salt, "big")
    return mangled.to_bytes(21, "big") + key[21:]


def _streams(packets: Sequence[memoryview], ciphers: list[PeerCipher]) -> list[bytes]:
    keys = [packet_key(p, c) for p, c in zip(packets, ciphers, strict=True)]
    nonces = [bytes(p[:8]) for p in packets]
    sizes = [
        _FIRST_PAYLOAD_BLOCK + len(p) - OFFSET_VERB if is_encrypted(p) else _POLY_KEY_SIZE
        for p in packets
    ]
    return keystreams(keys, nonces, sizes)


def is_encrypted(packet: memoryview) -> bool:
    """Tell whether the flags of a packet name suite 1."""
    return (packet[OFFSET_FLAGS] & MASK_SUITE) >> SHIFT_SUITE == CipherSuite.SALSA_POLY


def seal(packets: Sequence[memoryview], ciphers: list[PeerCipher]) -> None:
    """Encrypt (suite 1) and tag packets in place; the flags byte is final already."""
    for packet, stream in zip(packets, _streams(packets, ciphers), strict=True):
        if is_encrypted(packet):
            _xor(packet[OFFSET_VERB:], stream[_FIRST_PAYLOAD_BLOCK:])
        packet[OFFSET_AUTH_TAG:OFFSET_VERB] = _tag(packet, stream)


def unseal(packets: Sequence[memoryview], ciphers: list[PeerCipher]) -> list[bool]:
    """Check and decrypt packets in place; what is not authentic stays as it is."""
    verdicts = []
    for packet, stream in zip(packets, _streams(packets, ciphers), strict=True):
        is_authentic = _equal(_tag(packet, stream), packet[OFFSET_AUTH_TAG:OFFSET_VERB])
        if is_authentic and is_encrypted(packet):
            _xor(packet[OFFSET_VERB:], stream[_FIRST_PAYLOAD_BLOCK:])
        verdicts.append(is_authentic)
    return verdicts


def _tag(packet: memoryview, stream: bytes) -> bytes:
    return Poly1305.generate_tag(stream[:_POLY_KEY_SIZE], packet[OFFSET_VERB:])[:SIZE_AUTH_TAG]


def _equal(left: bytes, right: memoryview) -> bool:
    """Compare two tags in constant time."""
    return int.from_bytes(left, "big") ^ int.from_bytes(right, "big") == 0


def _xor(data: memoryview, stream: bytes) -> None:
    words = np.frombuffer(data, np.uint8)
    np.bitwise_xor(words, np.frombuffer(stream, np.uint8), out=words)
