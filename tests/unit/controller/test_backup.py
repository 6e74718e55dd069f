"""Copies of a database: whole or not at all, and never of another controller."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.controller.rig import CONTROLLER, NETWORK, member
from ztlink.controller.backup import (
    DATABASE,
    FIRST_NAME,
    PREPARED,
    back_up,
    discard,
    prepare,
    put_back,
    rename_first,
)
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.errors import ConfigError
from ztlink.ids import Address

RECORD = NetworkRecord(NETWORK, 5, name="lab")
MEMBER = MemberRecord(NETWORK, member(1).address, 6, authorized=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def store(home: Path) -> Iterator[ControllerStore]:
    """The database of a running controller."""
    store = ControllerStore(home / DATABASE)
    store.put_network(RECORD)
    store.put_member(MEMBER)
    yield store
    store.close()


@pytest.fixture
def copy(home: Path, store: ControllerStore, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    back_up(home, copy)
    return copy


def records(file: Path) -> tuple[list[NetworkRecord], list[MemberRecord]]:
    store = ControllerStore(file)
    found = store.networks(), store.members()
    store.close()
    return found


def names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


# -- making one -----------------------------------------------------------------------------------


def test_a_copy_of_a_database_in_use_has_all_of_it(copy: Path) -> None:
    assert records(copy) == ([RECORD], [MEMBER])


def test_a_copy_is_for_its_owner_alone(copy: Path) -> None:
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_nothing_is_left_beside_a_copy(copy: Path, tmp_path: Path) -> None:
    assert names(tmp_path) == ["copy", "home"]


def test_a_copy_is_made_of_a_database_that_nobody_uses(
    home: Path, store: ControllerStore, tmp_path: Path
) -> None:
    store.close()
    back_up(home, tmp_path / "copy")
    assert records(tmp_path / "copy") == ([RECORD], [MEMBER])


def test_a_home_without_a_controller_is_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="home is not the home of a controller"):
        back_up(home, tmp_path / "copy")


def test_a_directory_that_is_not_there_is_named(
    home: Path, store: ControllerStore, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="nowhere/copy: No such file"):
        back_up(home, tmp_path / "nowhere" / "copy")


def test_a_copy_that_fails_leaves_the_older_one(home: Path, tmp_path: Path) -> None:
    (home / DATABASE).write_bytes(b"no database, but long enough to be taken for one" * 99)
    (tmp_path / "copy").write_text("the older one")
    with pytest.raises(ConfigError, match="file is not a database"):
        back_up(home, tmp_path / "copy")
    assert ((tmp_path / "copy").read_text(), names(tmp_path)) == (
        "the older one",
        ["copy", "home"],
    )


# -- looking at one -------------------------------------------------------------------------------


def test_a_good_copy_is_put_beside_the_database(home: Path, copy: Path) -> None:
    prepared = prepare(home, copy, CONTROLLER.address)
    assert (prepared.name, records(prepared)) == (PREPARED, ([RECORD], [MEMBER]))


def test_the_copy_itself_stays_as_it_is(home: Path, copy: Path) -> None:
    before = copy.read_bytes()
    prepare(home, copy, CONTROLLER.address)
    assert copy.read_bytes() == before


def test_a_copy_of_another_controller_is_refused(home: Path, copy: Path) -> None:
    with pytest.raises(ConfigError, match=r"put back identity\.secret of that controller"):
        prepare(home, copy, Address(7))


def test_a_copy_is_taken_where_no_controller_is_known_yet(home: Path, copy: Path) -> None:
    assert prepare(home, copy, None).exists()


@pytest.mark.parametrize("content", [b"", b"my notes" * 999], ids=["empty", "notes"])
def test_what_is_no_copy_is_refused(home: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="notes is not a copy of a controller"):
        prepare(home, file, CONTROLLER.address)


def test_what_is_another_programs_database_is_refused(home: Path, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE network (x)")
    other.commit()
    other.close()
    with pytest.raises(ConfigError, match="other is not a copy of a controller"):
        prepare(home, tmp_path / "other", CONTROLLER.address)


def test_a_file_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*nothing"):
        prepare(home, tmp_path / "nothing", None)


def test_what_was_refused_leaves_nothing_behind(home: Path, copy: Path) -> None:
    before = names(home)
    with pytest.raises(ConfigError):
        prepare(home, copy, Address(7))
    assert names(home) == before


def test_a_prepared_copy_can_be_discarded(home: Path, copy: Path) -> None:
    before = names(home)
    prepare(home, copy, None)
    discard(home)
    assert names(home) == before


# -- putting one back -----------------------------------------------------------------------------


def test_a_copy_takes_the_place_of_what_was(home: Path, store: ControllerStore, copy: Path) -> None:
    store.delete_network(NETWORK)
    store.close()
    prepare(home, copy, None)
    moved = put_back(home)
    assert (moved, records(home / DATABASE)) == (None, ([RECORD], [MEMBER]))


def test_a_copy_is_put_into_a_new_home(copy: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    prepare(new, copy, None)
    put_back(new)
    assert (records(new / DATABASE), names(new)) == (([RECORD], [MEMBER]), [DATABASE])


def test_a_damaged_database_is_moved_away_not_lost(
    home: Path, store: ControllerStore, copy: Path
) -> None:
    store.close()
    damaged = b"what is left of it after the disk failed" * 99
    (home / DATABASE).write_bytes(damaged)
    prepare(home, copy, None)
    moved = put_back(home)
    assert moved is not None
    assert (moved.read_bytes(), records(home / DATABASE)) == (damaged, ([RECORD], [MEMBER]))


def test_an_earlier_damaged_database_is_not_written_over(
    home: Path, store: ControllerStore, copy: Path
) -> None:
    store.close()
    (home / f"{DATABASE}.damaged-1").write_text("earlier")
    (home / DATABASE).write_bytes(b"damaged" * 999)
    prepare(home, copy, None)
    assert put_back(home) == home / f"{DATABASE}.damaged-2"


# -- its first name -------------------------------------------------------------------------------


def test_a_database_with_its_first_name_gets_the_one_of_today(home: Path) -> None:
    first = ControllerStore(home / FIRST_NAME)
    first.put_network(RECORD)
    first.close()
    rename_first(home)
    assert (names(home), records(home / DATABASE)) == ([DATABASE], ([RECORD], []))


def test_what_was_not_yet_in_its_file_after_a_kill_comes_along(home: Path) -> None:
    first = ControllerStore(home / FIRST_NAME)
    first.put_network(RECORD)
    for suffix in ("", "-wal"):  # as they are at this moment, and nobody has them open
        shutil.copy(home / f"{FIRST_NAME}{suffix}", home / f"copy{suffix}")
    first.close()
    for suffix in ("", "-wal"):
        (home / f"copy{suffix}").rename(home / f"{FIRST_NAME}{suffix}")
    rename_first(home)
    assert (names(home), records(home / DATABASE)) == ([DATABASE], ([RECORD], []))


def test_a_file_of_that_name_that_is_not_ours_stays(home: Path) -> None:
    old = sqlite3.connect(home / FIRST_NAME)
    old.execute("CREATE TABLE Config (x)")
    old.commit()
    old.close()
    rename_first(home)
    assert names(home) == [FIRST_NAME]


def test_a_database_of_today_is_not_written_over(home: Path, store: ControllerStore) -> None:
    ControllerStore(home / FIRST_NAME).close()
    rename_first(home)
    assert FIRST_NAME in names(home)
