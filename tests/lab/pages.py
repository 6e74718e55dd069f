"""An HTTP application with one page for each thing that a connection must bear."""

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from aiohttp import web

MEGABYTE: Final = 1 << 20
CHUNKS: Final = 20
EVENTS: Final = 3


def md5(content: bytes) -> str:
    """Return a digest that tells whether bytes are the same; nobody forges here."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Pages:
    """The application's pages, and what they wait for."""

    def __init__(self, large: Path) -> None:
        """Make them; `large` is the file behind `/large`."""
        self._large = large
        self.has_seen_event = asyncio.Event()
        """Each event after the first is sent once this is set, and clears it."""

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/", hello)
        app.router.add_route("*", "/digest", digest)
        app.router.add_get("/stream", stream)
        app.router.add_get("/events", self._events)
        app.router.add_get("/talk", talk)
        app.router.add_get("/large", self._serve_large)
        return app

    async def _serve_large(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(self._large)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(EVENTS):
            if number:
                await self.has_seen_event.wait()
                self.has_seen_event.clear()
            await response.write(b"data: %d\n\n" % number)
        return response


async def hello(request: web.Request) -> web.Response:
    """Greet by name."""
    return web.json_response({"hello": request.query.get("name", "")})


async def digest(request: web.Request) -> web.Response:
    """Tell what came, and how it was framed."""
    size, seen = 0, hashlib.md5(usedforsecurity=False)
    async for chunk in request.content.iter_chunked(MEGABYTE):
        size += len(chunk)
        seen.update(chunk)
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "")
    return web.json_response({"size": size, "md5": seen.hexdigest(), "chunked": is_chunked})


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer in chunks."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(CHUNKS):
        await response.write(b"%d\n" % number)
    await response.write_eof()
    return response


async def talk(request: web.Request) -> web.WebSocketResponse:
    """Shout back what is said, text and bytes."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if isinstance(message.data, str):
            await socket.send_str(message.data.upper())
        else:
            await socket.send_bytes(message.data.upper())
    return socket
