"""How long kept devices had no process: from what the one before has written."""

import struct
from pathlib import Path

import pytest

from ztlink.drivers.clock import read_clock
from ztlink.drivers.handover import HANDOVER, Handover
from ztlink.drivers.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def left_at(home: Home, mono: float) -> Handover:
    """Return the successor of a process that let go at that time."""
    (home.home / HANDOVER).write_bytes(struct.pack("<d", mono))
    return Handover(home)


def test_the_gap_is_from_the_end_of_one_to_the_adoption_by_the_other(home: Home) -> None:
    assert left_at(home, 100.0).gap(103.5) == 3.5


def test_without_an_adoption_there_is_no_gap(home: Home) -> None:
    assert left_at(home, 100.0).gap(None) is None


def test_after_a_kill_nobody_knows_the_gap(home: Home) -> None:
    assert Handover(home).gap(103.5) is None


def test_a_time_before_the_machine_was_started_says_nothing(home: Home) -> None:
    assert left_at(home, 100.0).gap(3.5) is None


@pytest.mark.parametrize("content", [b"", b"half"])
def test_what_cannot_be_read_says_nothing(home: Home, content: bytes) -> None:
    (home.home / HANDOVER).write_bytes(content)
    assert Handover(home).gap(103.5) is None


def test_what_was_left_is_for_one_successor(home: Home) -> None:
    left_at(home, 100.0)
    assert Handover(home).gap(103.5) is None


def test_an_end_is_noted_where_devices_are_kept(home: Home) -> None:
    before = read_clock().mono
    Handover(home).ended(is_kept=True)
    gap = Handover(home).gap(before + 1000)
    assert gap is not None
    assert 0 < gap <= 1000


def test_an_end_is_not_noted_where_nothing_is_kept(home: Home) -> None:
    Handover(home).ended(is_kept=False)
    assert not (home.home / HANDOVER).exists()
