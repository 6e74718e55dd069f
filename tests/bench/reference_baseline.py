"""Measures members of one kind beside those of the other, on this machine and in one run.

    python -m tests.bench.reference_baseline [--sides reference,ztlink] [--rounds N] [--seconds S]

Run from the top of the repository, with ZEROTIER_ONE naming a built zerotier-one. Root and
controller are the reference in every round, so that only the members differ; rounds of the kinds
are interleaved, and the table shows medians. The machine is what it is: compare columns of one
table, not tables.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.measure import device_bytes, first_answer, iperf, ping
from tests.lab.mesh import NETWORK, Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode
from tests.lab.planet import make_planet
from tests.lab.rules import OUTSIDE, Nat
from tests.lab.wait import Stopwatch, wait_until

Figures = dict[str, float]
_REFERENCE: Final = Side.REFERENCE
_SECOND_SUBNET: Final = {
    "routes": [{"target": "10.78.0.0/24"}],
    "ipAssignmentPools": [{"ipRangeStart": "10.78.0.10", "ipRangeEnd": "10.78.0.200"}],
}
_IDLE_SECONDS: Final = 5.0
_SETTLING: Final = 4.0
"""Seconds in which members that just met still check each other's proof of work."""
_TIMEOUT: Final = 60.0
_MEGABYTE: Final = 1 << 20


def measure_joining(mesh: Mesh) -> Figures:
    """Start one member that is to join at once, and join the other while it runs."""
    one, other = mesh.members
    planet = make_planet([(mesh.root.identity, mesh.root.host, mesh.root.port)])
    for node in (mesh.root, mesh.controller, one, other):
        node.prepare(planet)
    mesh.root.start()
    mesh.controller.start()
    mesh.controller.wait_online()
    mesh.create_network(NETWORK)

    networks = one.home / "networks.d"
    networks.mkdir()
    (networks / f"{mesh.network_id}.conf").write_text("\n")  # joined, and nothing known of it
    watch = Stopwatch()
    one.start()
    one.wait_status(mesh.network_id, "OK")
    start_to_ok = watch.seconds()

    watch = Stopwatch()
    other.start()
    other.wait_online()
    start_to_online = watch.seconds()
    watch = Stopwatch()
    other.join(mesh.network_id)
    mesh.wait_configured(other)
    join_to_ok = watch.seconds()
    first_ping = first_answer(other.host, mesh.ip(one), timeout=_TIMEOUT)
    return {
        "start to online, s": start_to_online,
        "start to OK, s": start_to_ok,
        "join while running, s": join_to_ok,
        "first ping, s": first_ping,
    }


def measure_first_ping(mesh: Mesh) -> Figures:
    """Let both join another network at once, and ping as soon as both are configured."""
    mesh.create_network({**NETWORK, **_SECOND_SUBNET})
    mesh.join_all()
    one, other = mesh.members
    first = first_answer(one.host, mesh.ip(other), timeout=_TIMEOUT)
    return {"first ping, both just joined, s": first}


def measure_idle(mesh: Mesh) -> Figures:
    """Let the members rest, then ping slowly."""
    one, other = mesh.members
    time.sleep(_SETTLING)
    before = one.running.cpu_seconds()
    watch = Stopwatch()
    pings = ping(one.host, mesh.ip(other), count=int(_IDLE_SECONDS * 10), interval=0.1)
    used = (one.running.cpu_seconds() - before) / watch.seconds()
    return {
        "ping idle, ms": pings.average,
        "ping idle, longest, ms": pings.longest,
        "CPU at 10 pings/s, %": used * 100,
        "resident memory, MB": one.running.resident_bytes() / _MEGABYTE,
    }


def measure_tcp(mesh: Mesh, seconds: float) -> Figures:
    """Run TCP both ways, and pings beside it."""
    figures: Figures = {}
    one, other = mesh.members
    for name, sender, receiver in (("there", one, other), ("back", other, one)):
        busy = (sender.running, receiver.running)
        before = [process.cpu_seconds() for process in busy]
        wire = sum(device_bytes(sender.host, OUTSIDE))
        with ThreadPoolExecutor(max_workers=1) as pool:
            count = int(seconds * 5)
            pings = pool.submit(
                ping, sender.host, mesh.ip(receiver), count=count, interval=0.15, wait=2
            )
            result = iperf(mesh.lab, sender.host, receiver.host, mesh.ip(receiver), seconds=seconds)
            loaded = pings.result()
        used = [process.cpu_seconds() - first for process, first in zip(busy, before, strict=True)]
        gigabytes = result.size / 1e9
        figures[f"TCP {name}, Mbit/s"] = result.bits_per_second / 1e6
        figures[f"CPU sending {name}, s/GB"] = used[0] / gigabytes
        figures[f"CPU receiving {name}, s/GB"] = used[1] / gigabytes
        figures[f"ping under load {name}, ms"] = loaded.average
        on_wire = sum(device_bytes(sender.host, OUTSIDE)) - wire
        figures[f"wire overhead {name}, %"] = (on_wire / result.size - 1) * 100
    return figures


def measure_members(lab: Lab, side: Side, workshop: Workshop, seconds: float) -> Figures:
    """Measure two members of one kind that see each other."""
    mesh = build_mesh(lab, Layout(_REFERENCE, _REFERENCE, (side, side)), workshop)
    figures = measure_joining(mesh) | measure_idle(mesh) | measure_tcp(mesh, seconds)
    return figures | measure_first_ping(mesh)


def measure_nats(lab: Lab, side: Side, workshop: Workshop, _seconds: float) -> Figures:
    """Measure how two members behind cone NATs get from the relay to each other."""
    routers = {"a": lab.router("nata", Nat.CONE), "b": lab.router("natb", Nat.CONE)}
    layout = Layout(_REFERENCE, _REFERENCE, (side, side))
    mesh = build_mesh(lab, layout, workshop, routers=routers)
    first = _run(mesh)
    watch = Stopwatch()
    one, other = mesh.members
    wait_until(lambda: _both_direct(one, other), timeout=_TIMEOUT, what="direct path")
    pings = ping(one.host, mesh.ip(other), count=50, interval=0.05)
    return {
        "NATs: first ping, s": first,
        "NATs: then direct, s": watch.seconds(),
        "NATs: ping direct, ms": pings.average,
    }


def measure_relay(lab: Lab, side: Side, workshop: Workshop, seconds: float) -> Figures:
    """Measure two members that have only the root between them."""
    mesh = build_mesh(lab, Layout(_REFERENCE, _REFERENCE, (side, side)), workshop)
    one, other = mesh.members
    lab.block_udp(one.host, other.host)
    first = _run(mesh)
    pings = ping(one.host, mesh.ip(other), count=50, interval=0.05)
    result = iperf(lab, one.host, other.host, mesh.ip(other), seconds=seconds)
    return {
        "relayed: first ping, s": first,
        "relayed: ping, ms": pings.average,
        "relayed: TCP, Mbit/s": result.bits_per_second / 1e6,
    }


def _run(mesh: Mesh) -> float:
    mesh.begin()
    one, other = mesh.members
    return first_answer(one.host, mesh.ip(other), timeout=_TIMEOUT)


def _both_direct(one: LabNode, other: LabNode) -> bool:
    return bool(one.direct_paths(other)) and bool(other.direct_paths(one))


_PARTS: Final[Sequence[Callable[[Lab, Side, Workshop, float], Figures]]] = (
    measure_members,
    measure_nats,
    measure_relay,
)


def measure_side(side: Side, workshop: Workshop, seconds: float) -> tuple[Figures, list[str]]:
    """Run every part in a lab of its own; return the figures and what failed."""
    figures: Figures = {}
    failures: list[str] = []
    for part in _PARTS:
        with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
            try:
                figures |= part(lab, side, workshop, seconds)
            except LabError as error:
                failures.append(f"{side.value}: {part.__name__}: {error}")
    return figures, failures


def table(rounds: Mapping[Side, Sequence[Figures]]) -> str:
    """Return the medians as text, a line for each figure and a column for each side."""
    names = list(dict.fromkeys(name for sides in rounds.values() for one in sides for name in one))
    lines = [f"{'':32}" + "".join(f"{side.value:>12}" for side in rounds)]
    for name in names:
        cells = []
        for sides in rounds.values():
            values = [one[name] for one in sides if name in one]
            cells.append(f"{statistics.median(values):12.2f}" if values else f"{'-':>12}")
        lines.append(f"{name:32}" + "".join(cells))
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and return 1 if something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sides", default="reference,ztlink")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args(arguments)
    reference = os.environ.get("ZEROTIER_ONE")
    if not reference:
        parser.error("ZEROTIER_ONE does not name a built zerotier-one")
    workshop = Workshop(Path(reference))
    sides = [Side(name) for name in options.sides.split(",")]
    rounds: dict[Side, list[Figures]] = {side: [] for side in sides}
    failures: list[str] = []
    for _ in range(options.rounds):
        for side in sides:
            figures, failed = measure_side(side, workshop, options.seconds)
            rounds[side].append(figures)
            failures += failed
    sys.stdout.write(table(rounds))
    sys.stderr.writelines(f"not measured: {failure}\n" for failure in failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
