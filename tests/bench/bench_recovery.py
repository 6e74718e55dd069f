"""Measures how soon nodes recover, ours and, where ZEROTIER_ONE is set, the original's beside them.

    python -m tests.bench.bench_recovery [--rounds N] [--only NAME] [--patience S] [--jobs N]
        [--peers N]

Run from the top of the repository, with the right to make network namespaces. In every case all
nodes are of one kind: a restarted root is a matter of the root, too. Seconds unless a line says
otherwise; medians of the rounds. The last column is the original's figure divided by ours. The
machine is what it is: compare columns of one table, not tables.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

if __name__ == "__main__":  # `make bench` runs files
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.recovery_cases import CASES, Bench, Figures
from tests.bench.recovery_traffic import SIMULATED_PEERS, active_peers, idle, simulated
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.mesh import Side, Workshop
from tests.rights import missing_for_netadmin

Samples = dict[Side, dict[str, list[float]]]
ALL: Final = (*CASES, idle, active_peers)


def measure(name: str, bench: Bench) -> tuple[Figures, str | None]:
    """Run one case; return its figures, and what failed.

    A case that did not come about is tried once more: with two roots the original may not find its
    controller for minutes.
    """
    figures, failure = _measure(name, bench)
    return (figures, failure) if failure is None else _measure(name, bench)


def _measure(name: str, bench: Bench) -> tuple[Figures, str | None]:
    """Run one case in a lab of its own."""
    case = next(case for case in ALL if case.__name__ == name)
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        try:
            figures = case(lab, bench)
        except LabError as error:
            return {}, f"{bench.side.value}: {name}: {error}"
    sys.stderr.writelines(f"{bench.side.value}: {name}: {figures[name]:.2f}\n" for name in figures)
    return figures, None


def table(samples: Samples) -> str:
    """Return the medians as text: a line for each figure, a column for each side, the ratio."""
    names = dict.fromkeys(name for figures in samples.values() for name in figures)
    width = max((len(name) for name in names), default=0) + 2
    head = "".join(f"{side.value:>12}" for side in samples)
    lines = [f"{'':{width}}{head}{'times':>9}"]
    for name in names:
        medians = [
            statistics.median(figures[name]) if name in figures else float("nan")
            for figures in samples.values()
        ]
        cells = "".join(f"{median:12.2f}" for median in medians)
        ratio = medians[-1] / medians[0] if len(medians) > 1 and medians[0] else float("nan")
        lines.append(f"{name:{width}}{cells}{ratio:9.1f}")
    return "\n".join(lines).replace("nan", "  -") + "\n"


def collect(
    benches: Iterable[Bench], names: Sequence[str], rounds: int, jobs: int
) -> tuple[Samples, list[str]]:
    """Run the cases, the sides of each case one after the other; return figures and failures."""
    samples: Samples = {bench.side: {} for bench in benches}
    failures: list[str] = []
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = [
            (bench.side, pool.submit(measure, name, bench))
            for _ in range(rounds)
            for name in names
            for bench in benches
        ]
        for side, future in running:
            figures, failure = future.result()
            for name, value in figures.items():
                samples[side].setdefault(name, []).append(value)
            failures += [failure] if failure else []
    return samples, failures


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and return 1 if something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--patience", type=float, default=600.0)
    parser.add_argument(
        "--jobs", type=int, default=1, help="cases at a time; most of it is waiting"
    )
    parser.add_argument(
        "--peers", type=int, default=8, help="active peers; 50 want 8 GB and some minutes"
    )
    options = parser.parse_args(arguments)
    missing = missing_for_netadmin()
    if missing:
        sys.stderr.write(f"not measured: {missing}\n")
        return 0
    reference = os.environ.get("ZEROTIER_ONE")
    workshop = Workshop(Path(reference) if reference else None)
    sides = [Side.OURS, Side.REFERENCE] if reference else [Side.OURS]
    benches = [Bench(side, workshop, options.patience, options.peers) for side in sides]
    names = [case.__name__ for case in ALL if options.only in case.__name__]
    samples, failures = collect(benches, names, options.rounds, options.jobs)
    if options.only in "active_peers":
        for peers in (0, SIMULATED_PEERS):
            name = f"bytes a minute, {peers} active peers, simulated"
            samples[Side.OURS][name] = [simulated(peers)]
    sys.stdout.write(table(samples))
    sys.stderr.writelines(f"not measured: {failure}\n" for failure in failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
