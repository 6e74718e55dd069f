import pytest

from tests.scale import scaled


def test_a_soak_runs_the_full_count() -> None:
    assert scaled(1000, soak=True) == 1000


@pytest.mark.parametrize(("count", "expected"), [(1000, 100), (19, 1), (9, 1), (1, 1)])
def test_other_runs_take_a_tenth_but_at_least_one(count: int, expected: int) -> None:
    assert scaled(count, soak=False) == expected
