"""The blocking face: sockets that a program may wait for."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import socks as pysocks

import ztlink.sync
from tests.aio.conftest import Pair
from tests.aio.handlers import Echo, keep_silent
from tests.aio.overlay import Overlay

T = TypeVar("T")


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read()).upper())
    writer.close()


async def blocking(
    overlay: Overlay, network_id: str, work: Callable[[ztlink.sync.Network], T]
) -> T:
    """Run a function with a network of a blocking node, beside this loop."""
    options = {"planet": overlay.planet, "allow_loopback": True, "engine": "portable"}

    def run() -> T:
        with ztlink.sync.Node(overlay.make_home(8), bind=(overlay.ip,), **options) as node:
            return work(node.join(network_id))

    return await asyncio.to_thread(run)


async def test_a_connection_is_a_socket_with_half_close(pair: Pair, overlay: Overlay) -> None:
    server = await pair.other.start_server(shout)

    def ask(network: ztlink.sync.Network) -> tuple[bytes, object]:
        with network.create_connection((pair.host, server.port), timeout=5) as connection:
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read(), connection.getpeername()

    answer, name = await blocking(overlay, pair.other.id, ask)
    assert (answer, name) == (b"HELLO", (pair.host, server.port))


async def test_reading_in_vain_times_out(pair: Pair, overlay: Overlay) -> None:
    server = await pair.other.start_server(keep_silent)

    def ask(network: ztlink.sync.Network) -> None:
        with network.create_connection((pair.host, server.port), timeout=0.2) as connection:
            connection.recv(1)

    with pytest.raises(TimeoutError):
        await blocking(overlay, pair.other.id, ask)


async def test_a_refused_connection_is_told(pair: Pair, overlay: Overlay) -> None:
    def ask(network: ztlink.sync.Network) -> None:
        network.create_connection((pair.host, 9), timeout=5)

    with pytest.raises(ConnectionRefusedError):
        await blocking(overlay, pair.other.id, ask)


async def test_a_listener_takes_connections(pair: Pair, overlay: Overlay) -> None:
    def serve(network: ztlink.sync.Network) -> bytes:
        with network.listen(7000) as listener:
            loop.call_soon_threadsafe(ready.set_result, str(network.addresses[-1].ip))
            connection, _ = listener.accept(timeout=10)
            with connection:
                return connection.recv(100)

    loop = asyncio.get_running_loop()
    ready: asyncio.Future[str] = loop.create_future()
    serving = asyncio.ensure_future(blocking(overlay, pair.other.id, serve))
    _, writer = await pair.one.open_connection(await ready, 7000)
    writer.write(b"hello")
    assert await serving == b"hello"
    writer.close()


async def test_a_port_of_the_machine_leads_to_the_network(pair: Pair, overlay: Overlay) -> None:
    server = await pair.other.start_server(shout)

    def ask(network: ztlink.sync.Network) -> bytes:
        with (
            network.forward(pair.host, server.port) as port,
            socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        ):
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()

    assert await blocking(overlay, pair.other.id, ask) == b"HELLO"


async def test_a_datagram_is_answered(pair: Pair, overlay: Overlay) -> None:
    await pair.other.create_datagram_endpoint(Echo, local_addr=("::", 7))

    def ask(network: ztlink.sync.Network) -> list[tuple[bytes, str]]:
        answers = []
        with network.datagram_socket() as opened:
            opened.settimeout(5)
            for host in (pair.host, pair.host6):
                assert opened.sendto(b"hello", (host, 7)) == 5
                data, address = opened.recvfrom(4)
                answers.append((data, address[0]))
        return answers

    answers = await blocking(overlay, pair.other.id, ask)
    assert answers == [(b"hell", pair.host), (b"hell", pair.host6)]


async def test_a_datagram_that_nobody_answers_times_out(pair: Pair, overlay: Overlay) -> None:
    def ask(network: ztlink.sync.Network) -> None:
        with network.datagram_socket(7001) as opened:
            assert opened.getsockname()[1] == 7001
            opened.settimeout(0.05)
            with pytest.raises(TimeoutError):
                opened.recvfrom(100)

    await blocking(overlay, pair.other.id, ask)


async def test_a_port_without_a_socket_is_told_to_who_waits(pair: Pair, overlay: Overlay) -> None:
    def ask(network: ztlink.sync.Network) -> None:
        with network.datagram_socket() as opened:
            opened.settimeout(5)
            opened.sendto(b"hello", (pair.host, 9))
            with pytest.raises(ConnectionRefusedError):
                opened.recvfrom(100)

    await blocking(overlay, pair.other.id, ask)


async def test_a_socks_client_is_served(pair: Pair, overlay: Overlay) -> None:
    server = await pair.other.start_server(shout)

    def ask(network: ztlink.sync.Network) -> bytes:
        with network.proxy() as port, pysocks.socksocket() as client:
            client.set_proxy(pysocks.SOCKS5, "127.0.0.1", port)
            client.settimeout(5)
            client.connect((pair.host, server.port))
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            return client.makefile("rb").read()

    assert await blocking(overlay, pair.other.id, ask) == b"HELLO"


async def test_several_threads_share_a_node(pair: Pair, overlay: Overlay) -> None:
    server = await pair.other.start_server(shout)

    def ask(network: ztlink.sync.Network) -> list[bytes]:
        def one(number: int) -> bytes:
            with network.create_connection((pair.host, server.port), timeout=10) as connection:
                connection.sendall(b"number %d" % number)
                connection.shutdown(socket.SHUT_WR)
                return connection.makefile("rb").read()

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, range(16)))

    answers = await blocking(overlay, pair.other.id, ask)
    assert answers == [b"NUMBER %d" % number for number in range(16)]
