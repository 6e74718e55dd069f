"""Measures how soon nodes and controllers are there after their start; beside them the original.

    python -m tests.bench.bench_start [--starts N]

Run from the top of the repository, with the right to make network namespaces. Where ZEROTIER_ONE
is set, it names a built zerotier-one, which is measured too and is the root of both; else ours is.
Each row is the median of N starts on one home, which was used before: until the local API gives its
first answer, and until it says that a root has answered. The machine is what it is: compare columns
of one table, not tables.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

if __name__ == "__main__":  # `make bench` runs files
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.mesh import Side, Workshop
from tests.lab.node import ONLINE_TIMEOUT, START_TIMEOUT, LabNode, Role
from tests.lab.planet import make_planet
from tests.lab.wait import Stopwatch, wait_until
from tests.rights import missing_for_netadmin

Figures = dict[str, list[float]]
ROLES: Final[tuple[Role, ...]] = ("node", "controller")
ASKED: Final[dict[Role, str]] = {"node": "/status", "controller": "/controller"}
POLL: Final = 0.005


def answers(node: LabNode, path: str) -> bool:
    """Tell whether a started node answers a request."""
    if node.running.exit_status is not None:
        raise LabError(f"{node!r}: ended:\n{node.running.output[-2000:]}")
    try:
        node.api.get(path)
    except LabError:
        return False
    return True


def start_once(node: LabNode) -> dict[str, float]:
    """Start a node, and return when it was there."""
    path = ASKED[node.role]
    watch = Stopwatch()
    node.launch()
    wait_until(lambda: answers(node, path), timeout=START_TIMEOUT, what=f"{node!r}: API", poll=POLL)
    answered = watch.seconds()
    wait_until(
        lambda: node.status()["online"] is True,
        timeout=ONLINE_TIMEOUT,
        what=f"{node!r}: online",
        poll=POLL,
    )
    online, busy = watch.seconds(), node.running.cpu_seconds()
    node.stop()
    return {
        f"{node.role}: start to first answer, s": answered,
        f"{node.role}: start to online, s": online,
        f"{node.role}: CPU until online, s": busy,
    }


def starts(node: LabNode, count: int) -> Figures:
    """Start a node time and again; the first time, which prepares its home, is not counted."""
    start_once(node)
    figures: Figures = {}
    for _ in range(count):
        for name, value in start_once(node).items():
            figures.setdefault(name, []).append(value)
    return figures


def nodes(lab: Lab, workshop: Workshop, sides: Sequence[Side]) -> Iterator[tuple[Side, LabNode]]:
    """Make the nodes to measure under a root that runs."""
    root_side = Side.REFERENCE if workshop.zerotier_one else Side.OURS
    root = workshop.make(lab, lab.host("root"), root_side, "root")
    planet = make_planet([(root.identity, root.host, root.port)])
    root.prepare(planet)
    root.start()
    for role in ROLES:
        for side in sides:
            node = workshop.make(lab, lab.host(f"{side.value[0]}{role[:4]}"), side, role)
            node.prepare(planet)
            yield side, node


def table(figures: dict[Side, Figures]) -> str:
    """Return the medians as text: a line for each figure, a column for each side."""
    names = dict.fromkeys(name for of_side in figures.values() for name in of_side)
    lines = [f"{'':40}" + "".join(f"{side.value:>12}" for side in figures)]
    for name in names:
        medians = (statistics.median(of_side[name]) for of_side in figures.values())
        lines.append(f"{name:40}" + "".join(f"{median:12.2f}" for median in medians))
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and return 1 if something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args(arguments)
    missing = missing_for_netadmin()
    if missing:
        sys.stderr.write(f"not measured: {missing}\n")
        return 0
    reference = os.environ.get("ZEROTIER_ONE")
    workshop = Workshop(Path(reference) if reference else None)
    sides = [Side.OURS, Side.REFERENCE] if reference else [Side.OURS]
    figures: dict[Side, Figures] = {side: {} for side in sides}
    try:
        with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
            for side, node in nodes(lab, workshop, sides):
                figures[side] |= starts(node, options.starts)
    except LabError as error:
        sys.stderr.write(f"not measured: {error}\n")
        return 1
    sys.stdout.write(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
