from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.clock import Now
from ztlink.crypto.armor import dearmor_one
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.stats import Drop, Stats
from ztlink.vl1.fragments import LIFETIME, MAX_INCOMPLETE, Reassembler, split
from ztlink.wire.packet import FLAG_FRAGMENTED, FRAGMENT_MARKER, OFFSET_FLAGS

NOW = Now(1000.0, 1_700_000_000_000)
PACKET = bytes(range(18)) + bytes([FLAG_FRAGMENTED]) + bytes(range(200)) * 20


def feed(reassembler: Reassembler, datagram: bytes, now: Now = NOW) -> bytes | bytearray | None:
    """Hand a datagram to a reassembler as the switch does."""
    view = memoryview(datagram)
    if len(datagram) > 16 and datagram[13] == FRAGMENT_MARKER:
        return reassembler.add_fragment(view, now)
    if datagram[OFFSET_FLAGS] & FLAG_FRAGMENTED:
        return reassembler.add_head(view, now)
    return datagram


def expand(case: dict[str, Any], datagram: dict[str, Any]) -> bytes:
    """Return the bytes of a datagram that a vector describes."""
    packet = bytes.fromhex(case["packet"])
    first, after = datagram["slice"]
    return bytes.fromhex(datagram["header"]) + packet[first:after]


@pytest.mark.parametrize("case", load("fragments.json")["fragmentation"])
def test_packets_are_cut_as_the_reference_cuts_them(case: dict[str, Any]) -> None:
    packet = bytes.fromhex(case["packet"])
    expected = [expand(case, d) for d in case["datagrams"]]
    assert split(packet, case["path_mtu"]) == expected


@pytest.mark.parametrize(
    "case", load("fragments.json")["reassembly"], ids=lambda case: str(case["name"])
)
def test_packets_are_joined_as_the_reference_joins_them(case: dict[str, Any]) -> None:
    reassembler = Reassembler()
    cipher = PeerCipher(derive_session_keys(bytes.fromhex(case["key_48"])))
    destination = bytes.fromhex(case["packet"])[8:13]
    completed = [
        number
        for number, described in enumerate(case["sequence"])
        if (datagram := expand(case, described))[8:13] == destination
        and (packet := feed(reassembler, datagram)) is not None
        and dearmor_one(bytearray(packet), cipher)
    ]
    expected = case["completes_at"]
    assert completed == ([] if expected is None else [expected])


def test_pieces_in_order_give_the_packet() -> None:
    reassembler = Reassembler()
    assert [feed(reassembler, d) for d in split(PACKET, 1432)] == [None, None, PACKET]


def test_pieces_in_reverse_order_give_the_packet() -> None:
    reassembler = Reassembler()
    assert [feed(reassembler, d) for d in reversed(split(PACKET, 1432))] == [None, None, PACKET]


def test_a_repeated_piece_changes_nothing() -> None:
    reassembler = Reassembler()
    head, second, third = split(PACKET, 1432)
    assert [feed(reassembler, d) for d in (head, second, second, third)][-1] == PACKET


def test_pieces_of_more_than_a_packet_are_not_kept() -> None:
    stats = Stats()
    reassembler = Reassembler(stats)
    head, second, _ = split(PACKET, 1432)
    feed(reassembler, head)
    feed(reassembler, second[:16] + bytes(9000))
    assert len(reassembler) == 0
    assert stats.drops[Drop.REASSEMBLY_OVERFLOW] == 1


def test_a_fragment_that_cannot_be_is_counted() -> None:
    stats = Stats()
    _, second, _ = split(PACKET, 1432)
    feed(Reassembler(stats), second[:14] + bytes([0x99]) + second[15:])
    assert stats.drops[Drop.BAD_FRAGMENT] == 1


def test_fragments_that_disagree_on_their_number_do_not_join() -> None:
    reassembler = Reassembler()
    head, second, third = split(PACKET, 1432)
    other = second[:14] + bytes([0x21]) + second[15:]
    assert [feed(reassembler, d) for d in (other, third, head)][1] is None


def test_a_piece_after_five_seconds_does_not_complete_a_packet() -> None:
    reassembler = Reassembler()
    head, second, third = split(PACKET, 1432)
    feed(reassembler, head)
    feed(reassembler, second)
    assert feed(reassembler, third, Now(NOW.mono + LIFETIME + 0.1, NOW.unix_ms)) is None


def test_the_table_of_incomplete_packets_is_bounded() -> None:
    reassembler = Reassembler()
    for number in range(MAX_INCOMPLETE + 50):
        feed(reassembler, number.to_bytes(8, "big") + split(PACKET, 1432)[0][8:])
    assert len(reassembler) == MAX_INCOMPLETE


@pytest.mark.parametrize("counts", [0x00, 0x10, 0x11, 0x12, 0x22, 0x81, 0xF1, 0x70])
def test_impossible_fragment_counts_are_refused(counts: int) -> None:
    fragment = bytes(13) + bytes([FRAGMENT_MARKER, counts, 0]) + b"data"
    assert Reassembler().add_fragment(memoryview(fragment), NOW) is None
