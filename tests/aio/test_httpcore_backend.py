"""httpcore's backend: plain, with TLS, and what goes wrong."""

import asyncio
from pathlib import Path

import httpcore
import pytest

from tests.aio.certificate import contexts
from tests.aio.conftest import Pair
from tests.aio.handlers import keep_silent
from ztlink.aio.httpcore_backend import Backend

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


async def test_a_request_is_answered(pair: Pair) -> None:
    server = await pair.other.start_server(answer)
    async with httpcore.AsyncConnectionPool(network_backend=Backend(pair.one)) as pool:
        response = await pool.request("GET", f"http://{pair.host}:{server.port}/")
    assert (response.status, response.content) == (200, b"hello")


async def test_a_request_by_tls_is_answered(pair: Pair, tmp_path: Path) -> None:
    server_context, client_context = contexts(tmp_path, "other.example")
    server = await pair.other.start_server(answer, ssl=server_context)
    async with httpcore.AsyncConnectionPool(
        network_backend=Backend(pair.one), ssl_context=client_context
    ) as pool:
        response = await pool.request(
            "GET",
            f"https://{pair.host}:{server.port}/",
            extensions={"sni_hostname": "other.example"},
        )
    assert response.content == b"hello"


async def test_a_refused_connection_is_an_error_of_httpcore(pair: Pair) -> None:
    with pytest.raises(httpcore.ConnectError, match="refused"):
        await Backend(pair.one).connect_tcp(pair.host, 9)


async def test_a_connection_in_vain_times_out(pair: Pair) -> None:
    with pytest.raises(httpcore.ConnectTimeout):
        await Backend(pair.one).connect_tcp("10.9.0.251", 80, timeout=0.1)


async def test_an_answer_in_vain_times_out(pair: Pair) -> None:
    server = await pair.other.start_server(keep_silent)
    stream = await Backend(pair.one).connect_tcp(pair.host, server.port)
    with pytest.raises(httpcore.ReadTimeout):
        await stream.read(1, timeout=0.1)
    await stream.aclose()
