"""Sealing and opening packets: picks the suite, works on batches of one peer or on one packet."""

from collections.abc import Sequence
from typing import Final

from ztlink.batch import CipherSuite, PacketBatch
from ztlink.crypto import gmac_siv, salsa_poly
from ztlink.crypto.kdf import PeerCipher
from ztlink.crypto.salsa import keystreams
from ztlink.wire.packet import (
    FLAG_FRAGMENTED,
    FLAG_LEGACY_ENCRYPTED,
    MASK_SUITE,
    OFFSET_FLAGS,
    SHIFT_SUITE,
)

_SUITE_3: Final = CipherSuite.GMAC_SIV
_GMAC_SIV: Final = CipherSuite.GMAC_SIV << SHIFT_SUITE
_SALSA_POLY: Final = CipherSuite.SALSA_POLY << SHIFT_SUITE
_OF_POLY1305: Final = frozenset((CipherSuite.POLY_NONE << SHIFT_SUITE, _SALSA_POLY))


def armor(batch: PacketBatch, cipher: PeerCipher, suite: CipherSuite) -> None:
    """Seal every packet of a batch in place.

    Headers hold id, addresses and the fragmented bit already. Suite 3 replaces the packet ids.
    """
    _armor(_packets(batch), cipher, suite)


def armor_one(packet: bytearray | memoryview, cipher: PeerCipher, suite: CipherSuite) -> None:
    """Seal one packet in place."""
    view = memoryview(packet)
    if suite is _SUITE_3:
        view[OFFSET_FLAGS] = view[OFFSET_FLAGS] & FLAG_FRAGMENTED | _GMAC_SIV
        gmac_siv.seal(view, cipher)
    else:
        _armor((view,), cipher, suite)


def _packets(batch: PacketBatch) -> list[memoryview]:
    buffer = batch.buffer
    if len(batch.starts) == 1:
        start = batch.starts[0]
        return [buffer[start : start + batch.sizes[0]]]
    return [
        buffer[start : start + size] for start, size in zip(batch.starts, batch.sizes, strict=True)
    ]


def _armor(packets: Sequence[memoryview], cipher: PeerCipher, suite: CipherSuite) -> None:
    flags = suite << SHIFT_SUITE
    if flags == _SALSA_POLY:
        flags |= FLAG_LEGACY_ENCRYPTED
    for packet in packets:
        packet[OFFSET_FLAGS] = packet[OFFSET_FLAGS] & FLAG_FRAGMENTED | flags
    if flags == _GMAC_SIV:
        for packet in packets:
            gmac_siv.seal(packet, cipher)
    else:
        salsa_poly.seal(packets, [cipher] * len(packets))


def dearmor(batch: PacketBatch, cipher: PeerCipher) -> bytearray:
    """Open packets of one peer in place, of suites 0, 1 and 3; one byte each, 1 where authentic.

    What is not authentic is undefined afterwards and must not be used.
    """
    return _dearmor(_packets(batch), cipher)


def dearmor_one(packet: bytearray | memoryview, cipher: PeerCipher) -> bool:
    """Open one packet in place; False where it is not authentic."""
    return bool(_dearmor((memoryview(packet),), cipher)[0])


def _dearmor(packets: Sequence[memoryview], cipher: PeerCipher) -> bytearray:
    verdicts = bytearray(len(packets))
    others = []
    for index, packet in enumerate(packets):
        suite = packet[OFFSET_FLAGS] & MASK_SUITE
        if suite == _GMAC_SIV:
            verdicts[index] = gmac_siv.unseal(packet, cipher)
        elif suite in _OF_POLY1305:
            others.append(index)
    if others:
        opened = salsa_poly.unseal([packets[index] for index in others], [cipher] * len(others))
        for index, verdict in zip(others, opened, strict=True):
            verdicts[index] = verdict
    return verdicts


def check_hellos(packets: Sequence[memoryview], ciphers: Sequence[PeerCipher]) -> list[bool]:
    """Check the tags of suite 0 packets of many senders at once."""
    return salsa_poly.unseal(list(packets), list(ciphers))


def crypt_hello_tail(packet: bytearray, tail_offset: int, cipher: PeerCipher) -> None:
    """Encrypt or decrypt the tail of a HELLO in place (wire.adoc#hello)."""
    size = len(packet) - tail_offset
    if size <= 0:
        return
    # Ids once carried a counter in their low bits; receivers still mask it.
    nonce = bytes(packet[:7]) + bytes((packet[7] & 0xF8,))
    (stream,) = keystreams([cipher.keys.salsa], [nonce], [size])
    tail = int.from_bytes(packet[tail_offset:], "big") ^ int.from_bytes(stream, "big")
    packet[tail_offset:] = tail.to_bytes(size, "big")
