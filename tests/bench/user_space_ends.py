"""The two ends of bench_user_space: a process that serves, and what is measured from this one."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp

from tests.aio.overlay import Overlay
from tests.bench.user_space_server import CHUNK
from ztlink.aio.network import Network
from ztlink.proxy.relay import Stream

PARALLEL: Final = 50
_LIMIT: Final = 1 << 20


class Process:
    """One of our modules as a process that says what it has to say as JSON."""

    def __init__(self, module: str, *arguments: str, entry: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [*entry, sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told = self.read()

    def read(self) -> Any:  # noqa: ANN401 - it is JSON
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, question: str) -> Any:  # noqa: ANN401 - it is JSON
        assert self._process.stdin is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Far(Process):
    """The far end."""

    def __init__(
        self,
        overlay: Overlay,
        network_id: str,
        engine: str,
        *,
        ip: str | None = None,
        entry: Sequence[str] = (),
    ) -> None:
        home = str(overlay.make_home(2))
        arguments = (home, str(overlay.planet), network_id, engine, ip or overlay.ip)
        super().__init__("tests.bench.user_space_server", *arguments, entry=entry)
        self.ip: str = self.told["ip"]
        self.ports: dict[str, dict[str, int]] = self.told["ports"]

    def usage(self) -> Any:  # noqa: ANN401 - it is JSON
        """Return CPU seconds, resident memory, and when it was last asked for a page."""
        return self.ask("usage")


class Way(Protocol):
    """How the far end is reached."""

    async def open(self, what: str) -> Stream:
        """Connect to one of the far end's services."""

    def connector(self, *, keep: bool) -> aiohttp.TCPConnector:
        """Return a connector for as many connections as ask at once."""

    @property
    def url(self) -> str:
        """Return where the page is."""


class Over:
    """Over the network."""

    def __init__(self, far: Far, network: Network) -> None:
        self._ports = far.ports["overlay"]
        self._network = network
        self._ip = far.ip
        self.url = f"http://{far.ip}:{self._ports['http']}/"

    async def open(self, what: str) -> Stream:
        return await self._network.open_connection(self._ip, self._ports[what], limit=_LIMIT)

    def connector(self, *, keep: bool) -> aiohttp.TCPConnector:
        return self._network.connector(limit=PARALLEL, force_close=not keep)


class Loopback:
    """Over the kernel's loopback: to the far end itself, or to a relay before it."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self.url = f"http://127.0.0.1:{self._ports['http']}/"

    async def open(self, what: str) -> Stream:
        pair = await asyncio.open_connection("127.0.0.1", self._ports[what], limit=_LIMIT)
        return Stream(*pair)

    def connector(self, *, keep: bool) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=PARALLEL, force_close=not keep)


async def download(way: Way, size: int) -> float:
    """Return the seconds that so many bytes take to come."""
    reader, writer = await way.open("source")
    began = time.perf_counter()
    writer.write(b"%d\n" % size)
    while size > 0:
        size -= len(await reader.read(_LIMIT))
    writer.close()
    return time.perf_counter() - began


async def eight_downloads(way: Way, size: int) -> list[float]:
    """Return the seconds that so many bytes take to come, of eight that go on side by side."""
    return await asyncio.gather(*(download(way, size) for _ in range(8)))


async def upload(way: Way, size: int) -> float:
    """Return the seconds that so many bytes take to go, all of them taken."""
    reader, writer = await way.open("sink")
    began = time.perf_counter()
    for _ in range(size // len(CHUNK)):
        writer.write(CHUNK)
        await writer.drain()
    writer.write_eof()
    assert int(await reader.readline()) == size // len(CHUNK) * len(CHUNK)
    writer.close()
    return time.perf_counter() - began


async def ping_pong(way: Way, count: int) -> list[float]:
    """Return milliseconds of round trips of one byte."""
    reader, writer = await way.open("echo")
    times = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(b"x")
        await reader.readexactly(1)
        times.append((time.perf_counter() - began) * 1000)
    writer.close()
    return times


async def ping_pong_beside(way: Way, size: int, count: int) -> list[float]:
    """Return milliseconds of round trips while a download goes on."""
    bulk = asyncio.ensure_future(download(way, size))
    await asyncio.sleep(0.2)
    times: list[float] = []
    while not bulk.done() and len(times) < count:
        times += await ping_pong(way, 20)
    if not bulk.done():
        bulk.cancel()
    await asyncio.gather(bulk, return_exceptions=True)
    return times


async def requests(way: Way, count: int, *, keep: bool) -> float:
    """Return requests per second, fifty at once."""
    left = count

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with session.get(way.url) as response:
                await response.read()

    async with aiohttp.ClientSession(connector=way.connector(keep=keep)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(ask(session) for _ in range(PARALLEL)))
        return count / (time.perf_counter() - began)
