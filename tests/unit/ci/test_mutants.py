"""Changes to code that tests are to notice (ci/mutants)."""

import subprocess
import sys
from pathlib import Path

import pytest

from ci.mutants import TESTS as PATTERNS
from ci.mutants import UNIT, mutants

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

source, change, *tests = sys.argv[1:]
mutant = next(one for one in mutants(source, "toy.py") if one.change.startswith(change))
print(passes([Path(one) for one in tests], Substitute("toy", mutant.code)))
"""
"""Tries one change; a process of its own, because processes with threads do not fork well."""


def survives(change: str, *tests: Path) -> bool:
    """Tell whether a change to the source passes tests."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, SOURCE, change, *map(str, tests)],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    return done.stdout.strip() == "True"


@pytest.mark.parametrize(("change", "is_left"), [("value - 1", False), ("value <=", True)])
def test_what_a_test_does_not_look_at_survives(tmp_path: Path, change: str, is_left: bool) -> None:
    tests = tmp_path / "test_toy.py"
    tests.write_text(TESTS)
    assert survives(change, tests) is is_left


def test_one_of_several_files_is_enough_to_notice(tmp_path: Path) -> None:
    idle, watchful = tmp_path / "test_idle.py", tmp_path / "test_toy.py"
    idle.write_text("def test_nothing(): pass")
    watchful.write_text(TESTS)
    assert survives("value - 1", idle)
    assert not survives("value - 1", idle, watchful)


@pytest.mark.parametrize("pattern", PATTERNS.values())
def test_each_module_has_somebody_to_notice(pattern: str) -> None:
    assert list(UNIT.glob(pattern))
