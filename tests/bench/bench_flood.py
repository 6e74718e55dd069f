"""A TCP transfer between two nodes while a third host floods one of them with forged HELLOs.

    python tests/bench/bench_flood.py [--rate N] [--rounds N] [--kinds strangers,peers,keyed]

For each kind of forgery: the rate with the same flood at a port where nobody listens (what the
machine alone loses by it), the rate with the flood at the node that receives the transfer, and the
share that is kept: of the rate, and of what a second of the node's CPU carries, which does not
depend on how much of the machine others use. Beside it the node's CPU, its memory (with the process
that checks proofs of work) and its peers. With ZEROTIER_ONE also the original.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.flood import Forgery
from tests.lab.lab import Host, Lab
from tests.lab.measure import first_answer, iperf
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.process import Process
from tests.lab.wait import Stopwatch, wait_until
from tests.rights import missing_for_netadmin

NOBODY: Final = 9
_READY_TIMEOUT: Final = 60.0
_MARGIN: Final = 2.0
"""Seconds that a flood goes on around the transfer that is measured."""
_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One transfer beside one flood."""

    mbit: float
    """A second."""
    cpu: float
    """Seconds of CPU a second, used by the node that receives the transfer; no children."""
    memory: int
    peers: int


@dataclass(slots=True)
class Bench:
    """Two members that talk, and a host that does not belong."""

    mesh: Mesh
    attacker: Host
    rate: int
    seconds: float
    floods: int = 0

    @contextmanager
    def flood(self, kind: Forgery, port: int) -> Iterator[Process]:
        """Flood the second member while the block runs; it ends by itself in any case."""
        sender, target = self.mesh.members
        where = f"{target.host.v4.ip}/{port}"
        argv = [sys.executable, "-m", "tests.lab.flood", kind.value, str(target.identity.public)]
        argv += [where, "--peer", str(sender.identity.public), "--rate", str(self.rate)]
        self.floods += 1
        argv += ["--seconds", str(self.seconds + _MARGIN), "--seed", str(self.floods)]
        process = self.mesh.lab.start(self.attacker, *argv, log="flood")
        try:
            wait_until(lambda: "ready" in process.output, timeout=_READY_TIMEOUT, what="flood")
            yield process
        finally:
            process.kill()

    def transfer(self) -> Sample:
        """Send by TCP for a while."""
        sender, target = self.mesh.members
        used, watch = target.running.own_cpu_seconds(), Stopwatch()
        result = iperf(
            self.mesh.lab, sender.host, target.host, self.mesh.ip(target), seconds=self.seconds
        )
        cpu = (target.running.own_cpu_seconds() - used) / watch.seconds()
        memory = target.running.resident_bytes()
        return Sample(result.bits_per_second / 1e6, cpu, memory, len(target.peers()))

    def measure(self, kind: Forgery, rounds: int) -> str:
        """Measure one kind, a few times in turn; return a line of the table."""
        target = self.mesh.members[1]
        asides: list[Sample] = []
        hits: list[Sample] = []
        for _ in range(rounds):
            for samples, port in ((asides, NOBODY), (hits, target.port)):
                with self.flood(kind, port):
                    samples.append(self.transfer())
        aside, hit = _mean(asides), _mean(hits)
        return (
            f"{target.kind:10} {kind.value:10} {aside.mbit:9.0f} {hit.mbit:9.0f}"
            f" {100 * hit.mbit / aside.mbit:8.0f}"
            f" {100 * hit.mbit / hit.cpu / (aside.mbit / aside.cpu):8.0f}"
            f" {100 * aside.cpu:8.0f} {100 * hit.cpu:8.0f}"
            f" {(hits[-1].memory - asides[0].memory) / _MEGABYTE:+8.1f}"
            f" {asides[0].peers:6} {hits[-1].peers:6}"
        )


def _mean(samples: Sequence[Sample]) -> Sample:
    count, last = len(samples), samples[-1]
    mbit = sum(one.mbit for one in samples) / count
    return Sample(mbit, sum(one.cpu for one in samples) / count, last.memory, last.peers)


HEAD: Final = (
    f"{'node':10} {'forgeries':10} {'aside':>9} {'hit':>9} {'kept, %':>8} {'per CPU':>8}"
    f" {'CPU, %':>8} {'hit, %':>8} {'+MB':>8} {'peers':>6} {'hit':>6}"
)


def run(side: Side, workshop: Workshop, options: argparse.Namespace) -> None:
    """Measure nodes of one kind in a lab of their own."""
    with tempfile.TemporaryDirectory() as directory, Lab(Path(directory)) as lab:
        mesh = build_mesh(lab, Layout(side, side, (side, side)), workshop)
        attacker = lab.host("attacker")
        mesh.begin()
        one, other = mesh.members
        first_answer(one.host, mesh.ip(other), timeout=30)
        wait_until(lambda: one.direct_paths(other), timeout=30, what="direct path")
        bench = Bench(mesh, attacker, options.rate, options.seconds)
        bench.transfer()
        for name in options.kinds.split(","):
            print(bench.measure(Forgery(name), options.rounds), flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", default=",".join(kind.value for kind in Forgery))
    parser.add_argument("--sides", default="")
    options = parser.parse_args(arguments)
    missing = missing_for_netadmin()
    if missing:
        print(f"not measured: {missing}")
        return 0
    reference = os.environ.get("ZEROTIER_ONE")
    names = options.sides or ("ztlink,reference" if reference else "ztlink")
    workshop = Workshop(Path(reference) if reference else None)
    print(f"{options.rate} forged HELLOs a second; Mbit/s of TCP to the node that is flooded")
    print(HEAD)
    for name in names.split(","):
        run(Side(name), workshop, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
