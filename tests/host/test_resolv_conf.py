"""A machine without systemd-resolved: its resolv.conf, as the C library reads it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.host.lookups import (
    DB,
    DB_IP,
    OWNER,
    PLAIN,
    WANTED,
    WWW,
    WWW_IP,
    copy_etc,
    lookup,
    two_serving,
    with_etc,
)
from tests.host.machine import ip
from tests.lab.process import Process
from ztlink.conditions import Status
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.file import ResolvConf
from ztlink.host.dns.manager import REPAIRS_BURST, DnsManager, Wanted
from ztlink.ids import NetworkId

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

SECOND = NetworkId(0x8056C2E21C000002)


@dataclass
class Machine:
    """A machine whose own name server knows the one name, and a network's that knows the other."""

    etc: Path
    network_server: Process

    @property
    def file(self) -> Path:
        return self.etc / "resolv.conf"

    def manager(self) -> DnsManager:
        return DnsManager([ResolvConf(OWNER, self.file)])

    def lookup(self, name: str) -> str | None:
        return lookup(self.etc, name)

    def cleanup(self) -> str:
        program = (*with_etc(self.etc), sys.executable, "-m", "ztlink", "cleanup")
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout


@pytest.fixture(params=["REFUSED"])
def machine(own_network: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    with two_serving(tmp_path, request.param) as server:
        yield Machine(copy_etc(tmp_path), server)


async def test_names_of_a_network_are_found_while_they_are_wanted(machine: Machine) -> None:
    manager = machine.manager()
    before = machine.lookup(DB)
    await manager.follow(WANTED)
    found = machine.lookup(DB)
    await manager.follow({})
    assert (before, found, machine.lookup(DB)) == (None, DB_IP, None)
    assert machine.file.read_text() == PLAIN


async def test_other_names_are_found_where_the_network_s_server_refuses_them(
    machine: Machine,
) -> None:
    await machine.manager().follow(WANTED)
    assert machine.lookup(WWW) == WWW_IP


@pytest.mark.parametrize("machine", ["NXDOMAIN"], indirect=True)
async def test_what_the_network_s_server_says_of_other_names_is_believed_as_is_told(
    machine: Machine,
) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    assert machine.lookup(WWW) is None
    assert WWW in machine.network_server.output
    (condition,) = manager.conditions()
    assert condition.status is Status.OK
    assert "asked first for all names" in condition.cause


async def test_there_is_room_for_the_servers_of_one_network(machine: Machine) -> None:
    ip("link", "add", "other", "type", "bridge")
    manager = machine.manager()
    other = NameServers("other.example", (ip_address("10.147.2.53"),))
    await manager.follow(WANTED | {SECOND: Wanted("other", other)})
    assert [one.state for one in manager.rows()] == ["applied", "failed"]
    assert "there is room for one network" in manager.rows()[1].cause
    await manager.follow({SECOND: Wanted("other", other)})
    assert [one.state for one in manager.rows()] == ["applied"]


@pytest.mark.parametrize("keep", [False, True])
async def test_servers_go_with_the_node_unless_they_are_kept(machine: Machine, keep: bool) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    await manager.close(keep=keep)
    assert (machine.file.read_text() == PLAIN) is not keep


async def test_what_a_killed_node_left_is_adopted(machine: Machine) -> None:
    await machine.manager().follow(WANTED)
    left = machine.file.stat()
    manager = machine.manager()
    await manager.follow(WANTED)
    assert (machine.file.stat().st_ino, manager.tally.changed) == (left.st_ino, 0)
    await manager.close(keep=False)
    assert machine.file.read_text() == PLAIN


async def test_what_a_killed_node_left_and_nobody_wants_is_taken_away(machine: Machine) -> None:
    await machine.manager().follow(WANTED)
    await machine.manager().follow({})
    assert machine.file.read_text() == PLAIN


async def test_a_cleanup_takes_away_what_a_killed_node_left(machine: Machine) -> None:
    await machine.manager().follow(WANTED)
    assert machine.cleanup() == "removed the networks' name servers from /etc/resolv.conf\n"
    assert machine.file.read_text() == PLAIN


async def test_what_another_program_rewrote_is_set_again(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    machine.file.write_text(PLAIN)
    await manager.follow(WANTED)
    assert (machine.lookup(DB), manager.tally.drift) == (DB_IP, 1)


async def test_what_another_program_keeps_rewriting_is_left_to_it(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    for _ in range(REPAIRS_BURST + 2):
        machine.file.write_text(PLAIN)
        await manager.follow(WANTED)
    (condition,) = manager.conditions()
    assert (machine.file.read_text(), condition.status) == (PLAIN, Status.FAULT)
    assert condition.cause.startswith("another program keeps changing what")


async def test_a_file_that_became_another_program_s_is_left_to_it(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    stub = machine.etc / "stub.conf"
    stub.write_text(PLAIN)
    machine.file.unlink()
    machine.file.symlink_to("stub.conf")
    await manager.follow(WANTED)
    assert (stub.read_text(), machine.file.is_symlink()) == (PLAIN, True)
    assert [one.cause for one in manager.conditions()] == [
        f"{machine.file} is a link to stub.conf: another program keeps it"
    ]
    await manager.close(keep=False)
    assert stub.read_text() == PLAIN


@pytest.fixture
def mounted(machine: Machine) -> Iterator[Machine]:
    """The machine as a runtime makes a container: the file is mounted."""
    (machine.etc / "mounted").write_text(PLAIN)
    subprocess.run(("mount", "--bind", machine.etc / "mounted", machine.file), check=True)
    yield machine
    subprocess.run(("umount", machine.file), check=True)


async def test_a_container_s_file_is_left_alone(mounted: Machine) -> None:
    manager = mounted.manager()
    await manager.follow(WANTED)
    assert [one.cause for one in manager.conditions()] == [
        f"{mounted.file} is mounted from elsewhere, as in a container"
    ]
    assert mounted.file.read_text() == PLAIN
