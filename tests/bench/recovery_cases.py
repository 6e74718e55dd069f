"""The cases of the recovery benchmark: what happens to nodes, and how long traffic notices.

Every case builds a laboratory of its own where all nodes are of one kind, and returns its figures.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Final

from tests.lab.errors import LabError
from tests.lab.lab import Host, Lab, Router
from tests.lab.measure import device_bytes, first_answer
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode
from tests.lab.pinger import Pinger
from tests.lab.rules import OUTSIDE, Nat
from tests.lab.wait import Stopwatch, wait_until

Figures = dict[str, float]
SETTLE: Final = 5.0
"""Seconds within which an interruption has begun, if there is one."""
START_TIMEOUT: Final = 60.0
PINGS_RELAYED: Final = 10_000
"""Bytes a second, about, of a pinger's pings that pass a root: there and back, in and out."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a case is given."""

    side: Side
    workshop: Workshop
    patience: float
    """Seconds after which what does not recover is given up."""
    peers: int = 8
    """Of the node whose traffic with active peers is measured."""

    def mesh(self, lab: Lab, *, members: int = 2, **options: int | Mapping[str, Router]) -> Mesh:
        """Build a mesh of one kind, and do not start it."""
        layout = Layout(self.side, self.side, (self.side,) * members)
        routers, roots = options.get("routers"), options.get("roots", 1)
        assert not isinstance(routers, int)
        assert isinstance(roots, int)
        names = [*ascii_lowercase[:members], *(f"m{number}" for number in range(26, members))]
        return build_mesh(lab, layout, self.workshop, names=names, routers=routers, roots=roots)


def run_directly(mesh: Mesh) -> tuple[LabNode, LabNode]:
    """Start a mesh whose first members reach each other directly; return these."""
    one, other = mesh.begin_directly(timeout=START_TIMEOUT)
    time.sleep(SETTLE)  # until nothing of how they found each other goes on
    return one, other


def silent_path(lab: Lab, bench: Bench) -> Figures:
    """Block UDP between two members, and let it pass again once they are relayed."""
    mesh = bench.mesh(lab)
    one, other = run_directly(mesh)
    with Pinger(one.host, mesh.ip(other)) as pinger:
        pinger.wait_flowing()
        start = time.monotonic()
        lab.block_udp(one.host, other.host)
        left = pinger.interruption(start, settle=SETTLE, timeout=bench.patience)
        figures = {"silent direct path left": left}
        time.sleep(SETTLE)
        start = time.monotonic()
        root = mesh.root.host
        lab.unblock_udp()
        wait_until(
            lambda: _rate_through(root, seconds=0.5) < PINGS_RELAYED / 4,
            timeout=bench.patience,
            what="direct path",
        )
        figures["its return used"] = time.monotonic() - start
        time.sleep(SETTLE)
        figures["pings lost by its return"] = pinger.lost(start)
    return figures


def _rate_through(host: Host, *, seconds: float) -> float:
    """Return how many bytes a second pass a host, in and out."""
    before = sum(device_bytes(host, OUTSIDE))
    time.sleep(seconds)
    return (sum(device_bytes(host, OUTSIDE)) - before) / seconds


def dead_root(lab: Lab, bench: Bench) -> Figures:
    """Kill the one of two roots that relays."""
    mesh = bench.mesh(lab, roots=2)
    lab.block_udp(mesh.members[0].host, mesh.members[1].host)
    one, other = mesh.begin_talking(timeout=START_TIMEOUT)
    with Pinger(one.host, mesh.ip(other)) as pinger:
        pinger.wait_flowing()
        busy = max(mesh.roots, key=lambda root: _rate_through(root.host, seconds=1.0))
        start = time.monotonic()
        busy.kill()
        seconds = pinger.interruption(start, settle=SETTLE, timeout=bench.patience)
    return {"dead root replaced": seconds}


def restarted_root(lab: Lab, bench: Bench) -> Figures:
    """Kill the only root, which relays, and start it again at once."""
    mesh = bench.mesh(lab)
    lab.block_udp(mesh.members[0].host, mesh.members[1].host)
    one, other = mesh.begin_talking(timeout=START_TIMEOUT)
    with Pinger(one.host, mesh.ip(other)) as pinger:
        pinger.wait_flowing()
        mesh.root.kill()
        start = time.monotonic()
        mesh.root.launch()
        seconds = pinger.wait_resumed(start, timeout=bench.patience)
    return {"killed root serves again": seconds}


def new_address(lab: Lab, bench: Bench) -> Figures:
    """Give a member's host another IP address."""
    mesh = bench.mesh(lab)
    one, other = run_directly(mesh)
    with Pinger(one.host, mesh.ip(other)) as pinger:
        pinger.wait_flowing()
        start = time.monotonic()
        lab.renumber(one.host)
        seconds = pinger.interruption(start, settle=SETTLE, timeout=bench.patience)
    return {"own address changed": seconds}


def rebound_nat(lab: Lab, bench: Bench) -> Figures:
    """Have the box before a member forget its mappings, as seen from either side."""
    figures: Figures = {}
    router = lab.router("nat", Nat.SYMMETRIC)
    mesh = bench.mesh(lab, routers={"a": router})
    one, other = run_directly(mesh)
    for name, sender, receiver in (("inside", one, other), ("outside", other, one)):
        with Pinger(sender.host, mesh.ip(receiver)) as pinger:
            pinger.wait_flowing(bench.patience)
            time.sleep(SETTLE)
            start = time.monotonic()
            lab.rebind(router)
            seconds = pinger.interruption(start, settle=SETTLE, timeout=bench.patience)
        figures[f"NAT rebound, pings from {name}"] = seconds
    return figures


def restarted_member(lab: Lab, bench: Bench) -> Figures:
    """Kill a member and start it again, as it sees it and as the other sees it."""
    mesh = bench.mesh(lab)
    one, other = run_directly(mesh)
    own, peers = Pinger(one.host, mesh.ip(other)), Pinger(other.host, mesh.ip(one))
    with own, peers:
        own.wait_flowing()
        peers.wait_flowing()
        one.kill()
        start = time.monotonic()
        one.launch()
        return {
            "killed node talks again": own.wait_resumed(start, timeout=bench.patience),
            "restarted peer answers": peers.wait_resumed(start, timeout=bench.patience),
        }


def _start_and_join(mesh: Mesh, node: LabNode, patience: float) -> tuple[float, float, float]:
    node.prepare(mesh.planet())
    watch = Stopwatch()
    node.launch()
    wait_until(
        lambda: node.answers() and node.status()["online"] is True, timeout=patience, what="online"
    )
    online, used = watch.seconds(), node.running.cpu_seconds()
    watch = Stopwatch()
    node.join(mesh.network_id)
    node.wait_status(mesh.network_id, "OK", timeout=patience)
    return online, watch.seconds(), used


def starts(lab: Lab, bench: Bench) -> Figures:
    """Start nodes and have them join, without loss and with much of it; medians and the longest."""
    figures: Figures = {}
    mesh = bench.mesh(lab)
    mesh.begin_talking(timeout=START_TIMEOUT)
    for loss, suffix in ((0, ""), (30, ", 30 % loss")):
        times: list[tuple[float, float, float]] = []
        for number in range(5):
            host = lab.host(f"n{loss}x{number}")
            lab.lose(host, loss)
            node = bench.workshop.make(lab, host, bench.side)
            times.append(_start_and_join(mesh, node, bench.patience))
            node.kill()
        columns = zip(*times, strict=True)
        names = ("start to online", "join to OK", "CPU of a start")
        for name, values in zip(names, columns, strict=True):
            figures[f"{name}{suffix}"] = statistics.median(values)
            figures[f"{name}{suffix}, longest of 5"] = max(values)
    return figures


def idle_behind_nat(lab: Lab, bench: Bench) -> Figures:
    """Leave a member alone behind a box that forgets after 30 s, then have a stranger ping it."""
    router = lab.router("nat", Nat.CONE)
    lab.forget_after(router, 30)
    mesh = bench.mesh(lab, members=3, routers={"a": router})
    idle, _ = mesh.begin_talking(timeout=START_TIMEOUT)
    stranger = mesh.members[2]
    time.sleep(100.0)
    try:
        seconds = first_answer(stranger.host, mesh.ip(idle), timeout=bench.patience)
    except LabError:
        seconds = float("inf")
    return {"idle behind NAT, stranger's first ping": seconds}


CASES: Final[tuple[Callable[[Lab, Bench], Figures], ...]] = (
    silent_path,
    dead_root,
    restarted_root,
    new_address,
    rebound_nat,
    restarted_member,
    starts,
    idle_behind_nat,
)
