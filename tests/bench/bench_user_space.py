"""User space at both ends beside asyncio over the kernel's own loopback, in one run.

Two processes of this machine, each a node in user space, on a root of their own. Every figure is
taken for the overlay and for bare asyncio in turn; medians, and nothing is asserted.

    python tests/bench/bench_user_space.py [--rounds 5] [--megabytes 64]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.aio.overlay import Overlay
from tests.bench.user_space_server import CHUNK, usage
from ztlink.aio.network import Network
from ztlink.proxy.relay import Stream

Open = Callable[[str], Awaitable[Stream]]
OVERLAY: Final = "overlay"
KERNEL: Final = "kernel"


class Far:
    """The process at the far end."""

    def __init__(self, overlay: Overlay, network_id: str) -> None:
        arguments = (str(overlay.make_home(2)), str(overlay.planet), network_id)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.bench.user_space_server", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._read()
        self.ip: str = told["ip"]
        self.ports: dict[str, dict[str, int]] = told["ports"]

    def _read(self) -> Any:  # noqa: ANN401 - it is JSON
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def usage(self) -> Any:  # noqa: ANN401 - it is JSON
        """Return the CPU seconds and the resident memory of that process."""
        assert self._process.stdin is not None
        self._process.stdin.write("usage\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Bench:
    """One side's way to the far end: over the overlay, or over the kernel's loopback."""

    def __init__(self, far: Far, network: Network, side: str) -> None:
        self.far = far
        self.side = side
        self._network = network
        self._host = far.ip if side == OVERLAY else "127.0.0.1"

    async def open(self, what: str) -> Stream:
        port = self.far.ports[self.side][what]
        if self.side == OVERLAY:
            return await self._network.open_connection(self._host, port, limit=1 << 20)
        return Stream(*await asyncio.open_connection(self._host, port, limit=1 << 20))

    async def download(self, size: int) -> float:
        """Return the seconds that so many bytes take to come."""
        reader, writer = await self.open("source")
        began = time.perf_counter()
        writer.write(b"%d\n" % size)
        while size > 0:
            size -= len(await reader.read(1 << 20))
        writer.close()
        return time.perf_counter() - began

    async def upload(self, size: int) -> float:
        """Return the seconds that so many bytes take to go, all of them taken."""
        reader, writer = await self.open("sink")
        began = time.perf_counter()
        for _ in range(size // len(CHUNK)):
            writer.write(CHUNK)
            await writer.drain()
        writer.write_eof()
        assert int(await reader.readline()) == size // len(CHUNK) * len(CHUNK)
        writer.close()
        return time.perf_counter() - began

    async def ping_pong(self, count: int) -> list[float]:
        """Return milliseconds of round trips of one byte."""
        reader, writer = await self.open("echo")
        times = []
        for _ in range(count):
            began = time.perf_counter()
            writer.write(b"x")
            await reader.readexactly(1)
            times.append((time.perf_counter() - began) * 1000)
        writer.close()
        return times

    async def requests(self, count: int, *, keep: bool) -> float:
        """Return requests per second, fifty at once."""
        url = f"http://{self._host}:{self.far.ports[self.side]['http']}/"
        connector = (
            self._network.connector(limit=50, force_close=not keep)
            if self.side == OVERLAY
            else aiohttp.TCPConnector(limit=50, force_close=not keep)
        )
        left = count

        async def ask(session: aiohttp.ClientSession) -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with session.get(url) as response:
                    await response.read()

        async with aiohttp.ClientSession(connector=connector) as session:
            began = time.perf_counter()
            await asyncio.gather(*(ask(session) for _ in range(50)))
            return count / (time.perf_counter() - began)


def row(name: str, unit: str, overlay: float, kernel: float) -> None:
    """Print a figure of both sides, and their ratio."""
    print(f"{name:<44}{overlay:>10.2f}{kernel:>12.2f} {unit:<10}{overlay / kernel:>8.3f}")


def percentile(times: list[float], share: float) -> float:
    """Return the value that so many percent stay below."""
    return sorted(times)[min(int(len(times) * share / 100), len(times) - 1)]


async def compare(
    sides: list[Bench], rounds: int, measure: Callable[[Bench], Awaitable[float]]
) -> tuple[list[float], list[float]]:
    """Measure both sides in turn, some times."""
    found: dict[str, list[float]] = {OVERLAY: [], KERNEL: []}
    for _ in range(rounds):
        for bench in sides:
            found[bench.side].append(await measure(bench))
    return found[OVERLAY], found[KERNEL]


async def measure(sides: list[Bench], rounds: int, size: int) -> None:
    """Measure everything and print it."""
    far = sides[0].far
    print(f"{'':<44}{'overlay':>10}{'loopback':>12} {'':<10}{'ratio':>8}")
    for name, work in (("1 stream down", Bench.download), ("1 stream up", Bench.upload)):
        before = usage()["cpu"] + far.usage()["cpu"]
        over, kernel = await compare(sides, rounds, lambda bench, w=work: w(bench, size))  # type: ignore[misc]
        spent = usage()["cpu"] + far.usage()["cpu"] - before
        rates = [size * 8 / 1e6 / seconds for seconds in over]
        row(name, "Mbit/s", statistics.median(rates), size * 8e-6 / statistics.median(kernel))
        print(f"  worst / median {min(rates) / statistics.median(rates):.2f}; ", end="")
        print(f"CPU of both ends, both sides together {spent / (size * rounds / 1e9):.1f} s/GB")

    async def eight(bench: Bench) -> float:
        seconds = await asyncio.gather(*(bench.download(size // 8) for _ in range(8)))
        fairness.append(min(seconds) / max(seconds))
        return max(seconds)

    fairness: list[float] = []
    over, kernel = await compare(sides, rounds, eight)
    median = statistics.median
    row("8 streams down, sum", "Mbit/s", size * 8e-6 / median(over), size * 8e-6 / median(kernel))
    print(f"  slowest / fastest {median(fairness[::2]):.2f}")
    idle = {bench.side: await bench.ping_pong(2000) for bench in sides}
    for share in (50, 99):
        pair = (percentile(idle[OVERLAY], share), percentile(idle[KERNEL], share))
        row(f"ping-pong idle, p{share}", "ms", *pair)
    for bench in sides:
        bulk = asyncio.ensure_future(bench.download(size * 4))
        await asyncio.sleep(0.2)
        idle[bench.side] = await bench.ping_pong(200)
        await bulk
    for share in (50, 99):
        pair = (percentile(idle[OVERLAY], share), percentile(idle[KERNEL], share))
        row(f"ping-pong during bulk, p{share}", "ms", *pair)
    for keep in (False, True):
        count = 5000 if keep else 1500
        over, kernel = await compare(
            sides,
            3,
            lambda bench, k=keep, c=count: bench.requests(c, keep=k),  # type: ignore[misc]
        )
        kind = "keep-alive" if keep else "new connections"
        row(f"aiohttp requests, 50 at once, {kind}", "1/s", median(over), median(kernel))
    over_first = sides[0]
    before_rss = usage()["rss"]
    streams = [await over_first.open("echo") for _ in range(1000)]
    per_connection = (usage()["rss"] - before_rss) * 1024 / len(streams)
    for _, writer in streams:
        writer.transport.abort()
    print(f"memory of an idle connection {per_connection:.1f} KiB; resident after all ", end="")
    print(f"{usage()['rss']:.0f} and {far.usage()['rss']:.0f} MiB")


async def first_byte(overlay: Overlay, far: Far, network_id: str) -> None:
    """Measure from `Node()` to the first byte, without and with a configuration kept."""
    for what in ("not kept", "kept"):
        began = time.perf_counter()
        async with overlay.node(7) as node:
            network = await node.join(network_id)
            reader, writer = await network.open_connection(far.ip, far.ports[OVERLAY]["echo"])
            writer.write(b"x")
            await reader.readexactly(1)
            print(f"Node() to first byte, config {what}: {time.perf_counter() - began:.3f} s")
            writer.close()


async def run(overlay: Overlay, rounds: int, size: int) -> None:
    """Bring up both ends and measure."""
    network_id = overlay.make_network()
    far = Far(overlay, network_id)
    try:
        async with overlay.node(1) as node:
            network = await node.join(network_id)
            sides = [Bench(far, network, side) for side in (OVERLAY, KERNEL)]
            await measure(sides, rounds, size)
        await first_byte(overlay, far, network_id)
    finally:
        far.close()


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Overlay(Path(directory)) as overlay:
        asyncio.run(run(overlay, options.rounds, options.megabytes << 20))


if __name__ == "__main__":
    main()
