"""The controller's database: nothing is lost, nothing is open to others, nothing is guessed."""

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.unit.controller.rig import NETWORK, member
from tests.vectors.loading import load
from ztlink.controller import store as module
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.errors import ConfigError

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
        patch.setattr(module, "SCHEMA_VERSION", 2)
        with pytest.raises(ConfigError, match="BROKEN"):
            ControllerStore(file)
    again = ControllerStore(file)
    assert again.networks() == [RECORD]
    again.close()


def test_a_migration_is_done_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ControllerStore(file).close()
    step = "UPDATE clock SET ceiling = ceiling + 1"
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, step))
    monkeypatch.setattr(module, "SCHEMA_VERSION", 2)
    ControllerStore(file).close()
    again = ControllerStore(file)
    assert again.ceiling() == 1
    again.close()


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
    assert kept.to_json() == {"name": ""} | recorded
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
