"""Steps of the test on a cluster: a network behind a node, routes to it that change while all runs.

The network is a pod's: it has addresses that no CNI knows of, and its node alone a route to them.
"""

import json
import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from ci.cluster.cluster import wait_for
from ci.cluster.errors import ClusterError, expect
from ci.deploy import CHART
from ci.e2e_bench import (
    HEALTH_PORT,
    IMAGE,
    PAGE_BYTES,
    PAGE_PORT,
    PATIENCE,
    SERVE,
    Bench,
)
from ci.e2e_report import Agent, containers, is_ready, read_ping, read_samples

SITE: Final = "site"
FIRST: Final = "10.98.2"
SECOND: Final = "10.98.3"
HOST: Final = 7  # in both
READ: Final = "zerotier_link_config_last_success_timestamp_seconds"
STREAM_PORT: Final = 8081
FIREWALL: Final[Mapping[str, Any]] = {
    "allow": [
        {"name": "ping", "protocol": "icmp"},
        {"name": "page", "protocol": "tcp", "ports": [PAGE_PORT, STREAM_PORT]},
    ],
    "forward": {"fromOverlay": "declared", "inside": [f"{FIRST}.0/24", f"{SECOND}.0/24"]},
}
GIVE_ADDRESSES: Final = f"""\
from pyroute2 import IPRoute
with IPRoute() as route:
    (index,) = route.link_lookup(ifname="lo")
    for address in ("{FIRST}.{HOST}", "{SECOND}.{HOST}"):
        route.addr("add", index=index, address=address, prefixlen=32)
"""


def site(node: str) -> dict[str, Any]:
    """Return a pod with addresses of two networks of its own, which serves a page there."""
    container = {
        "name": SITE,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", GIVE_ADDRESSES + SERVE],
        "env": [{"name": "NODE_NAME", "value": SITE}],
        "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}},
        "readinessProbe": {"tcpSocket": {"port": PAGE_PORT}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": SITE, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }


def reach_site(bench: Bench) -> str:
    """Put a network behind a node, declare a route to it by the node's IP, and use it."""
    gateway = _gateway(bench)
    _put_site(bench, gateway.node)
    route = {"target": f"{FIRST}.0/24", "via": gateway.ip}
    seconds = change(bench, {"routes": [route], "firewall": FIREWALL}, [f"{FIRST}.{HOST}"])
    for agent in _others(bench, gateway):
        page = bench.fetch(agent.node, f"http://{FIRST}.{HOST}:{PAGE_PORT}/")
        expect(page.rstrip(".") == SITE, f"{agent.node} got another page: {page[:20]!r}")
        expect(len(page) == PAGE_BYTES, f"{agent.node} got {len(page)} bytes of {PAGE_BYTES}")
    names = " and ".join(agent.node for agent in _others(bench, gateway))
    unknown = _unknown_ranges(bench, gateway.node)
    expect("services" in unknown, f"nobody has told of services, and yet not: {unknown}")
    return (
        f"{FIRST}.0/24 behind {gateway.node} via {gateway.ip}: ping from {names} {seconds:.1f} s "
        f"after `helm upgrade` began, {PAGE_BYTES >> 20} MiB each; no pod replaced\n"
        f"ranges that {gateway.node} says it does not know: {', '.join(unknown)}"
    )


def change_route(bench: Bench) -> str:
    """Change the route to another network, by the member itself: no pod takes notice."""
    gateway = _gateway(bench)
    route = {"target": f"{SECOND}.0/24", "via": gateway.address}
    seconds = change(bench, {"routes": [route]}, [f"{SECOND}.{HOST}"])
    for agent in _others(bench, gateway):
        shown = bench.cluster.on_network(agent.node, "ip", "route", "show", "proto", "91")
        expect(f"{FIRST}.0/24" not in shown, f"{agent.node} has the former route, too: {shown}")
    return (
        f"{SECOND}.0/24 by the member {gateway.address} {seconds:.1f} s after `helm upgrade` "
        f"began, {FIRST}.0/24 gone; no pod replaced"
    )


def change(bench: Bench, values: Mapping[str, Any], reached: Collection[str] = ()) -> float:
    """Upgrade to other values of agents, and wait until they are in force, without any restart.

    Returns how long it took until all agents had read them, and all nodes reach what they should.
    """
    before = _lives(bench)
    read_before = {node: _read_at(bench, node) for node in bench.cluster.nodes}
    file = bench.cluster.directory / "values.json"
    file.write_text(json.dumps({"agent": values}))
    begin = time.monotonic()
    options = ("--reuse-values", f"--values={file}")
    bench.helm_run("upgrade", bench.wish.release, str(CHART), *options)

    def is_read() -> bool:
        return all(_read_at(bench, node) > at for node, at in read_before.items())

    wait_for("agents that have read their new file", is_read, PATIENCE)
    for address in reached:
        for agent in _others(bench, _gateway(bench)):
            what = f"an answer of {address} to {agent.node}"
            wait_for(what, lambda: _answers(bench, agent.node, address), PATIENCE)  # noqa: B023
    seconds = time.monotonic() - begin
    now = _lives(bench)
    expect(now == before, f"pods were to stay as they are: {before} became {now}")
    return seconds


def _gateway(bench: Bench) -> Agent:
    return next(agent for agent in bench.agents if agent.node == bench.victim)


def _others(bench: Bench, gateway: Agent) -> list[Agent]:
    return [agent for agent in bench.agents if agent != gateway]


def _put_site(bench: Bench, node: str) -> None:
    bench.apply(site(node))

    def address() -> str:
        pod = bench.cluster.get("pod", SITE, "--namespace=default")
        return str(pod["status"].get("podIP", "")) if is_ready(pod) else ""

    wait_for(f"the pod {SITE}", lambda: bool(address()), PATIENCE)
    on, pod = bench.cluster.on_network, address()
    (way,) = json.loads(on(node, "ip", "--json", "route", "get", pod))
    for network in (FIRST, SECOND):
        through = ("via", pod, "dev", way["dev"], "onlink")
        on(node, "ip", "route", "replace", f"{network}.0/24", *through)


def _lives(bench: Bench) -> dict[str, tuple[str, int]]:
    """Return which pods agents live in, and how often these have started again."""
    return {
        node: (pod["metadata"]["uid"], containers(pod, "agent")[1])
        for node, pod in bench.pods("agent").items()
    }


def _read_at(bench: Bench, node: str) -> float:
    """Return when an agent last took its file."""
    return samples_of(bench, node)[READ]


def samples_of(bench: Bench, node: str) -> dict[str, float]:
    """Return the metrics of a node's agent."""
    url = f"http://{bench.cluster.address(node)}:{HEALTH_PORT}/zerotier/metrics"
    return read_samples(bench.fetch(node, url))


def _unknown_ranges(bench: Bench, node: str) -> list[str]:
    """Return the ranges of the cluster that an agent cannot compare routes with."""
    url = f"http://{bench.cluster.address(node)}:{HEALTH_PORT}/zerotier/health"
    conditions = json.loads(bench.fetch(node, url))["conditions"]
    ranges = [one for one in conditions if one["kind"] == "clusterRanges"]
    return [one["subject"] for one in ranges if one["status"] == "unknown"]


def _answers(bench: Bench, node: str, address: str) -> bool:
    try:
        said = bench.cluster.on_network(node, "ping", "-c", "1", "-W", "2", address)
    except ClusterError:
        return False
    return read_ping(said) is not None
