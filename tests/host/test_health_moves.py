"""Where health is served, while it is changed: on real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from ipaddress import ip_address
from typing import cast

import pytest

from tests.host.machine import copy_of_us, wire
from tests.unit.api.seen import REQUIRED, Watcher
from ztlink.api.health import HealthServer
from ztlink.api.link_metrics import Metrics
from ztlink.api.observe import Observer
from ztlink.errors import HostError
from ztlink.settings import HttpSettings

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

OURS = "10.1.2.1"
HERE = HttpSettings(ip=ip_address(OURS), port=9994)
REQUEST = b"GET /zerotier/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def health(own_network: None) -> AsyncIterator[HealthServer]:
    wire("eth0", f"{OURS}/24", "10.1.2.7/24")
    made = HealthServer(cast(Observer, Watcher(REQUIRED, None)), Metrics(0.0))
    await made.start(HERE)
    yield made
    await made.stop()


async def is_live(target: str = OURS, port: int = 9994) -> bool:
    """Ask once, on a connection of its own."""
    try:
        reader, writer = await asyncio.open_connection(target, port)
    except ConnectionError:
        return False
    said = await ask(reader, writer)
    writer.close()
    return said == {"live": True}


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
    """Return what is answered; None where the connection has ended."""
    writer.write(REQUEST)
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("Content-Length: ")[2].split()[0])
        return cast(object, json.loads(await reader.readexactly(length)))
    return None


async def test_it_moves_to_another_port(health: HealthServer) -> None:
    await health.move(HttpSettings(ip=ip_address(OURS), port=9995))
    assert [await is_live(port=port) for port in (9994, 9995)] == [False, True]
    assert [await is_live("127.0.0.1", port) for port in (9994, 9995)] == [False, True]


async def test_it_moves_to_another_address_of_the_same_port(health: HealthServer) -> None:
    await health.move(HttpSettings(ip=ip_address("10.1.2.7"), port=9994))
    assert [await is_live(ip) for ip in (OURS, "10.1.2.7", "127.0.0.1")] == [False, True, True]
    await health.move(HttpSettings(ip=ip_address("0.0.0.0"), port=9994))  # noqa: S104 - own network
    assert [await is_live(ip) for ip in (OURS, "10.1.2.7", "127.0.0.1")] == [True, True, True]


async def test_connections_to_the_former_place_end(health: HealthServer) -> None:
    reader, writer = await asyncio.open_connection(OURS, 9994)
    assert await ask(reader, writer) == {"live": True}
    await health.move(HttpSettings(ip=ip_address("10.1.2.7"), port=9994))
    assert await ask(reader, writer) is None
    writer.close()


async def test_a_port_that_others_have_does_not_silence_it_for_a_moment(
    health: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks while the other place is tried finds it where it was."""
    loop = asyncio.get_running_loop()
    create, seen = loop.create_server, []

    async def look_and_create(*where: object, **rest: object) -> object:
        seen.append(await is_live())
        return await create(*where, **rest)  # type: ignore[call-overload]

    with closing(socket.create_server((OURS, 9995))):
        monkeypatch.setattr(loop, "create_server", look_and_create)
        with pytest.raises(HostError, match=r"10\.1\.2\.1:9995.*: choose another http\.port"):
            await health.move(HttpSettings(ip=ip_address(OURS), port=9995))
    assert seen == [True]
    assert [await is_live(ip) for ip in (OURS, "127.0.0.1")] == [True, True]


async def test_an_address_that_the_machine_does_not_have_leaves_it_where_it_was(
    health: HealthServer,
) -> None:
    with pytest.raises(HostError, match=r"10\.1\.2\.9:9994"):
        await health.move(HttpSettings(ip=ip_address("10.1.2.9"), port=9994))
    assert [await is_live(ip) for ip in (OURS, "127.0.0.1")] == [True, True]


async def test_a_program_that_is_just_being_started_does_not_keep_it_out(
    health: HealthServer,
) -> None:
    """Until it runs, it is a copy of ours, and has the sockets that we have."""
    with copy_of_us(seconds=0.3):
        await health.move(HttpSettings(ip=ip_address("0.0.0.0"), port=9994))  # noqa: S104
    assert [await is_live(ip) for ip in (OURS, "10.1.2.7", "127.0.0.1")] == [True, True, True]


async def test_who_may_see_the_page_is_no_place_and_moves_nothing(health: HealthServer) -> None:
    reader, writer = await asyncio.open_connection(OURS, 9994)
    await health.move(HERE)
    assert await ask(reader, writer) == {"live": True}
    writer.close()
