"""What the commands in user space do between a network and standard input and output."""

import asyncio
import contextlib
import os
import statistics
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from ztlink.proxy.relay import Stream, finish, relay, reset
from ztlink.proxy.serving import serving

if TYPE_CHECKING:
    from ztlink.aio.network import Network

CHUNK: Final = 64 * 1024
MAX_DATAGRAM: Final = 16 * 1024
"""Bytes of input that go in one datagram, as nc's."""
INPUT: Final = 0
OUTPUT: Final = 1


class Input:
    """Standard input, whatever it is: a terminal, a pipe, a file.

    A thread reads it, which does not keep the process from ending; one chunk is read ahead.
    """

    def __init__(self, size: int = CHUNK) -> None:
        """Make it; a chunk has `size` bytes at most."""
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_wanted = threading.Semaphore(1)
        threading.Thread(target=self._run, name="ztlink-input", daemon=True).start()

    def _run(self) -> None:
        while self._is_wanted.acquire():
            try:
                chunk = os.read(INPUT, self._size)
            except OSError:
                chunk = b""
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            if not chunk:
                return

    async def read(self) -> bytes:
        """Return the next bytes; none at the end."""
        chunk = await self._chunks.get()
        self._is_wanted.release()
        return chunk


async def write_out(data: bytes) -> None:
    """Write to standard output, however slow it is, without holding up the network."""
    view = memoryview(data)
    while view:
        view = view[await asyncio.to_thread(os.write, OUTPUT, view) :]


async def carry(stream: Stream) -> int:
    """Carry input to a connection and the connection to output, each until its own end.

    At a terminal the other side's end is the end: nobody would know that more is waited for.
    """
    reader, writer = stream
    sending = asyncio.get_running_loop().create_task(_send(writer))
    try:
        while data := await reader.read(CHUNK):
            await write_out(data)
        if not os.isatty(INPUT):
            os.close(OUTPUT)  # who reads it sees the end, too
            await sending
    except BaseException:
        reset(writer)
        raise
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await finish(writer)
    return 0


async def _send(writer: asyncio.StreamWriter) -> None:
    source = Input()
    while data := await source.read():
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def one_connection(network: "Network", port: int) -> Stream:
    """Wait for one connection to a port, and take no other."""
    taken: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if taken.done():
            reset(writer)
        else:
            taken.set_result(Stream(reader, writer))

    server = await network.start_server(take, port=port)
    try:
        return await taken
    finally:
        server.close()


class DatagramPipe(asyncio.DatagramProtocol):
    """Holds what has come, and knows who spoke last."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue(1024)
        self.peer: Any = None
        self.has_heard = asyncio.Event()
        self.has_peer = asyncio.Event()
        self.has_room = asyncio.Event()
        self.has_room.set()

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401 - asyncio's
        self.peer = addr
        self.has_heard.set()
        self.has_peer.set()
        with contextlib.suppress(asyncio.QueueFull):
            self.received.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        click.echo(f"ztlink: {exc}", err=True)

    def pause_writing(self) -> None:
        self.has_room.clear()

    def resume_writing(self) -> None:
        self.has_room.set()


async def exchange_datagrams(
    transport: asyncio.DatagramTransport, pipe: DatagramPipe, *, quiet_time: float | None = None
) -> int:
    """Send each chunk of input as a datagram, and write out what comes.

    It ends when input has ended and nothing has come for `quiet_time` seconds since, if at all.
    """
    loop = asyncio.get_running_loop()
    working = {
        loop.create_task(_send_datagrams(transport, pipe, quiet_time)),
        loop.create_task(_write_datagrams(pipe)),
    }
    try:
        ended, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in working:
            task.cancel()
        transport.close()
    return 0


async def _send_datagrams(
    transport: asyncio.DatagramTransport, pipe: DatagramPipe, quiet_time: float | None
) -> None:
    source = Input(MAX_DATAGRAM)
    is_connected = transport.get_extra_info("peername") is not None
    if not is_connected:
        await pipe.has_peer.wait()
    while data := await source.read():
        transport.sendto(data, None if is_connected else pipe.peer)
        await pipe.has_room.wait()
    with contextlib.suppress(TimeoutError):
        while True:
            pipe.has_heard.clear()
            async with asyncio.timeout(quiet_time):
                await pipe.has_heard.wait()


async def _write_datagrams(pipe: DatagramPipe) -> None:
    while True:
        await write_out(await pipe.received.get())


async def expose_port(network: "Network", port: int, host: str, target_port: int) -> int:
    """Carry connections from the network to a port of this machine, until cancelled."""

    async def serve(client: Stream) -> None:
        try:
            target = Stream(*await asyncio.open_connection(host, target_port))
        except OSError as error:
            click.echo(f"ztlink: {host} port {target_port}: {error.strerror}", err=True)
            reset(client.writer)
            return
        await relay(client, target)

    server = await network.start_server(serving(serve), port=port)
    await server.serve_forever()
    return 0


async def ping_host(network: "Network", host: str, count: int, interval: float, size: int) -> int:
    """Ping, print each answer and a summary; 1 where none came."""
    times: list[float] = []
    say: Callable[[str], None] = click.echo
    for number in range(1, count + 1):
        if number > 1:
            await asyncio.sleep(interval)
        try:
            pong = await network.ping(host, size=size)
        except TimeoutError as error:
            say(f"{error} seq={number}")
            continue
        times.append(pong.round_trip * 1000)
        say(f"{pong.size} bytes from {pong.ip}: seq={number} time={times[-1]:.2f} ms")
    lost = 100 * (count - len(times)) // count
    say(f"{count} sent, {len(times)} answered, {lost} % lost")
    if times:
        say(
            f"ms: min {min(times):.2f}, median {statistics.median(times):.2f}, max {max(times):.2f}"
        )
    return 0 if times else 1
