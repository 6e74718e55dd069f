"""The relay between two streams, over the machine's loopback."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ztlink.proxy.forward import forward, port_of
from ztlink.proxy.relay import Stream

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LOOPBACK = "127.0.0.1"


async def dial(host: str, port: int) -> Stream:
    return Stream(*await asyncio.open_connection(host, port))


class Forwarded:
    """A target with what it does, and a forward to it."""

    def __init__(self, target: asyncio.Server, front: asyncio.Server) -> None:
        self._servers = (front, target)
        self.port = port_of(front)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def open(self) -> Stream:
        return await dial(LOOPBACK, self.port)


@pytest.fixture
async def to() -> AsyncIterator[Callable[[Serve], Awaitable[Forwarded]]]:
    """Make a forward to a target that does as it is told."""
    made: list[Forwarded] = []

    async def make(serve: Serve) -> Forwarded:
        target = await asyncio.start_server(serve, LOOPBACK, 0)
        made.append(Forwarded(target, await forward(dial, LOOPBACK, port_of(target))))
        return made[-1]

    yield make
    for one in made:
        await one.close()


Make = Callable[[Serve], Awaitable[Forwarded]]


async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    content = await reader.read()
    writer.write(content.upper())
    writer.close()


async def test_an_answer_comes_back_after_our_end(to: Make) -> None:
    reader, writer = await (await to(answer_after_the_end)).open()
    writer.write(b"as it is")
    writer.write_eof()
    assert await reader.read() == b"AS IT IS"
    writer.close()


async def test_megabytes_pass_unchanged(to: Make) -> None:
    content = bytes(range(256)) * 8192
    reader, writer = await (await to(answer_after_the_end)).open()
    writer.write(content)
    writer.write_eof()
    assert await reader.read() == content.upper()
    writer.close()


async def test_the_targets_end_leaves_our_direction_open(to: Make) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def end_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        heard.set_result(await reader.read())
        writer.close()

    reader, writer = await (await to(end_first)).open()
    assert await reader.read() == b""
    writer.write(b"still there")
    writer.close()
    assert await heard == b"still there"


async def test_a_reset_arrives_as_a_reset(to: Make) -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    reader, writer = await (await to(reset)).open()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_target_that_cannot_be_reached_resets() -> None:
    async def refuse(host: str, port: int) -> Stream:
        raise ConnectionRefusedError(111, f"{host}:{port}")

    front = await forward(refuse, "10.0.0.1", 80)
    reader, writer = await dial(LOOPBACK, port_of(front))
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    front.close()


async def test_a_slow_reader_holds_up_the_writer(to: Make) -> None:
    stop = asyncio.Event()

    async def take_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    async def flood() -> None:
        for _ in range(2000):  # 128 MB
            writer.write(bytes(65_536))
            await writer.drain()

    _, writer = await (await to(take_nothing)).open()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 1.0)
    stop.set()
    writer.transport.abort()
