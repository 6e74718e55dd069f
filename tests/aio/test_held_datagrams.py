"""Datagrams through the process that holds a home."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aio.handlers import Echo, Inbox
from tests.aio.target import LOOPBACK, Target
from ztlink.aio.held import HeldNetwork, socket_path
from ztlink.aio.held_datagrams import HeldDatagrams
from ztlink.ids import NetworkId
from ztlink.proxy import socks
from ztlink.proxy.exchange import FIRST_ERROR, framed
from ztlink.proxy.socks_wire import Reply

NETWORK = NetworkId(0x8056C2E21C000001)
PATIENCE = 5.0


@pytest.fixture
async def held(
    target: Target, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[HeldNetwork]:
    """The network, as another process sees it."""
    home = tmp_path_factory.mktemp("home")  # a short name: a Unix socket is in it
    proxy = await socks.serve(target.dial, target, path=str(socket_path(home, NETWORK)))
    yield HeldNetwork(home, NETWORK)
    proxy.close()
    await proxy.wait_closed()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[str, int]]:
    """An echo on the loopback."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Echo, local_addr=(LOOPBACK, 0)
    )
    yield transport.get_extra_info("sockname")
    transport.close()


async def heard(inbox: Inbox) -> bytes | Exception:
    """Return what comes next."""
    return await asyncio.wait_for(inbox.received.get(), PATIENCE)


@pytest.mark.parametrize("size", [1, 1400, 65_507])
async def test_a_datagram_of_any_size_comes_back(
    held: HeldNetwork, echo: tuple[str, int], size: int
) -> None:
    transport, inbox = await held.create_datagram_endpoint(Inbox, remote_addr=echo)
    transport.sendto(bytes(size))
    assert await heard(inbox) == bytes(size)
    transport.close()


async def test_what_is_too_large_is_told(held: HeldNetwork, echo: tuple[str, int]) -> None:
    transport, inbox = await held.create_datagram_endpoint(Inbox, remote_addr=echo)
    transport.sendto(bytes(65_508))
    assert isinstance(await heard(inbox), OSError)
    transport.abort()


async def test_a_port_without_a_socket_is_told(held: HeldNetwork) -> None:
    transport, inbox = await held.create_datagram_endpoint(Inbox, remote_addr=(LOOPBACK, 9))
    transport.sendto(b"hello")
    assert isinstance(await heard(inbox), ConnectionRefusedError)
    transport.close()


async def test_what_the_holder_cannot_open_is_told(held: HeldNetwork, target: Target) -> None:
    target.error = OSError(101, "no route")
    with pytest.raises(OSError, match="network unreachable"):
        await held.create_datagram_endpoint(Inbox, remote_addr=("10.0.0.5", 7))


async def test_the_holders_socket_goes_with_ours(
    held: HeldNetwork, target: Target, echo: tuple[str, int]
) -> None:
    transport, _ = await held.create_datagram_endpoint(Inbox, remote_addr=echo)
    transport.close()
    assert await target.wait_closed()


async def test_our_socket_goes_with_the_holders(
    held: HeldNetwork, target: Target, echo: tuple[str, int]
) -> None:
    transport, inbox = await held.create_datagram_endpoint(Inbox, remote_addr=echo)
    target.sockets[0].close()
    await asyncio.wait_for(inbox.ended.wait(), PATIENCE)
    assert transport.is_closing()


class Noted:
    """A protocol that notes, in order, what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes | None] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.told.append(data)

    def error_received(self, exc: Exception) -> None:
        self.told.append(None)


@given(st.lists(st.one_of(st.binary(max_size=40), st.none())), st.integers(1, 9))
def test_datagrams_are_found_however_the_stream_is_cut(said: list[bytes | None], step: int) -> None:
    refusal = (FIRST_ERROR + Reply.REFUSED).to_bytes(2, "big")
    stream = b"".join(refusal if one is None else framed(one) for one in said)
    noted = Noted()
    transport = HeldDatagrams(noted, ("10.0.0.5", 7))  # type: ignore[arg-type] # what it calls
    for start in range(0, len(stream), step):
        transport.data_received(stream[start : start + step])
    assert noted.told == said
