"""An agent that ends and comes again: what it kept carries on, what it removed is gone."""

import json
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import transfer
from tests.host.agents import Agent, make_agents
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.process import Process
from tests.lab.wait import wait_until
from tests.scale import scaled

pytestmark = pytest.mark.netadmin

__all__ = ["new_lab"]

SIZE = 4_000_000
RATE = 1_000_000.0
LONGEST_PAUSE = 60.0
"""Seconds; two or three on a machine that has little else to do."""
KILLS = scaled(100)
LONGEST_LIFE = 2.0
"""Seconds: an agent that has little else to do is ready after one."""
PROGRAM = str(Path(transfer.__file__))


@pytest.fixture(scope="module")
def pair(new_lab: NewLab) -> Iterator[tuple[Agent, Agent]]:
    """Two agents that are ready, under one root."""
    with new_lab() as lab:
        _, (one, other), _ = make_agents(lab, "one", "other")
        for agent in (one, other):
            agent.start()
        for agent in (one, other):
            agent.wait_ready()
        yield one, other


def begin_transfer(sender: Agent, receiver: Agent) -> tuple[Process, Process]:
    """Send from one to the other through the overlay."""
    where = (receiver.address(), "5001", str(SIZE))
    receiving = receiver.lab.start(
        receiver.host, sys.executable, PROGRAM, "receive", *where, log="receive"
    )
    wait_until(
        lambda: "5001" in receiver.host.namespace.run("ss", "-Hltn"), timeout=10, what="a listener"
    )
    sending = sender.lab.start(
        sender.host, sys.executable, PROGRAM, "send", *where, str(RATE), log="send"
    )
    return sending, receiving


def gap_of(agent: Agent) -> str:
    """Return for how long its device had no process, where it tells."""
    text = agent.probe.exchange("/zerotier/metrics")[1]
    told = [line for line in text.splitlines() if line.startswith("zerotier_link_handover_gap")]
    return f"of which {float(told[0].split()[1]):.2f} s without a process" if told else ""


def received(agent: Agent) -> int:
    """Return how many bytes the kernel has counted on an agent's device."""
    (link,) = json.loads(agent.host.namespace.ip("-json", "-s", "link", "show", agent.device()))
    return int(link["stats64"]["rx"]["bytes"])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_transfer_goes_on_across_a_restart_of_the_agent_at_one_end(
    pair: tuple[Agent, Agent], end: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = pair
    before = received(other)
    sending, receiving = begin_transfer(one, other)
    wait_until(lambda: received(other) > before + SIZE // 4, timeout=30, what="a quarter of it")
    assert one.process is not None
    one.process.signal(end)
    one.process.wait(10)
    one.start()
    assert receiving.wait(120) == 0, receiving.output
    assert sending.wait(10) == 0, sending.output
    told = json.loads(receiving.output)
    with capsys.disabled():
        print(f"\n{end.name}: longest pause of the transfer {told['pause']:.2f} s", gap_of(one))
    assert (told["bytes"], told["digest"]) == (SIZE, transfer.digest(SIZE))
    assert told["pause"] < LONGEST_PAUSE


def test_the_gap_between_two_processes_is_a_metric(pair: tuple[Agent, Agent]) -> None:
    one, _ = pair
    assert one.process is not None
    assert one.process.stop() == 0
    one.start()
    one.wait_ready()
    assert 0 < one.metric("handover_gap_seconds") < LONGEST_PAUSE


def test_an_agent_that_starts_before_the_last_has_ended_waits_for_it(
    pair: tuple[Agent, Agent],
) -> None:
    one, _ = pair
    one.wait_ready()
    former = one.process
    assert former is not None
    successor = one.start()
    time.sleep(1.0)
    assert (former.exit_status, successor.exit_status) == (None, None)
    assert former.stop() == 0
    one.wait_ready()
    assert successor.exit_status is None


def test_an_agent_that_is_killed_at_any_moment_has_all_that_it_had(
    pair: tuple[Agent, Agent],
) -> None:
    one, _ = pair
    one.wait_ready()
    before = seen(one)
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    for _ in range(KILLS):
        assert one.process is not None
        one.process.kill()
        one.start()
        time.sleep(moments.uniform(0.0, LONGEST_LIFE))
    one.wait_ready()
    assert seen(one) == before


def seen(agent: Agent) -> list[object]:
    """Return what is on a machine: devices, addresses, routes of ours."""
    run = agent.host.namespace.ip
    return [
        sorted((link["ifname"], link["ifindex"], link["mtu"]) for link in agent.links()),
        sorted(one["local"] for link in agent.links() for one in link["addr_info"]),
        run("route", "show", "proto", "90"),
        run("-6", "route", "show", "proto", "90"),
    ]


def test_an_agent_that_keeps_leaves_device_addresses_and_routes(pair: tuple[Agent, Agent]) -> None:
    one, _ = pair
    one.wait_ready()
    name = one.device()
    run = one.host.namespace.ip
    look = (("-o", "address", "show", name), ("route", "show", "dev", name))
    before = [run(*what).replace("linkdown ", "") for what in look]
    assert one.process is not None
    assert one.process.stop() == 0
    after = [run(*what).replace("linkdown ", "") for what in look]
    one.start()
    one.wait_ready()
    assert before == after


def test_a_device_is_taken_over_before_http_is_served(pair: tuple[Agent, Agent]) -> None:
    one, _ = pair
    one.wait_ready()
    assert one.process is not None
    assert one.process.stop() == 0
    one.start()
    one.wait_ready()
    adopted, serving = one.log.index("adopted=True"), one.log.index("is running")
    assert adopted < serving


def test_a_network_that_is_named_no_more_while_nobody_runs_loses_its_device(
    pair: tuple[Agent, Agent],
) -> None:
    one, _ = pair
    one.wait_ready()
    name, networks = one.device(), one.content["networks"]
    assert one.process is not None
    assert one.process.stop() == 0
    one.change(networks=[])
    one.start()
    wait_until(one.is_ready, timeout=30, what="ready without networks")
    wait_until(
        lambda: name not in [link["ifname"] for link in one.links()], timeout=10, what="it is gone"
    )
    one.change(networks=networks)
    wait_until(lambda: bool(one.health()["networks"]), timeout=10, what="it is named again")
    one.wait_ready()


def test_an_agent_leaves_nothing_once_its_health_says_so(pair: tuple[Agent, Agent]) -> None:
    one, _ = pair
    one.wait_ready()
    name = one.device()
    assert one.health()["onStop"] == "keep"
    one.change(onStop="remove")
    wait_until(lambda: one.health()["onStop"] == "remove", timeout=20, what="it follows")
    assert one.process is not None
    assert one.process.stop() == 0
    assert name not in [link["ifname"] for link in one.links()]
