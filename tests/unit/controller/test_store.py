"""The controller's database: nothing is lost, nothing is open to others, nothing is guessed."""

import json
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.controller.rig import NETWORK, member
from tests.vectors.loading import load
from ztlink.controller import store as module
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.errors import ConfigError
from ztlink.ids import NetworkId

RECORD = NetworkRecord(NETWORK, 1_700_000_000_000, name="lab", revision=7)
MEMBER = MemberRecord(
    NETWORK,
    member(1).address,
    5,
    authorized=True,
    identity=str(member(1)),
    revision=3,
    last_authorized_unix_ms=6,
    last_deauthorized_unix_ms=4,
    credential_type="token",
    credential="sesame",
    version=(1, 14, 1),
    protocol=12,
    tags=((1, 2),),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "controller.db"


def test_a_network_is_there_after_a_restart(file: Path) -> None:
    first = ControllerStore(file)
    first.put_network(RECORD)
    first.close()
    again = ControllerStore(file)
    assert again.networks() == [RECORD]
    again.close()


def test_a_member_is_there_after_a_restart(file: Path) -> None:
    first = ControllerStore(file)
    first.put_member(MEMBER)
    first.close()
    again = ControllerStore(file)
    assert again.members() == [MEMBER]
    again.close()


def test_a_process_that_is_killed_has_lost_nothing(file: Path) -> None:
    first = ControllerStore(file)
    first.put_network(RECORD)
    again = ControllerStore(file)
    assert again.networks() == [RECORD]
    again.close()
    first.close()


def test_a_change_takes_the_place_of_what_was() -> None:
    store = ControllerStore(":memory:")
    store.put_network(RECORD)
    store.put_network(RECORD.updated({"name": "new"}))
    assert [network.name for network in store.networks()] == ["new"]
    store.close()


def test_a_network_that_is_deleted_takes_its_members_along() -> None:
    store = ControllerStore(":memory:")
    store.put_network(RECORD)
    store.put_member(MEMBER)
    store.delete_network(NETWORK)
    assert (store.networks(), store.members()) == ([], [])
    store.close()


def test_one_member_is_deleted_alone() -> None:
    store = ControllerStore(":memory:")
    store.put_member(MEMBER)
    store.put_member(MemberRecord(NETWORK, member(2).address, 5))
    store.delete_member(NETWORK, MEMBER.address)
    assert [m.address for m in store.members()] == [member(2).address]
    store.close()


def test_the_ceiling_of_timestamps_is_kept(file: Path) -> None:
    first = ControllerStore(file)
    first.raise_ceiling(1_700_000_010_000)
    first.close()
    again = ControllerStore(file)
    assert again.ceiling() == 1_700_000_010_000
    again.close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_nobody_else_may_read_it(file: Path, suffix: str) -> None:
    store = ControllerStore(file)
    store.put_network(RECORD)
    mode = file.with_name(file.name + suffix).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    store.close()


def test_a_file_that_is_no_database_is_left_as_it_is(file: Path) -> None:
    file.write_bytes(b"these are my notes, and more than a hundred bytes of them" * 4)
    with pytest.raises(ConfigError, match=r"controller\.db cannot be used"):
        ControllerStore(file)
    assert file.read_bytes().startswith(b"these are my notes")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        ControllerStore(tmp_path / "nowhere" / "controller.db")


def test_a_database_of_a_later_program_is_not_touched(file: Path) -> None:
    with sqlite3.connect(file) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(ConfigError, match="version 99"):
        ControllerStore(file)


@pytest.mark.parametrize("record", ["{", "{}", "[]", '{"id": "x"}'])
def test_a_record_that_is_none_is_a_sentence_not_a_crash(file: Path, record: str) -> None:
    store = ControllerStore(file)
    insert(file, "INSERT INTO network VALUES ('x', ?)", record)
    with pytest.raises(ConfigError, match="restore it from a backup"):
        store.networks()
    store.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = ControllerStore(file)
    good.put_network(RECORD)
    good.close()
    with monkeypatch.context() as patch:
        patch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, "DELETE FROM network; BROKEN"))
        patch.setattr(module, "SCHEMA_VERSION", module.SCHEMA_VERSION + 1)
        with pytest.raises(ConfigError, match="BROKEN"):
            ControllerStore(file)
    again = ControllerStore(file)
    assert again.networks() == [RECORD]
    again.close()


def test_a_migration_is_done_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ControllerStore(file).close()
    step = "UPDATE clock SET ceiling = ceiling + 1"
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, step))
    monkeypatch.setattr(module, "SCHEMA_VERSION", module.SCHEMA_VERSION + 1)
    ControllerStore(file).close()
    again = ControllerStore(file)
    assert again.ceiling() == 1
    again.close()


VERSION_1 = """
CREATE TABLE clock (ceiling INTEGER NOT NULL);
INSERT INTO clock VALUES (1700000010000);
CREATE TABLE network (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE member (
    network TEXT NOT NULL, address TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (network, address)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


@pytest.fixture
def first_version(file: Path) -> Path:
    """A database as the first version wrote it."""
    with sqlite3.connect(file) as old:
        old.executescript(VERSION_1)
        old.execute("INSERT INTO network VALUES ('x', ?)", (json.dumps(RECORD.to_json()),))
        old.execute("INSERT INTO member VALUES ('x', 'y', ?)", (json.dumps(MEMBER.to_json()),))
    old.close()
    return file


def test_a_database_of_the_first_version_is_taken_over(first_version: Path) -> None:
    store = ControllerStore(first_version)
    assert (store.networks(), store.members(), store.ceiling()) == (
        [RECORD],
        [MEMBER],
        1_700_000_010_000,
    )
    store.close()


def test_a_database_that_was_taken_over_has_the_version_of_today(first_version: Path) -> None:
    store = ControllerStore(first_version)
    store.put_note("x", "y")
    store.close()
    with sqlite3.connect(first_version) as taken:
        assert taken.execute("PRAGMA user_version").fetchone() == (module.SCHEMA_VERSION,)
    taken.close()


# -- notes, lists, transactions -------------------------------------------------------------------


def test_a_note_is_there_after_a_restart(file: Path) -> None:
    first = ControllerStore(file)
    first.put_note("imported", "controller.d")
    first.close()
    again = ControllerStore(file)
    assert (again.note("imported"), again.note("other")) == ("controller.d", None)
    again.close()


def test_members_are_listed_as_they_are_shown() -> None:
    store = ControllerStore(":memory:")
    store.put_member(MEMBER)
    store.put_member(MemberRecord(NetworkId(NETWORK + 1), MEMBER.address, 5))
    assert [json.loads(text) for text in store.member_texts(NETWORK)] == [MEMBER.to_json()]
    store.close()


def test_of_a_transaction_that_fails_nothing_is_kept() -> None:
    store = ControllerStore(":memory:")
    with suppress(RuntimeError), store.transaction():
        store.put_network(RECORD)
        raise RuntimeError("no more")
    assert store.networks() == []
    store.close()


# -- copies ---------------------------------------------------------------------------------------


@pytest.fixture
def copy(file: Path, tmp_path: Path) -> Path:
    """A copy of a database with one network and one member."""
    store = ControllerStore(file)
    store.put_network(RECORD)
    store.put_member(MEMBER)
    store.raise_ceiling(7)
    copy = tmp_path / "copy"
    module.copy_database(file, copy)
    store.close()
    return copy


def test_a_copy_is_one_file(copy: Path) -> None:
    assert sorted(file.name for file in copy.parent.glob("copy*")) == ["copy"]


def test_a_copy_has_every_record(copy: Path) -> None:
    store = ControllerStore(copy)
    assert (store.networks(), store.members()) == ([RECORD], [MEMBER])
    store.close()


def test_a_copy_takes_the_place_of_what_was(copy: Path) -> None:
    store = ControllerStore(":memory:")
    store.put_network(NetworkRecord(NetworkId(NETWORK + 1), 5))
    store.restore(copy)
    assert (store.networks(), store.members()) == ([RECORD], [MEMBER])
    store.close()


@pytest.mark.parametrize("ceiling", [5, 9])
def test_a_copy_does_not_turn_the_ceiling_back(copy: Path, ceiling: int) -> None:
    store = ControllerStore(":memory:")
    store.raise_ceiling(ceiling)
    store.restore(copy)
    assert store.ceiling() == max(ceiling, 7)
    store.close()


def test_a_copy_that_lacks_a_table_changes_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other"
    sqlite3.connect(other).close()
    store = ControllerStore(":memory:")
    store.put_network(RECORD)
    with pytest.raises(ConfigError, match="no such table"):
        store.restore(other)
    assert store.networks() == [RECORD]
    store.close()


def test_a_sound_database_passes_the_check(copy: Path) -> None:
    store = ControllerStore(copy)
    store.check()
    store.close()


def test_a_damaged_database_does_not_pass_the_check(copy: Path) -> None:
    with copy.open("r+b") as damaged:
        damaged.seek(2 * 4096)
        damaged.write(b"\xff" * 4096)
    with pytest.raises(ConfigError, match="cannot be used"):
        check(copy)


def check(file: Path) -> None:
    """Check a database and close it."""
    store = ControllerStore(file)
    try:
        store.check()
    finally:
        store.close()


RECORDED = [e["json"] for e in load("localapi.json")["entries"] if isinstance(e.get("json"), dict)]


def insert(file: Path, statement: str, *values: str) -> None:
    """Write a row as another program would."""
    with sqlite3.connect(file) as other:
        other.execute(statement, values)
    other.close()


@pytest.mark.parametrize(
    "recorded",
    [j for j in RECORDED if j.get("objtype") == "member"],
    ids=lambda j: f"{j['address']}-{j['revision']}",
)
def test_a_member_of_the_original_is_kept_in_every_field(
    file: Path, recorded: dict[str, object]
) -> None:
    store = ControllerStore(file)
    insert(file, "INSERT INTO member VALUES ('', '', ?)", json.dumps(recorded))
    (kept,) = store.members()
    assert kept.to_json() == recorded
    store.close()


@pytest.mark.parametrize(
    "recorded",
    [j for j in RECORDED if j.get("objtype") == "network" and 0 <= j["multicastLimit"] < 1 << 32],
    ids=lambda j: f"{j['id']}-{j['revision']}",
)
def test_a_network_of_the_original_is_kept_in_every_field(
    file: Path, recorded: dict[str, object]
) -> None:
    store = ControllerStore(file)
    insert(file, "INSERT INTO network VALUES ('', ?)", json.dumps(recorded))
    (kept,) = store.networks()
    # The original shows the rules of capabilities as they were posted, we as those of a network.
    apart: dict[str, object] = {"capabilities": None}
    assert kept.to_json() | apart == recorded | apart
    store.close()
