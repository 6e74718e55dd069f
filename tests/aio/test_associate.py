"""UDP by SOCKS5, byte for byte, and by a client that others have written."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import socks as pysocks
from hypothesis import given
from hypothesis import strategies as st

from tests.aio.conftest import Pair
from tests.aio.handlers import Echo
from tests.aio.target import LOOPBACK, NAME, Target
from ztlink.proxy import socks
from ztlink.proxy.associate import MAX_RESOLVING
from ztlink.proxy.forward import port_of
from ztlink.proxy.relay import Stream
from ztlink.proxy.socks_wire import (
    Datagram,
    Reply,
    SocksError,
    decode_datagram,
    encode_datagram,
)

GREETING = b"\x05\x01\x00"
CHOICE = b"\x05\x00"
ASSOCIATE = b"\x05\x03\x00\x01" + bytes(4)
PATIENCE = 5.0


class Client:
    """A client of a proxy, with one UDP socket of the kernel's."""

    def __init__(self, stream: Stream, udp: socket.socket, relay: tuple[str, int]) -> None:
        self.stream = stream
        self.udp = udp
        self.relay = relay

    async def send(self, content: bytes, udp: socket.socket | None = None) -> None:
        await asyncio.get_running_loop().sock_sendto(udp or self.udp, content, self.relay)

    async def receive(self) -> Datagram:
        async with asyncio.timeout(PATIENCE):
            return decode_datagram(await asyncio.get_running_loop().sock_recv(self.udp, 65_535))


def udp_socket() -> socket.socket:
    """Return a socket on the loopback."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    udp.bind((LOOPBACK, 0))
    return udp


async def ask(stream: Stream, port: int = 0) -> bytes:
    """Ask for an association; return the reply."""
    stream.writer.write(GREETING + ASSOCIATE + port.to_bytes(2, "big"))
    assert await stream.reader.readexactly(2) == CHOICE
    return await stream.reader.readexactly(10)


@asynccontextmanager
async def associated(proxy: asyncio.Server, *, port: int = 0) -> AsyncIterator[Client]:
    """Be a client that names a port, or none."""
    with udp_socket() as udp:
        stream = Stream(*await asyncio.open_connection(LOOPBACK, port_of(proxy)))
        reply = await ask(stream, port)
        assert reply[:4] == b"\x05\x00\x00\x01"
        relay = socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big")
        yield Client(stream, udp, relay)
        stream.writer.close()
        await stream.writer.wait_closed()


@pytest.fixture
async def proxy(target: Target) -> AsyncIterator[asyncio.Server]:
    """A proxy whose datagrams go to the loopback."""
    made = await socks.serve(target.dial, target)
    yield made
    made.close()
    await made.wait_closed()


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of an echo on the loopback."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Echo, local_addr=(LOOPBACK, 0)
    )
    yield transport.get_extra_info("sockname")[1]
    transport.close()


async def test_an_answer_names_who_sent_it(proxy: asyncio.Server, echo: int) -> None:
    async with associated(proxy) as client:
        await client.send(encode_datagram(LOOPBACK, echo, b"hello"))
        assert await client.receive() == (LOOPBACK, echo, b"hello")


async def test_a_name_is_looked_for_elsewhere(proxy: asyncio.Server, echo: int) -> None:
    async with associated(proxy) as client:
        await client.send(encode_datagram(NAME, echo, b"hello"))
        assert await client.receive() == (LOOPBACK, echo, b"hello")


async def test_so_many_names_are_looked_for_at_once_and_no_more(
    proxy: asyncio.Server, target: Target, echo: int
) -> None:
    target.may_resolve.clear()
    async with associated(proxy) as client:
        for number in range(MAX_RESOLVING + 1):
            await client.send(encode_datagram(NAME, echo, b"%d" % number))
        await client.send(encode_datagram(LOOPBACK, echo, b"to an address"))
        assert (await client.receive()).data == b"to an address"
        target.may_resolve.set()
        found = [int((await client.receive()).data) for _ in range(MAX_RESOLVING)]
        await client.send(encode_datagram(LOOPBACK, echo, b"the end"))
        assert (found, (await client.receive()).data) == ([*range(MAX_RESOLVING)], b"the end")


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x00\x00\x00\x09",
        b"\x00\x00\x01\x01\x7f\x00\x00\x01\x00\x07a fragment",
        encode_datagram("nobody.example", 7, b"to nobody"),
    ],
)
async def test_what_cannot_be_sent_is_passed_over(
    proxy: asyncio.Server, echo: int, bad: bytes
) -> None:
    async with associated(proxy) as client:
        await client.send(bad)
        await client.send(encode_datagram(LOOPBACK, echo, b"hello"))
        assert (await client.receive()).data == b"hello"


async def test_what_another_sends_is_passed_over(proxy: asyncio.Server, echo: int) -> None:
    async with associated(proxy) as client:
        await client.send(encode_datagram(LOOPBACK, echo, b"first"))
        await client.receive()
        with udp_socket() as stranger:
            await client.send(encode_datagram(LOOPBACK, echo, b"not mine"), stranger)
        await client.send(encode_datagram(LOOPBACK, echo, b"second"))
        assert (await client.receive()).data == b"second"


async def test_a_client_that_names_its_port_is_heard_from_there_alone(
    proxy: asyncio.Server, echo: int
) -> None:
    with udp_socket() as named:
        async with associated(proxy, port=named.getsockname()[1]) as client:
            await client.send(encode_datagram(LOOPBACK, echo, b"from elsewhere"))
            await client.send(encode_datagram(LOOPBACK, echo, b"hello"), named)
            client.udp, former = named, client.udp
            assert (await client.receive()).data == b"hello"
            former.close()


async def test_the_sockets_go_with_the_connection(
    proxy: asyncio.Server, target: Target, echo: int
) -> None:
    async with associated(proxy) as client:
        await client.send(encode_datagram(LOOPBACK, echo, b"hello"))
        await client.receive()
    assert await target.wait_closed()


async def test_the_connection_ends_when_nothing_can_be_sent_any_more(
    proxy: asyncio.Server, target: Target
) -> None:
    async with associated(proxy) as client:
        target.sockets[0].close()
        assert await asyncio.wait_for(client.stream.reader.read(), PATIENCE) == b""


async def test_one_too_many_is_refused(
    proxy: asyncio.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socks, "MAX_WITH_DATAGRAMS", 1)
    async with associated(proxy):
        other = Stream(*await asyncio.open_connection(LOOPBACK, port_of(proxy)))
        assert (await ask(other))[1] == Reply.FAILED
        other.writer.close()


async def test_a_proxy_without_datagrams_says_so(target: Target) -> None:
    proxy = await socks.serve(target.dial)
    client = Stream(*await asyncio.open_connection(LOOPBACK, port_of(proxy)))
    assert (await ask(client))[1] == Reply.COMMAND_UNKNOWN
    client.writer.close()
    proxy.close()


async def test_a_unix_socket_opens_no_port(target: Target, tmp_path: Path) -> None:
    proxy = await socks.serve(target.dial, target, path=str(tmp_path / "s"))
    client = Stream(*await asyncio.open_unix_connection(str(tmp_path / "s")))
    assert ((await ask(client))[1], target.sockets) == (Reply.COMMAND_UNKNOWN, [])
    client.writer.close()
    proxy.close()


# -- bytes ---------------------------------------------------------------------------------------


@given(st.binary(max_size=64))
def test_any_bytes_are_a_datagram_or_an_error(content: bytes) -> None:
    try:
        host, port, data = decode_datagram(content)
    except SocksError:
        return
    assert (len(host) > 0, port in range(65_536), len(data) < len(content)) == (True, True, True)


@given(
    st.one_of(st.ip_addresses().map(str), st.just(NAME)),
    st.integers(0, 65_535),
    st.binary(max_size=64),
)
def test_a_datagram_is_read_as_it_was_written(host: str, port: int, data: bytes) -> None:
    assert decode_datagram(encode_datagram(host, port, data)) == (host, port, data)


def test_a_datagram_that_ends_in_its_address_is_none() -> None:
    whole = encode_datagram(NAME, 7, b"")
    for size in range(len(whole)):
        with pytest.raises(SocksError):
            decode_datagram(whole[:size])


# -- a client that others have written -----------------------------------------------------------


def ask_by_pysocks(port: int, host: str, content: bytes) -> tuple[bytes, tuple[str, int]]:
    """Send a datagram by PySocks, and return what comes back, and from whom."""
    with pysocks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.set_proxy(pysocks.SOCKS5, LOOPBACK, port)
        client.settimeout(PATIENCE)
        client.sendto(content, (host, 7))
        data, address = client.recvfrom(65_535)
        return data, address


@pytest.mark.parametrize("size", [0, 1, 1400, 9000, 60_000])
@pytest.mark.parametrize("version", [4, 6])
async def test_pysocks_sends_over_the_network(pair: Pair, size: int, version: int) -> None:
    host = pair.host if version == 4 else pair.host6
    await pair.other.create_datagram_endpoint(Echo, local_addr=("::", 7))
    proxy = await pair.one.proxy()
    asked = asyncio.to_thread(ask_by_pysocks, port_of(proxy), host, bytes(size))
    assert await asked == (bytes(size), (host, 7))
