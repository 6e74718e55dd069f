"""What `ztlink call` says to a server, and what it makes of the answer, over the loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.aio.certificate import contexts
from ztlink.aio.held import HeldNetwork, socket_path
from ztlink.cli_call import CHUNK, CallError, Request, perform
from ztlink.ids import NetworkId
from ztlink.proxy import socks
from ztlink.proxy.forward import port_of
from ztlink.proxy.relay import Stream

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NETWORK = NetworkId(0x8056C2E21C000001)


class Origin:
    """A server that notes what it is told, and says what it was given to say."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.said = b""
        self.wanted: Callable[[bytes], bool] = lambda said: b"\r\n\r\n" in said
        """Whether it has heard enough to answer."""
        self.may_end = asyncio.Event()
        """Whether it closes the connection after its answer; else it stays, and hears no more."""
        self.may_end.set()
        self.port = 0
        self.asked: list[tuple[str, int]] = []

    @property
    def lines(self) -> list[str]:
        """The lines of the request."""
        return self.said.partition(b"\r\n\r\n")[0].decode().split("\r\n")

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
        """Listen for as long as the context lasts."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = port_of(server)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.wanted(self.said) and (data := await reader.read(CHUNK)):
            self.said += data
        writer.write(self.answer)
        await self.may_end.wait()
        writer.close()

    async def open_connection(self, host: str, port: int, **options: Any) -> Stream:
        """Dial as a network does: it is asked for a host, and leads here."""
        self.asked.append((host, port))
        if options.get("ssl"):
            options["server_hostname"] = host
        return Stream(*await asyncio.open_connection("127.0.0.1", self.port, **options))

    async def dial(self, host: str, port: int) -> Stream:
        """Dial as proxies do."""
        return await self.open_connection(host, port)


async def ask(request: Request, answer: bytes = HELLO) -> Origin:
    """Have a server answer a request, and return it with what it was told."""
    origin = Origin(answer)
    async with origin.serving():
        await perform(origin, request)
    return origin


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where a body goes."""
    return tmp_path / "output"


def read(file: Path) -> bytes:
    """Return what is in a file."""
    return file.read_bytes()


def write(file: Path, content: bytes) -> None:
    """Have that be in a file."""
    file.write_bytes(content)


# -- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://10.1.2.3", "/"),
        ("http://10.1.2.3/a/b?c=d&e=%20#f", "/a/b?c=d&e=%20"),
        ("http://10.1.2.3/a b/ä", "/a%20b/%C3%A4"),
    ],
)
async def test_the_target_is_the_urls_path(url: str, target: str) -> None:
    assert (await ask(Request(url))).lines[0] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    ("url", "host", "asked"),
    [
        ("http://10.1.2.3/", "10.1.2.3", ("10.1.2.3", 80)),
        ("http://10.1.2.3:80/", "10.1.2.3", ("10.1.2.3", 80)),
        ("http://db.example:8080/", "db.example:8080", ("db.example", 8080)),
        ("http://[fd00::5]:81/", "[fd00::5]:81", ("fd00::5", 81)),
        ("http://bücher.example/", "xn--bcher-kva.example", ("bücher.example", 80)),
    ],
)
async def test_the_host_is_named_and_dialled(url: str, host: str, asked: tuple[str, int]) -> None:
    origin = await ask(Request(url))
    assert (f"Host: {host}" in origin.lines, origin.asked) == (True, [asked])


async def test_data_is_posted_as_a_forms_unless_a_header_says_otherwise() -> None:
    origin = await ask(Request("http://a/", data="a=b"))
    assert (origin.lines[0], origin.said.partition(b"\r\n\r\n")[2]) == ("POST / HTTP/1.1", b"a=b")
    assert "Content-Type: application/x-www-form-urlencoded" in origin.lines


async def test_a_header_takes_the_place_of_ours() -> None:
    headers = ("host: other", "Content-Type: text/plain")
    lines = (await ask(Request("http://a/", headers=headers, data="x"))).lines
    named = [line for line in lines if line.lower().startswith(("host", "content-type"))]
    assert named == ["host: other", "Content-Type: text/plain"]


async def test_data_comes_from_a_file(output: Path) -> None:
    write(output, b"\x00\xff")
    origin = await ask(Request("http://a/", "PUT", data=f"@{output}"))
    assert origin.said.endswith(b"\r\n\r\n\x00\xff")


async def test_user_and_password_of_the_url_are_said() -> None:
    lines = (await ask(Request("http://anna:p%40ss@a/"))).lines
    assert "Authorization: Basic YW5uYTpwQHNz" in lines


@pytest.mark.parametrize("url", ["10.1.2.3", "ftp://a/", "http:///x", "http://a:b/", "http://[a"])
async def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(CallError, match="no URL"):
        await ask(Request(url))


@pytest.mark.parametrize("header", ["no colon", ": no name", "bad name: x", "a: b\nc: d"])
async def test_what_is_no_header_is_told(header: str) -> None:
    with pytest.raises(CallError):
        await ask(Request("http://a/", headers=(header,)))


# -- what is made of the answer ------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        HELLO,
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
async def test_the_body_is_written_however_it_is_framed(output: Path, answer: bytes) -> None:
    await ask(Request("http://a/", output=output), answer)
    assert read(output) == b"hello"


async def test_the_head_is_shown_where_it_is_asked_for(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    await ask(Request("http://a/", is_verbose=True))
    assert capsysbinary.readouterr().out == b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"


async def test_a_head_request_has_no_body(output: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    await ask(Request("http://a/", "HEAD", output=output), answer)
    assert read(output) == b""


@pytest.mark.parametrize(("status", "code"), [(b"204 No", 0), (b"301 Moved", 0), (b"404 No", 22)])
async def test_an_error_of_the_server_is_the_exit_status(status: bytes, code: int) -> None:
    origin = Origin(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    async with origin.serving():
        assert await perform(origin, Request("http://a/")) == code


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 200", "without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "broken"),
        (HELLO[:-1], "broken"),
        (b"HTTP/1.1 200 OK\r\nX: " + bytes(1 << 19), "broken"),
    ],
)
async def test_half_an_answer_is_none(output: Path, answer: bytes, why: str) -> None:
    with pytest.raises(CallError, match=why):
        await ask(Request("http://a/", output=output), answer)


async def test_an_answer_before_the_end_of_the_data_counts(output: Path) -> None:
    write(output, bytes(32 << 20))
    origin = Origin(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
    origin.may_end.clear()
    async with origin.serving():
        assert await perform(origin, Request("http://a/", data=f"@{output}")) == 22
        origin.may_end.set()


async def test_a_large_body_arrives_whole_both_ways(tmp_path: Path, output: Path) -> None:
    data = tmp_path / "data"
    write(data, bytes(range(256)) * 20_000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5120000\r\n\r\n" + read(data)
    origin = Origin(answer)
    origin.wanted = lambda said: len(said.partition(b"\r\n\r\n")[2]) == 5_120_000
    async with origin.serving():
        await perform(origin, Request("http://a/", data=f"@{data}", output=output))
    assert origin.said.endswith(read(data))
    assert read(output) == read(data)


# -- TLS -----------------------------------------------------------------------------------------


async def test_a_certificate_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    origin = Origin(HELLO)
    async with origin.serving(contexts(tmp_path, "db.example")[0]):
        with pytest.raises(CallError, match="-k takes any"):
            await perform(origin, Request("https://db.example/"))


async def test_any_certificate_serves_where_it_is_said(tmp_path: Path, output: Path) -> None:
    origin = Origin(HELLO)
    async with origin.serving(contexts(tmp_path, "db.example")[0]):
        await perform(origin, Request("https://10.1.2.3/", output=output, is_lax=True))
    assert (read(output), origin.asked) == (b"hello", [("10.1.2.3", 443)])


async def test_a_request_by_tls_goes_through_the_holder_of_a_home(
    tmp_path_factory: pytest.TempPathFactory, output: Path
) -> None:
    origin = Origin(HELLO)
    home = tmp_path_factory.mktemp("home")  # a short name: a Unix socket is in it
    proxy = await socks.serve(origin.dial, path=str(socket_path(home, NETWORK)))
    async with origin.serving(contexts(home, "db.example")[0]):
        held = HeldNetwork(home, NETWORK)
        await perform(held, Request("https://db.example/", output=output, is_lax=True))
    proxy.close()
    await proxy.wait_closed()
    assert read(output) == b"hello"
