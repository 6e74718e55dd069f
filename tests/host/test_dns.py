"""Name servers of a network, set in a systemd-resolved that runs, and taken back."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab.process import Process
from tests.lab.wait import wait_until
from tests.rights import resolved_program
from ztlink.conditions import Status
from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.manager import REPAIRS_BURST, DnsManager, Wanted
from ztlink.host.dns.resolved import Resolved
from ztlink.host.dns.way import Link
from ztlink.ids import NetworkId

pytestmark = pytest.mark.resolved

TIMEOUT = 30.0
NETWORK = NetworkId(0x112972485D000001)
MESH = NameServers("mesh.example", (ip_address("10.147.1.53"), ip_address("fd00::53")))
OTHER = NameServers("other.example", (ip_address("10.147.1.54"),))
PACKED = tuple(ip.packed for ip in MESH.servers)


@dataclass
class Machine:
    """A resolver, and the number of the device that it knows."""

    resolved: Resolved
    link: Link

    def manager(self) -> DnsManager:
        return DnsManager([self.resolved], lambda name: self.link.index)

    def servers(self) -> tuple[bytes, ...]:
        return self.resolved.servers(self.link)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("resolver")
    script = Path(__file__).with_name("resolver.sh")
    alone = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", str(script))
    process = Process((*alone, str(resolved_program()), str(directory)), log=directory / "log")
    try:
        wait_until((directory / "index").exists, timeout=TIMEOUT, what="the resolver runs")
        bus = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory / 'bus'}"}
        link = Link("overlay", int((directory / "index").read_text()))
        etc = directory / "etc"
        etc.mkdir()
        yield Machine(Resolved({**os.environ, **bus}, etc), link)
    finally:
        process.kill()


@pytest.fixture
def machine(running: Machine) -> Machine:
    """The resolver as it is when nobody has told it anything."""
    running.resolved.revert(running.link)
    return running


async def test_names_of_a_domain_are_asked_of_the_network_s_servers(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    assert machine.servers() == PACKED
    assert [one.status for one in manager.conditions()] == [Status.OK]


async def test_a_machine_whose_programs_do_not_ask_the_resolver_is_told(
    machine: Machine,
) -> None:
    manager = machine.manager()
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    (condition,) = manager.conditions()
    assert condition.status is Status.OK
    assert condition.cause.startswith("/etc/resolv.conf does not lead to systemd-resolved")


async def test_servers_that_a_network_names_no_more_are_taken_back(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    await manager.follow({})
    assert (machine.servers(), manager.rows()) == ((), ())


async def test_servers_that_change_are_changed(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    await manager.follow({NETWORK: Wanted("overlay", OTHER)})
    assert machine.servers() == (OTHER.servers[0].packed,)


async def test_what_somebody_else_took_away_is_set_again(machine: Machine) -> None:
    manager = machine.manager()
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    machine.resolved.revert(machine.link)
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    assert (machine.servers(), manager.tally.drift) == (PACKED, 1)


@pytest.mark.parametrize(("keep", "left"), [(False, ()), (True, PACKED)])
async def test_what_was_set_goes_with_the_node_unless_it_is_kept(
    machine: Machine, keep: bool, left: tuple[bytes, ...]
) -> None:
    manager = machine.manager()
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    await manager.close(keep=keep)
    assert machine.servers() == left


async def test_what_somebody_else_takes_away_again_and_again_is_left(machine: Machine) -> None:
    manager = machine.manager()
    for _ in range(REPAIRS_BURST + 2):
        machine.resolved.revert(machine.link)
        await manager.follow({NETWORK: Wanted("overlay", MESH)})
    assert (machine.servers(), manager.tally.drift) == ((), REPAIRS_BURST)
    assert [one.cause for one in manager.conditions()] == [
        "another program keeps changing what systemd-resolved was told"
    ]


def test_a_device_that_is_none_is_refused(machine: Machine) -> None:
    with pytest.raises(HostError, match="systemd-resolved: "):
        machine.resolved.apply(Link("none", 9999), MESH)


async def test_a_machine_without_a_resolver_is_told_what_would_help() -> None:
    nowhere = Resolved({**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"})
    manager = DnsManager([nowhere], lambda name: 1)
    await manager.follow({NETWORK: Wanted("overlay", MESH)})
    (condition,) = manager.conditions()
    assert (condition.status, condition.subject) == (Status.FAULT, "mesh.example")
    assert "10.147.1.53, fd00::53 for mesh.example" in condition.remedy


async def test_a_device_that_is_gone_is_a_fault(machine: Machine) -> None:
    manager = DnsManager([machine.resolved])
    await manager.follow({NETWORK: Wanted("none-such", MESH)})
    assert [one.cause for one in manager.conditions()] == ["there is no device none-such"]
