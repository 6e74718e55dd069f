"""The local API to other machines: `allowManagementFrom` of local.conf, on real sockets."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from ipaddress import ip_network

import pytest

from tests.host.machine import copy_of_us, give_address, wire
from tests.unit.api.rig import TOKEN, FakeCore, make_api
from ztlink.api.app import LocalApi

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

PORT = 9993
OURS = "10.1.2.1"
REQUEST = f"GET /status HTTP/1.1\r\nHost: localhost\r\nX-ZT1-Auth: {TOKEN}\r\n\r\n".encode()


@pytest.fixture
async def api(own_network: None) -> AsyncIterator[LocalApi]:
    wire("eth0", f"{OURS}/24", "10.1.2.7/24")
    give_address("eth0", "fd12::1/64")
    made = make_api(FakeCore())
    await made.start(PORT)
    yield made
    await made.stop()


class Client:
    """One connection from an address to an address of this machine."""

    async def open(self, source: str, target: str = OURS) -> "Client":
        self.reader, self.writer = await asyncio.open_connection(
            target, PORT, local_addr=(source, 0)
        )
        return self

    async def ask(self) -> str:
        """Return the first line of the answer; empty where the connection is closed."""
        self.writer.write(REQUEST)
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except (ConnectionError, asyncio.IncompleteReadError):
            return ""
        await self.reader.readexactly(int(head.partition("Content-Length: ")[2].split()[0]))
        return head.splitlines()[0]

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


async def answer(source: str, target: str = OURS) -> str:
    try:
        client = await Client().open(source, target)
    except ConnectionError as error:
        return type(error).__name__
    said = await client.ask()
    await client.close()
    return said


async def test_others_do_not_even_reach_the_port_by_default(api: LocalApi) -> None:
    assert await answer("10.1.2.7") == "ConnectionRefusedError"


async def test_clients_of_a_named_network_are_answered(api: LocalApi) -> None:
    await api.allow_from((ip_network("10.1.2.7/32"),))
    assert await answer("10.1.2.7") == "HTTP/1.1 200 OK"


async def test_everybody_else_gets_no_word(api: LocalApi) -> None:
    await api.allow_from((ip_network("10.1.2.7/32"),))
    assert await answer(OURS) == ""


async def test_this_machine_is_served_as_before(api: LocalApi) -> None:
    await api.allow_from((ip_network("10.1.2.7/32"),))
    assert await answer("127.0.0.1", "127.0.0.1") == "HTTP/1.1 200 OK"
    await api.allow_from(())
    assert await answer("127.0.0.1", "127.0.0.1") == "HTTP/1.1 200 OK"


async def test_a_family_without_a_network_stays_on_loopback(api: LocalApi) -> None:
    await api.allow_from((ip_network("10.1.2.0/24"),))
    assert await answer("fd12::1", "fd12::1") == "ConnectionRefusedError"
    await api.allow_from((ip_network("fd12::/64"),))
    assert await answer("fd12::1", "fd12::1") == "HTTP/1.1 200 OK"
    assert await answer("10.1.2.7") == "ConnectionRefusedError"


async def test_a_connection_ends_when_its_client_may_not_speak_any_more(api: LocalApi) -> None:
    await api.allow_from((ip_network("10.1.2.0/24"),))
    client = await Client().open("10.1.2.7")
    assert await client.ask() == "HTTP/1.1 200 OK"
    await api.allow_from((ip_network("10.1.2.8/32"),))
    assert await client.ask() == ""
    await client.close()


async def test_a_port_that_others_have_leaves_this_machine_served(
    api: LocalApi, caplog: pytest.LogCaptureFixture
) -> None:
    other = socket.socket()
    other.bind((OURS, PORT))
    other.listen(1)
    with closing(other), caplog.at_level(logging.WARNING):
        await api.allow_from((ip_network("10.1.2.0/24"),))
    assert "cannot bind TCP 0.0.0.0:9993: Address already in use" in caplog.text
    assert await answer("127.0.0.1", "127.0.0.1") == "HTTP/1.1 200 OK"


async def test_a_program_that_is_just_being_started_does_not_keep_others_out(api: LocalApi) -> None:
    """Until it runs, it is a copy of ours, and has the sockets that we have."""
    with copy_of_us(seconds=0.3):
        await api.allow_from((ip_network("10.1.2.7/32"), ip_network("fd12::1/128")))
    assert await answer("10.1.2.7") == "HTTP/1.1 200 OK"
    assert await answer("fd12::1", "fd12::1") == "HTTP/1.1 200 OK"
