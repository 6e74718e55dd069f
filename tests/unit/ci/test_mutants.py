"""Changes to code that tests are to notice (ci/mutants)."""

import subprocess
import sys
from pathlib import Path

import pytest

from ci.mutants import mutants

SOURCE = '''"""No change to 1 + 1 in a text."""
LIMIT = 3


def clamp(value):
    if value < LIMIT:
        return min(value + 1, LIMIT)
    return LIMIT
'''
TESTS = """
from toy import clamp


def test_below_the_limit_it_grows():
    assert clamp(0) == 1
"""


def told(source: str) -> list[tuple[int, str]]:
    return [(mutant.line, mutant.change) for mutant in mutants(source, "toy.py")]


def test_each_change_is_told_with_its_line() -> None:
    assert told(SOURCE) == [
        (2, "6  # was: 3"),
        (6, "if not value < LIMIT:  # was: if value < LIMIT:"),
        (6, "value <= LIMIT  # was: value < LIMIT"),
        (7, "max(value + 1, LIMIT)  # was: min(value + 1, LIMIT)"),
        (7, "value - 1  # was: value + 1"),
        (7, "2  # was: 1"),
    ]


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("a = b and c", "b or c  # was: b and c"),
        ("a = True", "False  # was: True"),
        ("a = 0.5", "1.5  # was: 0.5"),
        ("a += b", "a -= b  # was: a += b"),
        ("a = b if c else d", "b if not c else d  # was: b if c else d"),
    ],
)
def test_a_change_is_one_of_a_kind(source: str, change: str) -> None:
    assert told(source) == [(1, change)]


def test_a_text_is_left_alone() -> None:
    assert told("a = 'b + 1'") == []


SCRIPT = """
import sys
from pathlib import Path
from ci.mutants import Substitute, mutants, passes

source, change, tests = sys.argv[1:]
mutant = next(one for one in mutants(source, "toy.py") if one.change.startswith(change))
print(passes(Path(tests), Substitute("toy", mutant.code)))
"""
"""Tries one change; a process of its own, because processes with threads do not fork well."""


@pytest.mark.parametrize(("change", "survives"), [("value - 1", "False"), ("value <=", "True")])
def test_what_a_test_does_not_look_at_survives(tmp_path: Path, change: str, survives: str) -> None:
    tests = tmp_path / "test_toy.py"
    tests.write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, SOURCE, change, str(tests)],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == survives
