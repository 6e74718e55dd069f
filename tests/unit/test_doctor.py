"""What is told of a machine, with the remedy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vl1.mesh import planet
from ztlink import doctor
from ztlink.conditions import Condition, Status
from ztlink.settings import HttpSettings, Settings

SETTINGS = Settings(http=HttpSettings())


def only(found: Any) -> Condition:  # noqa: ANN401 - an iterator of them
    (condition,) = found
    assert isinstance(condition, Condition)
    return condition


def test_a_device_that_is_not_there_is_a_fault() -> None:
    found = doctor.tun_device((Path("/nowhere/tun"),))
    assert (found.status, "modprobe tun" in found.remedy) == (Status.FAULT, True)


def test_a_device_that_is_another_is_a_fault() -> None:
    found = doctor.tun_device((Path("/dev/null"),))
    assert (found.status, "mount the machine's own" in found.remedy) == (Status.FAULT, True)


@pytest.mark.parametrize(
    ("effective", "status"), [("0000000000001000", Status.OK), ("0000000000000400", Status.FAULT)]
)
def test_the_capability_is_looked_for(tmp_path: Path, effective: str, status: Status) -> None:
    file = tmp_path / "status"
    file.write_text(f"Name:\tx\nCapEff:\t{effective}\n")
    assert doctor.net_admin(file).status is status


def test_a_home_is_one_that_is_there_or_can_be_made(tmp_path: Path) -> None:
    for home in (tmp_path, tmp_path / "a" / "b"):
        assert only(doctor.home(replace(SETTINGS, home=home))).status is Status.OK


def test_a_home_below_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = only(doctor.home(replace(SETTINGS, home=tmp_path / "file" / "home")))
    assert (found.status, found.remedy) == (Status.FAULT, "name another home")


def test_the_world_of_the_home_is_told(tmp_path: Path) -> None:
    world = planet(0)
    (tmp_path / "planet").write_bytes(world.to_bytes())
    found = doctor.world(replace(SETTINGS, home=tmp_path))
    assert f"{world.world_id:016x}" in found.cause


def test_without_a_world_file_it_is_zerotier_s_own(tmp_path: Path) -> None:
    assert "ZeroTier's own" in doctor.world(replace(SETTINGS, home=tmp_path)).cause


@pytest.mark.parametrize("content", [None, b"no world"])
def test_a_named_world_that_is_none_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "world"
    if content is not None:
        file.write_bytes(content)
    found = doctor.world(replace(SETTINGS, planet=file))
    assert (found.status, str(file) in found.cause) == (Status.FAULT, True)


def test_a_machine_without_nft_can_do_without_a_firewall() -> None:
    found = doctor.nft(lambda _: None)
    assert (found.status, found.is_required) == (Status.FAULT, False)


def proc(tmp_path: Path, **values: str) -> Path:
    """Make a /proc/sys/net with what is told."""
    for key, value in values.items():
        file = (
            tmp_path
            / {
                "v4": "ipv4/ip_forward",
                "v6": "ipv6/conf/all/forwarding",
                "strict": "ipv4/conf/all/rp_filter",
            }[key]
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return tmp_path


def test_forwarding_is_told_by_family(tmp_path: Path) -> None:
    found = list(doctor.forwarding(proc(tmp_path, v4="1", v6="0")))
    assert [(one.subject, one.status) for one in found] == [
        ("IPv4", Status.OK),
        ("IPv6", Status.WAITING),
    ]
    assert found[1].remedy.startswith("sysctl -w net.ipv6.conf.all.forwarding=1")


def test_forwarding_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    assert {one.status for one in doctor.forwarding(tmp_path)} == {Status.UNKNOWN}


@pytest.mark.parametrize(("value", "count"), [("0", 0), ("1", 1), ("2", 0)])
def test_a_strict_reverse_path_is_told(tmp_path: Path, value: str, count: int) -> None:
    assert len(list(doctor.reverse_path(proc(tmp_path, strict=value)))) == count


def test_an_agent_that_does_not_run_is_no_fault() -> None:
    found = only(doctor.agent(SETTINGS, None))
    assert (found.status, found.is_required) == (Status.WAITING, False)


def test_what_a_running_agent_tells_is_told() -> None:
    config = {"kind": "config", "subject": "", "cause": "port: 0", "remedy": "mend it"}
    told = {
        "address": "ba52bb0e23",
        "version": "1.14.1",
        "conditions": [{**config, "status": "fault", "required": False}],
    }
    found = list(doctor.agent(SETTINGS, told))
    assert [(one.kind, one.subject, one.status) for one in found] == [
        ("agent", "", Status.OK),
        ("config", "", Status.FAULT),
    ]
