"""`ztlink doctor`: what was found, in a table or as JSON, and what the exit status says."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.rig import run
from ztlink import cli_doctor, doctor
from ztlink.conditions import Condition, Status
from ztlink.settings import Settings

WELL = Condition("tunDevice", Status.OK, cause="/dev/net/tun")
NOTE = Condition("forwarding", Status.WAITING, "IPv6", "off", "sysctl", is_required=False)
FAULT = Condition("netAdmin", Status.FAULT, "", "it is missing", "add NET_ADMIN")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Condition]:
    """What is found on this machine."""
    conditions = [WELL, NOTE]

    def examine(_: Settings) -> Iterator[Condition]:
        yield from conditions

    monkeypatch.setattr(doctor, "examine", examine)
    return conditions


def test_a_note_is_no_failure(found: list[Condition]) -> None:
    assert (run("doctor").exit_code, len(found)) == (0, 2)


def test_a_fault_of_what_is_needed_is_one(found: list[Condition]) -> None:
    found.append(FAULT)
    assert run("doctor").exit_code == 1


def test_each_finding_has_its_remedy_below(found: list[Condition]) -> None:
    found.append(FAULT)
    lines = [line.split(maxsplit=2) for line in run("doctor").stdout.splitlines()]
    at = lines.index(["FAULT", "netAdmin", "it is missing"])
    assert lines[at + 1] == ["->", "add", "NET_ADMIN"]


def test_it_is_json_for_programs(found: list[Condition]) -> None:
    told = json.loads(run("doctor", "--json").stdout)
    assert [one["kind"] for one in told] == [one.kind for one in found]


def test_a_file_with_mistakes_is_one_of_the_findings(
    found: list[Condition], tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("port: 0\nhome: x")
    result = run("doctor", "--config", str(file))
    assert result.exit_code == 1
    assert len(found) == 2
    assert [part for part in ("config", "port: 0", "home: 'x'") if part not in result.stdout] == []


def test_every_status_has_a_sign(found: list[Condition]) -> None:
    found[:] = [Condition("clock", status) for status in Status]
    rows = run("doctor", "--json").stdout, run("doctor").stdout
    assert len(rows[1].splitlines()) == 1 + len(Status)
    assert cli_doctor.COMMANDS[0].name == "doctor"
