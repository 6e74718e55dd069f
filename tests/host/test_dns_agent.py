"""A running agent: names are asked of a member of its network, over the overlay."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.host.agents import TIMEOUT, Agent, make_agents
from tests.host.lookups import (
    DB,
    DB_IP,
    PLAIN,
    SERVED_BY_MACHINE,
    WWW,
    WWW_IP,
    copy_etc,
    lookup,
    serving,
    with_etc,
)
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.wait import wait_until

pytestmark = pytest.mark.netadmin

__all__ = ["new_lab"]


@dataclass
class Asking:
    """An agent with a folder /etc of its own, in a network whose name server another one is."""

    agent: Agent
    etc: Path
    network_id: str

    @property
    def resolv_conf(self) -> str:
        return (self.etc / "resolv.conf").read_text()

    def lookup(self, name: str) -> str | None:
        return lookup(self.etc, name, self.agent.host.namespace.entry)

    def conditions(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.agent.health()["conditions"]
        return [one for one in told if one["kind"] == "dns"]

    def use(self, *, apply: bool = True, allowed: bool = True, on_stop: str = "keep") -> None:
        """Change what the agent's file says of it."""
        networks = [{"id": self.network_id, "allowDNS": allowed}]
        self.agent.change_and_wait(dns={"apply": apply}, networks=networks, onStop=on_stop)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(condition, timeout=TIMEOUT, what=what)

    def wait_applied(self) -> None:
        self.wait(lambda: self.resolv_conf != PLAIN, "the network's servers are the machine's")

    def wait_taken_back(self) -> None:
        self.wait(lambda: self.resolv_conf == PLAIN, "the machine's servers are its own again")


@pytest.fixture(scope="module")
def running(new_lab: NewLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder = tmp_path_factory.mktemp("dns")
    with new_lab() as lab:
        root, (one, other), network_id = make_agents(lab, "one", "other")
        etc = copy_etc(folder)
        one.wrapper = with_etc(etc)
        for agent in (one, other):
            agent.start()
        for agent in (one, other):
            agent.wait_ready()
        told = {"domain": "mesh.example", "servers": [other.address()]}
        root.command("network", "set", network_id, json.dumps({"dns": told}))
        here = one.host.namespace
        here.ip("address", "add", f"{SERVED_BY_MACHINE}/32", "dev", "lo")
        machine_s = serving(folder, SERVED_BY_MACHINE, "NXDOMAIN", {WWW: WWW_IP}, here.entry)
        network_s = serving(
            folder, other.address(), "REFUSED", {DB: DB_IP}, other.host.namespace.entry
        )
        with machine_s, network_s:
            yield Asking(one, etc, network_id)


@pytest.fixture
def asking(running: Asking) -> Asking:
    """The agent with servers applied."""
    running.use()
    running.wait_applied()
    return running


def test_names_of_a_network_are_found_over_the_overlay(asking: Asking) -> None:
    assert [asking.lookup(name) for name in (DB, WWW)] == [DB_IP, WWW_IP]


def test_what_that_does_beside_is_a_condition(asking: Asking) -> None:
    asking.wait(lambda: bool(asking.conditions()), "a condition")
    (told,) = asking.conditions()
    assert (told["subject"], told["status"], told["required"]) == ("mesh.example", "ok", False)
    assert "/etc/resolv.conf knows no domains" in told["cause"]


def test_the_status_lists_what_was_set_and_by_what(asking: Asking) -> None:
    (row,) = asking.agent.here.json("/zerotier/status")["managed"]["dns"]["rows"]
    assert (row["domain"], row["state"], row["way"]) == (
        "mesh.example",
        "applied",
        "/etc/resolv.conf",
    )


def test_a_file_that_wants_it_no_more_has_it_taken_back(asking: Asking) -> None:
    asking.use(apply=False)
    asking.wait_taken_back()
    assert asking.conditions() == []


def test_a_network_that_may_no_more_has_it_taken_back(asking: Asking) -> None:
    asking.use(allowed=False)
    asking.wait_taken_back()
    assert asking.conditions() == []


def test_what_another_program_rewrites_is_set_again_and_counted(asking: Asking) -> None:
    before = asking.agent.metric("dns_drift_total")
    (asking.etc / "resolv.conf").write_text(PLAIN)
    asking.wait_applied()
    assert asking.agent.metric("dns_drift_total") == before + 1


def test_a_killed_agent_s_block_is_adopted_by_the_next(asking: Asking) -> None:
    assert asking.agent.process is not None
    left = (asking.etc / "resolv.conf").stat().st_ino
    asking.agent.process.kill()
    asking.agent.start()
    asking.agent.wait_ready()
    asking.wait(lambda: bool(asking.conditions()), "a condition")
    assert (asking.etc / "resolv.conf").stat().st_ino == left
    assert asking.lookup(DB) == DB_IP


def test_an_agent_that_ends_leaves_the_file_as_it_was(asking: Asking) -> None:
    assert asking.agent.process is not None
    asking.use(on_stop="remove")
    asking.agent.process.signal(signal.SIGTERM)
    asking.agent.process.wait(TIMEOUT)
    assert asking.resolv_conf == PLAIN
    asking.agent.start()
    asking.agent.wait_ready()
