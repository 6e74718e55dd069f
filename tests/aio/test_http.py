"""aiohttp and httpx over a network in user space."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web

from tests.aio.conftest import Pair
from tests.lab.pages import CHUNKS, MEGABYTE, Pages, md5
from ztlink.aio.site import Site

LARGE = bytes(range(256)) * (8 * MEGABYTE // 256)


@pytest.fixture
async def pages(tmp_path: Path) -> Pages:
    """What the other node serves."""
    large = tmp_path / "large"
    large.write_bytes(LARGE)
    return Pages(large)


@pytest.fixture
async def site(pair: Pair, pages: Pages) -> AsyncIterator[Site]:
    """An application on the other node."""
    runner = web.AppRunner(pages.application())
    await runner.setup()
    made = pair.other.site(runner, port=8080)
    await made.start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def session(pair: Pair) -> AsyncIterator[aiohttp.ClientSession]:
    """A client on the first node."""
    async with aiohttp.ClientSession(connector=pair.one.connector()) as made:
        yield made


async def test_a_request_is_answered(site: Site, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{site.name}/?name=anna") as response:
        assert await response.json() == {"hello": "anna"}


async def test_a_hundred_requests_at_once(site: Site, session: aiohttp.ClientSession) -> None:
    async def ask(number: int) -> str:
        async with session.get(f"{site.name}/?name={number}") as response:
            return str((await response.json())["hello"])

    answers = await asyncio.gather(*(ask(number) for number in range(100)))
    assert answers == [str(number) for number in range(100)]


async def test_a_large_file_is_served(site: Site, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{site.name}/large") as response:
        assert md5(await response.read()) == md5(LARGE)


async def test_a_large_body_is_taken(site: Site, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{site.name}/digest", data=io.BytesIO(LARGE)) as response:
        assert (await response.json())["md5"] == md5(LARGE)


async def test_chunks_arrive(site: Site, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{site.name}/stream") as response:
        assert len((await response.text()).splitlines()) == CHUNKS


async def test_events_of_a_server_arrive_one_by_one(
    site: Site, pages: Pages, session: aiohttp.ClientSession
) -> None:
    seen = []
    async with session.get(f"{site.name}/events") as response:
        async for line in response.content:
            if line.strip():
                seen.append(line)
                pages.has_seen_event.set()
    assert seen == [b"data: 0\n", b"data: 1\n", b"data: 2\n"]


async def test_a_websocket_talks(site: Site, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(f"{site.name}/talk") as socket:
        await socket.send_str("hello")
        assert (await socket.receive_str()) == "HELLO"


async def test_a_refused_connection_is_an_error_of_aiohttp(
    pair: Pair, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(aiohttp.ClientConnectorError, match="refused"):
        await session.get(f"http://{pair.host}:9/")


async def test_a_name_is_found_in_the_programs_table(
    site: Site, pair: Pair, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(aiohttp.ClientConnectorDNSError, match="no name servers"):
        await session.get(f"http://nobody.example:{site.port}/")


async def test_httpx_asks_too(site: Site, pair: Pair) -> None:
    async with httpx.AsyncClient(transport=pair.one.httpx_transport()) as client:
        answer = await client.get(f"{site.name}/", params={"name": "anna"})
    assert answer.json() == {"hello": "anna"}


async def test_httpx_streams(site: Site, pair: Pair) -> None:
    size = 0
    async with (
        httpx.AsyncClient(transport=pair.one.httpx_transport()) as client,
        client.stream("GET", f"{site.name}/large") as answer,
    ):
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
    assert size == len(LARGE)
