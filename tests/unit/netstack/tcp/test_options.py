from hypothesis import given
from hypothesis import strategies as st

from ztlink.netstack.tcp.options import (
    read_options,
    sack_option,
    syn_options,
    timestamp_option,
    window_shift,
)


def test_the_options_of_a_syn_are_read_back() -> None:
    data = syn_options(1460, 7, sack=True, timestamps=(5, 6))
    options = read_options(data)
    assert (options.mss, options.shift, options.is_sack_permitted) == (1460, 7, True)
    assert (options.timestamp, options.echo) == (5, 6)


@given(st.none() | st.integers(0, 14), st.booleans(), st.booleans())
def test_options_are_padded_to_words(shift: int | None, sack: bool, stamps: bool) -> None:
    data = syn_options(1460, shift, sack=sack, timestamps=(1, 2) if stamps else None)
    assert len(data) % 4 == 0
    assert len(data) <= 40
    options = read_options(data)
    assert (options.shift, options.is_sack_permitted) == (shift, sack)
    assert (options.timestamp is not None) == stamps


def test_timestamps_alone_are_read_back() -> None:
    options = read_options(timestamp_option(0xFFFF_FFFF, 1))
    assert (options.timestamp, options.echo) == (0xFFFF_FFFF, 1)


def test_blocks_are_read_back_behind_timestamps() -> None:
    options = read_options(timestamp_option(1, 2) + sack_option([(1, 2), (3, 4), (5, 6)]))
    assert options.blocks == ((1, 2), (3, 4), (5, 6))
    assert options.timestamp == 1


def test_three_blocks_fit_beside_timestamps() -> None:
    assert len(timestamp_option(1, 2) + sack_option([(1, 2)] * 3)) == 40


def test_a_shift_above_14_counts_as_14() -> None:
    assert read_options(bytes((3, 3, 200))).shift == 14


def test_unknown_options_are_skipped() -> None:
    assert read_options(bytes((254, 4, 9, 9, 2, 4, 5, 180))).mss == 1460


def test_an_option_without_its_length_ends_the_list() -> None:
    assert read_options(bytes((2, 4, 5, 180, 3))).mss == 1460


def test_a_length_below_two_ends_the_list() -> None:
    assert read_options(bytes((9, 0, 2, 4, 5, 180))).mss is None


def test_a_length_beyond_the_end_ends_the_list() -> None:
    assert read_options(bytes((2, 9, 5, 180))).mss is None


def test_an_end_of_options_hides_what_follows() -> None:
    assert read_options(bytes((0, 2, 4, 5, 180))).mss is None


def test_an_option_of_the_wrong_size_does_not_count() -> None:
    assert read_options(bytes((2, 3, 5, 3, 4, 1, 1))).mss is None


@given(st.binary(max_size=40))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    options = read_options(data)
    assert options.shift is None or options.shift <= 14


def test_a_window_is_scaled_no_more_than_it_must() -> None:
    assert [window_shift(size) for size in (65_535, 65_536, 6 << 20, 1 << 40)] == [0, 1, 7, 14]
