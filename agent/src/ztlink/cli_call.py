"""What `ztlink call` does: one HTTP request, told as curl tells it.

By h11 and nothing more: aiohttp takes longer to load than a node takes to start.
"""

import asyncio
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from ssl import CERT_NONE, SSLCertVerificationError, SSLContext, create_default_context
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

import click
import h11

from ztlink.errors import ZtError
from ztlink.proxy.relay import Stream, finish, reset

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

CHUNK: Final = 256 * 1024
LONG: Final = 1 << 20
"""Bytes from which on a body is worth a progress bar."""
MAX_HEAD: Final = 256 * 1024
"""Bytes of an answer's status and headers."""
DIAL_TIME: Final = 30.0
EXIT_HTTP_ERROR: Final = 22
"""As curl's with --fail: the server answered with an error."""
_PORTS: Final = {"http": 80, "https": 443}
_AS_THEY_ARE: Final = "%!$&'()*+,;=:@/?[]~"
"""What of a target is not escaped, beside letters and digits: `%`, as it may be escaped already."""


class CallError(ZtError):
    """A request could not be made."""


class Opener(Protocol):
    """What opens connections: a network, or what stands for one."""

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
    ) -> Stream:
        """Connect by TCP, and by TLS where `ssl` is given."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    url: str
    method: str | None = None
    headers: tuple[str, ...] = ()
    data: str | None = None
    output: Path | None = None
    is_verbose: bool = False
    is_lax: bool = False

    def verb(self) -> str:
        """Return the method: the one that was named, else what fits the data."""
        return self.method or ("GET" if self.data is None else "POST")

    def parts(self) -> SplitResult:
        """Return the parts of the URL; CallError where it is none."""
        try:
            parts = urlsplit(self.url)
            if parts.scheme in _PORTS and parts.hostname and parts.port != 0:
                return parts
        except ValueError:  # a port that is no number, a bracket that does not end
            pass
        raise CallError(f"{self.url} is no URL to call: http://HOST[:PORT]/...")

    def header_pairs(self) -> list[tuple[str, str]]:
        """Return the headers; CallError where one is none."""
        pairs = []
        for text in self.headers:
            name, colon, value = text.partition(":")
            if not colon or not name.strip():
                raise CallError(f"-H {text!r}: a header is 'NAME: VALUE'")
            pairs.append((name.strip(), value.strip()))
        return pairs

    def body(self) -> bytes | None:
        """Return the body; `@` names a file, or standard input."""
        if self.data is None or not self.data.startswith("@"):
            return None if self.data is None else self.data.encode()
        if self.data == "@-":
            return sys.stdin.buffer.read()
        try:
            return Path(self.data[1:]).read_bytes()
        except OSError as error:
            raise CallError(f"-d {self.data}: {error.strerror}") from error


async def perform(network: Opener, request: Request) -> int:
    """Make a request over a network and write out the answer; return the exit status."""
    parts = request.parts()
    body = request.body() or b""
    exchange = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    try:
        head = exchange.send(_head(request, parts, len(body))) or b""
    except (h11.LocalProtocolError, UnicodeError) as error:
        raise CallError(f"{request.verb()} {request.url}: {error}") from error
    reader, writer = await _dial(network, parts, request)
    writer.write(head)
    # Beside the reading: a server may answer before it has taken all, and then take no more.
    sending = asyncio.get_running_loop().create_task(_send(exchange, writer, body))
    try:
        return await _show(exchange, reader, request)
    except h11.RemoteProtocolError as error:
        raise CallError(f"{request.url}: the answer is broken: {error}") from error
    finally:
        if not sending.done():
            sending.cancel()
            reset(writer)
        await asyncio.gather(sending, return_exceptions=True)  # the reader sees its error, too
        await finish(writer)


# -- out -----------------------------------------------------------------------------------------


async def _dial(network: Opener, parts: SplitResult, request: Request) -> Stream:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    context = _context(is_lax=request.is_lax) if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(DIAL_TIME):
            return await network.open_connection(host, port, ssl=context)
    except SSLCertVerificationError as error:
        raise CallError(
            f"{request.url}: {error.verify_message}; -k takes any certificate"
        ) from error
    except TimeoutError as error:
        raise CallError(f"{host} port {port}: no answer in {DIAL_TIME:g} s") from error


def _context(*, is_lax: bool) -> SSLContext:
    context = create_default_context()
    if is_lax:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    return context


def _head(request: Request, parts: SplitResult, size: int) -> h11.Request:
    target = quote(parts.path or "/", safe=_AS_THEY_ARE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_AS_THEY_ARE)}"
    headers = {"Host": _host_header(parts), "User-Agent": "ztlink", "Accept": "*/*"}
    if parts.username is not None:
        headers["Authorization"] = _basic(parts.username, parts.password or "")
    if request.data is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Content-Length"] = str(size)
    headers["Connection"] = "close"
    given = request.header_pairs()
    named = {name.lower() for name, _ in given}
    ours = [(name, value) for name, value in headers.items() if name.lower() not in named]
    pairs = [(name.encode("ascii"), value.encode()) for name, value in [*ours, *given]]
    return h11.Request(method=request.verb(), target=target, headers=pairs)


def _host_header(parts: SplitResult) -> str:
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    if not name.isascii():
        name = name.encode("idna").decode()
    return name if parts.port in (None, _PORTS[parts.scheme]) else f"{name}:{parts.port}"


def _basic(user: str, password: str) -> str:
    from base64 import b64encode  # few requests need it

    return f"Basic {b64encode(unquote_to_bytes(user) + b':' + unquote_to_bytes(password)).decode()}"


async def _send(exchange: h11.Connection, writer: asyncio.StreamWriter, body: bytes) -> None:
    for start in range(0, len(body), CHUNK):
        writer.write(exchange.send(h11.Data(body[start : start + CHUNK])) or b"")
        await writer.drain()
    writer.write(exchange.send(h11.EndOfMessage()) or b"")
    await writer.drain()


# -- in ------------------------------------------------------------------------------------------


async def _show(exchange: h11.Connection, reader: asyncio.StreamReader, request: Request) -> int:
    response = await _next(exchange, reader)
    while isinstance(response, h11.InformationalResponse):
        response = await _next(exchange, reader)
    if not isinstance(response, h11.Response):
        raise CallError(f"{request.url}: the server ended the connection without an answer")
    if request.is_verbose:
        _show_head(response)
    await _write_body(exchange, reader, _size_of(response), request.output)
    return EXIT_HTTP_ERROR if response.status_code >= 400 else 0


async def _next(exchange: h11.Connection, reader: asyncio.StreamReader) -> h11.Event | None:
    """Return what the server says next; None where it says no more."""
    while (event := exchange.next_event()) is h11.NEED_DATA:
        data = await reader.read(CHUNK)
        if not data and exchange.their_state is h11.SEND_RESPONSE:
            return None
        exchange.receive_data(data)
    if event is h11.PAUSED:
        raise h11.RemoteProtocolError("it goes on in another protocol")
    assert isinstance(event, h11.Event)
    return None if isinstance(event, h11.EndOfMessage) else event


def _show_head(response: h11.Response) -> None:
    version, reason = response.http_version.decode(), response.reason.decode("latin-1")
    click.echo(f"HTTP/{version} {response.status_code} {reason}")
    for name, value in response.headers.raw_items():
        click.echo(f"{name.decode('latin-1')}: {value.decode('latin-1')}")
    click.echo()
    sys.stdout.flush()


def _size_of(response: h11.Response) -> int | None:
    return next((int(value) for name, value in response.headers if name == b"content-length"), None)


async def _write_body(
    exchange: h11.Connection, reader: asyncio.StreamReader, size: int | None, output: Path | None
) -> None:
    is_worth_it = output is not None and size is not None and size >= LONG and sys.stderr.isatty()
    bar: AbstractContextManager[click._termui_impl.ProgressBar[int]] | None = None
    if is_worth_it:
        bar = click.progressbar(length=size, label=str(output), file=sys.stderr)
    target = sys.stdout.buffer if output is None else output.open("wb")
    try:
        with bar or nullcontext() as shown:
            while isinstance(event := await _next(exchange, reader), h11.Data):
                target.write(event.data)
                if shown is not None:
                    shown.update(len(event.data))
        target.flush()
    finally:
        if output is not None:
            target.close()
