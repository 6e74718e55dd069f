import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztlink.errors import TruncatedError
from ztlink.wire.buffer import Reader, Writer


def test_integers_are_big_endian() -> None:
    assert Reader(b"\x01\x02\x03").pull_uint(3) == 0x010203


def test_an_integer_of_no_bytes_is_zero() -> None:
    assert Reader(b"").pull_uint(0) == 0


def test_fields_are_pulled_one_after_the_other() -> None:
    reader = Reader(b"\x01abc\x02")
    assert (reader.pull_uint(1), reader.pull_bytes(3), reader.pull_uint(1)) == (1, b"abc", 2)


def test_pulled_bytes_are_a_copy() -> None:
    data = bytearray(b"abc")
    pulled = Reader(data).pull_bytes(3)
    data[0] = ord("z")
    assert pulled == b"abc"


def test_skipped_bytes_are_not_seen_again() -> None:
    reader = Reader(b"abcd")
    reader.skip(3)
    assert reader.pull_rest() == b"d"


def test_the_rest_may_be_empty() -> None:
    assert Reader(b"").pull_rest() == b""


def test_position_and_remaining_add_up() -> None:
    reader = Reader(b"abcde")
    reader.pull_bytes(2)
    assert (reader.position, reader.remaining) == (2, 3)


def test_a_reader_is_true_while_bytes_are_left() -> None:
    assert Reader(b"a")


def test_a_reader_at_its_end_is_false() -> None:
    reader = Reader(b"a")
    reader.skip(1)
    assert not reader


@pytest.mark.parametrize("method", ["pull_uint", "pull_bytes", "skip"])
def test_nothing_is_pulled_past_the_end(method: str) -> None:
    with pytest.raises(TruncatedError, match="4 bytes wanted at 0, 3 left"):
        getattr(Reader(b"abc"), method)(4)


def test_a_failed_pull_leaves_the_reader_where_it_was() -> None:
    reader = Reader(b"abc")
    with pytest.raises(TruncatedError):
        reader.pull_bytes(4)
    assert reader.position == 0


@given(st.integers(0, 2**64 - 1))
def test_an_integer_survives_writing_and_reading(value: int) -> None:
    writer = Writer()
    writer.push_uint(value, 8)
    assert Reader(writer.getvalue()).pull_uint(8) == value


@given(st.lists(st.binary(max_size=20)))
def test_pushed_bytes_follow_each_other(pieces: list[bytes]) -> None:
    writer = Writer()
    for piece in pieces:
        writer.push_bytes(piece)
    assert writer.getvalue() == b"".join(pieces)


def test_a_writer_knows_its_length() -> None:
    writer = Writer()
    writer.push_uint(1, 2)
    writer.push_bytes(b"abc")
    assert len(writer) == 5


@pytest.mark.parametrize("value", [256, -1])
def test_an_integer_that_does_not_fit_is_our_own_mistake(value: int) -> None:
    with pytest.raises(OverflowError):
        Writer().push_uint(value, 1)
