"""A node and its root, run from files as in a cluster: authorised, ready, measured, ended."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host.pods import BEHIND, GATEWAY, Pod, make_pods
from tests.lab.fixtures import NewLab, new_lab
from tests.lab.wait import wait_until

pytestmark = pytest.mark.netadmin

__all__ = ["new_lab"]

TIMEOUT = 60.0
TOKENS = ("authtoken", "metricstoken")
PATHS = (
    "",
    "status",
    "health",
    "health/live",
    "health/ready",
    "health/startup",
    "metrics",
    "manifest",
    "schema",
)


@dataclass
class Pods:
    root: Pod
    node: Pod
    network_id: str

    @property
    def address(self) -> str:
        return str(self.node.probe.json("/zerotier/health")["address"])


@pytest.fixture(scope="module")
def waiting(new_lab: NewLab) -> Iterator[Pods]:
    """A node that its controller has not let in yet."""
    with new_lab() as lab:
        pods = Pods(*make_pods(lab))
        pods.root.start()
        pods.node.start()
        wait_until(
            lambda: pods.root.probe.status("/zerotier/health/ready") == 200,
            timeout=TIMEOUT,
            what="root",
        )
        wait_until(
            lambda: "ACCESS_DENIED" in pods.node.probe.exchange("/zerotier/health/ready")[1],
            timeout=TIMEOUT,
            what="the node is refused",
        )
        yield pods


@pytest.fixture(scope="module")
def joined(waiting: Pods) -> Pods:
    """The same node after `ztlink authorize`."""
    waiting.root.command("authorize", waiting.network_id, "--all-waiting")
    wait_until(
        lambda: waiting.node.probe.status("/zerotier/health/ready") == 200,
        timeout=TIMEOUT,
        what="the node is ready",
    )
    return waiting


def test_a_node_that_is_not_let_in_is_alive_and_started_but_not_ready(waiting: Pods) -> None:
    paths = ("live", "startup", "ready")
    found = [waiting.node.probe.status(f"/zerotier/health/{path}") for path in paths]
    assert found == [200, 200, 503]


def test_what_keeps_a_node_from_being_ready_comes_with_its_remedy(waiting: Pods) -> None:
    missed = waiting.node.probe.json("/zerotier/health/ready")["conditions"]
    (refused,) = [one for one in missed if one["kind"] == "authorised"]
    assert f"ztlink authorize {waiting.network_id} {waiting.address}" in refused["remedy"]


def test_a_node_is_ready_once_it_is_authorised(joined: Pods) -> None:
    network = joined.node.probe.json("/zerotier/health")["networks"][0]
    assert (network["status"], network["required"], network["fault"]) == ("OK", True, None)


def test_the_address_that_health_tells_is_on_the_device(joined: Pods) -> None:
    network = joined.node.probe.json("/zerotier/health")["networks"][0]
    link = next(one for one in joined.node.links() if one["ifname"] == network["device"])
    assert network["addresses"][0].partition("/")[0] in [a["local"] for a in link["addr_info"]]


def test_a_running_controller_is_asked_by_its_url(joined: Pods) -> None:
    said = joined.root.command_at_api("authorize", joined.network_id, joined.address, "--dry-run")
    assert f"{joined.address}  was authorized already\n" in said


def test_metrics_tell_the_status_of_the_network(joined: Pods) -> None:
    text = joined.node.probe.exchange("/zerotier/metrics")[1]
    line = f'zerotier_link_network_status{{network_id="{joined.network_id}",status="OK"}} 1.0'
    assert line in text


def test_a_node_that_is_ready_is_well_in_every_condition(joined: Pods) -> None:
    conditions = joined.node.probe.json("/zerotier/health")["conditions"]
    assert {one["kind"]: one["status"] for one in conditions} == {
        "sockets": "ok",
        "online": "ok",
        "world": "ok",
        "clock": "ok",
        "tunDevice": "ok",
        "authorised": "ok",
        "address": "ok",
        "routes": "ok",
    }


def test_a_route_that_somebody_takes_away_is_told_by_the_routes_condition(joined: Pods) -> None:
    ip = joined.node.host.namespace.ip
    device = joined.node.probe.json("/zerotier/health")["networks"][0]["device"]
    route = (BEHIND, "via", GATEWAY, "dev", device, "metric", "5000", "proto", "90")
    ip("route", "del", *route)
    missed = joined.node.probe.json("/zerotier/health/ready")["conditions"]
    ip("route", "add", *route)
    assert [one["kind"] for one in missed] == ["routes"]


@pytest.mark.parametrize("path", ["", "status"])
def test_page_and_status_are_not_for_the_net(joined: Pods, path: str) -> None:
    status, text = joined.node.probe.exchange(f"/zerotier/{path}")
    assert (status, joined.address in text) == (403, False)


@pytest.mark.parametrize("path", ["", "status"])
def test_page_and_status_are_for_the_machine_itself(joined: Pods, path: str) -> None:
    assert joined.network_id[:10] in joined.node.here.exchange(f"/zerotier/{path}")[1]


def test_no_answer_has_a_secret(joined: Pods) -> None:
    identity = (joined.node.home / "identity.secret").read_text().strip()
    secrets = [identity.rpartition(":")[2]]
    secrets += [(joined.node.home / f"{name}.secret").read_text() for name in TOKENS]
    answers = [joined.node.here.exchange(f"/zerotier/{path}") for path in PATHS]
    assert {status for status, _ in answers} == {200}
    assert not [secret for secret in secrets for _, text in answers if secret in text]


def test_a_change_of_a_condition_is_in_the_log(joined: Pods) -> None:
    log = joined.node.process.output if joined.node.process else ""
    assert "condition=authorised subject=" in log


def test_the_controller_counts_its_members(joined: Pods) -> None:
    text = joined.root.probe.exchange("/zerotier/metrics")[1]
    line = f'zerotier_link_members{{network_id="{joined.network_id}",state="authorized"}} 1.0'
    assert line in text


def test_a_given_identity_is_not_copied_into_the_home(joined: Pods) -> None:
    assert not (joined.root.home / "identity.secret").exists()


def test_a_device_that_is_down_is_not_ready(joined: Pods) -> None:
    device = joined.node.probe.json("/zerotier/health")["networks"][0]["device"]
    joined.node.host.namespace.ip("link", "set", device, "down")
    status, text = joined.node.probe.exchange("/zerotier/health/ready")
    joined.node.host.namespace.ip("link", "set", device, "up")
    assert status == 503
    assert "is down" in text


def test_a_node_ends_within_five_seconds_and_takes_its_device_away(joined: Pods) -> None:
    device = joined.node.probe.json("/zerotier/health")["networks"][0]["device"]
    assert joined.node.process is not None
    assert joined.node.process.stop(timeout=5.0) == 0
    assert device not in [link["ifname"] for link in joined.node.links()]
