"""A machine with resolvconf, openresolv or Debian's: it is handed what a network's servers are."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.host.lookups import (
    DB,
    DB_IP,
    MESH,
    NETWORK,
    OWNER,
    PLAIN,
    SERVED_BY_MACHINE,
    SERVED_BY_NETWORK,
    WANTED,
    WWW,
    WWW_IP,
    copy_etc,
    lookup,
    two_serving,
)
from tests.rights import package
from ztlink.conditions import Status
from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.manager import DnsManager, Wanted
from ztlink.host.dns.resolvconf import Resolvconf
from ztlink.host.dns.way import Link

pytestmark = [pytest.mark.resolvconf, pytest.mark.usefixtures("own_network")]


@dataclass
class Machine:
    """A machine whose resolv.conf is put together by that."""

    etc: Path
    program: Path
    records: Path

    def way(self, owner: str = OWNER) -> Resolvconf:
        return Resolvconf(owner, [str(self.program)], self.records, self.etc / "resolv.conf")

    def manager(self) -> DnsManager:
        return DnsManager([self.way()])

    def hand(self, name: str, fragment: str) -> None:
        """Do as a DHCP client does."""
        subprocess.run((self.program, "-a", name), input=fragment, text=True, check=True)

    def tell(self, option: str) -> None:
        subprocess.run((self.program, option), check=True)

    @property
    def resolv_conf(self) -> str:
        return (self.etc / "resolv.conf").read_text()


def moved(source: Path, target: Path, paths: dict[str, Path]) -> None:
    """Put a script into a folder, with other paths in it."""
    text = source.read_text()
    for former, new in paths.items():
        text = text.replace(former, str(new))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(0o755)


def openresolv(folder: Path, etc: Path) -> Machine:
    """Put openresolv into a folder."""
    made = Machine(etc, folder / "resolvconf", folder / "run")
    paths = {
        "/sbin/resolvconf": made.program,
        "/lib/resolvconf": folder / "lib",
        "/run/resolvconf": made.records,
        "SYSCONFDIR=/etc": Path(f"SYSCONFDIR={etc}"),
    }
    made.records.mkdir()
    unpacked = package("openresolv")
    moved(unpacked / "sbin" / "resolvconf", made.program, paths)
    moved(unpacked / "lib" / "resolvconf" / "libc", folder / "lib" / "libc", paths)
    (etc / "resolvconf.conf").write_text(
        f"resolv_conf={etc}/resolv.conf\ndynamic_order='zt* lo.ztlink-*'\n"
    )
    return made


def of_debian(folder: Path, etc: Path) -> Machine:
    """Put Debian's own resolvconf into a folder, and have it run as its service does."""
    made = Machine(etc, folder / "resolvconf", folder / "run")
    paths = {
        "/etc/resolvconf": etc / "resolvconf",
        "ETC=/etc": Path(f"ETC={etc}"),
        "/sbin/resolvconf": made.program,
        "/lib/resolvconf": folder / "lib",
        "/run/resolvconf": made.records,
    }
    unpacked = package("resolvconf")
    shutil.copytree(unpacked / "etc" / "resolvconf", etc / "resolvconf")
    moved(unpacked / "sbin" / "resolvconf", made.program, paths)
    for script in (unpacked / "lib" / "resolvconf").iterdir():
        moved(script, folder / "lib" / script.name, paths)
    update = Path("etc", "resolvconf", "update.d", "libc")
    moved(unpacked / update, etc.parent / update, paths)
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").symlink_to(made.records / "resolv.conf")
    made.tell("--enable-updates")
    return made


@pytest.fixture(params=[openresolv, of_debian])
def machine(own_network: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    with two_serving(tmp_path):
        made: Machine = request.param(tmp_path, copy_etc(tmp_path))
        made.hand("eth0.dhcp", f"nameserver {SERVED_BY_MACHINE}\n")
        yield made


@pytest.fixture
def debian(own_network: None, tmp_path: Path) -> Machine:
    made = of_debian(tmp_path, copy_etc(tmp_path))
    made.hand("lo.inet", f"nameserver {SERVED_BY_MACHINE}\n")
    return made


async def test_names_of_a_network_are_found_while_they_are_wanted(machine: Machine) -> None:
    before = machine.resolv_conf
    manager = machine.manager()
    await manager.follow(WANTED)
    assert [lookup(machine.etc, name) for name in (DB, WWW)] == [DB_IP, WWW_IP]
    await manager.follow({})
    assert machine.resolv_conf == before


async def test_who_is_asked_is_said_to_be_resolvconf_s_to_decide(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    (condition,) = manager.conditions()
    assert condition.status is Status.OK
    assert condition.cause.startswith("resolvconf decides who is asked first")


async def test_what_it_has_already_is_not_handed_to_it_again(machine: Machine) -> None:
    await machine.manager().follow(WANTED)
    manager = machine.manager()
    await manager.follow(WANTED)
    assert (manager.tally.changed, manager.tally.unchanged) == (0, 1)


async def test_what_somebody_took_away_is_handed_to_it_again(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow(WANTED)
    machine.way().revert(Link("lo", 1))
    await manager.follow(WANTED)
    assert (lookup(machine.etc, DB), manager.tally.drift) == (DB_IP, 1)


async def test_what_a_killed_node_left_and_nobody_wants_is_taken_away(machine: Machine) -> None:
    before = machine.resolv_conf
    await machine.manager().follow(WANTED)
    await machine.manager().follow({})
    assert machine.resolv_conf == before


def test_a_cleanup_takes_away_what_any_node_left(machine: Machine) -> None:
    before = machine.resolv_conf
    machine.way("89e92ceee5").apply(Link("zt0", 2), MESH)
    assert (machine.way("").remove_all(), machine.resolv_conf) == (True, before)
    assert not machine.way("").remove_all()


@pytest.mark.parametrize("server", ["fd00::53", "2001:db8:0:1:1:1:1:53", "::ffff:10.0.0.53"])
async def test_an_address_that_it_writes_in_another_form_is_held(
    machine: Machine, server: str
) -> None:
    wanted = {NETWORK: Wanted("lo", NameServers("mesh.example", (ip_address(server),)))}
    manager = machine.manager()
    await manager.follow(wanted)
    await manager.follow(wanted)
    assert (manager.tally.changed, manager.tally.drift) == (1, 0)


async def test_debian_s_that_is_to_update_nothing_is_told_with_what_helps(debian: Machine) -> None:
    before = debian.resolv_conf
    debian.tell("--disable-updates")
    manager = debian.manager()
    await manager.follow(WANTED)
    (condition,) = manager.conditions()
    assert "run 'resolvconf --enable-updates'" in condition.cause
    assert debian.resolv_conf == before


async def test_a_file_that_is_not_debian_s_is_told_with_what_helps(debian: Machine) -> None:
    file = debian.etc / "resolv.conf"
    file.unlink()
    file.write_text(PLAIN)
    manager = debian.manager()
    await manager.follow(WANTED)
    (condition,) = manager.conditions()
    assert "is no link to what resolvconf writes" in condition.cause
    assert debian.resolv_conf == PLAIN


def test_debian_s_puts_a_network_s_servers_behind_all_others(debian: Machine) -> None:
    way = debian.way()
    way.apply(Link("zt0", 2), MESH)
    assert servers(debian) == [SERVED_BY_MACHINE, SERVED_BY_NETWORK]
    order = debian.etc / "resolvconf" / "interface-order"
    order.write_text(f"zt*\n{order.read_text()}")
    debian.tell("-u")
    assert servers(debian) == [SERVED_BY_NETWORK, SERVED_BY_MACHINE]


def servers(machine: Machine) -> list[str]:
    lines = (line.split() for line in machine.resolv_conf.splitlines())
    return [words[1] for words in lines if words[:1] == ["nameserver"]]


def test_what_it_refuses_is_said(machine: Machine) -> None:
    machine.program.write_text("#!/bin/sh\necho 'No resolver for you' >&2\nexit 1\n")
    with pytest.raises(HostError, match="resolvconf: No resolver for you"):
        machine.way().apply(Link("zt0", 2), MESH)
