"""Measures the records of a controller with ten thousand members, ours beside the original.

    python -m tests.bench.bench_controller [--members N] [--rounds N] [--sides S]

Run from the top of the repository, as root. With ZEROTIER_ONE naming a built zerotier-one, the
original is measured in the same run, rounds interleaved, and the last column is what ours takes of
what the original takes. Medians are shown. The machine is what it is: compare columns, not tables.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.controlled import (
    NETWORK,
    TIMEOUT,
    Figures,
    Keeper,
    controller,
    sides_of,
    table,
    time_of,
)
from tests.lab.mesh import Side, Workshop
from tests.lab.node import LabNode
from tests.lab.wait import Stopwatch, wait_until

_MEGABYTE: Final = 1 << 20


def measure_rest(node: LabNode, count: int) -> Figures:
    """Make members one by one, and list them."""
    keeper = Keeper(node)
    network = json.loads(keeper.ask("POST", f"/controller/network/{node.address}______", NETWORK))
    path = f"/controller/network/{network['id']}"
    cpu, watch = node.running.cpu_seconds(), Stopwatch()
    for number in range(count):
        address = f"{0x1000000000 + 7919 * number:010x}"
        keeper.ask("POST", f"{path}/member/{address}", {"authorized": True})
    seconds = watch.seconds()
    cpu = node.running.cpu_seconds() - cpu
    figures = {
        "create by REST, ms each": seconds / count * 1000,
        "create by REST, ms CPU each": cpu / count * 1000,
        "resident after creating, MB": node.running.resident_bytes() / _MEGABYTE,
    }
    for name, where in (("list", f"{path}/member"), ("full list", f"/unstable{path}/member")):
        times = [time_of(lambda where=where: keeper.ask("GET", where)) for _ in range(5)]  # type: ignore[misc] # bound at once
        figures[f"{name}, ms"] = statistics.median(times) * 1000
    figures["resident at the peak, MB"] = _peak_bytes(node) / _MEGABYTE
    keeper.close()
    return figures


def measure_start(node: LabNode) -> Figures:
    """Stop it, start it again, and ask until it answers."""
    node.stop()
    watch = Stopwatch()
    node.launch()
    wait_until(node.answers, timeout=TIMEOUT, what="first answer", poll=0.01)
    return {
        "start to first answer, s": watch.seconds(),
        "start to first answer, s CPU": node.running.cpu_seconds(),
    }


def _peak_bytes(node: LabNode) -> int:
    for line in Path(f"/proc/{node.running.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def measure_side(side: Side, workshop: Workshop, members: int) -> Figures:
    """Measure one kind of controller."""
    with controller(side, workshop) as place:
        return measure_rest(place.node, members) | measure_start(place.node)


def main(arguments: Sequence[str]) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sides", default="ztlink,reference")
    options = parser.parse_args(arguments)
    workshop, sides = sides_of(options.sides)
    rounds: dict[Side, list[Figures]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            measured = measure_side(side, workshop, options.members)
            rounds[side].append(measured)
            sys.stderr.write(f"{side.value}: {measured}\n")
    sys.stdout.write(table(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
