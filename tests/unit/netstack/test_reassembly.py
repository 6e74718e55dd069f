"""Fragments: any order, bounded, no overlaps."""

import pytest

from tests.unit.netstack.ether import START
from ztlink.clock import Now
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.reassembly import (
    MAX_PIECES,
    Fragment,
    FragmentKey,
    Reassembly,
    Whole,
)

LIMIT, TIMEOUT = 40_000, 30.0
SENDER, RECEIVER = b"\x0a\0\0\x02", b"\x0a\0\0\x01"
DATA = bytes(range(256)) * 4


def key(identification: int = 1, sender: bytes = SENDER) -> FragmentKey:
    return FragmentKey(sender, RECEIVER, identification, 17)


def piece(start: int, end: int, *, data: bytes = DATA, is_last: bool | None = None) -> Fragment:
    last = end == len(data) if is_last is None else is_last
    return Fragment(start, memoryview(data)[start:end], last, 17, memoryview(b"quote"))


def later(seconds: float) -> Now:
    return START._replace(mono=START.mono + seconds)


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def store(counters: Counters) -> Reassembly:
    return Reassembly(LIMIT, TIMEOUT, counters)


def add(store: Reassembly, *fragments: Fragment, identification: int = 1) -> list[bytes]:
    """Add fragments, and return what was complete."""
    wholes = [store.add(key(identification), fragment, START) for fragment in fragments]
    return [bytes(whole.payload) for whole in wholes if whole is not None]


def test_fragments_in_order_make_a_whole(store: Reassembly) -> None:
    assert add(store, piece(0, 512), piece(512, 1024)) == [DATA]


def test_fragments_in_reverse_make_a_whole(store: Reassembly) -> None:
    assert add(store, piece(768, 1024), piece(256, 768), piece(0, 256)) == [DATA]


def test_a_whole_has_what_the_first_fragment_said(store: Reassembly) -> None:
    late = Fragment(512, memoryview(DATA)[512:], True, 99, memoryview(b"other"))
    assert store.add(key(), late, START) is None
    assert store.add(key(), piece(0, 512), START) == Whole(
        memoryview(DATA), 17, memoryview(b"quote")
    )


def test_a_whole_leaves_nothing_behind(store: Reassembly) -> None:
    add(store, piece(0, 512), piece(512, 1024))
    assert (store.size, store.get_timer()) == (0, None)


def test_a_fragment_twice_does_no_harm(store: Reassembly) -> None:
    assert add(store, piece(0, 512), piece(0, 512), piece(512, 1024)) == [DATA]


def test_datagrams_do_not_mix(store: Reassembly) -> None:
    assert add(store, piece(0, 512)) == []
    assert add(store, piece(512, 1024), identification=2) == []


OVERLAPS = {
    "begins within another": [piece(0, 512), piece(504, 1024)],
    "ends within another": [piece(512, 1024), piece(0, 520)],
    "within another": [piece(0, 512), piece(8, 16), piece(512, 1024)],
    "over another": [piece(256, 264), piece(0, 512), piece(512, 1024)],
    "another's start, shorter": [piece(0, 512), piece(0, 256), piece(512, 1024)],
    "another's place, other bytes": [
        piece(0, 512),
        piece(0, 512, data=DATA[::-1]),
        piece(512, 1024),
    ],
    "behind the end": [piece(8, 512, is_last=True), piece(512, 1024)],
    "two ends": [piece(512, 768, is_last=True), piece(768, 1024), piece(0, 512)],
    "an end before what is there": [piece(512, 520), piece(0, 512, is_last=True)],
    "an end that was none": [piece(512, 1024, is_last=False), piece(512, 1024), piece(0, 512)],
}


@pytest.mark.parametrize("fragments", OVERLAPS.values(), ids=OVERLAPS.keys())
def test_what_contradicts_itself_is_refused(
    store: Reassembly, counters: Counters, fragments: list[Fragment]
) -> None:
    assert add(store, *fragments) == []
    assert counters.discards[Discard.FRAGMENTS_OVERLAP] > 0


def test_a_refused_datagram_stays_refused(store: Reassembly) -> None:
    add(store, piece(0, 512), piece(0, 256))
    assert add(store, piece(0, 512), piece(512, 1024)) == []


def test_a_refused_datagram_keeps_no_bytes(store: Reassembly) -> None:
    add(store, piece(0, 512), piece(0, 256))
    assert store.size < 512


def test_a_refused_name_may_be_used_again_after_its_time(store: Reassembly) -> None:
    add(store, piece(0, 512), piece(0, 256))
    store.expire(later(TIMEOUT))
    assert add(store, piece(0, 512), piece(512, 1024)) == [DATA]


def test_fragments_are_dropped_when_their_time_is_over(
    store: Reassembly, counters: Counters
) -> None:
    add(store, piece(0, 512))
    assert store.get_timer() == START.mono + TIMEOUT
    assert [bytes(one.quote) for one in store.expire(later(TIMEOUT))] == [b"quote"]
    assert (store.size, counters.discards[Discard.FRAGMENTS_EXPIRED]) == (0, 1)


def test_nobody_hears_of_a_datagram_without_its_first_fragment(store: Reassembly) -> None:
    add(store, piece(512, 1024))
    assert store.expire(later(TIMEOUT)) == []


def test_one_sender_has_a_part_of_the_memory_at_most(store: Reassembly) -> None:
    for number in range(100):
        add(store, piece(0, 1016, is_last=False), identification=number)
    assert store.size <= LIMIT // 4


def test_a_sender_that_sends_much_leaves_others_their_fragments(store: Reassembly) -> None:
    store.add(key(1, b"\x0a\0\0\x03"), piece(0, 512), START)
    for number in range(100):
        add(store, piece(0, 1016, is_last=False), identification=number)
    assert store.add(key(1, b"\x0a\0\0\x03"), piece(512, 1024), START) is not None


def test_memory_is_bounded_in_all(store: Reassembly) -> None:
    for number in range(200):
        sender = bytes([10, 0, 1, number])
        store.add(key(1, sender), piece(0, 1016, is_last=False), START)
    assert store.size <= LIMIT


def test_pieces_of_a_datagram_are_bounded(store: Reassembly, counters: Counters) -> None:
    data = bytes(8 * (MAX_PIECES + 2))
    for number in range(MAX_PIECES + 1):
        add(store, piece(8 * number, 8 * number + 8, data=data))
    assert counters.discards[Discard.FRAGMENTS_FULL] == 1
