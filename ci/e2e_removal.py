"""Steps of the test on a cluster: what is left on a node left out, and when the release is gone."""

import re
import time
from collections import Counter
from typing import Final

from ci.cluster.cluster import wait_for
from ci.cluster.errors import ClusterError, expect
from ci.deploy import CHART, CHART_NAME
from ci.e2e_bench import IMAGE, PATIENCE, STATE, Bench

STATE_NAMES: Final = frozenset({"identity.secret", "identity.public"})
MESHED: Final = "meshed"
"""A label of the nodes that have an agent."""
FOLLOWED: Final = "agents that take everything away when they end: "
"""How the Job of the removal begins its report."""


def leave_out(bench: Bench) -> str:
    """Upgrade so that a node has no agent any more, and clean it as the chart's README says."""
    out, device = bench.agents[-1].node, bench.agents[-1].device
    for node in bench.cluster.nodes:
        if node != out:
            bench.kubectl("label", "node", node, f"{MESHED}=yes")
    options = ("--reuse-values", f"--set=agent.nodeSelector.{MESHED}=yes")
    bench.helm_run("upgrade", bench.wish.release, str(CHART), *options)
    bench.wait_rolled_out(f"daemonset/{bench.wish.fullname}")
    wait_for(f"no agent on {out}", lambda: out not in bench.pods("agent"), PATIENCE)
    left = bench.node_state(out) - bench.before[out]
    expect(f"device {device}" in left, f"{out} has lost {device} without anybody's doing: {left}")
    said = clean(bench, out)
    rest = bench.node_state(out) - bench.before[out]
    expect(not rest, f"{out} has still: {', '.join(sorted(rest))}")
    bench.agents = [agent for agent in bench.agents if agent.node != out]
    return f"{out} had {len(left)} things left; `ztlink cleanup` in a pod: {said}"


def clean(bench: Bench, node: str) -> str:
    """Take everything of ours off a node without an agent; return what the command says."""
    words = ("debug", f"node/{node}", "--profile=sysadmin", f"--image={IMAGE}")
    said = bench.kubectl(*words, "--", "ztlink", "cleanup")
    named = re.search(r"node-debugger-\S+", said)
    if named is None:
        raise ClusterError(f"kubectl debug names no pod: {said.strip()}")
    pod = named[0]

    def phase() -> str:
        found = bench.cluster.get("pod", pod, f"--namespace={bench.wish.namespace}")
        return str(found["status"].get("phase", ""))

    wait_for(f"the end of {pod}", lambda: phase() in ("Succeeded", "Failed"), PATIENCE)
    told = bench.kubectl("logs", pod).strip()
    expect(phase() == "Succeeded", f"{pod} failed: {told}")
    bench.kubectl("delete", "pod", pod)
    return "; ".join(told.splitlines())


def helm_uninstall(bench: Bench) -> str:
    """Uninstall and look at what is left on each node: its state, and nothing in its network."""
    begin = time.monotonic()
    cascade = ("--wait", "--cascade=foreground", "--timeout=200s")
    words = [bench.helm, "uninstall", bench.wish.release, "--namespace", bench.wish.namespace]
    # What a Job says, Helm writes beside what it says itself.
    said = bench.command(["sh", "-c", 'exec "$@" 2>&1', "sh", *words, *cascade])
    wait_for("the end of the agents", lambda: not bench.pods("agent"), PATIENCE)
    seconds = time.monotonic() - begin
    followed = next((line for line in said.splitlines() if line.startswith(FOLLOWED)), "")
    names = sorted(agent.node for agent in bench.agents)
    expect(
        followed.removeprefix(FOLLOWED) == ", ".join(names), f"not all of {names} follow: {said}"
    )
    told = [f"pods gone after {seconds:.1f} s; {followed}"]
    left = []
    for node in bench.cluster.nodes:
        rest = sorted(bench.node_state(node) - bench.before[node])
        left += [f"{node}: {what}" for what in rest]
        files = bench.state_files(node)
        kept = {file.rpartition("/")[2] for file in files}
        expect(kept >= STATE_NAMES, f"{node}: the identity is gone; there is {files}")
        count = Counter(file.partition("/")[0] for file in files)
        state = ", ".join(f"{STATE}/{name} ({number} files)" for name, number in count.items())
        told.append(f"{node}: {', '.join(rest) or 'network clean'}; kept: {state}")
    expect(not left, f"left behind: {'; '.join(left)}")
    return "\n".join([*told, f"kept in the cluster: {', '.join(_objects(bench))}"])


def _objects(bench: Bench) -> list[str]:
    """Return what is left in the cluster; no account and no right may be."""
    mine: list[str] = []
    for kinds in ("secrets,configmaps", "serviceaccounts,roles,rolebindings,jobs,networkpolicies"):
        names = bench.kubectl("get", kinds, "--output=name").split()
        mine = [*mine, *(name for name in names if CHART_NAME in name)]
    kept = [name for name in mine if name.startswith(("secret/", "configmap/"))]
    expect(mine == kept, f"left in the cluster: {', '.join(set(mine) - set(kept))}")
    return kept
