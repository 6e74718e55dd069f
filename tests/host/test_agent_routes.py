"""Agents with declared routes: networks behind members, told by the file that an agent follows."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.host.agents import Agent, make_agents
from tests.host.pods import Pod
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.namespace import run
from tests.lab.wait import wait_until

pytestmark = pytest.mark.netadmin

__all__ = ["new_lab"]

PROTOCOL = ("proto", "91")
BEHIND = "10.20.0.0/16"
HOST_BEHIND = "10.20.0.1"
PATIENCE = 30.0
AT_ONCE = 10.0
"""Seconds; without news, an agent looks every 30."""
COMMAND = f"{sys.executable} -m ztlink cleanup"
LISTINGS = (
    ("address",),
    ("-4", "route", "show", "table", "all"),
    ("-6", "route", "show", "table", "all"),
    ("-4", "rule"),
    ("-6", "rule"),
)


class Pair:
    """Two agents under one root; behind the other there is a network."""

    def __init__(self, root: Pod, one: Agent, other: Agent, network_id: str) -> None:
        self.root = root
        self.network_id = network_id
        self.one = one
        self.other = other
        wait_until(lambda: "tentative" not in listing(one), timeout=PATIENCE, what="addresses")
        self.before = listing(one)
        for agent in (one, other):
            agent.start()
        for agent in (one, other):
            agent.wait_ready()
        other.host.namespace.ip("address", "add", f"{HOST_BEHIND}/16", "dev", "lo")

    def declare(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of a route
        """Return a route to the network behind the other, as the file has it."""
        return {"target": BEHIND, "via": self.member(), **fields}

    def member(self) -> str:
        return str(self.other.probe.json("/zerotier/health")["address"])


def listing(agent: Agent) -> str:
    """Return all that is told of a host's addresses, routes, rules and firewall."""
    told = [agent.host.namespace.ip(*what) for what in LISTINGS]
    return "\n".join((*told, agent.host.namespace.run("nft", "list", "ruleset")))


def routes(agent: Agent) -> str:
    """Return the routes that an agent has declared."""
    return agent.host.namespace.ip("route", "show", "table", "all", *PROTOCOL)


def conditions(agent: Agent, kind: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = agent.health()["conditions"]
    return [one for one in told if one["kind"] == kind]


def declared_routes(agent: Agent) -> list[str]:
    """Return how declared routes are; those of one network alone are the managed ones."""
    return [one["status"] for one in conditions(agent, "routes") if not one["subject"]]


def pings(agent: Agent) -> bool:
    """Tell whether a host in the network behind the other answers."""
    said = agent.host.namespace.run("ping", "-c1", "-W1", HOST_BEHIND, check=False)
    return " 0% packet loss" in said


@pytest.fixture(scope="module")
def pair(new_lab: NewLab) -> Iterator[Pair]:
    with new_lab() as lab:
        root, (one, other), network_id = make_agents(lab, "one", "other")
        yield Pair(root, one, other, network_id)


def test_a_network_behind_a_member_is_reached_by_its_address(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare()])
    wait_until(lambda: pings(pair.one), timeout=PATIENCE, what="the network behind answers")
    assert declared_routes(pair.one) == ["ok"]


def test_a_network_behind_a_member_is_reached_by_its_ip(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare(via=pair.other.address())])
    wait_until(lambda: pings(pair.one), timeout=PATIENCE, what="the network behind answers")
    assert f"via {pair.other.address()}" in routes(pair.one)


def test_the_member_itself_skips_the_route(pair: Pair) -> None:
    pair.other.change_and_wait(routes=[pair.declare()])
    assert routes(pair.other) == ""
    assert declared_routes(pair.other) == ["ok"]


def test_a_route_through_nobody_waits_and_says_so(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare(via="89e92ceee5")])
    wait_until(lambda: routes(pair.one) == "", timeout=PATIENCE, what="the former route is gone")
    (told,) = conditions(pair.one, "route")
    assert told["status"] == "waiting"
    assert "89e92ceee5" in told["cause"]


def test_a_route_to_the_pods_is_refused_in_health_and_log(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare()], cluster={"podCidrs": ["10.16.0.0/12"]})
    (told,) = conditions(pair.one, "route")
    assert told["status"] == "fault"
    assert "the range of pods 10.16.0.0/12 (cluster.podCidrs)" in told["cause"]
    assert "allowOverlap" in told["remedy"]
    assert "state=refused" in pair.one.log
    pair.one.change_and_wait(cluster={})


def test_what_others_take_away_is_back_at_once(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare()])
    wait_until(lambda: BEHIND in routes(pair.one), timeout=PATIENCE, what="the route is there")
    pair.one.host.namespace.ip("route", "del", BEHIND)
    assert BEHIND in wait_until(lambda: routes(pair.one), timeout=AT_ONCE, what="it is back")


def test_a_node_that_is_shut_out_keeps_its_routes_and_says_why_nothing_passes(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare()])
    wait_until(lambda: pings(pair.one), timeout=PATIENCE, what="the network behind answers")
    before, address = listing(pair.one), str(pair.one.health()["address"])
    pair.root.command("member", "deauthorize", pair.network_id, address)
    (told,) = wait_until(lambda: conditions(pair.one, "route"), timeout=AT_ONCE, what="it is told")
    assert (told["status"], "ACCESS_DENIED: not authorised" in told["cause"]) == ("fault", True)
    assert listing(pair.one) == before
    assert not pings(pair.one)
    assert pair.one.metric('routes{state="cut_off"}') == 1
    pair.root.command("member", "authorize", pair.network_id, address)
    wait_until(lambda: pings(pair.one), timeout=PATIENCE, what="the network behind answers")
    wait_until(lambda: declared_routes(pair.one) == ["ok"], timeout=AT_ONCE, what="all is well")


def test_leaving_a_network_is_no_failure_of_its_routes(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare()])
    wait_until(lambda: BEHIND in routes(pair.one), timeout=PATIENCE, what="the route is there")
    read = len(pair.one.log)
    pair.one.command("leave", pair.network_id)
    wait_until(lambda: "state=waiting" in pair.one.log[read:], timeout=PATIENCE, what="it waits")
    assert "state=failed" not in pair.one.log[read:]
    pair.one.command("join", pair.network_id)
    wait_until(lambda: pings(pair.one), timeout=PATIENCE, what="the network behind answers")


def test_routes_stay_when_the_agent_is_killed_and_are_adopted(pair: Pair) -> None:
    pair.one.change_and_wait(routes=[pair.declare()], routing={"table": 300})
    wait_until(lambda: BEHIND in routes(pair.one), timeout=PATIENCE, what="the route is there")
    before = routes(pair.one)
    assert pair.one.process is not None
    pair.one.process.kill()
    assert routes(pair.one).replace(" linkdown", "") == before
    pair.one.start()
    pair.one.wait_ready()
    assert routes(pair.one) == before
    assert pings(pair.one)


def test_a_cleanup_waits_for_the_agent_to_end(pair: Pair) -> None:
    said = run(*pair.one.host.namespace.entry, "sh", "-c", f"{COMMAND} 2>&1; true")
    assert "an agent is running" in said
    assert BEHIND in routes(pair.one)


def test_after_a_kill_a_cleanup_leaves_what_was_there_before(pair: Pair) -> None:
    assert pair.one.process is not None
    pair.one.process.kill()
    assert listing(pair.one) != pair.before
    pair.one.host.namespace.run(*COMMAND.split())
    assert listing(pair.one) == pair.before
