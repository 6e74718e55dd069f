"""The far end of bench_user_space: serves on the overlay, and the same on the kernel's loopback.

Started with a home, a planet, a network, an engine and an address to bind; it prints one line of
JSON with its address and ports, and answers on its input: `usage` with its CPU seconds, its
resident memory, and when it was last asked for its page.
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.aio.overlay import ip_of
from ztlink.aio.node import Node

CHUNK = bytes(256 * 1024)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send as many bytes as are asked for."""
    left = int(await reader.readline())
    with contextlib.suppress(ConnectionError):  # the bench stops some
        while left > 0:
            writer.write(CHUNK[: min(left, len(CHUNK))])
            left -= len(CHUNK)
            await writer.drain()
        writer.close()


async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything, then say how much it was."""
    size = 0
    while data := await reader.read(len(CHUNK)):
        size += len(data)
    writer.write(b"%d\n" % size)
    writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    with contextlib.suppress(ConnectionError):  # the bench drops some
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()


class Page:
    """A page, and when it was last asked for."""

    def __init__(self) -> None:
        self.asked_at = 0.0

    async def get(self, _: web.Request) -> web.Response:
        """Answer a request."""
        self.asked_at = time.monotonic()
        return web.Response(text="hello")


def usage() -> dict[str, float]:
    """Return the CPU seconds of this process and its resident memory in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "rss": pages * resource.getpagesize() / 2**20,
    }


async def main(home: str, planet: str, network_id: str, engine: str, ip: str) -> None:
    """Serve until the input ends."""
    page = Page()
    async with Node(home, planet=planet, bind=(ip,), allow_loopback=True, engine=engine) as node:
        network = await node.join(network_id)
        ports: dict[str, dict[str, int]] = {"overlay": {}, "kernel": {}}
        serving: dict[str, Serve] = {"source": source, "sink": sink, "echo": echo}
        servers = []
        for name, serve in serving.items():
            over = await network.start_server(serve)
            plain = await asyncio.start_server(serve, "127.0.0.1", 0)
            servers += [over, plain]
            ports["overlay"][name] = over.port
            ports["kernel"][name] = plain.sockets[0].getsockname()[1]
        app = web.Application()
        app.router.add_get("/", page.get)
        runner = web.AppRunner(app)
        await runner.setup()
        site = network.site(runner, port=80)
        await site.start()
        plain_site = web.TCPSite(runner, "127.0.0.1", 0)
        await plain_site.start()
        ports["overlay"]["http"], ports["kernel"]["http"] = 80, plain_site.port
        print(json.dumps({"ip": ip_of(network), "ports": ports}), flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip() == "usage":
            print(json.dumps({**usage(), "asked_at": page.asked_at}), flush=True)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
