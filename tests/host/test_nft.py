"""The door to nftables: what it loads, and what it says where it cannot."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.firewalled import nft as run_nft
from tests.host.firewalled import ruleset
from ztlink.conditions import Status
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.firewall.wanted import FirewallSettings
from ztlink.host.nft import Nft, NftError

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

COUNTED = "table inet ztlink { counter one { packets 7 bytes 700 }; }"
Program = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return what makes an `nft` of a shell's line; `$NFT` is the machine's."""

    def make(line: str) -> str:
        file = tmp_path / "nft"
        file.write_text(f"#!/bin/sh\nNFT={shutil.which('nft')}\n{line}\n")
        file.chmod(0o755)
        return str(file)

    return make


def refused(nft: Nft, ruleset: str) -> NftError:
    with pytest.raises(NftError) as caught:
        nft.load(ruleset)
    return caught.value


def test_what_is_loaded_is_listed() -> None:
    nft = Nft()
    nft.load("table inet ztlink { chain vital { }; }")
    assert nft.listing("ztlink") == "table inet ztlink {\n\tchain vital {\n\t}\n}\n"


def test_a_table_that_is_not_there_is_none() -> None:
    assert Nft().listing("ztlink") is None


def test_a_table_is_taken_away_twice() -> None:
    nft = Nft()
    nft.load(COUNTED)
    nft.remove("ztlink")
    nft.remove("ztlink")
    assert ruleset() == ""


def test_counters_are_read() -> None:
    nft = Nft()
    nft.load(COUNTED)
    assert nft.counters("ztlink") == {"one": 7}


def test_counters_of_other_tables_are_not() -> None:
    nft = Nft()
    nft.load(COUNTED)
    run_nft("add table inet other { counter two { }; }")
    assert nft.counters("ztlink") == {"one": 7}


def test_a_transaction_of_which_a_part_is_wrong_changes_nothing() -> None:
    refused(Nft(), "add table inet ztlink\nadd rule inet ztlink missing accept\n")
    assert ruleset() == ""


def test_a_look_loads_nothing() -> None:
    Nft().check(COUNTED)
    assert ruleset() == ""


def test_rules_that_are_none_are_refused_with_the_reason() -> None:
    assert "syntax error, unexpected newline" in refused(Nft(), "add\n").cause


def test_a_machine_without_nft_is_told_what_to_install() -> None:
    error = refused(Nft("no-such-nft"), COUNTED)
    assert error.errno == errno.ENOENT
    assert "install the package nftables" in error.remedy


def test_an_nft_that_is_too_old_is_named_by_its_version(program: Program) -> None:
    error = refused(Nft(program("echo 'nftables v0.9.8 (E.D.S.)'")), COUNTED)
    assert error.cause == "nft is version 0.9.8"
    assert "install nftables 1.0.0 or later" in error.remedy


def test_an_nft_of_two_numbers_is_understood(program: Program) -> None:
    line = '[ "$1" = --version ] && exec echo "nftables v1.1 (Commodore)"; exec "$NFT" "$@"'
    Nft(program(line)).load(COUNTED)
    assert ruleset() != ""


def test_a_process_without_rights_is_told_which_it_lacks(program: Program) -> None:
    without = program('exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$NFT" "$@"')
    error = refused(Nft(without), COUNTED)
    assert error.errno == errno.EPERM
    assert "CAP_NET_ADMIN" in error.remedy


async def test_rules_that_cannot_be_loaded_are_a_fault_with_its_remedy() -> None:
    manager = FirewallManager(Nft("no-such-nft"))
    await manager.use(FirewallSettings())
    (condition,) = manager.conditions()
    assert condition.status is Status.FAULT
    assert "install the package nftables" in condition.remedy


async def test_failures_are_counted() -> None:
    manager = FirewallManager(Nft("no-such-nft"))
    await manager.use(FirewallSettings())
    await manager.check()
    assert manager.tally.failed == 2


async def test_what_failed_is_tried_again(program: Program, tmp_path: Path) -> None:
    line = f'[ "$1" = --version ] || [ -e {tmp_path}/ready ] || exit 1; exec "$NFT" "$@"'
    manager = FirewallManager(Nft(program(line)))
    await manager.use(FirewallSettings())
    (tmp_path / "ready").touch()
    await manager.check()
    assert manager.conditions()[0].status is Status.OK


async def test_a_firewall_that_is_off_needs_no_nft() -> None:
    manager = FirewallManager(Nft("no-such-nft"))
    await manager.use(FirewallSettings(is_enabled=False))
    assert (manager.conditions(), manager.tally.failed) == ((), 0)
