"""The original's controller.d: taken over once, and back again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.controller.adopt import adopt, write_original
from ztlink.controller.store import ControllerStore
from ztlink.errors import ConfigError

RECORDED: list[dict[str, Any]] = [
    e["json"] for e in load("localapi.json")["entries"] if isinstance(e.get("json"), dict)
]
NETWORKS = {j["id"]: j for j in RECORDED if j.get("objtype") == "network" and "meta" not in j}
ID = "7ce8165a4faf97ea"
MEMBERS = {j["id"]: j for j in RECORDED if j.get("objtype") == "member"}


@pytest.fixture
def store() -> Iterator[ControllerStore]:
    store = ControllerStore(":memory:")
    yield store
    store.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A controller.d as the original wrote it, with one network."""
    directory = tmp_path / "controller.d"
    (directory / "network" / ID / "member").mkdir(parents=True)
    (directory / "trace").mkdir()
    (directory / "network" / f"{ID}.json").write_text(json.dumps(NETWORKS[ID]))
    for address, member in MEMBERS.items():
        file = directory / "network" / ID / "member" / f"{address}.json"
        file.write_text(json.dumps(member))
    return directory


def change(directory: Path, **fields: object) -> None:
    """Change the network's file."""
    file = directory / "network" / f"{ID}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def change_member(directory: Path, **fields: object) -> None:
    """Change the file of the first member."""
    file = directory / "network" / ID / "member" / f"{min(MEMBERS)}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_networks_are_taken_over_in_every_field(directory: Path, store: ControllerStore) -> None:
    adopt(directory, store)
    (network,) = store.networks()
    # The original shows the rules of capabilities as they were posted, we as those of a network.
    apart: dict[str, object] = {"capabilities": None}
    assert network.to_json() | apart == NETWORKS[ID] | apart


def test_members_are_taken_over_in_every_field(directory: Path, store: ControllerStore) -> None:
    adopt(directory, store)
    found = {member.to_json()["id"]: member.to_json() for member in store.members()}
    assert found == MEMBERS


def test_what_only_files_say_is_taken_over(directory: Path, store: ControllerStore) -> None:
    change(directory, certificateTimeoutWindowSize=600_000, ssoEnabled=True)
    adopt(directory, store)
    (network,) = store.networks()
    assert (network.credential_window_ms, network.sso_enabled) == (600_000, True)


def test_it_is_done_once(directory: Path, store: ControllerStore) -> None:
    counts = [adopt(directory, store)]
    for network in store.networks():
        store.delete_network(network.network_id)
    counts.append(adopt(directory, store))
    assert (counts, store.networks()) == ([1, 0], [])


def test_a_home_without_the_originals_files_has_nothing_to_take_over(
    tmp_path: Path, store: ControllerStore
) -> None:
    assert adopt(tmp_path / "controller.d", store) == 0


def test_files_that_come_later_are_taken_over_then(
    tmp_path: Path, directory: Path, store: ControllerStore
) -> None:
    counts = [adopt(tmp_path / "nothing", store), adopt(directory, store)]
    assert counts == [0, 1]


def test_what_is_known_already_is_not_written_over(directory: Path, store: ControllerStore) -> None:
    (network,) = adopted(directory)
    store.put_network(network.updated({"name": "ours"}))
    adopt(directory, store)
    assert [n.name for n in store.networks()] == ["ours"]


def adopted(directory: Path) -> list[Any]:
    """Return the networks that a new database takes over."""
    other = ControllerStore(":memory:")
    adopt(directory, other)
    networks = other.networks()
    other.close()
    return networks


def test_the_originals_files_stay_as_they_are(directory: Path, store: ControllerStore) -> None:
    before = {file: file.read_bytes() for file in directory.rglob("*.json")}
    adopt(directory, store)
    assert {file: file.read_bytes() for file in directory.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("field", "value", "default"), [("multicastLimit", (1 << 64) - 1, 32), ("name", "x" * 200, "")]
)
def test_a_harmless_field_is_put_right(
    directory: Path, store: ControllerStore, field: str, value: object, default: object
) -> None:
    change(directory, **{field: value})
    adopt(directory, store)
    assert store.networks()[0].to_json()[field] == default


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("private", "x"),
        ("rules", [{"type": "NO_SUCH"}]),
        ("routes", [{"target": "x"}]),
        ("ipAssignmentPools", 5),
        ("ssoEnabled", 1),
    ],
)
def test_a_field_that_matters_stops_it_and_is_named(
    directory: Path, store: ControllerStore, field: str, value: object
) -> None:
    change(directory, **{field: value})
    with pytest.raises(ConfigError, match=rf"{ID}\.json .*\({field}.*correct the file"):
        adopt(directory, store)


def test_a_word_does_not_let_a_member_in(directory: Path, store: ControllerStore) -> None:
    change_member(directory, authorized="yes")
    with pytest.raises(ConfigError, match="authorized: 'yes'"):
        adopt(directory, store)


def test_a_version_that_makes_no_sense_is_left_out(directory: Path, store: ControllerStore) -> None:
    change_member(directory, vMajor="x")
    adopt(directory, store)
    assert store.members()[0].version == (-1, -1, -1)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "[" * 100_000])
def test_a_file_that_is_no_record_stops_it(
    directory: Path, store: ControllerStore, text: str
) -> None:
    (directory / "network" / f"{ID}.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"cannot take over .*{ID}\.json"):
        adopt(directory, store)


def test_of_what_was_stopped_nothing_is_kept(directory: Path, store: ControllerStore) -> None:
    change_member(directory, authorized="yes")
    with pytest.raises(ConfigError):
        adopt(directory, store)
    assert (store.networks(), store.members(), store.note("controller.d")) == ([], [], None)


def test_files_of_other_names_are_passed_over(directory: Path, store: ControllerStore) -> None:
    (directory / "network" / "notes.json").write_text("mine")
    assert adopt(directory, store) == 1


# -- back -----------------------------------------------------------------------------------------


def test_records_go_back_as_they_came(
    directory: Path, store: ControllerStore, tmp_path: Path
) -> None:
    adopt(directory, store)
    write_original(store, tmp_path / "back")
    again = ControllerStore(":memory:")
    adopt(tmp_path / "back", again)
    assert (again.networks(), again.members()) == (store.networks(), store.members())
    again.close()


def test_the_original_finds_them_under_the_names_that_it_knows(
    directory: Path, store: ControllerStore, tmp_path: Path
) -> None:
    adopt(directory, store)
    write_original(store, tmp_path / "back")
    files = sorted(file.relative_to(directory) for file in directory.rglob("*.json"))
    back = sorted(file.relative_to(tmp_path / "back") for file in tmp_path.rglob("back/**/*.json"))
    assert back == files


def test_a_directory_that_is_there_is_not_written_into(
    directory: Path, store: ControllerStore
) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*controller\.d: File exists"):
        write_original(store, directory)
