"""HTTP between user space and a kernel: curl asks our server, ours asks the kernel's."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
import pytest
import pytest_asyncio

from tests.aio.certificate import contexts
from tests.judge.command import Command, needs, run
from tests.judge.field import VERSIONS, Field, Served
from tests.judge.http2 import LARGE, Http2Server
from tests.lab.pages import CHUNKS, EVENTS, MEGABYTE, Pages, md5
from tests.scale import scaled
from ztlink.drivers.chance import random_bytes

pytestmark = [pytest.mark.netadmin, pytest.mark.asyncio(loop_scope="module")]
FAMILIES = pytest.mark.parametrize("version", VERSIONS)
SIZE = scaled(100) * MEGABYTE
IN_A_ROW = 200
AT_ONCE = 50


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that no compression or repetition makes small."""
    file = tmp_path_factory.mktemp("pages") / "large"
    file.write_bytes(random_bytes(SIZE))
    return file


@pytest.fixture(scope="module")
def digest(large: Path) -> str:
    """What the file's content comes to."""
    return md5(large.read_bytes())


@pytest.fixture
def pages(large: Path) -> Pages:
    """What is served."""
    return Pages(large)


@pytest_asyncio.fixture(loop_scope="module")
async def ours(field: Field, pages: Pages) -> AsyncIterator[Served]:
    """A server in user space."""
    async with field.our_site(pages.application()) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(field: Field, pages: Pages) -> AsyncIterator[Served]:
    """A server on the kernel's side."""
    async with field.kernel_site(pages.application()) as served:
        yield served


async def curl(field: Field, *arguments: str, given: bytes = b"") -> bytes:
    """Run curl on the kernel's side, and return what it printed."""
    return await run(*field.kernel.namespace.entry, "curl", "-sSf", *arguments, given=given)


def names(count: int) -> list[str]:
    """Return what so many greetings are to say."""
    return [json.dumps({"hello": str(number)}) for number in range(1, count + 1)]


# -- the kernel asks -----------------------------------------------------------------------------


@needs("curl")
@FAMILIES
async def test_curl_fetches_a_large_file(
    field: Field, ours: Served, version: int, tmp_path: Path, digest: str
) -> None:
    got = tmp_path / "got"
    await curl(field, ours.url("/large", version), "-o", str(got))
    assert md5(got.read_bytes()) == digest


@needs("curl")
@FAMILIES
async def test_curl_sends_a_large_file(
    field: Field, ours: Served, version: int, large: Path, digest: str
) -> None:
    told = json.loads(await curl(field, ours.url("/digest", version), "-T", str(large)))
    assert told == {"size": SIZE, "md5": digest, "chunked": False}


@needs("curl")
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_curl_asks_again_and_again(field: Field, ours: Served, connection: str) -> None:
    """Each time on a new connection, or all on one."""
    pages = ours.url(f"/?name=[1-{IN_A_ROW}]")
    said = await curl(field, pages, "-H", f"Connection: {connection}", "-w", "\n")
    assert said.decode().splitlines() == names(IN_A_ROW)


@needs("curl")
async def test_curl_asks_for_many_pages_at_once(field: Field, ours: Served, tmp_path: Path) -> None:
    pages = ours.url(f"/?name=[1-{AT_ONCE}]")
    at_once = ("--parallel", "--parallel-immediate", "--parallel-max", str(AT_ONCE))
    await curl(field, pages, *at_once, "-o", f"{tmp_path}/#1")
    said = [(tmp_path / str(number)).read_text() for number in range(1, AT_ONCE + 1)]
    assert said == names(AT_ONCE)


@needs("curl")
async def test_curl_takes_chunks(field: Field, ours: Served) -> None:
    said = await curl(field, ours.url("/stream"), "-i")
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body.split() == [b"%d" % number for number in range(CHUNKS)]


@needs("curl")
async def test_curl_sends_chunks(field: Field, ours: Served) -> None:
    given = random_bytes(3 * MEGABYTE)
    told = json.loads(await curl(field, ours.url("/digest"), "-T", "-", given=given))
    assert told == {"size": len(given), "md5": md5(given), "chunked": True}


@needs("curl")
async def test_events_of_our_server_reach_curl_one_by_one(
    field: Field, ours: Served, pages: Pages
) -> None:
    entry = field.kernel.namespace.entry
    async with Command.running(*entry, "curl", "-sSfN", ours.url("/events")) as command:
        for number in range(EVENTS):
            assert await command.hear(9) == b"data: %d\n\n" % number
            pages.has_seen_event.set()
        assert await command.end() == b""


async def test_a_websocket_from_the_kernel_talks(field: Field, ours: Served) -> None:
    async with field.kernel_session() as session:
        assert await talk(session, ours) == SHOUTED


SAID = ("hello", "long " * 100_000, b"bytes" * 10_000)
SHOUTED = [text.upper() for text in SAID]


async def talk(session: aiohttp.ClientSession, served: Served) -> list[str | bytes]:
    """Say something short, something long, and bytes; return what was answered to each."""
    answers: list[str | bytes] = []
    async with session.ws_connect(served.url("/talk")) as socket:
        for text in SAID:
            if isinstance(text, str):
                await socket.send_str(text)
            else:
                await socket.send_bytes(text)
            answers.append((await socket.receive()).data)
    return answers


# -- we ask --------------------------------------------------------------------------------------


@FAMILIES
async def test_the_kernels_large_file_is_fetched(
    field: Field, theirs: Served, version: int, digest: str
) -> None:
    async with (
        field.our_session() as session,
        session.get(theirs.url("/large", version)) as response,
    ):
        assert md5(await response.read()) == digest


@FAMILIES
async def test_a_large_file_is_sent_to_the_kernel(
    field: Field, theirs: Served, version: int, large: Path, digest: str
) -> None:
    with large.open("rb") as file:
        async with (
            field.our_session() as session,
            session.put(theirs.url("/digest", version), data=file) as response,
        ):
            told = await response.json()
    assert (told["size"], told["md5"]) == (SIZE, digest)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_we_ask_again_and_again(field: Field, theirs: Served, connection: str) -> None:
    said = []
    async with field.our_session() as session:
        for number in range(1, IN_A_ROW + 1):
            page = theirs.url(f"/?name={number}")
            async with session.get(page, headers={"Connection": connection}) as response:
                said.append(await response.text())
    assert said == names(IN_A_ROW)


async def test_we_ask_for_many_pages_at_once(field: Field, theirs: Served) -> None:
    async def ask(number: int) -> str:
        async with session.get(theirs.url(f"/?name={number}")) as response:
            return await response.text()

    async with field.our_session() as session:
        said = await asyncio.gather(*(ask(number) for number in range(1, AT_ONCE + 1)))
    assert said == names(AT_ONCE)


async def test_chunks_pass_both_ways(field: Field, theirs: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(CHUNKS):
            yield b"%d" % number * 10_000

    async with field.our_session() as session:
        async with session.get(theirs.url("/stream")) as response:
            lines = (await response.read()).split()
        async with session.post(theirs.url("/digest"), data=chunks()) as response:
            told = await response.json()
    assert lines == [b"%d" % number for number in range(CHUNKS)]
    sent = b"".join([chunk async for chunk in chunks()])
    assert told == {"size": len(sent), "md5": md5(sent), "chunked": True}


async def test_events_of_the_kernels_server_reach_us_one_by_one(
    field: Field, theirs: Served, pages: Pages
) -> None:
    async with (
        field.our_session() as session,
        session.get(theirs.url("/events")) as response,
    ):
        for number in range(EVENTS):
            assert await response.content.readexactly(9) == b"data: %d\n\n" % number
            pages.has_seen_event.set()
        assert await response.content.read() == b""


async def test_a_websocket_to_the_kernel_talks(field: Field, theirs: Served) -> None:
    async with field.our_session() as session:
        assert await talk(session, theirs) == SHOUTED


async def test_the_command_calls(
    field: Field, theirs: Served, large: Path, digest: str, tmp_path: Path
) -> None:
    got = tmp_path / "got"
    await run(*field.ztlink("call", theirs.url("/large"), "-o", str(got)))
    told = await run(*field.ztlink("call", theirs.url("/digest"), "-d", f"@{large}"))
    assert (md5(got.read_bytes()), json.loads(told)["md5"]) == (digest, digest)


# -- HTTP/2 --------------------------------------------------------------------------------------


@needs("curl")
async def test_curl_speaks_http2_with_a_server_in_user_space(field: Field, tmp_path: Path) -> None:
    server = await field.network.create_server(Http2Server)
    page = Served(field.our_ip, server.port).url()
    got = tmp_path / "got"
    options = ("--http2-prior-knowledge", "-o", str(got), "-w", "%{http_version}")
    assert await curl(field, page, *options) == b"2"
    assert got.read_bytes() == LARGE
    server.close()


@needs("curl")
async def test_curl_sends_by_http2_to_a_server_in_user_space(field: Field) -> None:
    server = await field.network.create_server(Http2Server)
    page = Served(field.our_ip, server.port).url()
    given = random_bytes(3 * MEGABYTE)
    told = await curl(field, page, "--http2-prior-knowledge", "-T", "-", given=given)
    assert told.decode() == md5(given)
    server.close()


async def test_httpx_speaks_http2_with_a_server_of_the_kernels(
    field: Field, tmp_path: Path
) -> None:
    """Over TLS, where both agree on it."""
    server_context, client_context = contexts(tmp_path, "kernel.example")
    server_context.set_alpn_protocols(["h2"])
    listening = field.bound(socket.SOCK_STREAM)
    server = await asyncio.get_running_loop().create_server(
        Http2Server, sock=listening, ssl=server_context
    )
    page = f"https://{field.kernel_ip()}:{listening.getsockname()[1]}/"
    named = {"sni_hostname": "kernel.example"}
    sent = random_bytes(3 * MEGABYTE)
    transport = field.network.httpx_transport(verify=client_context, http2=True)
    async with httpx.AsyncClient(transport=transport) as client:
        answers = await asyncio.gather(
            client.get(page, extensions=named),
            client.post(page, content=sent, extensions=named),
        )
    assert [answer.http_version for answer in answers] == ["HTTP/2"] * 2
    assert [answer.content for answer in answers] == [LARGE, md5(sent).encode()]
    server.close()
    await server.wait_closed()
