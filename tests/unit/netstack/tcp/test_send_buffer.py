from hypothesis import given
from hypothesis import strategies as st

from ztlink.netstack.tcp.send_buffer import SendBuffer

BIG = bytes(range(256)) * 16


def joined(buffer: SendBuffer, first: int, size: int) -> bytes:
    return b"".join(buffer.pieces(first, size))


def test_large_bytes_are_kept_without_a_copy() -> None:
    buffer = SendBuffer(10)
    buffer.append(memoryview(BIG))
    (piece,) = buffer.pieces(10, len(BIG))
    assert piece.obj is BIG


def test_a_buffer_that_may_change_is_copied() -> None:
    buffer = SendBuffer(10)
    data = bytearray(BIG)
    buffer.append(memoryview(data))
    data[0] = 99
    assert joined(buffer, 10, len(BIG)) == BIG


def test_a_read_only_view_of_a_buffer_that_may_change_is_copied() -> None:
    buffer = SendBuffer(10)
    data = bytearray(BIG)
    buffer.append(memoryview(data).toreadonly())
    data[0] = 99
    assert joined(buffer, 10, len(BIG)) == BIG


def test_small_writes_become_few_pieces() -> None:
    buffer = SendBuffer(0)
    for _ in range(1000):
        buffer.append(memoryview(b"x" * 10))
    assert len(buffer.pieces(0, 10_000)) < 10


def test_a_release_within_a_chunk_keeps_the_rest() -> None:
    buffer = SendBuffer(0)
    buffer.append(memoryview(BIG))
    assert buffer.release(100) == 100
    assert joined(buffer, 100, len(BIG) - 100) == BIG[100:]
    assert len(buffer) == len(BIG) - 100


def test_a_buffer_that_is_released_whole_takes_more() -> None:
    buffer = SendBuffer(0)
    buffer.append(memoryview(BIG))
    buffer.release(len(BIG))
    buffer.append(memoryview(b"next"))
    assert joined(buffer, len(BIG), 4) == b"next"


@given(st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=20), st.data())
def test_any_range_is_what_was_written(writes: list[bytes], data: st.DataObject) -> None:
    buffer = SendBuffer(1000)
    for chunk in writes:
        buffer.append(memoryview(chunk))
    whole = b"".join(writes)
    released = data.draw(st.integers(0, len(whole) - 1))
    buffer.release(1000 + released)
    first = data.draw(st.integers(released, len(whole) - 1))
    size = data.draw(st.integers(1, len(whole) - first))
    assert joined(buffer, 1000 + first, size) == whole[first : first + size]
