"""The steps of the test on a cluster: each does one thing, and returns what is worth to be told.

A step that does not find what it wants raises; they are taken in the order of `STEPS`.
"""

import json
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from ci import deploy, e2e_removal, e2e_routes, e2e_transfer
from ci.cluster.cluster import Cluster, wait_for
from ci.cluster.errors import ClusterError, expect
from ci.e2e_bench import (
    HEALTH_PORT,
    PAGE_BYTES,
    PAGE_PORT,
    PATIENCE,
    Bench,
    pages,
)
from ci.e2e_report import containers, pairs, read_samples, read_status

NET_ADMIN: Final = 1 << 12


def bring_up(cluster: Cluster, image: Path) -> str:
    """Start the cluster and import the images, side by side."""
    begin = time.monotonic()
    cluster.begin()
    cluster.load_image(image)
    loaded = time.monotonic() - begin
    cluster.wait_ready()
    version = json.loads(cluster.kubectl("get", "--raw", "/version"))["gitVersion"]
    size = image.stat().st_size / 1e6
    nodes = f"{len(cluster.nodes)} nodes Ready on {cluster.kind}"
    each = f"image of {size:.0f} MB on each after {loaded:.0f} s"
    return f"Kubernetes {version}, {nodes}; {each}"


def serve_pages(bench: Bench) -> str:
    """Have every node serve a page: the cluster runs pods."""
    bench.apply(pages())
    bench.wait_rolled_out("daemonset/page", "--namespace=default")
    return f"on port {PAGE_PORT} of each node"


def install(bench: Bench) -> str:
    """Install the chart as `make deploy` does."""
    bench.before = {node: bench.node_state(node) for node in bench.cluster.nodes}
    bench.installed_at = time.monotonic()
    deploy.install(bench.command, bench.wish, bench.helm)
    return f"root and controller on {bench.wish.controller_node}, an agent on each node"


def authorize(bench: Bench) -> str:
    """Let the agents in as `make authorize-nodes` does, once they run."""
    bench.wait_rolled_out(f"statefulset/{bench.wish.fullname}-controller")

    def all_answer() -> bool:
        try:
            return len(deploy.agent_addresses(bench.command, bench.wish)[0]) == len(
                bench.cluster.nodes
            )
        except (deploy.DeployError, ClusterError):  # no pod yet, or one that is about to start
            return False

    wait_for("answers of all agents", all_answer, PATIENCE)
    return deploy.authorize(bench.command, bench.wish).strip()


def become_ready(bench: Bench) -> str:
    """Wait for the agents: ready is who has its network, address and device."""
    agents = bench.wait_agents()
    return "\n".join(f"{a.node}: {a.address} has {a.ip} on {a.device}" for a in agents)


def ping(bench: Bench) -> str:
    """Ping between all pairs over the overlay."""
    times = bench.ping_all(bench.agents)
    since = time.monotonic() - bench.installed_at
    return f"all pairs, {since:.1f} s after `helm install` began; {_range(times)}"


def _range(times: Collection[float]) -> str:
    return f"round trips of {min(times):.1f} to {max(times):.1f} ms"


def fetch_pages(bench: Bench) -> str:
    """Fetch from every node the page of every other, by its address in the overlay."""
    begin = time.monotonic()
    for one, other in pairs(bench.agents):
        page = bench.fetch(one.node, f"http://{other.ip}:{PAGE_PORT}/")
        whose = page.rstrip(".")
        expect(whose == other.node, f"{one.node} got the page of {whose!r} from {other.ip}")
        expect(len(page) == PAGE_BYTES, f"{one.node} got {len(page)} bytes of {PAGE_BYTES}")
    each = (time.monotonic() - begin) / len(pairs(bench.agents))
    return f"{PAGE_BYTES >> 20} MiB between all pairs, {each:.1f} s each"


def scrape(bench: Bench) -> str:
    """Read metrics of every agent, at its node's address."""
    counts = []
    for agent in bench.agents:
        host = bench.cluster.address(agent.node)
        # From another node: this is how a Prometheus in the cluster comes.
        other = next(node for node in bench.cluster.nodes if node != agent.node)
        url = f"http://{host}:{HEALTH_PORT}/zerotier/metrics"
        samples = read_samples(bench.fetch(other, url))
        mine = [name for name in samples if agent.address in name]
        expect(bool(mine), f"{url} does not name {agent.address}")
        counts.append(f"{agent.node} {len(samples)}")
    return f"samples: {', '.join(counts)}"


def look_at_mesh(bench: Bench) -> str:
    """Ask who sees whom, as `make mesh-status` does; it fails where something is wrong."""
    options = ["--namespace", bench.wish.namespace, "--release", bench.wish.release]
    return bench.command([sys.executable, "-m", "ztlink", "mesh-status", *options]).strip()


def look_at_rights(bench: Bench) -> str:
    """Look at what an agent may: one capability, no new ones, no writing outside of its state."""
    pod = bench.agents[0].pod
    script = (
        "import errno, os, sys\n"
        "print(open('/proc/1/status').read())\n"
        "try: os.mkdir('/opt/here')\n"
        "except OSError as error: print(f'Root:\\t{errno.errorcode[error.errno]}')\n"
    )
    words = ["exec", pod, "--container=agent", "--", "python3", "-c", script]
    status = read_status(bench.kubectl(*words))
    for name in ("CapEff", "CapPrm", "CapBnd"):
        expect(int(status[name], 16) == NET_ADMIN, f"{name} is {status[name]}")
    expect(status["NoNewPrivs"] == "1", "it may gain rights")
    expect(status["Seccomp"] == "2", "no seccomp filter")
    expect(status.get("Root") == "EROFS", f"/ is not read-only: {status.get('Root')}")
    return f"CapEff {status['CapEff']}, NoNewPrivs 1, seccomp, / is read-only"


def kill_agent(bench: Bench) -> str:
    """Kill an agent as a crash would; its pod comes back as the same member, and the mesh heals."""
    before = {agent.node: agent for agent in bench.agents}
    container, restarts = containers(bench.pods("agent")[bench.victim], "agent")
    kill = ("ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container)
    bench.cluster.inside(bench.victim, *kill)
    begin = time.monotonic()

    def is_back() -> bool:
        again, count = containers(bench.pods("agent")[bench.victim], "agent")
        return count > restarts and again not in ("", container)

    wait_for(f"the agent of {bench.victim} again", is_back, PATIENCE)
    back = time.monotonic() - begin
    bench.wait_agents()
    bench.expect_same(before)
    bench.ping_all(bench.agents)
    healed = time.monotonic() - begin
    return f"{bench.victim}: runs again after {back:.1f} s, all pairs after {healed:.1f} s"


def power_off(bench: Bench) -> str:
    """Cut a node's power; the others keep their mesh."""
    begin = time.monotonic()
    bench.cluster.stop_node(bench.unplugged)
    bench.cluster.wait_node(bench.unplugged, "Unknown")
    noticed = time.monotonic() - begin
    rest = [agent for agent in bench.agents if agent.node != bench.unplugged]
    times = bench.ping_all(rest)
    return f"{bench.unplugged} is NotReady after {noticed:.1f} s; the others: {_range(times)}"


def power_on(bench: Bench) -> str:
    """Switch it on again; it comes back as the same member."""
    before = {agent.node: agent for agent in bench.agents}
    begin = time.monotonic()
    bench.cluster.start_node(bench.unplugged)
    bench.cluster.wait_node(bench.unplugged)
    ready = time.monotonic() - begin
    bench.wait_agents()
    bench.expect_same(before)
    bench.ping_all(bench.agents)
    healed = time.monotonic() - begin
    return f"{bench.unplugged}: Ready after {ready:.1f} s, all pairs after {healed:.1f} s"


def helm_test(bench: Bench) -> str:
    """Run the chart's own test."""
    said = bench.helm_run("test", bench.wish.release, "--timeout=180s")
    phases = [line.strip() for line in said.splitlines() if line.startswith("Phase:")]
    expect(phases == ["Phase:          Succeeded"], f"helm test says: {phases}")
    return "passed"


STEPS: Final[tuple[tuple[str, Callable[[Bench], str], bool], ...]] = (
    ("pods", serve_pages, False),
    ("helm install", install, False),
    ("authorise", authorize, False),
    ("agents ready", become_ready, False),
    ("ping", ping, False),
    ("pages", fetch_pages, False),
    ("metrics", scrape, False),
    ("mesh status", look_at_mesh, False),
    ("rights", look_at_rights, False),
    ("agent killed", kill_agent, False),
    ("power off", power_off, False),
    ("power on", power_on, False),
    ("declared route", e2e_routes.reach_site, False),
    ("route changed", e2e_routes.change_route, False),
    ("helm test", helm_test, False),
    ("helm upgrade", e2e_transfer.helm_upgrade, False),
    ("node left out", e2e_removal.leave_out, True),
    ("helm uninstall", e2e_removal.helm_uninstall, True),
)
"""Names, what they do, and whether the release is gone afterwards."""
