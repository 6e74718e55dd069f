"""What the kernel says of a machine's forwarding, as doctor and firewall tell it."""

from pathlib import Path

import pytest

from ztlink import doctor
from ztlink.host.firewall.conflicts import of_kernel
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding
from ztlink.host.sysctls import forwarding, read_sysctl, reverse_path

FORWARD = "ipv4/ip_forward"
FORWARD6 = "ipv6/conf/all/forwarding"
STRICT = "ipv4/conf/all/rp_filter"


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A kernel that forwards nothing and is strict."""
    for file, value in ((FORWARD, "0"), (FORWARD6, "0"), (STRICT, "1")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"{value}\n")
    return tmp_path


def test_a_setting_is_read_by_its_name(shown: Path) -> None:
    assert read_sysctl("net.ipv4.conf.all.rp_filter", shown) == 1


@pytest.mark.parametrize("content", [None, "", "many"])
def test_what_is_no_number_is_not_known(shown: Path, content: str | None) -> None:
    (shown / FORWARD).unlink()
    if content is not None:
        (shown / FORWARD).write_text(content)
    assert [one.value for one in forwarding(shown)] == [None, 0]


def test_a_machine_that_forwards_is_well(shown: Path) -> None:
    for file in (FORWARD, FORWARD6):
        (shown / file).write_text("1\n")
    assert [one.is_well for one in forwarding(shown)] == [True, True]


@pytest.mark.parametrize(("value", "is_well"), [("0", True), ("1", False), ("2", True)])
def test_only_a_strict_reverse_path_is_a_fault(shown: Path, value: str, is_well: bool) -> None:
    (shown / STRICT).write_text(value)
    assert reverse_path(shown).is_well is is_well


def test_doctor_and_firewall_say_the_same(shown: Path) -> None:
    through = FirewallSettings(from_overlay=Forwarding.ALLOW)
    by_doctor = [*doctor.forwarding(shown), *doctor.reverse_path(shown)]
    by_firewall = [*of_kernel(through, shown, has_ipv6=True)]
    assert [(one.cause, one.remedy) for one in by_doctor] == [
        (one.cause, one.remedy) for one in by_firewall
    ]
