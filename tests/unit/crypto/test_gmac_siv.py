"""Suite 3 beyond the known answers: batches, what the tag covers, and what stays as it was."""

from collections.abc import Callable

import pytest

from ztlink.crypto import gmac_siv
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.wire.packet import OFFSET_FLAGS, OFFSET_VERB

KEYS = derive_session_keys(bytes(range(48)))
SUITE = 3 << 3
Kernel = Callable[[memoryview, PeerCipher], bool | None]


def packet(size: int, number: int = 1) -> bytes:
    """Return a packet that is yet to be sealed."""
    head = number.to_bytes(8, "big") + bytes(range(10)) + bytes([SUITE]) + bytes(8)
    return head + bytes(index & 0xFF for index in range(size))


def seal(*packets: bytes) -> list[bytes]:
    return run(gmac_siv.seal, packets)[0]


def unseal(*packets: bytes) -> tuple[list[bytes], list[bool]]:
    opened, verdicts = run(gmac_siv.unseal, packets)
    return opened, [verdict is True for verdict in verdicts]


def run(kernel: Kernel, packets: tuple[bytes, ...]) -> tuple[list[bytes], list[bool | None]]:
    """Run a kernel over packets that lie in one buffer with gaps between them."""
    gap = b"\xaa" * 5
    buffer = bytearray(gap.join(packets) + gap)
    starts, position = [], 0
    for each in packets:
        starts.append(position)
        position += len(each) + len(gap)
    ends = [start + len(each) for start, each in zip(starts, packets, strict=True)]
    view, cipher = memoryview(buffer), PeerCipher(KEYS)
    results = [kernel(view[s:e], cipher) for s, e in zip(starts, ends, strict=True)]
    assert all(buffer[end : end + len(gap)] == gap for end in ends)
    return [bytes(buffer[s:e]) for s, e in zip(starts, ends, strict=True)], results


@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 32, 33, 1400, 9996])
def test_what_is_sealed_opens(size: int) -> None:
    plain = packet(size)
    opened, verdicts = unseal(*seal(plain))
    assert verdicts == [True]
    assert opened[0][OFFSET_VERB:] == plain[OFFSET_VERB:]


def test_a_batch_gives_what_its_packets_give_one_by_one() -> None:
    packets = [packet(size, number) for number, size in enumerate((1, 40, 16, 1500, 3))]
    assert seal(*packets) == [seal(each)[0] for each in packets]


def test_the_packet_id_is_replaced() -> None:
    plain = packet(20)
    assert seal(plain)[0][:8] != plain[:8]


def test_equal_packets_with_different_ids_do_not_look_alike() -> None:
    first, second = seal(packet(20, 1), packet(20, 2))
    assert first[OFFSET_VERB:] != second[OFFSET_VERB:]


def test_the_hops_are_not_covered() -> None:
    sealed = bytearray(seal(packet(20))[0])
    sealed[OFFSET_FLAGS] |= 0x07
    assert unseal(bytes(sealed))[1] == [True]


@pytest.mark.parametrize("offset", [*range(OFFSET_FLAGS), *range(OFFSET_FLAGS + 1, 47)])
def test_every_other_byte_is_covered(offset: int) -> None:
    sealed = bytearray(seal(packet(20))[0])
    sealed[offset] ^= 0x01
    assert unseal(bytes(sealed))[1] == [False]


@pytest.mark.parametrize("bit", [0x80, 0x40, 0x20, 0x10, 0x08])
def test_every_flag_is_covered(bit: int) -> None:
    sealed = bytearray(seal(packet(20))[0])
    sealed[OFFSET_FLAGS] ^= bit
    assert unseal(bytes(sealed))[1] == [False]


def test_a_shorter_packet_does_not_open() -> None:
    assert unseal(seal(packet(20))[0][:-1])[1] == [False]


def test_a_changed_packet_does_not_spoil_its_neighbours() -> None:
    sealed = seal(packet(20, 1), packet(30, 2), packet(40, 3))
    sealed[1] = sealed[1][:-1] + bytes([sealed[1][-1] ^ 1])
    assert unseal(*sealed)[1] == [True, False, True]


def test_another_pairs_keys_do_not_open() -> None:
    sealed = bytearray(seal(packet(20))[0])
    other = PeerCipher(derive_session_keys(bytes(48)))
    assert gmac_siv.unseal(memoryview(sealed), other) is False
