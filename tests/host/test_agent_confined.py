"""An agent with no more rights than the chart gives it."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import confined
from tests.host.agents import Agent, make_agents
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.namespace import run

pytestmark = [
    pytest.mark.netadmin,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls"),
]

__all__ = ["new_lab"]

NET_ADMIN = 1 << 12


@pytest.fixture(scope="module")
def agent(new_lab: NewLab) -> Iterator[Agent]:
    """An agent that is confined and ready."""
    with new_lab() as lab:
        _, (made,), _ = make_agents(lab, "one")
        made.home.mkdir()
        made.wrapper = (sys.executable, str(Path(confined.__file__)), str(made.home), "--")
        made.start()
        made.wait_ready()
        yield made


def status(agent: Agent, key: str) -> str:
    """Return what the kernel tells of the process."""
    assert agent.process is not None
    lines = Path(f"/proc/{agent.process.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)[key]


def test_it_is_ready_with_its_device_and_address(agent: Agent) -> None:
    found = {one["local"] for link in agent.links() for one in link["addr_info"]}
    assert agent.address() in found


@pytest.mark.parametrize("kind", ["CapEff", "CapPrm", "CapBnd"])
def test_it_has_one_capability(agent: Agent, kind: str) -> None:
    assert int(status(agent, kind), 16) == NET_ADMIN


def test_it_cannot_gain_rights_and_has_a_filter_of_system_calls(agent: Agent) -> None:
    assert (status(agent, "NoNewPrivs"), status(agent, "Seccomp")) == ("1", "2")


@pytest.mark.skipif(not confined.PROFILE.exists(), reason="no runtime's profile on this machine")
def test_its_filter_is_that_of_runtimes_and_a_stricter_one(agent: Agent) -> None:
    assert status(agent, "Seccomp_filters") == "2"


@pytest.mark.parametrize(("call", "error"), [("vmsplice", "ENOSYS"), ("unshare", "EPERM")])
@pytest.mark.skipif(not confined.PROFILE.exists(), reason="no runtime's profile on this machine")
def test_what_a_profile_does_not_allow_is_refused(tmp_path: Path, call: str, error: str) -> None:
    number = {"vmsplice": 278, "unshare": 272}[call]
    program = (
        "import ctypes, errno; libc = ctypes.CDLL(None, use_errno=True); "
        f"libc.syscall({number}, 0x10000000, 0, 0, 0); print(errno.errorcode[ctypes.get_errno()])"
    )
    confining = (sys.executable, str(Path(confined.__file__)), str(tmp_path), "--")
    assert run(*confining, sys.executable, "-c", program).strip() == error


@pytest.mark.parametrize("place", ["/", "/proc/sys"])
def test_it_sees_a_read_only_file_system(agent: Agent, place: str) -> None:
    assert agent.process is not None
    lines = Path(f"/proc/{agent.process.pid}/mountinfo").read_text().splitlines()
    mounts = [line.split() for line in lines]
    assert [one[5].split(",")[0] for one in mounts if one[4] == place][-1] == "ro"


def test_it_follows_its_file(agent: Agent) -> None:
    agent.change_and_wait(log={"level": "WARNING", "format": "json"})
    assert agent.condition()["status"] == "ok"


def test_it_makes_routes_and_rules(agent: Agent) -> None:
    via = agent.address().rpartition(".")[0] + ".254"
    agent.change_and_wait(routes=[{"target": "10.20.0.0/16", "via": via}], routing={"table": 300})
    run = agent.host.namespace.ip
    assert f"10.20.0.0/16 via {via}" in run("route", "show", "table", "300", "proto", "91")
    assert "lookup 300 proto 91" in run("rule")


def test_it_ends_and_is_adopted_by_the_next(agent: Agent) -> None:
    assert agent.process is not None
    assert agent.process.stop() == 0
    agent.start()
    agent.wait_ready()
    assert agent.metric("handover_gap_seconds") > 0
