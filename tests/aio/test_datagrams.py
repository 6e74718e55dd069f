"""UDP and echo between two nodes in user space."""

import asyncio

import pytest

from tests.aio.conftest import Pair
from tests.aio.handlers import Echo, Inbox


@pytest.mark.parametrize("size", [0, 1, 1400, 2773, 9000, 60_000])
@pytest.mark.parametrize("local", ["0.0.0.0", "::"])
async def test_a_datagram_of_any_size_comes_back(pair: Pair, size: int, local: str) -> None:
    host = pair.host if local == "0.0.0.0" else pair.host6
    await pair.other.create_datagram_endpoint(Echo, local_addr=(local, 7))
    transport, inbox = await pair.one.create_datagram_endpoint(Inbox, remote_addr=(host, 7))
    transport.sendto(bytes(range(256)) * (size // 256) + bytes(size % 256))
    answer = await asyncio.wait_for(inbox.received.get(), 5.0)
    assert isinstance(answer, bytes)
    assert len(answer) == size
    transport.close()


async def test_a_socket_that_is_not_connected_talks_to_anybody(pair: Pair) -> None:
    await pair.other.create_datagram_endpoint(Echo, local_addr=("0.0.0.0", 7))
    transport, inbox = await pair.one.create_datagram_endpoint(Inbox)
    transport.sendto(b"hello", (pair.host, 7))
    assert await asyncio.wait_for(inbox.received.get(), 5.0) == b"hello"
    transport.close()


@pytest.mark.parametrize("version", [4, 6])
async def test_a_socket_on_all_addresses_takes_both_families(pair: Pair, version: int) -> None:
    await pair.other.create_datagram_endpoint(Echo, local_addr=("::", 7))
    host = pair.host if version == 4 else pair.host6
    transport, inbox = await pair.one.create_datagram_endpoint(Inbox, remote_addr=(host, 7))
    transport.sendto(b"hello")
    assert await asyncio.wait_for(inbox.received.get(), 5.0) == b"hello"
    transport.close()


async def test_a_port_without_a_socket_is_told(pair: Pair) -> None:
    transport, inbox = await pair.one.create_datagram_endpoint(Inbox, remote_addr=(pair.host, 9))
    transport.sendto(b"hello")
    answer = await asyncio.wait_for(inbox.received.get(), 5.0)
    assert isinstance(answer, ConnectionRefusedError)
    transport.close()


async def test_a_datagram_that_cannot_be_is_told(pair: Pair) -> None:
    transport, inbox = await pair.one.create_datagram_endpoint(Inbox, remote_addr=(pair.host, 9))
    transport.sendto(bytes(70_000))
    answer = await inbox.received.get()
    assert isinstance(answer, OSError)
    transport.close()


@pytest.mark.parametrize("size", [0, 56, 2000, 9000])
async def test_an_echo_request_is_answered(pair: Pair, size: int) -> None:
    pong = await pair.one.ping(pair.host, size=size)
    assert pong.size == size


async def test_ipv6_is_pinged_too(pair: Pair) -> None:
    assert (await pair.one.ping(pair.host6)).round_trip < 1.0


async def test_nobody_at_an_address_is_told(pair: Pair) -> None:
    with pytest.raises(OSError, match=r"10\.9\.0\.251"):
        await pair.one.ping("10.9.0.251", timeout=4.0)
