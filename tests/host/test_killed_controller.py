"""A controller that is killed at any moment has lost nothing that it said it kept."""

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host.record_writer import GROUP, MEMBERS, name_of
from tests.scale import scaled
from tests.unit.controller.test_store import VERSION_1
from ztlink.controller.store import ControllerStore

KILLS = scaled(200)
_LONGEST = 0.15
"""Seconds of writing, some hundreds of transactions."""
_LONGEST_START = 0.5


@pytest.fixture
def chance() -> random.Random:
    return random.Random(9)  # noqa: S311 - moments, not keys


class Victim:
    """A process that writes records, until it is killed."""

    def __init__(self, database: Path) -> None:
        copy = str(database.with_name("copy"))
        command = [sys.executable, "-m", "tests.host.record_writer", str(database), copy]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._said = self._process.stdout

    def wait_for_a_record(self) -> None:
        """Wait until something is kept."""
        assert self._said.readline()

    def kill(self) -> int:
        """Kill it; return the last number that it said was kept, 0 for none."""
        self._process.kill()
        lines = self._said.read().split("\n")
        self._said.close()
        self._process.wait()
        whole = [line for line in lines[:-1] if line]
        return int(whole[-1]) if whole else 0


def kept(database: Path) -> int:
    """Return the number that is kept; fail unless all that belongs to it is."""
    store = ControllerStore(database)
    try:
        store.check()
        networks, members, ceiling = store.networks(), store.members(), store.ceiling()
    finally:
        store.close()
    if not networks:
        return 0
    number = int(networks[0].name or "0")
    names = [member.name for member in members].count(name_of(number))
    assert (names, ceiling >= number) == (GROUP if number else 0, True)
    assert len(members) <= MEMBERS
    return number


def test_what_was_said_to_be_kept_is_there_after_a_kill_at_any_moment(
    tmp_path: Path, chance: random.Random
) -> None:
    for _ in range(KILLS):
        victim = Victim(tmp_path / "controller.db")
        victim.wait_for_a_record()
        time.sleep(chance.uniform(0, _LONGEST))
        said = victim.kill()
        assert kept(tmp_path / "controller.db") >= said


def test_a_database_of_the_first_version_survives_a_kill_while_it_is_taken_over(
    tmp_path: Path, chance: random.Random
) -> None:
    for number in range(KILLS // 4):
        database = tmp_path / str(number) / "controller.db"
        database.parent.mkdir()
        with sqlite3.connect(database) as old:
            old.executescript(VERSION_1)
        old.close()
        victim = Victim(database)
        time.sleep(chance.uniform(0, _LONGEST_START))
        said = victim.kill()
        assert kept(database) >= said
