"""The rows of bench_user_space over 50 ms: both ends in namespaces, a long path between them.

`rates` is for the bench; the module as a program is its near end, in the first namespace.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.aio.overlay import Overlay
from tests.bench.long_path import DEVICE
from tests.bench.user_space_ends import Far, Over
from tests.bench.user_space_kernels import make_homes
from tests.lab.namespace import Namespace

ROUND_TRIP: Final = 0.05
NEAR_IP: Final = "44.2.0.1"
FAR_IP: Final = "44.2.0.2"
SECONDS: Final = 4.0
"""Of each transfer, its beginning included."""


def rates(engine: str, loss: float, runs: int) -> list[float]:
    """Return Mbit/s of downloads of a few seconds, each over a connection of its own."""
    with ExitStack() as stack:
        near, far = (Namespace(f"ztlong{os.getpid()}{end}") for end in "ab")
        for namespace in (near, far):
            namespace.create()
            stack.callback(namespace.delete)
        path = subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "tests.bench.long_path"),
                *(near.name, far.name, str(ROUND_TRIP / 2), str(loss)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(path.wait, 10)
        assert path.stdin is not None
        assert path.stdout is not None
        stack.callback(path.stdin.close)
        assert path.stdout.readline() == "ready\n"
        for namespace, ip in ((near, NEAR_IP), (far, FAR_IP)):
            namespace.ip("addr", "add", f"{ip}/24", "dev", DEVICE)
            namespace.ip("link", "set", DEVICE, "up")
        module = (sys.executable, "-m", "tests.bench.user_space_long")
        return json.loads(near.run(*module, far.name, engine, str(runs)))  # type: ignore[no-any-return]


async def measure(overlay: Overlay, far_namespace: str, engine: str, runs: int) -> list[float]:
    """Measure from within the first namespace."""
    network_id = overlay.make_network()
    entry = Namespace(far_namespace).entry
    found = []
    with Far(overlay, network_id, engine, ip=FAR_IP, entry=entry) as far:
        async with overlay.node(1, engine=engine) as node:
            way = Over(far, await node.join(network_id))
            for _ in range(runs):
                reader, writer = await way.open("source")
                writer.write(b"%d\n" % (1 << 40))
                began, size = time.perf_counter(), 0
                while time.perf_counter() < began + SECONDS:
                    size += len(await reader.read(1 << 20))
                found.append(size * 8e-6 / (time.perf_counter() - began))
                writer.transport.abort()
                await asyncio.sleep(0.5)
    return found


def main(far_namespace: str, engine: str, runs: str) -> None:
    """Measure and print JSON."""
    with tempfile.TemporaryDirectory() as directory, Overlay(Path(directory), NEAR_IP) as overlay:
        make_homes(overlay, engine)
        print(json.dumps(asyncio.run(measure(overlay, far_namespace, engine, int(runs)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
