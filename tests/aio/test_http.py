"""aiohttp and httpx over a network in user space."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web

from tests.aio.conftest import Pair
from ztlink.aio.http import Site

MEGABYTE = 1 << 20


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": request.query.get("name", "")})


async def count(request: web.Request) -> web.Response:
    size = 0
    async for chunk in request.content.iter_chunked(MEGABYTE):
        size += len(chunk)
    return web.json_response({"size": size})


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(20):
        await response.write(b"%d\n" % number)
    await response.write_eof()
    return response


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(3):
        await response.write(b"data: %d\n\n" % number)
        await asyncio.sleep(0.05)
    return response


async def talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


@pytest.fixture
async def site(pair: Pair, tmp_path: Path) -> AsyncIterator[Site]:
    """An application on the other node."""
    (tmp_path / "large").write_bytes(bytes(range(256)) * (8 * MEGABYTE // 256))

    async def large(_: web.Request) -> web.FileResponse:
        return web.FileResponse(tmp_path / "large")

    app = web.Application(client_max_size=64 * MEGABYTE)
    app.router.add_get("/", hello)
    app.router.add_post("/count", count)
    app.router.add_get("/stream", stream)
    app.router.add_get("/events", events)
    app.router.add_get("/talk", talk)
    app.router.add_get("/large", large)
    runner = web.AppRunner(app)
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


async def test_a_large_file_is_served(
    site: Site, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    async with session.get(f"{site.name}/large") as response:
        async for chunk in response.content.iter_chunked(MEGABYTE):
            digest.update(chunk)
    content = (tmp_path / "large").read_bytes()
    assert digest.digest() == hashlib.md5(content, usedforsecurity=False).digest()


async def test_a_large_body_is_taken(site: Site, session: aiohttp.ClientSession) -> None:
    body = io.BytesIO(bytes(8 * MEGABYTE))
    async with session.post(f"{site.name}/count", data=body) as response:
        assert await response.json() == {"size": 8 * MEGABYTE}


async def test_chunks_arrive(site: Site, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{site.name}/stream") as response:
        assert len((await response.text()).splitlines()) == 20


async def test_events_of_a_server_arrive_one_by_one(
    site: Site, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{site.name}/events") as response:
        lines = [line async for line in response.content if line.strip()]
    assert lines == [b"data: 0\n", b"data: 1\n", b"data: 2\n"]


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
    assert size == 8 * MEGABYTE
