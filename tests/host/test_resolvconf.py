"""A machine with resolvconf, here openresolv: it is handed what a network's servers are."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.lookups import (
    DB,
    DB_IP,
    MESH,
    OWNER,
    SERVED_BY_MACHINE,
    WANTED,
    WWW,
    WWW_IP,
    copy_etc,
    lookup,
    two_serving,
)
from tests.rights import openresolv
from ztlink.conditions import Status
from ztlink.errors import HostError
from ztlink.host.dns.manager import DnsManager
from ztlink.host.dns.resolvconf import Resolvconf
from ztlink.host.dns.way import Link

pytestmark = [pytest.mark.resolvconf, pytest.mark.usefixtures("own_network")]


@dataclass
class Machine:
    """A machine whose resolv.conf is put together by openresolv."""

    etc: Path
    program: Path
    records: Path

    def way(self, owner: str = OWNER) -> Resolvconf:
        return Resolvconf(owner, [str(self.program)], self.records)

    def manager(self) -> DnsManager:
        return DnsManager([self.way()])

    def hand(self, name: str, fragment: str) -> None:
        """Do as a DHCP client does."""
        subprocess.run((self.program, "-a", name), input=fragment, text=True, check=True)

    @property
    def resolv_conf(self) -> str:
        return (self.etc / "resolv.conf").read_text()


def installed(folder: Path, etc: Path) -> Machine:
    """Put openresolv into a folder: the same scripts, with other paths in them."""
    library, records = folder / "lib", folder / "run"
    program = folder / "resolvconf"
    records.mkdir()
    library.mkdir()
    moved = {
        "/sbin/resolvconf": str(program),
        "/lib/resolvconf": str(library),
        "/run/resolvconf": str(records),
        "SYSCONFDIR=/etc": f"SYSCONFDIR={etc}",
    }
    for source, target in (
        (openresolv() / "sbin" / "resolvconf", program),
        (openresolv() / "lib" / "resolvconf" / "libc", library / "libc"),
    ):
        text = source.read_text()
        for former, new in moved.items():
            text = text.replace(former, new)
        target.write_text(text)
        target.chmod(0o755)
    (etc / "resolvconf.conf").write_text(
        f"resolv_conf={etc}/resolv.conf\ndynamic_order='zt* lo.ztlink-*'\n"
    )
    return Machine(etc, program, records)


@pytest.fixture
def machine(own_network: None, tmp_path: Path) -> Iterator[Machine]:
    with two_serving(tmp_path):
        made = installed(tmp_path, copy_etc(tmp_path))
        made.hand("eth0.dhcp", f"nameserver {SERVED_BY_MACHINE}\n")
        yield made


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


def test_what_it_refuses_is_said(machine: Machine) -> None:
    machine.program.write_text("#!/bin/sh\necho 'No resolver for you' >&2\nexit 1\n")
    with pytest.raises(HostError, match="resolvconf: No resolver for you"):
        machine.way().apply(Link("zt0", 2), MESH)
