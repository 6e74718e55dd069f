from hypothesis import given
from hypothesis import strategies as st

from ztlink.netstack.tcp.receive_buffer import MAX_ISLANDS, ReceiveBuffer

START = 1000


def buffer_of(limit: int = 100_000) -> ReceiveBuffer:
    buffer = ReceiveBuffer(START, limit)
    buffer.edge = START + limit
    return buffer


def store(buffer: ReceiveBuffer, offset: int, data: bytes) -> int:
    return buffer.store(START + offset, memoryview(data))


def read_all(buffer: ReceiveBuffer, limit: int = 1 << 20) -> bytes:
    out = b""
    while data := buffer.read(limit):
        out += data
    return out


def test_bytes_in_order_are_read() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"one")
    store(buffer, 3, b"two")
    assert read_all(buffer) == b"onetwo"
    assert buffer.next == START + 6


def test_short_chunks_are_read_together() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"a" * 2000)
    store(buffer, 2000, b"b" * 2000)
    assert buffer.read(10_000) == b"a" * 2000 + b"b" * 2000


def test_a_long_chunk_is_read_without_a_copy() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"a" * 20_000)
    assert type(buffer.read(100_000)) is bytes
    assert buffer.held == 0


def test_a_read_takes_no_more_than_its_limit() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"abcdef")
    assert buffer.read(4) == b"abcd"
    assert buffer.held == 2
    assert buffer.read(4) == b"ef"


def test_what_is_read_does_not_change_when_more_arrives() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"abc")
    first = buffer.read(2)
    store(buffer, 3, b"def")
    assert (first, read_all(buffer)) == (b"ab", b"cdef")


def test_bytes_behind_a_hole_wait() -> None:
    buffer = buffer_of()
    assert store(buffer, 3, b"two") == 3
    assert buffer.read(10) == b""
    assert buffer.beyond == 3
    assert store(buffer, 0, b"one") == 3
    assert read_all(buffer) == b"onetwo"
    assert buffer.beyond == 0


def test_what_came_first_stays() -> None:
    buffer = buffer_of()
    store(buffer, 2, b"CD")
    store(buffer, 0, b"abcdef")
    assert read_all(buffer) == b"abCDef"


def test_bytes_that_came_before_do_not_count() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"abc")
    assert store(buffer, 0, b"abcd") == 1
    assert read_all(buffer) == b"abcd"


def test_bytes_beyond_the_edge_do_not_count() -> None:
    buffer = buffer_of(4)
    assert store(buffer, 0, b"abcdef") == 4
    assert read_all(buffer) == b"abcd"


def test_bytes_wholly_beyond_the_edge_do_not_count() -> None:
    assert store(buffer_of(4), 4, b"abc") == 0


def test_the_block_that_came_last_is_told_first() -> None:
    buffer = buffer_of()
    store(buffer, 10, b"x")
    store(buffer, 30, b"x")
    store(buffer, 20, b"x")
    starts = [start - START for start, _ in buffer.blocks(3)]
    assert starts == [20, 30, 10]


def test_blocks_are_as_large_as_what_is_there() -> None:
    buffer = buffer_of()
    store(buffer, 10, b"xx")
    store(buffer, 14, b"xx")
    store(buffer, 12, b"xx")
    assert buffer.blocks(3) == [(START + 10, START + 16)]


def test_what_came_twice_is_told_once_and_first() -> None:
    buffer = buffer_of()
    store(buffer, 0, b"abc")
    store(buffer, 10, b"x")
    store(buffer, 0, b"abc")
    assert buffer.blocks(3) == [(START, START + 3), (START + 10, START + 11)]
    assert buffer.blocks(3) == [(START + 10, START + 11)]


def test_what_came_twice_behind_a_hole_is_told() -> None:
    buffer = buffer_of()
    store(buffer, 10, b"abcd")
    store(buffer, 12, b"cdef")
    assert buffer.duplicate == (START + 12, START + 14)


def test_no_more_blocks_are_told_than_fit() -> None:
    buffer = buffer_of()
    for offset in range(10, 100, 10):
        store(buffer, offset, b"x")
    assert len(buffer.blocks(3)) == 3


def test_holes_are_bounded() -> None:
    buffer = buffer_of()
    stored = [store(buffer, offset, b"x") for offset in range(2, 2 * MAX_ISLANDS + 6, 2)]
    assert sum(stored) == MAX_ISLANDS
    assert buffer.beyond == MAX_ISLANDS


def test_islands_can_be_dropped() -> None:
    buffer = buffer_of()
    store(buffer, 10, b"abc")
    assert buffer.drop_islands() == 3
    store(buffer, 0, b"0123456789")
    assert read_all(buffer) == b"0123456789"


PIECES = st.lists(st.tuples(st.integers(-20, 120), st.integers(1, 60)), max_size=40)


@given(PIECES, st.integers(1, 50))
def test_any_order_of_pieces_gives_the_bytes_and_the_counts(
    pieces: list[tuple[int, int]], limit: int
) -> None:
    whole = bytes(range(100))
    buffer = buffer_of(100)
    seen: set[int] = set()
    out = b""
    for offset, size in pieces:
        end = min(offset + size, 100)
        data = bytes(b % 256 for b in range(offset, offset + size))
        new = store(buffer, offset, data)
        fresh = set(range(max(offset, 0), max(end, 0))) - seen
        assert new == len(fresh)
        seen |= fresh
        assert buffer.held + buffer.beyond + len(out) == len(seen)
        told = {n for start, stop in buffer.blocks(1000) for n in range(start, stop)}
        beyond = {START + n for n in seen if START + n >= buffer.next}
        assert beyond <= told
        out += buffer.read(limit)
        assert out == whole[: len(out)]
    missing = min(set(range(101)) - seen)
    assert buffer.next == START + missing
    assert out + read_all(buffer) == whole[:missing]
