"""Which way a machine's resolver is told, when that changes, and whose what is left is."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.file import ResolvConf
from ztlink.host.dns.manager import DnsManager, Wanted
from ztlink.host.dns.way import Link
from ztlink.ids import NetworkId

OWNER = "35da09f211"
NETWORK = NetworkId(0x8056C2E21C000001)
MESH = NameServers("mesh.example", (ip_address("10.147.1.53"),))
WANTED = {NETWORK: Wanted("zt0", MESH)}
PLAIN = "nameserver 192.0.2.1\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files: the better one belongs to another program."""
    better, other = tmp_path / "better", tmp_path / "other"
    better.symlink_to("nowhere")
    other.write_text(PLAIN)
    return better, other


def manager_of(*files: Path) -> DnsManager:
    return DnsManager([ResolvConf(OWNER, file) for file in files], lambda name: 7)


async def test_the_first_way_that_there_is_gets_used(files: tuple[Path, Path]) -> None:
    manager = manager_of(*files)
    await manager.follow(WANTED)
    assert [one.way for one in manager.rows()] == [str(files[1])]


async def test_a_better_way_that_comes_is_used_instead(files: tuple[Path, Path]) -> None:
    better, other = files
    manager = manager_of(*files)
    await manager.follow(WANTED)
    better.unlink()
    better.write_text(PLAIN)
    await manager.follow(WANTED)
    assert ("10.147.1.53" in better.read_text(), other.read_text()) == (True, PLAIN)
    assert manager.tally.drift == 0


async def test_what_was_left_by_another_way_is_taken_back(files: tuple[Path, Path]) -> None:
    better, other = files
    ResolvConf(OWNER, other).apply(Link("zt0", 7), MESH)
    better.unlink()
    better.write_text(PLAIN)
    await manager_of(*files).follow(WANTED)
    assert ("10.147.1.53" in better.read_text(), other.read_text()) == (True, PLAIN)


async def test_where_there_is_no_way_all_reasons_are_told(files: tuple[Path, Path]) -> None:
    better, other = files
    other.unlink()
    manager = manager_of(*files)
    await manager.follow(WANTED)
    assert [one.cause for one in manager.conditions()] == [
        f"{better} is a link to nowhere: another program keeps it; "
        f"{other}: No such file or directory"
    ]


async def test_passes_are_counted_by_what_came_of_them(files: tuple[Path, Path]) -> None:
    manager = manager_of(*files)
    await manager.follow(WANTED)
    await manager.follow(WANTED)
    files[1].unlink()
    await manager.follow(WANTED)
    found = manager.tally
    assert (found.changed, found.unchanged, found.failed, found.drift) == (1, 1, 1, 0)


async def test_where_nothing_is_wanted_nothing_is_looked_at_twice(
    files: tuple[Path, Path],
) -> None:
    manager = manager_of(*files)
    await manager.follow({})
    await manager.follow({})
    assert (manager.tally.unchanged, manager.rows()) == (1, ())
