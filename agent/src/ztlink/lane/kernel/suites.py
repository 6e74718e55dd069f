"""Sealing and opening one packet in place; the twins are `crypto.gmac_siv` and `salsa_poly`.

AES and Poly1305 are libcrypto's, whose contexts come as addresses (`crypto.evp`).
"""

from ztlink.lane.kernel import salsa
from ztlink.lane.kernel.memory import (
    call,
    kernel,
    load_8,
    load_16,
    load_32,
    load_64,
    store_8,
    store_16,
    store_32,
    store_64,
)

GET_TAG = 0x10

SALSA, TRUSTED, SIV = 1, 2, 3
VERB = 27
AUTHENTICATED_FLAGS = 0xF8

# What `crypto.evp` gives for a peer, by the place in its table: contexts, a key, functions.
GMAC, CTR, ECB, ECB_BACK, POLY, KEY = range(0, 48, 8)
INIT, ENCRYPT, DECRYPT, FINISH, CONTROL, MAC_INIT, MAC_UPDATE, MAC_FINISH = range(48, 112, 8)

# Places in the scratch memory.
LENGTH, IV, TAG, BLOCK, STATE, PACKET_KEY, POLY_KEY, STREAM = 0, 16, 32, 48, 64, 128, 160, 192


@kernel
def _gmac(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """Write the folded tag of padded header and plaintext to TAG; the id is in IV already."""
    saved_11, saved_19 = load_64(packet + 11), load_64(packet + 19)
    flags = load_8(packet + 18)
    addresses_8, addresses_16 = load_64(packet + 8), load_16(packet + 16)
    store_64(packet + 11, addresses_8)
    store_64(packet + 19, 0)
    store_16(packet + 19, addresses_16)
    store_8(packet + 21, flags & AUTHENTICATED_FLAGS)
    store_32(scratch + IV + 8, 0)
    context, length, tag = load_64(ciphers + GMAC), scratch + LENGTH, scratch + TAG
    good = call(load_64(ciphers + INIT), context, 0, 0, 0, scratch + IV)
    good &= call(load_64(ciphers + ENCRYPT), context, 0, length, packet + 11, size - 11)
    good &= call(load_64(ciphers + FINISH), context, tag, length, 0, 0)
    good &= call(load_64(ciphers + CONTROL), context, GET_TAG, 16, tag, 0)
    store_64(packet + 11, saved_11)
    store_64(packet + 19, saved_19)
    store_64(tag, load_64(tag) ^ load_64(tag + 8))
    return good & 1


@kernel
def _counter_mode(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """XOR the payload with the keystream of the tag in BLOCK."""
    store_64(scratch + IV, load_64(scratch + BLOCK))
    store_64(scratch + IV + 8, load_64(scratch + BLOCK + 8))
    store_8(scratch + IV + 12, load_8(scratch + IV + 12) & 0x7F)
    context = load_64(ciphers + CTR)
    payload = packet + VERB
    length = scratch + LENGTH
    good = call(load_64(ciphers + INIT), context, 0, 0, 0, scratch + IV)
    good &= call(load_64(ciphers + ENCRYPT), context, payload, length, payload, size - VERB)
    return good & 1


@kernel
def seal_siv(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """Encrypt a packet, whose flags are final; its id is replaced. Returns 1 where it could be."""
    block, context = scratch + BLOCK, load_64(ciphers + ECB)
    store_64(scratch + IV, load_64(packet))
    good = _gmac(packet, size, ciphers, scratch)
    store_64(block, load_64(packet))
    store_64(block + 8, load_64(scratch + TAG))
    good &= call(load_64(ciphers + ENCRYPT), context, block, scratch + LENGTH, block, 16)
    good &= _counter_mode(packet, size, ciphers, scratch)
    store_64(packet, load_64(block))
    store_64(packet + 19, load_64(block + 8))
    return good


@kernel
def open_siv(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """Decrypt a packet, and return 1 where it is authentic."""
    block, context = scratch + BLOCK, load_64(ciphers + ECB_BACK)
    store_64(block, load_64(packet))
    store_64(block + 8, load_64(packet + 19))
    good = _counter_mode(packet, size, ciphers, scratch)
    good &= call(load_64(ciphers + DECRYPT), context, block, scratch + LENGTH, block, 16)
    store_64(scratch + IV, load_64(block))
    good &= _gmac(packet, size, ciphers, scratch)
    return good if load_64(scratch + TAG) == load_64(block + 8) else 0


@kernel
def _prepare_salsa(packet: int, size: int, ciphers: int, scratch: int) -> None:
    """Make the key of a packet, the first eight blocks of its keystream, and its tag's key."""
    key = load_64(ciphers + KEY)
    for index in range(18):
        mixed = load_8(key + index) ^ load_8(packet + index)
        store_8(scratch + PACKET_KEY + index, mixed)
    flags = load_8(packet + 18) & AUTHENTICATED_FLAGS
    store_8(scratch + PACKET_KEY + 18, load_8(key + 18) ^ flags)
    store_8(scratch + PACKET_KEY + 19, load_8(key + 19) ^ (size & 0xFF))
    store_8(scratch + PACKET_KEY + 20, load_8(key + 20) ^ (size >> 8))
    for index in range(21, 32):
        store_8(scratch + PACKET_KEY + index, load_8(key + index))
    salsa.set_state(scratch + STATE, scratch + PACKET_KEY, packet)
    salsa.blocks(scratch + STATE, 0, scratch + STREAM)
    for word in range(8):
        store_32(scratch + POLY_KEY + 4 * word, salsa.word_of(scratch + STREAM, 0, word))


@kernel
def _xor_salsa(packet: int, size: int, scratch: int) -> None:
    """XOR the payload with the keystream from block 1 on; blocks 0 to 7 are there."""
    position, end, block = packet + VERB, packet + size, 1
    stream = scratch + STREAM
    while position < end:
        lane = block & 7
        if lane == 0:
            salsa.blocks(scratch + STATE, block, stream)
        if end - position >= 64:
            for word in range(16):
                place = position + 4 * word
                store_32(place, load_32(place) ^ salsa.word_of(stream, lane, word))
        else:
            for index in range(end - position):
                mask = salsa.word_of(stream, lane, index >> 2) >> 8 * (index & 3)
                store_8(position + index, load_8(position + index) ^ mask)
        position += 64
        block += 1


@kernel
def _poly(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """Write the tag over the payload as it is to TAG."""
    context = load_64(ciphers + POLY)
    good = call(load_64(ciphers + MAC_INIT), context, scratch + POLY_KEY, 32, 0, 0)
    good &= call(load_64(ciphers + MAC_UPDATE), context, packet + VERB, size - VERB, 0, 0)
    good &= call(load_64(ciphers + MAC_FINISH), context, scratch + TAG, scratch + LENGTH, 16, 0)
    return good & 1


@kernel
def seal_salsa(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """Encrypt and tag a packet, whose flags are final; return 1 where that could be done."""
    _prepare_salsa(packet, size, ciphers, scratch)
    _xor_salsa(packet, size, scratch)
    good = _poly(packet, size, ciphers, scratch)
    store_64(packet + 19, load_64(scratch + TAG))
    return good


@kernel
def open_salsa(packet: int, size: int, ciphers: int, scratch: int) -> int:
    """Check a packet, and decrypt it where it is authentic; return 1 then."""
    _prepare_salsa(packet, size, ciphers, scratch)
    good = _poly(packet, size, ciphers, scratch)
    if not good or load_64(scratch + TAG) != load_64(packet + 19):
        return 0
    _xor_salsa(packet, size, scratch)
    return 1
