"""TCP between two nodes in user space, in asyncio's words."""

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.aio.certificate import contexts
from tests.aio.conftest import Pair
from tests.aio.handlers import keep_silent
from tests.aio.overlay import ip_of
from ztlink.aio.errors import NetworkUnreachable
from ztlink.aio.network import Network
from ztlink.aio.transport import StreamTransport

MEGABYTE = 1 << 20
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer all, once all is there."""
    writer.write((await reader.read()).upper())
    writer.close()


async def shout_a_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one line."""
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()


async def ask(network: Network, host: str, port: int, question: bytes) -> bytes:
    """Say all that there is to say, and return all that is answered."""
    reader, writer = await network.open_connection(host, port)
    writer.write(question)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_what_is_written_arrives(pair: Pair) -> None:
    server = await pair.other.start_server(shout)
    assert await ask(pair.one, pair.host, server.port, b"hello") == b"HELLO"


async def test_ipv6_serves_too(pair: Pair) -> None:
    server = await pair.other.start_server(shout)
    assert await ask(pair.one, pair.host6, server.port, b"hello") == b"HELLO"


async def test_an_answer_may_come_long_after_our_end(pair: Pair) -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content = await reader.read()
        await asyncio.sleep(1.0)
        writer.write(content)
        writer.close()

    server = await pair.other.start_server(wait)
    assert await ask(pair.one, pair.host, server.port, b"late") == b"late"


async def test_a_connection_that_both_sides_ended_is_forgotten(pair: Pair) -> None:
    is_over = asyncio.Event()

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write_eof()  # and no close
        await writer.wait_closed()
        is_over.set()

    server = await pair.other.start_server(end)
    assert await ask(pair.one, pair.host, server.port, b"question") == b""
    async with asyncio.timeout(10):
        await is_over.wait()
    assert not pair.other.flows.stack.tcp.connections


async def test_a_server_may_speak_first(pair: Pair) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await keep_silent(reader, writer)

    server = await pair.other.start_server(greet)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    assert await reader.readline() == b"220 ready\r\n"
    writer.close()


async def test_a_port_without_a_server_refuses(pair: Pair) -> None:
    with pytest.raises(ConnectionRefusedError):
        await pair.one.open_connection(pair.host, 9)


async def test_an_address_elsewhere_is_refused_with_the_networks_routes(pair: Pair) -> None:
    with pytest.raises(NetworkUnreachable, match=r"192\.0\.2\.1.*lead to 10\.9\.0\.0/24"):
        await pair.one.open_connection("192.0.2.1", 80)


@pytest.mark.parametrize("size", [16 * MEGABYTE])
async def test_megabytes_arrive_both_ways(pair: Pair, size: int) -> None:
    content = bytes(range(256)) * (size // 256)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(MEGABYTE):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def send() -> None:
        for start in range(0, size, MEGABYTE):
            writer.write(content[start : start + MEGABYTE])
            await writer.drain()
        writer.write_eof()

    server = await pair.other.start_server(echo)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    digest = hashlib.md5(usedforsecurity=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        while data := await reader.read(MEGABYTE):
            digest.update(data)
    assert digest.digest() == hashlib.md5(content, usedforsecurity=False).digest()
    writer.close()


async def test_a_reader_that_stops_holds_up_the_writer(pair: Pair) -> None:
    stop = asyncio.Event()

    async def take_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    async def flood() -> None:
        for _ in range(256):
            writer.write(bytes(MEGABYTE))
            await writer.drain()

    server = await pair.other.start_server(take_nothing)
    _, writer = await pair.one.open_connection(pair.host, server.port)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 1.0)
    stop.set()
    writer.transport.abort()


async def test_a_reset_is_told_as_a_reset(pair: Pair) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    server = await pair.other.start_server(reset)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    writer.write(b"x")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_transports_name_both_ends(pair: Pair) -> None:
    server = await pair.other.start_server(shout)
    _, writer = await pair.one.open_connection(pair.host, server.port)
    assert writer.get_extra_info("peername") == (pair.host, server.port)
    assert writer.get_extra_info("sockname")[0] == ip_of(pair.one)
    writer.close()


async def test_fifty_connections_at_once(pair: Pair) -> None:
    server = await pair.other.start_server(shout)
    questions = (b"number %d" % number for number in range(50))
    answers = await asyncio.gather(
        *(ask(pair.one, pair.host, server.port, question) for question in questions)
    )
    assert answers == [b"NUMBER %d" % number for number in range(50)]


async def test_whoever_waits_for_a_connection_may_give_up(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pair.one.open_connection("10.9.0.251", 80), 0.2)
    server = await pair.other.start_server(shout)
    _, writer = await pair.one.open_connection(pair.host, server.port)
    writer.close()


async def test_closing_wakes_a_reader(pair: Pair) -> None:
    server = await pair.other.start_server(keep_silent)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    waiting = asyncio.ensure_future(reader.read())
    await asyncio.sleep(0)
    writer.close()
    assert await waiting == b""


async def test_leaving_a_network_ends_its_connections(pair: Pair) -> None:
    server = await pair.other.start_server(keep_silent)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    await pair.one.leave()
    with pytest.raises(ConnectionAbortedError, match="was left"):
        await reader.read()
    with pytest.raises(ConnectionAbortedError, match="was left"):
        await pair.one.open_connection(pair.host, server.port)
    writer.close()


async def test_a_closed_server_takes_no_more_and_keeps_what_it_has(pair: Pair) -> None:
    server = await pair.other.start_server(shout)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await pair.one.open_connection(pair.host, server.port)
    writer.write(b"still here")
    writer.write_eof()
    assert await reader.read() == b"STILL HERE"
    writer.close()


class Pausing(asyncio.Protocol):
    """Takes nothing until its transport is resumed."""

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, StreamTransport)
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost.set()


class Buffered(asyncio.BufferedProtocol):
    """Takes what comes into a small buffer of its own."""

    def __init__(self) -> None:
        self.whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(1000)
        self._received = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received += self._buffer[:nbytes]

    def eof_received(self) -> None:
        self.whole.set_result(self._received)


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, and end."""
    writer.write(b"hello")
    writer.close()


async def test_a_protocol_that_pauses_is_handed_nothing(pair: Pair) -> None:
    server = await pair.other.start_server(greet)
    transport, protocol = await pair.one.create_connection(Pausing, pair.host, server.port)
    await asyncio.sleep(0.2)
    assert protocol.received == b""
    assert isinstance(transport, StreamTransport)
    transport.resume_reading()
    await asyncio.sleep(0.1)
    assert protocol.received == b"hello"
    transport.abort()


async def test_a_protocol_with_a_buffer_of_its_own_has_it_filled(pair: Pair) -> None:
    content = bytes(range(256)) * 4096

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        writer.close()

    server = await pair.other.start_server(say)
    _, protocol = await pair.one.create_connection(Buffered, pair.host, server.port)
    assert await asyncio.wait_for(protocol.whole, 10) == content


async def test_what_came_before_both_sides_ended_is_read_after_it(pair: Pair) -> None:
    server = await pair.other.start_server(greet)
    transport, protocol = await pair.one.create_connection(Pausing, pair.host, server.port)
    transport.write_eof()
    await asyncio.sleep(0.5)
    assert not protocol.is_lost.is_set()
    transport.resume_reading()
    async with asyncio.timeout(10):
        await protocol.is_lost.wait()
    assert protocol.received == b"hello"


async def test_what_both_sides_have_ended_is_closed_at_once(pair: Pair) -> None:
    server = await pair.other.start_server(greet)
    transport, _ = await pair.one.create_connection(Pausing, pair.host, server.port)
    transport.write_eof()
    await asyncio.sleep(0.5)
    transport.close()
    assert not pair.one.flows.is_lingering


# -- TLS -----------------------------------------------------------------------------------------


async def test_tls_from_the_first_byte(pair: Pair, tmp_path: Path) -> None:
    server_context, client_context = contexts(tmp_path, "other.example")
    server = await pair.other.start_server(shout_a_line, ssl=server_context)
    reader, writer = await pair.one.open_connection(
        pair.host, server.port, ssl=client_context, server_hostname="other.example"
    )
    writer.write(b"secret\n")
    assert await reader.readline() == b"SECRET\n"
    assert writer.get_extra_info("ssl_object") is not None
    writer.close()


async def test_tls_upgrades_a_plain_connection(pair: Pair, tmp_path: Path) -> None:
    server_context, client_context = contexts(tmp_path, "other.example")

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go\n")
        await writer.start_tls(server_context)
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await pair.other.start_server(upgrade)
    reader, writer = await pair.one.open_connection(pair.host, server.port)
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go\n"
    await writer.start_tls(client_context, server_hostname="other.example")
    writer.write(b"secret\n")
    assert await reader.readline() == b"SECRET\n"
    writer.close()


async def test_a_certificate_that_does_not_fit_is_refused(pair: Pair, tmp_path: Path) -> None:
    server_context, client_context = contexts(tmp_path, "other.example")
    server = await pair.other.start_server(shout, ssl=server_context)
    with pytest.raises(ssl.SSLCertVerificationError):
        await pair.one.open_connection(
            pair.host, server.port, ssl=client_context, server_hostname="wrong.example"
        )
