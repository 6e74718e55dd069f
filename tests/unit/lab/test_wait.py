"""Waiting with deadlines."""

import time

import pytest

from tests.lab.errors import WaitTimeoutError
from tests.lab.wait import wait_until


def test_the_first_true_answer_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    answers = iter(["", "", "here"])
    assert wait_until(lambda: next(answers), timeout=1, what="an answer", poll=0.5) == "here"
    assert naps == [0.5, 0.5]


def test_a_true_answer_at_the_first_look_needs_no_time() -> None:
    assert wait_until(lambda: True, timeout=0, what="nothing")


def test_the_end_of_waiting_names_what_was_missing() -> None:
    with pytest.raises(WaitTimeoutError, match="a direct path: not within 0 s"):
        wait_until(lambda: None, timeout=0, what="a direct path")
