"""The chart on a cluster, as the steps of the test use it: pods, agents, traffic between nodes."""

import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ci.cluster.cluster import Cluster, wait_for
from ci.cluster.errors import ClusterError, expect
from ci.cluster.network import run
from ci.deploy import CHART, CHART_NAME, Wish
from ci.e2e_report import Agent, foreign_state, is_ready, pairs, read_network, read_ping

TOP: Final = Path(__file__).parents[1]
IMAGE: Final = "localhost/zerotier-k8s-link:dev"
STATE: Final = "/var/lib/zerotier-k8s-link"
HEALTH_PORT: Final = 9994
PAGE_PORT: Final = 8080
PAGE_BYTES: Final = 1 << 20  # far more than a packet: a path that drops large ones shows
PATIENCE: Final = 240.0
WORDS: Final = 40  # lines of each thing that may tell why a step failed
FETCH: Final = """\
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
"""
SERVE: Final = f"""\
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["NODE_NAME"].encode().ljust({PAGE_BYTES}, b".")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", {PAGE_PORT}), Page).serve_forever()
"""


def pages() -> dict[str, Any]:
    """Return a pod for every node that serves a page with the node's name, on all its addresses."""
    name = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    container = {
        "name": "page",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SERVE],
        "env": [name],
        "readinessProbe": {"tcpSocket": {"port": PAGE_PORT}, "periodSeconds": 1},
    }
    labels = {"app": "page"}
    spec = {
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "page", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


class Bench:
    """A cluster, with the release on it."""

    def __init__(self, cluster: Cluster, helm: str) -> None:
        self.cluster: Final = cluster
        self.helm: Final = helm
        values = str(CHART / "ci" / "embedded-values.yaml")
        self.wish: Final = Wish(controller_node=cluster.nodes[0], image=IMAGE, values=values)
        self.victim: Final = cluster.nodes[1]
        """The node whose agent is killed."""
        self.unplugged: Final = cluster.nodes[2]
        """The node whose power is cut."""
        self.agents: list[Agent] = []
        """Who they were when last asked."""
        self.before: dict[str, frozenset[str]] = {}
        """What each node's network had before the release, see `node_state`."""
        self.installed_at = 0.0
        """By the monotonic clock."""

    # -- commands of the operator

    def command(self, words: list[str], timeout: float = PATIENCE) -> str:
        """Run a command as an operator would: kubectl and helm find the cluster."""
        environment = self.cluster.environment(str(Path(self.helm).parent))
        assigned = [f"{name}={environment[name]}" for name in ("HOME", "KUBECONFIG", "PATH")]
        unset = [f"--unset={name}" for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")]
        line = ["env", *unset, *assigned, *words]
        return run(*self.cluster.outside(*line), timeout=timeout)

    def helm_run(self, *words: str, timeout: float = PATIENCE) -> str:
        """Run helm on the release's namespace."""
        return self.command([self.helm, *words, "--namespace", self.wish.namespace], timeout)

    def kubectl(self, *words: str, timeout: float = PATIENCE) -> str:
        """Run kubectl on the release's namespace."""
        return self.cluster.kubectl("--namespace", self.wish.namespace, *words, timeout=timeout)

    def wait_rolled_out(self, what: str, *options: str) -> None:
        """Wait until Kubernetes counts all pods of a set as new and ready."""
        limit = f"--timeout={PATIENCE:.0f}s"
        self.kubectl("rollout", "status", what, limit, *options, timeout=PATIENCE + 10)

    def apply(self, manifest: dict[str, Any]) -> None:
        """Put an object on the cluster, in the namespace that it names."""
        file = self.cluster.directory / "manifest.json"
        file.write_text(json.dumps(manifest))
        self.cluster.kubectl("apply", f"--filename={file}")

    # -- pods

    def pods(self, component: str) -> dict[str, dict[str, Any]]:
        """Return the release's pods of a component, by node."""
        labels = {"name": CHART_NAME, "instance": self.wish.release, "component": component}
        selector = ",".join(f"app.kubernetes.io/{key}={value}" for key, value in labels.items())
        space = f"--namespace={self.wish.namespace}"
        items = self.cluster.get("pods", space, f"--selector={selector}")["items"]
        return {pod["spec"].get("nodeName", ""): pod for pod in items}

    def wait_agents(self, seconds: float = PATIENCE) -> list[Agent]:
        """Wait until there is a ready agent on each node, and ask who they are."""
        wanted = set(self.cluster.nodes)

        def all_ready() -> bool:
            ready = {node for node, pod in self.pods("agent").items() if is_ready(pod)}
            return wanted <= ready

        wait_for(f"ready agents on {', '.join(sorted(wanted))}", all_ready, seconds)
        found = self.pods("agent")
        self.agents = [self._ask(node, found[node]) for node in sorted(wanted)]
        return self.agents

    def expect_same(self, before: Mapping[str, Agent]) -> None:
        """Raise ClusterError unless agents are the members that they were."""
        for agent in self.agents:
            old = before[agent.node]
            is_same = (agent.address, agent.ip) == (old.address, old.ip)
            was = f"{agent.node} was {old.address} {old.ip}, is {agent.address} {agent.ip}"
            expect(is_same, was)

    def _ask(self, node: str, pod: dict[str, Any]) -> Agent:
        name = pod["metadata"]["name"]
        status = json.loads(self.in_agent(name, "status", "--json"))
        network = read_network(self.in_agent(name, "networks", "--json"))
        if network is None:
            raise ClusterError(f"{name} is ready, but `ztlink networks` shows no address")
        return Agent(node, name, status["address"], *network)

    def in_agent(self, pod: str, *words: str) -> str:
        """Run ztlink in an agent's pod."""
        return self.kubectl("exec", pod, "--container=agent", "--", "ztlink", *words)

    # -- traffic

    def ping(self, one: Agent, other: Agent, count: int = 3) -> float | None:
        """Return the mean round trip in milliseconds; None where an answer is missing."""
        words = ("ping", "-c", str(count), "-i", "0.2", "-W", "2", other.ip)
        try:
            return read_ping(self.cluster.on_network(one.node, *words))
        except ClusterError:  # ping's exit status tells of losses, too
            return None

    def ping_all(self, agents: list[Agent], seconds: float = PATIENCE) -> list[float]:
        """Wait until everybody answers everybody; return the round trips in milliseconds."""
        found: list[float] = []
        deadline = time.monotonic() + seconds
        missing = pairs(agents)
        while missing:
            with ThreadPoolExecutor(len(missing)) as pool:
                times = list(pool.map(lambda pair: self.ping(*pair), missing))
            found += [mean for mean in times if mean is not None]
            missing = [pair for pair, mean in zip(missing, times, strict=True) if mean is None]
            if missing and time.monotonic() > deadline:
                silent = ", ".join(f"{a.node} to {b.node} ({b.ip})" for a, b in missing)
                raise ClusterError(f"no ping after {seconds:.0f} s: {silent}")
        return found

    def fetch(self, node: str, url: str) -> str:
        """Fetch a page from a node's network."""
        return self.cluster.on_network(node, sys.executable, "-c", FETCH, url)

    def node_state(self, node: str) -> frozenset[str]:
        """Describe devices, rules, routes and firewall of a node that are not its own."""
        ip = ("ip", "--json")
        on = self.cluster.on_network
        return foreign_state(
            json.loads(on(node, *ip, "link")),
            [*json.loads(on(node, *ip, "rule")), *json.loads(on(node, *ip, "-6", "rule"))],
            json.loads(on(node, *ip, "route", "show", "table", "all")),
            json.loads(on(node, "nft", "--json", "list", "tables")),
        )

    def state_files(self, node: str) -> list[str]:
        """Return the files that the release keeps on a node's disk."""
        found = self.cluster.inside(node, "find", STATE, "-type", "f", "-printf", "%P\\n")
        return sorted(found.splitlines())

    # -- diagnosis

    def words(self) -> str:
        """Return what helps to see why a step failed."""
        everywhere = ("--all-namespaces", "--output=wide")
        commands = [
            ("get", "nodes", "--output=wide"),
            ("get", "pods", *everywhere),
            ("get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"),
        ]
        for component in ("controller", "agent", "bootstrap", "uninstall"):
            label = f"--selector=app.kubernetes.io/component={component}"
            commands.append(("logs", label, "--tail=15", "--prefix", "--all-containers"))
        said = []
        for command in commands:
            with suppress(ClusterError):
                said += self.kubectl(*command).splitlines()[-WORDS:]
        return "\n".join(said)
