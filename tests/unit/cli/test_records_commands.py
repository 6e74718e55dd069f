"""`ztlink controller backup`, `restore`, `export`: records of a node that does not run."""

from pathlib import Path

import pytest

from tests.unit.cli.rig import run
from tests.unit.controller.rig import CONTROLLER, NETWORK, member
from tests.unit.vl1.mesh import identity
from ztlink import cli_records
from ztlink.cli_run import controller
from ztlink.controller.backup import DATABASE
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.controller.store import ControllerStore
from ztlink.drivers.store import Store
from ztlink.ids import format_network_id

RECORD = NetworkRecord(NETWORK, 5, name="lab")
MEMBER = MemberRecord(NETWORK, member(1).address, 6, authorized=True)
ID = format_network_id(NETWORK)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a controller that does not run."""
    home = tmp_path / "home"
    home.mkdir()
    Store(home).save_identity(CONTROLLER)
    store = ControllerStore(home / DATABASE)
    store.put_network(RECORD)
    store.put_member(MEMBER)
    store.close()
    return home


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    run("controller", "backup", str(copy), "--home", str(home))
    return copy


def networks(home: Path) -> list[NetworkRecord]:
    store = ControllerStore(home / DATABASE)
    found = store.networks()
    store.close()
    return found


def forget(home: Path) -> None:
    store = ControllerStore(home / DATABASE)
    store.delete_network(NETWORK)
    store.close()


def test_every_command_of_the_module_can_be_given() -> None:
    names = [command.name for command in cli_records.COMMANDS]
    assert [controller.commands[str(name)] for name in names] == list(cli_records.COMMANDS)


def test_a_backup_is_put_back(home: Path, copy: Path) -> None:
    forget(home)
    result = run("controller", "restore", str(copy), "--home", str(home))
    assert (result.output, networks(home)) == (f"200 restore {copy}\n", [RECORD])


def test_the_home_may_stand_before_the_command(home: Path, copy: Path) -> None:
    forget(home)
    run("controller", "--home", str(home), "restore", str(copy))
    assert networks(home) == [RECORD]


def test_a_home_is_free_after_a_restore(home: Path, copy: Path) -> None:
    run("controller", "restore", str(copy), "--home", str(home))
    store = Store(home)
    store.open()
    store.close()
    assert networks(home) == [RECORD]


def test_a_backup_of_another_controller_is_refused_and_changes_nothing(
    copy: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Store(other).save_identity(identity(1))
    result = run("controller", "restore", str(copy), "--home", str(other))
    assert (result.exit_code, "put back identity.secret" in result.output) == (78, True)
    assert not (other / DATABASE).exists()


def test_a_damaged_database_is_kept_and_named(home: Path, copy: Path) -> None:
    (home / DATABASE).write_bytes(b"damaged" * 999)
    result = run("controller", "restore", str(copy), "--home", str(home))
    assert (f"{DATABASE}.damaged-1" in result.output, networks(home)) == (True, [RECORD])


def test_a_home_that_is_held_is_left_to_whoever_holds_it(home: Path, copy: Path) -> None:
    forget(home)
    holder = Store(home)
    holder.open()
    result = run("controller", "restore", str(copy), "--home", str(home))
    holder.close()
    assert (result.exit_code, "is not the home of a running node" in result.output) == (1, True)
    assert networks(home) == []


def test_a_backup_of_no_controller_is_said(tmp_path: Path) -> None:
    result = run("controller", "backup", str(tmp_path / "copy"), "--home", str(tmp_path))
    assert (result.exit_code, "is not the home of a controller" in result.output) == (78, True)


def test_records_are_written_as_the_original_names_them(home: Path, tmp_path: Path) -> None:
    back = tmp_path / "controller.d"
    result = run("controller", "export", str(back), "--home", str(home))
    files = sorted(str(file.relative_to(back)) for file in back.rglob("*.json"))
    assert (result.output, files) == (
        f"200 export {back}\n",
        [f"network/{ID}.json", f"network/{ID}/member/{MEMBER.address:010x}.json"],
    )
