from hypothesis import given
from hypothesis import strategies as st

from ztlink.netstack.seqnum import MASK, is_before, unwrap

NUMBERS = st.integers(-(1 << 40), 1 << 40)
STEPS = st.integers(-(1 << 31), (1 << 31) - 1)


@given(NUMBERS, STEPS)
def test_a_number_less_than_half_a_circle_away_is_found_again(near: int, step: int) -> None:
    assert unwrap(near + step & MASK, near) == near + step


def test_half_a_circle_ahead_is_behind() -> None:
    assert unwrap(0x8000_0000, 0) == -0x8000_0000


def test_a_number_behind_the_wrap_is_greater() -> None:
    assert unwrap(5, 0xFFFF_FFF0) == 0x1_0000_0005


def test_a_number_in_front_of_the_wrap_is_less() -> None:
    assert unwrap(0xFFFF_FFF0, 0x1_0000_0005) == 0xFFFF_FFF0


def test_before_is_less_than_half_a_circle() -> None:
    assert is_before(0xFFFF_FFFF, 0)
    assert is_before(0, 0x7FFF_FFFF)
    assert not is_before(0, 0x8000_0000)
    assert not is_before(0, 0xFFFF_FFFF)


def test_a_number_is_not_before_itself() -> None:
    assert not is_before(7, 7)
