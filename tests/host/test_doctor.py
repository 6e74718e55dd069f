"""`ztlink doctor` on a real machine."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.host.machine import wire

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]


def doctor(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Return the exit status, and the conditions by their kinds."""
    done = subprocess.run(
        (sys.executable, "-m", "ztlink", "doctor", "--json", *arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, {one["kind"]: one for one in json.loads(done.stdout)}


def test_a_machine_that_has_all_is_well() -> None:
    status, found = doctor()
    assert status == 0
    assert {found[kind]["status"] for kind in ("tunDevice", "netAdmin", "port", "world")} == {"ok"}


def test_a_port_that_is_taken_is_a_fault_with_a_remedy() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 9993))
        status, found = doctor()
    assert (status, found["port"]["status"]) == (1, "fault")
    assert "ss -lunp" in found["port"]["remedy"]


def test_mistakes_of_the_file_are_told_beside_all_else(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("prot: 1")
    status, found = doctor("--config", str(file))
    assert (status, found["config"]["status"], found["tunDevice"]["status"]) == (1, "fault", "ok")
    assert "did you mean port?" in found["config"]["cause"]


def test_a_route_that_would_be_refused_is_a_fault(tmp_path: Path) -> None:
    wire("eth0", "172.18.0.2/16")
    file = tmp_path / "config.yaml"
    file.write_text("routes: [{target: 172.18.0.0/24}, {target: 10.20.0.0/16}]")
    status, found = doctor("--config", str(file))
    assert (status, found["routes"]["cause"]) == (
        1,
        "2 declared, of which 1 would not be made",
    )
    assert "the range of nodes 172.18.0.0/16" in found["route"]["cause"]
    assert found["clusterRanges"]["status"] == "unknown"


def test_routes_that_harm_nobody_are_well(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("routes: [{target: 10.20.0.0/16}]")
    assert doctor("--config", str(file))[1]["routes"]["status"] == "ok"


def test_without_rights_it_is_told_what_to_give() -> None:
    command = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable)
    done = subprocess.run(
        (*command, "-m", "ztlink", "doctor"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "add NET_ADMIN to the container's capabilities" in done.stdout
