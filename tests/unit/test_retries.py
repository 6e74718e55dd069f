"""What was refused for a moment is asked again: how often, how long between."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from ztlink.retries import MAX_PAUSE, PassingError, Retries, read_retry_after


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Take no time; note how much it would be."""
    noted: list[float] = []

    async def sleep(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return noted


def refuse(times: int, retry_after: float = 0.0) -> Callable[[], Awaitable[str]]:
    """Return what refuses so many times, and then answers."""
    left = itertools.count(times, -1)

    async def ask() -> str:
        if next(left) > 0:
            raise PassingError("busy", retry_after)
        return "done"

    return ask


def retries(chance: bytes = b"\xff", patience: float = 1e9) -> Retries:
    return Retries(lambda: 0.0, lambda _size: chance, patience, first_pause=0.5)


async def test_what_answers_at_once_takes_no_pause(pauses: list[float]) -> None:
    assert await retries().run("it", refuse(0)) == "done"
    assert pauses == []


async def test_pauses_double_up_to_a_bound(pauses: list[float]) -> None:
    assert await retries().run("it", refuse(6)) == "done"
    assert pauses == [0.5, 1, 2, 4, MAX_PAUSE, MAX_PAUSE]


async def test_chance_shortens_a_pause_by_half_at_most(pauses: list[float]) -> None:
    await retries(chance=b"\0").run("it", refuse(2))
    assert pauses == [0.25, 0.5]


async def test_what_the_other_side_asks_for_is_the_least(pauses: list[float]) -> None:
    await retries().run("it", refuse(1, retry_after=30))
    assert pauses == [30]


async def test_the_last_refusal_is_raised_when_patience_ends(pauses: list[float]) -> None:
    with pytest.raises(PassingError, match="busy"):
        await retries(patience=3).run("it", refuse(9))
    assert pauses == [0.5, 1, 2]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("-1", 0.0)],
)
def test_the_pause_that_is_asked_for_is_read(text: str, seconds: float) -> None:
    assert read_retry_after(text) == seconds
