"""When something was last done, as long as that matters."""

from ztlink.clock import Now
from ztlink.recent import NEVER, Recent


def at(mono: float) -> Now:
    return Now(mono, 0)


def test_what_was_never_done_was_done_never() -> None:
    assert Recent[int](60.0, 10).last(1) == NEVER


def test_the_last_time_counts() -> None:
    recent = Recent[int](60.0, 10)
    recent.note(1, at(5))
    recent.note(1, at(7))
    assert (recent.last(1), len(recent)) == (7, 1)


def test_what_is_older_than_its_lifetime_is_forgotten() -> None:
    recent = Recent[int](60.0, 10)
    for key, mono in ((1, 0), (2, 1), (3, 61)):
        recent.note(key, at(mono))
    assert [recent.last(key) for key in (1, 2, 3)] == [NEVER, 1, 61]


def test_what_was_done_again_is_not_the_oldest() -> None:
    recent = Recent[int](60.0, 2)
    for mono, key in enumerate((1, 2, 1, 3)):
        recent.note(key, at(mono))
    assert [recent.last(key) for key in (1, 2, 3)] == [2, NEVER, 3]
