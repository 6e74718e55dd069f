"""What the test on a cluster reads out of tools, and says of its steps (ci/e2e_report)."""

import json
from typing import Any

import pytest

from ci.e2e_report import (
    Agent,
    Step,
    containers,
    foreign_state,
    is_ready,
    pairs,
    read_network,
    read_ping,
    read_samples,
    read_status,
)

A = Agent("node-1", "agent-x", "6ed9bf8e3f", "10.147.17.1", "zt0")
B = Agent("node-2", "agent-y", "ceb83aef68", "10.147.17.2", "zt0")
ANSWERED = """\
3 packets transmitted, 3 received, 0% packet loss, time 404ms
rtt min/avg/max/mdev = 1.398/2.080/3.103/0.712 ms
"""
LOST = """\
3 packets transmitted, 1 received, 66.6667% packet loss, time 404ms
rtt min/avg/max/mdev = 1.398/2.080/3.103/0.712 ms
"""
NONE = "3 packets transmitted, 0 received, 100% packet loss, time 404ms\n"
TEN = ANSWERED.replace("0% packet loss", "10% packet loss")


def network(**changes: object) -> str:
    usual = {"status": "OK", "assignedAddresses": ["10.1.0.7/16"], "portDeviceName": "zt0"}
    return json.dumps([usual | changes])


def pod(ready: str = "True", **metadata: str) -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "containerStatuses": [
            {
                "name": "agent",
                "state": {"running": {}},
                "containerID": "containerd://0123",
                "restartCount": 2,
            }
        ],
    }
    return {"metadata": metadata, "status": status}


def test_a_step_that_passed_says_what_it_found() -> None:
    assert str(Step("ping", 2.04, True, "all pairs")) == "   2.0 s  ok      ping: all pairs"


def test_a_step_that_failed_shows() -> None:
    line = str(Step("ping", 61.0, False, "no answer\nfrom node-2"))
    assert line.splitlines() == ["  61.0 s  FAILED  ping: no answer", f"{'':18}from node-2"]


def test_a_step_without_a_detail_is_a_name() -> None:
    assert str(Step("ping", 0.0, True, "")).endswith("ok      ping")


def test_a_member_has_an_address_and_a_device() -> None:
    addresses = ["fd00::1/88", "10.1.0.7/16"]
    assert read_network(network(assignedAddresses=addresses)) == ("10.1.0.7", "zt0")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        network(status="ACCESS_DENIED"),
        network(assignedAddresses=[]),
        network(assignedAddresses=["fd00::1/88"]),
        network(portDeviceName=""),
    ],
)
def test_who_has_not_both_is_no_member_yet(text: str) -> None:
    assert read_network(text) is None


def test_pairs_are_in_both_directions() -> None:
    assert pairs([A, B]) == [(A, B), (B, A)]


@pytest.mark.parametrize(
    ("output", "mean"), [(ANSWERED, 2.08), (LOST, None), (NONE, None), (TEN, None), ("", None)]
)
def test_a_ping_counts_when_every_answer_is_here(output: str, mean: float | None) -> None:
    assert read_ping(output) == mean


def test_samples_are_read_by_name_and_labels() -> None:
    page = '# HELP up It is.\n# TYPE up gauge\nup{a="b c"} 1.0\n\nup 2e3\n'
    assert read_samples(page) == {'up{a="b c"}': 1.0, "up": 2000.0}


def test_a_page_that_holds_no_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        read_samples("<html> <body>")


def test_a_status_is_read_by_field() -> None:
    status = read_status("Name:\tztlink\nCapEff:\t0000000000001000\n")
    assert status["CapEff"] == "0000000000001000"


def test_a_running_container_has_an_id() -> None:
    assert containers(pod(), "agent") == ("0123", 2)


def test_a_container_that_waits_has_none() -> None:
    waiting = pod()
    waiting["status"]["containerStatuses"][0]["state"] = {"waiting": {}}
    assert containers(waiting, "agent") == ("", 2)


def test_a_pod_that_was_just_made_has_no_containers() -> None:
    assert containers({"status": {}}, "agent") == ("", 0)


def test_a_pod_is_ready_by_its_condition() -> None:
    assert [is_ready(pod("True")), is_ready(pod("False"))] == [True, False]


def test_a_pod_about_to_end_does_not_count() -> None:
    assert not is_ready(pod(deletionTimestamp="2026-01-01T00:00:00Z"))


def test_what_a_node_has_beyond_its_own_is_told() -> None:
    links = [{"ifname": name} for name in ("lo", "eth0", "veth1234", "ztabc")]
    rules = [{"priority": 30000, "table": "1234"}]
    routes: list[dict[str, Any]] = [
        {"dst": "10.1.0.0/16", "dev": "ztabc", "flags": []},
        {"dst": "default", "dev": "eth0"},
        {"type": "broadcast", "dst": "10.1.0.0"},
    ]
    tables = {
        "nftables": [
            {"metainfo": {}},
            {"table": {"family": "ip", "name": "kube-proxy"}},
            {"table": {"family": "inet", "name": "ztlink"}},
        ]
    }
    assert foreign_state(links, rules, routes, tables) == {
        "device ztabc",
        "rule priority 30000 table 1234",
        "route dev ztabc dst 10.1.0.0/16",
        "nftables inet ztlink",
    }
