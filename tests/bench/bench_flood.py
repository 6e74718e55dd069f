"""A TCP transfer between two nodes while a third host floods one of them with forged HELLOs.

    python tests/bench/bench_flood.py [--rate N] [--rounds N] [--kinds strangers,peers,keyed]

One transfer and one flood run at the same time; the flood goes now to a port where nobody listens,
now to the node that receives the transfer, in turns of some seconds. So what the flooder takes of
the machine, what the kernel takes for its packets, and what others do meanwhile, is the same in
both, and the difference is what the node makes of the forgeries. A line says: the rate with the
flood aside and with the node hit; the share that is kept, of the rate and of what a second of the
node's CPU carries; the node's CPU and the flooder's; how many it sent a second at the least; the
node's memory (with the process that checks proofs of work) and peers. With ZEROTIER_ONE also the
original.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.flood import Forgery
from tests.lab.lab import Host, Lab
from tests.lab.measure import first_answer, iperf
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.process import Process
from tests.lab.wait import wait_until
from tests.rights import missing_for_netadmin

NOBODY: Final = 9
_READY_TIMEOUT: Final = 120.0
_SETTLE: Final = 0.5
"""Seconds of each turn that are not counted: TCP's reaction to the last one."""
_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """What was used so far, at a time."""

    time: float
    received: int
    """Bytes that the node has put on its device."""
    node: float
    """Seconds of CPU, without children."""
    flooder: float

    def since(self, earlier: "Reading") -> "Sample":
        """Return what was used between two readings."""
        seconds = self.time - earlier.time
        return Sample(
            (self.received - earlier.received) * 8 / 1e6 / seconds,
            (self.node - earlier.node) / seconds,
            (self.flooder - earlier.flooder) / seconds,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """A second of transfer and flood, by the average of a turn or of several."""

    mbit: float
    node: float
    flooder: float


@dataclass(slots=True)
class Bench:
    """Two members that talk, and a host that does not belong."""

    mesh: Mesh
    attacker: Host
    rate: int
    seconds: float
    floods: int = 0

    @contextmanager
    def flood(self, kind: Forgery, ports: Sequence[int]) -> Iterator[Process]:
        """Flood ports of the second member in turn; it ends by itself in any case."""
        sender, target = self.mesh.members
        argv = [sys.executable, "-m", "tests.lab.flood", kind.value, str(target.identity.public)]
        argv += [f"{target.host.v4.ip}/{port}" for port in ports]
        self.floods += 1
        argv += ["--peer", str(sender.identity.public), "--rate", str(self.rate)]
        argv += ["--seconds", str(self.seconds), "--seed", str(self.floods)]
        process = self.mesh.lab.start(self.attacker, *argv, log=f"flood{self.floods}")
        try:
            wait_until(lambda: "start" in process.output, timeout=_READY_TIMEOUT, what="flood")
            yield process
        finally:
            process.kill()

    def measure(self, kind: Forgery, rounds: int) -> str:
        """Measure one kind in turns; return a line of the table."""
        target = self.mesh.members[1]
        memory, peers = target.running.resident_bytes(), len(target.peers())
        with self.flood(kind, (NOBODY, target.port) * rounds) as flooder:
            start = float(flooder.output.split("start ")[1].split()[0])
            with ThreadPoolExecutor(1) as pool:
                transfer = pool.submit(self._transfer, start + 2 * rounds * self.seconds)
                turns = [self._turn(flooder, start, number) for number in range(2 * rounds)]
                transfer.result()
            flooder.wait(_READY_TIMEOUT)
            sent = [int(count) for count in re.findall(r"sent (\d+)", flooder.output)]
        aside, hit = _mean(turns[0::2]), _mean(turns[1::2])
        return (
            f"{target.kind:10} {kind.value:10} {aside.mbit:9.0f} {hit.mbit:9.0f}"
            f" {100 * hit.mbit / aside.mbit:8.0f}"
            f" {100 * hit.mbit / hit.node / (aside.mbit / aside.node):8.0f}"
            f" {100 * aside.node:8.0f} {100 * hit.node:8.0f} {100 * hit.flooder:8.0f}"
            f" {min(sent) / self.seconds:7.0f}"
            f" {(target.running.resident_bytes() - memory) / _MEGABYTE:+8.1f}"
            f" {peers:6} {len(target.peers()):6}"
        )

    def _transfer(self, end: float) -> None:
        sender, target = self.mesh.members
        seconds = end - time.monotonic() + 1.0
        iperf(self.mesh.lab, sender.host, target.host, self.mesh.ip(target), seconds=seconds)

    def _turn(self, flooder: Process, start: float, number: int) -> Sample:
        begin = start + number * self.seconds
        _sleep_until(begin + _SETTLE)
        before = self._read(flooder)
        _sleep_until(begin + self.seconds)
        return self._read(flooder).since(before)

    def _read(self, flooder: Process) -> Reading:
        node = self.mesh.members[1].running
        used = node.own_cpu_seconds()
        return Reading(time.monotonic(), delivered(node.pid), used, flooder.own_cpu_seconds())


def delivered(pid: int) -> int:
    """Return how many bytes came out of the devices of virtual networks, where a process lives."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    devices = (line.split(":") for line in lines)
    return sum(int(count.split()[0]) for name, count in devices if name.strip().startswith("zt"))


def _sleep_until(mono: float) -> None:
    time.sleep(max(mono - time.monotonic(), 0.0))


def _mean(samples: Sequence[Sample]) -> Sample:
    count = len(samples)
    return Sample(
        sum(one.mbit for one in samples) / count,
        sum(one.node for one in samples) / count,
        sum(one.flooder for one in samples) / count,
    )


HEAD: Final = (
    f"{'node':10} {'forgeries':10} {'aside':>9} {'hit':>9} {'kept, %':>8} {'per CPU':>8}"
    f" {'CPU, %':>8} {'hit, %':>8} {'flood, %':>8} {'sent/s':>7} {'+MB':>8} {'peers':>6} {'hit':>6}"
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
        for name in options.kinds.split(","):
            print(bench.measure(Forgery(name), options.rounds), flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
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
    print(
        f"{options.rate} forged HELLOs a second; Mbit/s of TCP to the node that is flooded;", end=""
    )
    print(f" {options.rounds} turns of {options.seconds:g} s each; load {os.getloadavg()[0]:.1f}")
    print(HEAD)
    for name in names.split(","):
        run(Side(name), workshop, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
