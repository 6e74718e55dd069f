"""A running agent follows its file; one that is wrong changes nothing."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.agents import TIMEOUT, Agent, make_agents
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.wait import wait_until
from tests.unit.config.mistakes import MISTAKES, Mistake

pytestmark = pytest.mark.netadmin

__all__ = ["new_lab"]

ADHOC = "ff00000100ffff00"
"""A network that needs no controller."""
BAD = MISTAKES[::10]


@pytest.fixture(scope="module")
def agent(new_lab: NewLab) -> Iterator[Agent]:
    with new_lab() as lab:
        _, (made,), _ = make_agents(lab, "one")
        made.change(log={"level": "DEBUG", "format": "json"})
        made.start()
        made.wait_ready()
        yield made


def pid(agent: Agent) -> int:
    assert agent.process is not None
    assert agent.process.exit_status is None, agent.log
    return agent.process.pid


def joined(agent: Agent) -> set[str]:
    networks = agent.health()["networks"]
    return {str(network["id"]) for network in networks}


def test_the_configuration_is_well_at_the_start(agent: Agent) -> None:
    assert (agent.condition()["status"], agent.metric("config_current")) == ("ok", 1)


def test_networks_are_joined_and_left_while_it_runs(agent: Agent) -> None:
    before, networks = pid(agent), agent.content["networks"]
    wanted = {"id": ADHOC, "required": False, "interfaceName": "adhoc0"}
    agent.change_and_wait(networks=[*networks, wanted])
    wait_until(lambda: "adhoc0" in names(agent), timeout=TIMEOUT, what="the device is made")
    assert ADHOC in joined(agent)
    agent.change_and_wait(networks=networks)
    wait_until(lambda: "adhoc0" not in names(agent), timeout=TIMEOUT, what="the device is gone")
    assert ADHOC not in joined(agent)
    assert pid(agent) == before
    agent.wait_ready()


def names(agent: Agent) -> set[str]:
    return {str(link["ifname"]) for link in agent.links()}


def test_what_a_network_may_do_is_changed_while_it_runs(agent: Agent) -> None:
    (network,) = agent.content["networks"]
    address = agent.address()
    agent.change_and_wait(networks=[{**network, "allowManaged": False}])
    wait_until(lambda: address not in addresses(agent), timeout=TIMEOUT, what="no address")
    agent.change_and_wait(networks=[network])
    agent.wait_ready()
    assert address in addresses(agent)


def addresses(agent: Agent) -> set[str]:
    return {one["local"] for link in agent.links() for one in link["addr_info"]}


def test_a_network_is_required_or_not_from_one_file_to_the_next(agent: Agent) -> None:
    (network,) = agent.content["networks"]
    agent.change_and_wait(networks=[{**network, "required": False}])
    assert agent.health()["networks"][0]["required"] is False
    agent.change_and_wait(networks=[network])
    assert agent.health()["networks"][0]["required"] is True


def test_the_level_of_the_log_is_changed_while_it_runs(agent: Agent) -> None:
    before = agent.log.count("was read again")
    agent.change_and_wait(log={"level": "WARNING", "format": "json"})
    agent.change_and_wait(log={"level": "INFO", "format": "json"})
    assert agent.log.count("was read again") == before + 1


def test_health_moves_to_another_port_while_it_runs(agent: Agent) -> None:
    former = agent.probe
    agent.change(http={"port": 9999})
    agent.move(9999)
    wait_until(
        lambda: agent.probe.status("/zerotier/health/live") == 200, timeout=TIMEOUT, what="9999"
    )
    assert former.status("/zerotier/health/live") == 0
    agent.change(http={})
    agent.move(9994)
    agent.wait_ready()


def test_health_is_on_the_loopback_beside_all_addresses_of_ipv6(agent: Agent) -> None:
    agent.change(http={"address": "::"})
    wait_until(
        lambda: agent.probe.status("/zerotier/health/live") == 0, timeout=TIMEOUT, what="it moves"
    )
    wait_until(
        lambda: agent.here.status("/zerotier/status") == 200, timeout=TIMEOUT, what="it is there"
    )
    agent.change(http={})
    agent.wait_ready()
    assert agent.condition()["status"] == "ok"


def test_a_port_that_others_have_leaves_health_where_it_was(agent: Agent) -> None:
    ip = str(agent.host.v4.ip)
    program = f"import socket, time; s = socket.create_server(('{ip}', 9998)); time.sleep(60)"
    squatter = agent.lab.start(agent.host, "python3", "-c", program, log="squatter")
    wait_until(
        lambda: "9998" in agent.host.namespace.run("ss", "-Hltn"), timeout=TIMEOUT, what="it holds"
    )
    networks = agent.content["networks"]
    agent.change(http={"port": 9998}, networks=[*networks, {"id": ADHOC, "required": False}])
    wait_until(lambda: is_refused(agent), timeout=TIMEOUT, what="it is told")
    assert "choose another http.port" in str(agent.condition()["cause"])
    assert ADHOC in joined(agent)
    squatter.kill()
    agent.change_and_wait(http={}, networks=networks)
    wait_until(lambda: ADHOC not in joined(agent), timeout=TIMEOUT, what="it is left again")


def is_refused(agent: Agent) -> bool:
    return bool(agent.condition()["status"] == "fault")


@pytest.mark.parametrize("key", ["port", "home", "engine"])
def test_what_a_node_has_for_life_waits_for_the_next_start(agent: Agent, key: str) -> None:
    before, former = pid(agent), agent.content.get(key)
    agent.change(**{key: {"port": 19993, "home": "/elsewhere", "engine": "plain"}[key]})
    wait_until(lambda: is_refused(agent), timeout=TIMEOUT, what="it is told")
    told = agent.condition()
    assert (str(told["cause"]).partition(":")[0], told["required"]) == (key, False)
    assert "restart the agent" in str(told["remedy"])
    assert (pid(agent), agent.is_ready()) == (before, True)
    if former is None:
        del agent.content[key]
        agent.change_and_wait()
    else:
        agent.change_and_wait(**{key: former})
    assert not is_refused(agent)


@pytest.mark.parametrize("mistake", BAD, ids=lambda mistake: mistake.name)
def test_a_file_with_mistakes_stops_nothing_and_is_told(agent: Agent, mistake: Mistake) -> None:
    before, failures = pid(agent), agent.reloads("failure")
    agent.mount.put(mistake.text)
    wait_until(lambda: agent.reloads("failure") > failures, timeout=TIMEOUT, what="a failure")
    told = agent.condition()
    assert told["status"] == "fault"
    assert mistake.key in str(told["cause"])
    assert mistake.remedy in str(told["cause"])
    assert agent.metric("config_current") == 0
    assert "is not in force, the former one is" in agent.log
    assert (pid(agent), agent.is_ready()) == (before, True)
    agent.change_and_wait()
    assert not is_refused(agent)


def test_every_line_of_the_log_is_json_with_what_its_message_names(agent: Agent) -> None:
    told = [json.loads(line) for line in agent.log.splitlines()]
    assert all({"event", "level", "logger", "timestamp"} <= one.keys() for one in told)
    assert any("device" in one and one["network"] for one in told)


def test_no_secret_is_in_the_log_or_in_an_answer(agent: Agent) -> None:
    secrets = [
        (agent.home / "identity.secret").read_text().strip().rpartition(":")[2],
        (agent.home / "authtoken.secret").read_text().strip(),
        (agent.home / "metricstoken.secret").read_text().strip(),
    ]
    assert all(len(secret) >= 24 for secret in secrets)
    shown = [agent.log, *(agent.probe.exchange(f"/zerotier/{one}")[1] for one in ANSWERS)]
    assert [secret[:4] for secret in secrets for text in shown if secret in text] == []


ANSWERS = ("health", "health/live", "health/ready", "health/startup", "metrics")


def test_a_file_that_is_written_all_the_time_is_read(agent: Agent) -> None:
    before = agent.reloads("success")
    is_over = threading.Event()
    writer = threading.Thread(target=lambda: touch_until(is_over, agent.config))
    writer.start()
    try:
        agent.change(metrics={"perPeer": True})
        assert wait_until(
            lambda: agent.reloads("success") > before, timeout=TIMEOUT, what="it is read"
        )
    finally:
        is_over.set()
        writer.join()
        agent.change_and_wait(metrics={})


def touch_until(is_over: threading.Event, file: Path) -> None:
    while not is_over.wait(0.03):
        file.touch()
