"""What others have written is shown, and does nothing to who reads it."""

import pytest

from ztlink.printable import printable, printable_lines


@pytest.mark.parametrize("text", ["", "office", "büro 5 %", "事務所", "a \\ b", "café ☕"])
def test_text_for_reading_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x07\x7f", r"\x00\x07\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u202eb\u2066\u200f", r"a\u202eb\u2066\u200f"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udc9b", r"\udc9b"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_steers_a_terminal_is_shown_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_that_go_on_indented_stay_lines() -> None:
    assert printable_lines("a.yaml:\n  one\x1b\n  two") == "a.yaml:\n  one\\x1b\n  two"


def test_a_line_that_would_begin_as_one_of_ours_is_none() -> None:
    assert printable_lines("denied\n2026-11-27 INFO all is well") == (
        r"denied\n2026-11-27 INFO all is well"
    )
