"""User space at both ends, beside nodes with TAP devices, a relay of asyncio's and bare TCP.

All in one run.

Two programs of this machine, each a node in user space, on a root of their own; for the relay and
the kernel's own TCP the same two over the loopback. Every figure is the median of some fresh runs,
and those of all sides take turns. A run during which the host of a virtual machine took much of
its processors is taken again, whoever's it is. Nothing is asserted: the machine is what it is, so
compare within a row.

    python tests/bench/bench_user_space.py [--rounds 5] [--megabytes 64] [--engines portable,jit]
                                           [--measures memory,streams,ping-pongs,http,start,paths]

The CPU of a round trip says more than its milliseconds where others use the machine, too.

ZEROTIER_ONE names the original for the nodes; without it they are ours. Rows of nodes and of long
paths need root, for namespaces.
"""

import argparse
import asyncio
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.aio.overlay import Overlay
from tests.bench import user_space_long
from tests.bench.stolen import Quiet
from tests.bench.user_space_ends import (
    Far,
    Loopback,
    Over,
    Process,
    Way,
    download,
    eight_downloads,
    ping_pong,
    ping_pong_beside,
    requests,
    upload,
)
from tests.bench.user_space_kernels import HOMES, make_homes, make_image
from tests.bench.user_space_node import NodePair, node_pair
from tests.bench.user_space_server import usage
from tests.lab.ours import compiled_once

SUITE: Final = "GMAC-SIV"
CONNECTIONS: Final = 1000
TURNS: Final = 2000
"""Round trips in a run: enough that its first ones, with all caches cold, are no hundredth."""
MEASURES: Final = ("memory", "streams", "ping-pongs", "http", "start", "paths")
SIDES: Final = ("mine", "node", "relay", "kernel")
"""The columns' order."""
NAN: Final = float("nan")
_CALL: Final = """
import atexit, sys, time
from ztlink.netstack.tcp.layer import TcpLayer
connect = TcpLayer.connect
def noted(*arguments):
    print("dialled", time.monotonic(), file=sys.stderr)
    return connect(*arguments)
TcpLayer.connect = noted
unwanted = ("pyroute2", "prometheus_client")
atexit.register(lambda: print(*(m for m in unwanted if m in sys.modules), file=sys.stderr))
from ztlink.__main__ import main
main()
"""
"""`ztlink`, telling when it dials and what it has loaded that it does not need."""


Work = Callable[[Way, int], Awaitable[float]]
"""A transfer of so many bytes, which returns its seconds."""


@dataclass
class Table:
    """Rows of one engine."""

    engine: str
    node: str

    def head(self) -> None:
        """Print the names of the columns."""
        print(f"{'':<46}{'engine':>9} {'suite':<9}{'user space':>11} {'unit':<8}", end="")
        print(f"{self.node:>13}{'ratio':>7}{'relay':>10}{'ratio':>7}{'kernel':>10}{'ratio':>7}")

    def row(
        self,
        name: str,
        unit: str,
        value: float,
        node: float = NAN,
        relay: float = NAN,
        kernel: float = NAN,
    ) -> None:
        """Print a figure, and what it is times that of others."""
        print(f"{name:<46}{self.engine:>9} {SUITE:<9}{value:>11.2f} {unit:<8}", end="")
        for other, width in ((node, 13), (relay, 10), (kernel, 10)):
            if math.isnan(other):
                print(f"{'-':>{width}}{'-':>7}", end="")
            else:
                print(f"{other:>{width}.2f}{value / other:>7.2f}", end="")
        print(flush=True)


def percentile(times: list[float], share: float) -> float:
    """Return the value that so many percent stay below."""
    if not times:
        return NAN
    return sorted(times)[min(int(len(times) * share / 100), len(times) - 1)]


def median(values: list[float]) -> float:
    """Return the median; NaN of nothing."""
    return statistics.median(values) if values else NAN


def worst(rates: list[float]) -> float:
    """Return the least as a share of the median: where a scheduler has both ends share a core.

    NaN of nothing.
    """
    return min(rates, default=NAN) / median(rates)


class Bench:
    """All rows of one engine."""

    def __init__(
        self, table: Table, far: Far, ways: Mapping[str, Way], node: NodePair | None, rounds: int
    ) -> None:
        """Make it for `ways` to the far end: over the network (`mine`) and those beside it."""
        self._table = table
        self._far = far
        self._ways = ways
        self._over = ways["mine"]
        self._node = node
        self._rounds = rounds
        self._quiet = Quiet()

    def _cpu_of_both(self) -> tuple[float, float]:
        return usage()["cpu"], float(self._far.usage()["cpu"])

    def _cpu(self) -> float:
        return sum(self._cpu_of_both())

    async def memory(self) -> None:
        """Weigh idle connections, before anything else has taken memory."""
        await ping_pong(self._over, 10)
        before = usage()["rss"], self._far.usage()["rss"]
        streams = [await self._over.open("echo") for _ in range(CONNECTIONS)]
        after = usage()["rss"], self._far.usage()["rss"]
        for name, grown in zip(("ours", "theirs"), after, strict=True):
            base = before[0] if name == "ours" else before[1]
            weight = (grown - base) * 1024 / CONNECTIONS
            self._table.row(f"memory of an idle connection, {name}", "KiB", weight)
        for _, writer in streams:
            writer.transport.abort()
        await asyncio.sleep(0.5)

    async def streams(self, size: int) -> None:
        """Measure one stream each way, and eight."""
        for name, work in (("down", download), ("up", upload)):
            rates: dict[str, list[float]] = {side: [] for side in self._ways}
            spent: list[float] = []
            node: list[tuple[float, float]] = []
            for _ in range(self._rounds):
                for side, way in self._ways.items():
                    rate, cpu = await self._quiet.run(partial(self._stream, work, way, size))
                    rates[side].append(rate)
                    if way is self._over:
                        spent.append(cpu)
                node += await self._node_stream(is_down=name == "down", count=1)
            theirs = [one[0] for one in node]
            self._beside(f"1 stream {name}", "Mbit/s", rates, median(theirs))
            steady = {side: [worst(found)] for side, found in rates.items()}
            self._beside(f"1 stream {name}, worst run / median", "", steady, worst(theirs))
            cpu = median([one[1] for one in node])
            self._table.row(f"1 stream {name}, CPU of both ends", "s/GB", median(spent), cpu)
        await self._eight(size)

    async def _stream(self, work: Work, way: Way, size: int) -> tuple[float, float]:
        """Return Mbit/s, and the CPU seconds of both ends for a gigabyte."""
        before = self._cpu()
        rate = size * 8e-6 / await work(way, size)
        return rate, (self._cpu() - before) / (size / 1e9)

    async def _eight(self, size: int) -> None:
        sums: dict[str, list[float]] = {side: [] for side in self._ways}
        fairness: list[float] = []
        node: list[tuple[float, float]] = []
        for _ in range(self._rounds):
            for side, way in self._ways.items():
                times = await self._quiet.run(partial(eight_downloads, way, size // 8))
                sums[side].append(size * 8e-6 / max(times))
                if way is self._over:
                    fairness.append(min(times) / max(times))
            node += await self._node_stream(is_down=True, count=8)
        self._beside("8 streams down, sum", "Mbit/s", sums, median([one[0] for one in node]))
        self._table.row("8 streams down, slowest / fastest", "", median(fairness))

    def _beside(
        self, name: str, unit: str, sides: Mapping[str, list[float]], node: float = NAN
    ) -> None:
        medians = {side: median(found) for side, found in sides.items()}
        self._table.row(name, unit, medians["mine"], node, medians["relay"], medians["kernel"])

    async def _node_stream(self, *, is_down: bool, count: int) -> list[tuple[float, float]]:
        if self._node is None:
            return []
        stream = partial(self._node.stream, is_down=is_down, count=count)
        return [await self._quiet.run(partial(asyncio.to_thread, stream))]

    async def ping_pongs(self, size: int) -> None:
        """Measure round trips, alone and beside a stream."""
        runs: dict[str, list[list[float]]] = {side: [] for side in SIDES}
        spent: list[tuple[float, float]] = []
        for _ in range(self._rounds):
            times, both = await self._quiet.run(self._ping_pong)
            runs["mine"].append(times)
            spent.append(both)
            for side in ("relay", "kernel"):
                work = partial(ping_pong, self._ways[side], TURNS)
                runs[side].append(await self._quiet.run(work))
            if self._node is not None:
                theirs = partial(asyncio.to_thread, self._node.ping_pong, TURNS)
                runs["node"].append(await self._quiet.run(theirs))
        self._round_trips("idle", runs)
        for end, name in enumerate(("ours", "theirs")):
            cpu = median([one[end] for one in spent]) / TURNS
            self._table.row(f"ping-pong idle, CPU of a round trip, {name}", "us", cpu * 1e6)
        runs = {side: [] for side in SIDES}
        for _ in range(self._rounds):
            for side, way in self._ways.items():
                bulk = 2 * size if way is self._over else 50 * size
                work = partial(ping_pong_beside, way, bulk, 100)
                runs[side].append(await self._quiet.run(work))
        if self._node is not None:
            theirs = partial(asyncio.to_thread, self._node.ping_pong_beside, 500)
            runs["node"].append(await self._quiet.run(theirs))
        self._round_trips("during bulk", runs)

    async def _ping_pong(self) -> tuple[list[float], tuple[float, float]]:
        """Return milliseconds of round trips, and the CPU seconds of each end."""
        before = self._cpu_of_both()
        times = await ping_pong(self._over, TURNS)
        after = self._cpu_of_both()
        return times, (after[0] - before[0], after[1] - before[1])

    def _round_trips(self, when: str, runs: Mapping[str, list[list[float]]]) -> None:
        for share in (50, 99):
            values = (median([percentile(run, share) for run in runs[side]]) for side in SIDES)
            self._table.row(f"ping-pong {when}, p{share}", "ms", *values)

    async def http(self) -> None:
        """Measure requests, each over a new connection, and over those that are kept."""
        for name, keep, count in (("new connections", False, 600), ("keep-alive", True, 3000)):
            rates: dict[str, list[float]] = {side: [] for side in self._ways}
            for _ in range(self._rounds):
                for side, way in self._ways.items():
                    work = partial(requests, way, count, keep=keep)
                    rates[side].append(await self._quiet.run(work))
            self._beside(f"aiohttp requests, 50 at once, {name}", "1/s", rates)

    def resident(self) -> None:
        """Tell what is resident after all loads."""
        self._table.row("resident after all loads, ours", "MiB", usage()["rss"])
        self._table.row("resident after all loads, theirs", "MiB", self._far.usage()["rss"])
        print(f"  {self._quiet}")


async def first_byte(
    table: Table, overlay: Overlay, far: Far, network_id: str, rounds: int
) -> None:
    """Measure from `Node()` to the first byte, without and with a configuration kept."""
    networks = overlay.make_home(HOMES[2]) / "networks.d"
    times: dict[str, list[float]] = {"not kept": [], "kept": []}
    for _ in range(rounds):
        for name, found in times.items():
            if name == "not kept":
                for kept in networks.glob("*.conf"):
                    kept.unlink()
            began = time.perf_counter()
            async with overlay.node(HOMES[2], engine=table.engine) as node:
                way = Over(far, await node.join(network_id))
                await ping_pong(way, 1)
                found.append(time.perf_counter() - began)
    for name, found in times.items():
        table.row(f"Node() to first byte, configuration {name}", "s", median(found))


def call(table: Table, overlay: Overlay, far: Far, network_id: str, rounds: int) -> None:
    """Measure from a process's start until its `ztlink call` dials, and until that is heard.

    The first start compiles the modules, as an installation does, and is not counted.
    """
    home = overlay.make_home(HOMES[2])
    command = [sys.executable, "-c", _CALL, "call", "--allow-loopback", "--network", network_id]
    command += ["--home", str(home), "--planet", str(overlay.planet), f"http://{far.ip}/"]
    dialled: list[float] = []
    heard: list[float] = []
    loaded: set[str] = set()
    for number in range(rounds + 1):
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603 - ourselves
            command,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
            env=os.environ | compiled_once(),
        )
        if number == 0:
            continue
        heard.append(far.usage()["asked_at"] - began)
        words = done.stderr.split()
        dialled.append(float(words[words.index("dialled") + 1]) - began)
        loaded.update(words)
    table.row("start of `ztlink call` until it dials", "s", median(dialled))
    table.row("start of `ztlink call` until that is heard", "s", median(heard))
    unwanted = loaded & {"pyroute2", "prometheus_client"}
    print(
        f"  it loaded {' and '.join(sorted(unwanted)) or 'neither pyroute2 nor prometheus_client'}"
    )


def long_paths(table: Table, rounds: int) -> None:
    """Measure over a round trip of 50 ms."""
    if os.geteuid() != 0:
        print("no long path: namespaces need root")
        return
    for loss in (0.0, 0.01):
        found = user_space_long.rates(table.engine, loss, rounds)
        table.row(f"50 ms round trip, {loss:.0%} loss", "Mbit/s", median(found))


async def run(
    table: Table, node: NodePair | None, rounds: int, size: int, wanted: frozenset[str]
) -> None:
    """Bring up both ends and measure what is wanted."""
    with tempfile.TemporaryDirectory() as directory, Overlay(Path(directory)) as overlay:
        make_homes(overlay, table.engine)
        network_id = overlay.make_network()
        with Far(overlay, network_id, table.engine) as far:
            kernel = [str(port) for port in far.ports["kernel"].values()]
            with Process("tests.bench.user_space_relay", *kernel) as relay:
                async with overlay.node(HOMES[0], engine=table.engine) as mine:
                    assert mine.view().engine == table.engine
                    ports = far.ports["kernel"]
                    ways: dict[str, Way] = {
                        "mine": Over(far, await mine.join(network_id)),
                        "relay": Loopback({key: relay.told[str(ports[key])] for key in ports}),
                        "kernel": Loopback(ports),
                    }
                    bench = Bench(table, far, ways, node, rounds)
                    measures: dict[str, Callable[[], Awaitable[None]]] = {
                        "memory": bench.memory,
                        "streams": lambda: bench.streams(size),
                        "ping-pongs": lambda: bench.ping_pongs(size),
                        "http": bench.http,
                    }
                    for name, measure in measures.items():
                        if name in wanted:
                            await measure()
                    bench.resident()
                if "start" in wanted:
                    await first_byte(table, overlay, far, network_id, rounds)
                    await asyncio.to_thread(call, table, overlay, far, network_id, rounds)
    if "paths" in wanted:
        await asyncio.to_thread(long_paths, table, rounds)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--engines", default="portable,jit")
    parser.add_argument("--measures", default=",".join(MEASURES))
    options = parser.parse_args()
    wanted = frozenset(options.measures.split(","))
    if unknown := wanted.difference(MEASURES):
        parser.error(f"no such measures: {', '.join(sorted(unknown))}")
    engines = options.engines.split(",")
    if "jit" in engines and (obstacle := make_image()):
        print(f"no rows of engine jit: {obstacle}")
        engines.remove("jit")
    with node_pair() as node:
        for engine in engines:
            table = Table(engine, "-" if node is None else node.name)
            table.head()
            asyncio.run(run(table, node, options.rounds, options.megabytes << 20, wanted))


if __name__ == "__main__":
    main()
