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

# As globals: a member of an enumeration takes longer to find.
_SALSA_POLY: Final = CipherSuite.SALSA_POLY
_GMAC_SIV: Final = CipherSuite.GMAC_SIV
_MARK_GMAC_SIV: Final = CipherSuite.GMAC_SIV << SHIFT_SUITE


def armor(batch: PacketBatch, cipher: PeerCipher, suite: CipherSuite) -> None:
    """Seal every packet of a batch in place.

    Headers hold id, addresses and the fragmented bit already. Suite 3 replaces the packet ids.
    """
    buffer, starts, sizes = batch.buffer, batch.starts, batch.sizes
    flags = suite << SHIFT_SUITE
    if suite is _SALSA_POLY:
        flags |= FLAG_LEGACY_ENCRYPTED
    for start in starts:
        buffer[start + OFFSET_FLAGS] = buffer[start + OFFSET_FLAGS] & FLAG_FRAGMENTED | flags
    if suite is _GMAC_SIV:
        gmac_siv.seal(buffer, starts, sizes, cipher)
    else:
        packets = [buffer[s : s + n] for s, n in zip(starts, sizes, strict=True)]
        salsa_poly.seal(packets, [cipher] * len(packets))


def dearmor(batch: PacketBatch, cipher: PeerCipher) -> bytearray:
    """Open packets of one peer in place, of suites 0, 1 and 3; one byte each, 1 where authentic.

    What is not authentic is undefined afterwards and must not be used.
    """
    buffer = batch.buffer
    if all(buffer[start + OFFSET_FLAGS] & MASK_SUITE == _MARK_GMAC_SIV for start in batch.starts):
        return gmac_siv.unseal(buffer, batch.starts, batch.sizes, cipher)
    verdicts = bytearray(len(batch))
    by_suite: dict[int, list[int]] = {}
    for index, start in enumerate(batch.starts):
        suite = (buffer[start + OFFSET_FLAGS] & MASK_SUITE) >> SHIFT_SUITE
        by_suite.setdefault(suite, []).append(index)
    for suite, indexes in by_suite.items():
        starts = [batch.starts[i] for i in indexes]
        sizes = [batch.sizes[i] for i in indexes]
        opened: Sequence[int] = ()
        if suite == _GMAC_SIV:
            opened = gmac_siv.unseal(buffer, starts, sizes, cipher)
        elif suite in (CipherSuite.POLY_NONE, _SALSA_POLY):
            packets = [buffer[s : s + n] for s, n in zip(starts, sizes, strict=True)]
            opened = salsa_poly.unseal(packets, [cipher] * len(packets))
        for index, verdict in zip(indexes, opened, strict=False):
            verdicts[index] = verdict
    return verdicts


def armor_one(packet: bytearray | memoryview, cipher: PeerCipher, suite: CipherSuite) -> None:
    """Seal one packet in place."""
    batch = PacketBatch(memoryview(packet))
    batch.append(0, len(packet))
    armor(batch, cipher, suite)


def dearmor_one(packet: bytearray | memoryview, cipher: PeerCipher) -> bool:
    """Open one packet in place; False where it is not authentic."""
    batch = PacketBatch(memoryview(packet))
    batch.append(0, len(packet))
    return bool(dearmor(batch, cipher)[0])


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
