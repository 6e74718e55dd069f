"""Reassembly beside a model that keeps every byte of every fragment."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.netstack.ether import START
from ztlink.netstack.counters import Counters
from ztlink.netstack.reassembly import Fragment, FragmentKey, Reassembly

UNIT = 8
DATA = bytes(range(256))
KEY = FragmentKey(b"\x0a\0\0\x02", b"\x0a\0\0\x01", 1, 17)


@dataclass
class Model:
    """One datagram as RFC 5722 wants it: whatever overlaps ends it, but for the same again."""

    seen: set[tuple[int, bytes, bool]] = field(default_factory=set)
    held: dict[int, int] = field(default_factory=dict)
    end: int | None = None
    is_refused: bool = False

    def add(self, start: int, data: bytes, *, is_last: bool) -> bytes | None:
        if self.is_refused or (start, data, is_last) in self.seen:
            return None
        end = start + len(data)
        is_beyond = self.end is not None and (end > self.end or is_last)
        is_short = is_last and any(at >= end for at in self.held)
        if any(at in self.held for at in range(start, end)) or is_beyond or is_short:
            self.is_refused = True
            return None
        self.seen.add((start, data, is_last))
        self.held.update(zip(range(start, end), data, strict=True))
        if is_last:
            self.end = end
        if self.end is not None and len(self.held) == self.end:
            whole = bytes(self.held[at] for at in range(self.end))
            self.seen, self.held, self.end = set(), {}, None
            return whole
        return None


@st.composite
def pieces(draw: st.DrawFn) -> tuple[int, bytes, bool]:
    """A fragment somewhere, of what is to be there or of something else."""
    start = UNIT * draw(st.integers(0, 12))
    is_last = draw(st.booleans())
    size = draw(st.integers(1, 40)) if is_last else UNIT * draw(st.integers(1, 6))
    data = DATA[start : start + size]
    if draw(st.integers(0, 9)) == 0:
        data = bytes(len(data))
    return start, data, is_last


@st.composite
def tilings(draw: st.DrawFn) -> list[tuple[int, bytes, bool]]:
    """A datagram in fragments, in any order, some of them twice."""
    size = draw(st.integers(1, 200))
    cuts = sorted({UNIT * cut for cut in draw(st.lists(st.integers(1, 24)))} | {0})
    starts = [cut for cut in cuts if cut < size]
    ends = [*starts[1:], size]
    whole = [(s, DATA[s:e], e == size) for s, e in zip(starts, ends, strict=True)]
    again = draw(st.lists(st.sampled_from(whole), max_size=3))
    return draw(st.permutations(whole + again))


def feed(fragments: list[tuple[int, bytes, bool]]) -> list[bytes | None]:
    store = Reassembly(1 << 20, 30.0, Counters())
    results: list[bytes | None] = []
    for start, data, is_last in fragments:
        fragment = Fragment(start, memoryview(data), is_last, 17, memoryview(b""))
        whole = store.add(KEY, fragment, START)
        results.append(None if whole is None else bytes(whole.payload))
    return results


@given(st.lists(pieces(), max_size=12))
def test_fragments_of_any_kind_make_what_the_model_makes(
    fragments: list[tuple[int, bytes, bool]],
) -> None:
    model = Model()
    expected = [model.add(start, data, is_last=last) for start, data, last in fragments]
    assert feed(fragments) == expected


@given(tilings())
def test_a_datagram_in_fragments_comes_out_as_it_was(
    fragments: list[tuple[int, bytes, bool]],
) -> None:
    size = max(start + len(data) for start, data, _ in fragments)
    assert DATA[:size] in feed(fragments)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), pieces()), max_size=60))
def test_memory_is_what_is_accounted_for_and_bounded(
    fragments: list[tuple[int, int, tuple[int, bytes, bool]]],
) -> None:
    store = Reassembly(4000, 30.0, Counters())
    for sender, identification, (start, data, is_last) in fragments:
        key = FragmentKey(bytes([sender]), b"", identification, 0)
        fragment = Fragment(start, memoryview(data), is_last, 17, memoryview(b"quote"))
        store.add(key, fragment, START)
        assert 0 <= store.size <= 4000
    store.expire(START._replace(mono=START.mono + 30.0))
    assert (store.size, store.get_timer()) == (0, None)
