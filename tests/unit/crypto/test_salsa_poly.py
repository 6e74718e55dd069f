"""Suites 0 and 1 beyond the known answers: the key of a packet, and what the tag covers."""

import pytest

from ztlink.crypto import salsa_poly
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.wire.packet import OFFSET_FLAGS, OFFSET_VERB

CIPHER = PeerCipher(derive_session_keys(bytes(range(48))))
CLEAR = 0
ENCRYPTED = 0x80 | 1 << 3
FLAGS = [CLEAR, ENCRYPTED]


def packet(size: int, flags: int, number: int = 1) -> bytearray:
    """Return a packet that is yet to be sealed."""
    head = number.to_bytes(8, "big") + bytes(range(10)) + bytes([flags]) + bytes(8)
    return bytearray(head + bytes(index & 0xFF for index in range(size)))


def sealed(size: int, flags: int) -> bytearray:
    data = packet(size, flags)
    salsa_poly.seal([memoryview(data)], [CIPHER])
    return data


def opens(data: bytearray) -> bool:
    return salsa_poly.unseal([memoryview(data)], [CIPHER])[0]


def test_the_key_of_a_packet_is_the_pairs_with_header_and_length_mixed_in() -> None:
    data = packet(5 + 256, ENCRYPTED)
    key = salsa_poly.packet_key(memoryview(data), CIPHER)
    mixed = bytes(data[:18]) + bytes([ENCRYPTED & 0xF8, len(data) & 0xFF, len(data) >> 8])
    expected = bytes(a ^ b for a, b in zip(CIPHER.keys.salsa, mixed, strict=False))
    assert key == expected + CIPHER.keys.salsa[21:]


def test_hops_do_not_change_the_key() -> None:
    data, relayed = packet(5, ENCRYPTED), packet(5, ENCRYPTED | 0x07)
    assert salsa_poly.packet_key(memoryview(data), CIPHER) == salsa_poly.packet_key(
        memoryview(relayed), CIPHER
    )


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 1400, 9996])
def test_what_is_sealed_opens(flags: int, size: int) -> None:
    data = sealed(size, flags)
    assert opens(data)
    assert data[OFFSET_VERB:] == packet(size, flags)[OFFSET_VERB:]


def test_suite_0_leaves_the_payload_in_clear() -> None:
    assert sealed(20, CLEAR)[OFFSET_VERB:] == packet(20, CLEAR)[OFFSET_VERB:]


def test_suite_1_does_not() -> None:
    assert sealed(20, ENCRYPTED)[OFFSET_VERB:] != packet(20, ENCRYPTED)[OFFSET_VERB:]


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("offset", [*range(OFFSET_FLAGS), *range(OFFSET_FLAGS + 1, 47)])
def test_every_byte_but_the_hops_is_covered(flags: int, offset: int) -> None:
    data = sealed(20, flags)
    data[offset] ^= 0x01
    assert not opens(data)


@pytest.mark.parametrize("bit", [0x80, 0x40, 0x10])
def test_every_flag_is_covered(bit: int) -> None:
    data = sealed(20, ENCRYPTED)
    data[OFFSET_FLAGS] ^= bit
    assert not opens(data)


def test_what_is_not_authentic_stays_as_it_is() -> None:
    data = sealed(20, ENCRYPTED)
    data[-1] ^= 1
    before = bytes(data)
    assert not opens(data)
    assert data == before


def test_packets_of_several_pairs_are_checked_together() -> None:
    other = PeerCipher(derive_session_keys(bytes(48)))
    first, second = packet(20, CLEAR), packet(20, CLEAR)
    salsa_poly.seal([memoryview(first), memoryview(second)], [CIPHER, other])
    views = [memoryview(first), memoryview(second)]
    assert salsa_poly.unseal(views, [CIPHER, other]) == [True, True]
    assert salsa_poly.unseal(views, [other, CIPHER]) == [False, False]
