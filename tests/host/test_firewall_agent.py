"""The firewall of running agents, with frames through their own devices."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.agents import TIMEOUT, Agent, make_agents
from tests.host.firewalled import listening, pings, reaches
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.wait import wait_until

pytestmark = pytest.mark.netadmin

__all__ = ["new_lab"]

PORT = 8080
HTTP = 9994
"""Where an agent serves its own health and metrics."""
PODS = "10.42.0.0/24"
POD = "10.42.0.9"
NODE_TO_PODS = "10.42.0.1"
"""The machine's address in the network of its pods."""
ELSEWHERE = "172.31.9.9"
"""Whoever is neither a pod nor a node."""
WEB = {"allow": [{"protocol": "tcp", "ports": [PORT]}]}


@pytest.fixture(scope="module")
def pair(new_lab: NewLab) -> Iterator[tuple[Agent, Agent]]:
    """Two agents that are ready; the first file says nothing of a firewall."""
    with new_lab() as lab:
        _, (one, other), _ = make_agents(lab, "one", "other")
        del one.content["firewall"]
        cluster = {"nodeCidrs": [str(other.host.v4.network)], "podCidrs": [PODS]}
        one.change(cluster=cluster, http={"address": "0.0.0.0"})  # noqa: S104 - in a namespace
        for agent in (one, other):
            agent.start()
        for agent in (one, other):
            agent.wait_ready()
        wait_until(
            lambda: pings(one.host.namespace, other.address()),
            timeout=TIMEOUT,
            what="a way from the one to the other",
        )
        one.host.namespace.ip("address", "add", NODE_TO_PODS, "dev", "lo")
        other.host.namespace.ip("route", "add", NODE_TO_PODS, "via", one.address())
        for source in (POD, ELSEWHERE):
            other.host.namespace.ip("address", "add", source, "dev", "lo")
            one.host.namespace.ip("route", "add", source, "via", str(other.host.v4.ip))
        yield one, other


@pytest.fixture
def default(pair: tuple[Agent, Agent]) -> tuple[Agent, Agent]:
    """The first agent with the firewall of a file that says nothing of it."""
    one, other = pair
    if one.content.pop("firewall", None) is not None:
        one.change_and_wait()
    return one, other


def firewall_of(agent: Agent) -> dict[str, Any]:
    """Return what is told of the rules themselves."""
    told: Any = agent.health()["conditions"]
    return next(one for one in told if (one["kind"], one["subject"]) == ("firewall", ""))


def ruleset(agent: Agent) -> str:
    return agent.host.namespace.run("nft", "list", "ruleset")


def test_an_agent_refuses_what_nobody_allowed(default: tuple[Agent, Agent]) -> None:
    one, other = default
    with listening(one.host.namespace, PORT):
        assert not reaches(other.host.namespace, one.address(), PORT)


def test_an_agent_reaches_others_itself(default: tuple[Agent, Agent]) -> None:
    one, other = default
    assert pings(one.host.namespace, other.address())


def test_a_port_is_opened_while_the_agent_runs(default: tuple[Agent, Agent]) -> None:
    one, other = default
    one.change_and_wait(firewall=WEB)
    with listening(one.host.namespace, PORT):
        assert reaches(other.host.namespace, one.address(), PORT)


def test_the_rules_are_a_condition(default: tuple[Agent, Agent]) -> None:
    one, _ = default
    assert firewall_of(one)["status"] == "ok"


def test_a_firewall_that_is_switched_off_leaves_no_table(default: tuple[Agent, Agent]) -> None:
    one, other = default
    one.change_and_wait(firewall={"enabled": False})
    assert ruleset(one) == ""
    assert pings(other.host.namespace, one.address())


def test_rules_outlive_an_agent_that_keeps_them(default: tuple[Agent, Agent]) -> None:
    one, other = default
    assert one.process is not None
    one.process.signal(signal.SIGTERM)
    one.process.wait(10)
    assert 'counter name "before_dnat" drop' in ruleset(one)
    one.start()
    one.wait_ready()
    assert not pings(other.host.namespace, one.address())


def asks(pair: tuple[Agent, Agent], source: str | None) -> bool:
    """Tell whether the first agent's HTTP is reached past the overlay."""
    one, other = pair
    return reaches(other.host.namespace, str(one.host.v4.ip), HTTP, source)


def test_http_of_an_agent_is_not_reached_over_the_overlay(default: tuple[Agent, Agent]) -> None:
    one, other = default
    for ip in (one.address(), NODE_TO_PODS):
        assert not reaches(other.host.namespace, ip, HTTP)


def test_http_of_an_agent_is_reached_from_pods_and_nodes(default: tuple[Agent, Agent]) -> None:
    assert [asks(default, source) for source in (None, POD)] == [True, True]


def test_http_of_an_agent_is_for_its_cluster_alone(default: tuple[Agent, Agent]) -> None:
    assert not asks(default, ELSEWHERE)


def test_http_of_an_agent_that_knows_no_cluster_is_closed_to_the_overlay_alone(
    default: tuple[Agent, Agent],
) -> None:
    one, other = default
    known = one.content.pop("cluster")
    one.change_and_wait()
    found = asks(default, ELSEWHERE), reaches(other.host.namespace, one.address(), HTTP)
    one.change_and_wait(cluster=known)
    assert found == (True, False)


def test_http_of_an_agent_is_opened_to_the_overlay_by_its_port(
    default: tuple[Agent, Agent],
) -> None:
    one, other = default
    one.change_and_wait(firewall={"allow": [{"protocol": "tcp", "ports": [HTTP]}]})
    assert reaches(other.host.namespace, one.address(), HTTP)


def start_without_rights_for_nft(agent: Agent) -> Path:
    """Start an agent whose `nft` is refused by the kernel; return the program."""
    folder = agent.directory / "bin"
    folder.mkdir()
    program = folder / "nft"
    real = shutil.which("nft")
    program.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-net_admin {real} "$@"\n')
    program.chmod(0o755)
    path = f"PATH={folder}:{os.environ['PATH']}"
    argv = (sys.executable, "-m", "ztlink", "agent", "--config", str(agent.config))
    environment = ("env", path, f"HOST_IP={agent.host.v4.ip}")
    agent.process = agent.lab.start(agent.host, *environment, *argv, log="ztlink")
    return program


def test_without_rules_no_device_carries_anything(new_lab: NewLab) -> None:
    with new_lab() as lab:
        _, (one,), _ = make_agents(lab, "one")
        program = start_without_rights_for_nft(one)
        wait_until(
            lambda: "CAP_NET_ADMIN" in str(one.health().get("networks")),
            timeout=TIMEOUT,
            what="the network has an error of its port",
        )
        assert (firewall_of(one)["status"], one.is_ready()) == ("fault", False)
        program.unlink()
        program.symlink_to(shutil.which("nft") or "")
        one.change_and_wait(firewall=WEB)
        one.wait_ready()
