"""What `ztlink call` does: one HTTP request, told as curl tells it."""

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import click

from ztlink.aio.http import Connector, Dialer
from ztlink.errors import ZtError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

CHUNK: Final = 256 * 1024
LONG: Final = 1 << 20
"""Bytes from which on a body is worth a progress bar."""
EXIT_HTTP_ERROR: Final = 22
"""As curl's with --fail: the server answered with an error."""


class CallError(ZtError):
    """A request could not be made."""


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


async def perform(network: Dialer, request: Request) -> int:
    """Make a request over a network and write out the answer; return the exit status."""
    try:
        async with (
            aiohttp.ClientSession(connector=Connector(network), auto_decompress=False) as session,
            session.request(
                request.verb(),
                request.url,
                headers=request.header_pairs(),
                data=request.body(),
                ssl=_lax_context() if request.is_lax else True,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
                allow_redirects=False,
            ) as response,
        ):
            if request.is_verbose:
                _show_head(response)
            await _write_body(response, request.output)
            return EXIT_HTTP_ERROR if response.status >= 400 else 0
    except aiohttp.InvalidURL as error:
        raise CallError(f"{request.url} is no URL to call: http://HOST[:PORT]/...") from error
    except aiohttp.ClientError as error:
        raise CallError(str(error)) from error


def _lax_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _show_head(response: aiohttp.ClientResponse) -> None:
    version = response.version
    number = f"{version.major}.{version.minor}" if version else "?"
    click.echo(f"HTTP/{number} {response.status} {response.reason}")
    for name, value in response.raw_headers:
        click.echo(f"{name.decode('latin-1')}: {value.decode('latin-1')}")
    click.echo()
    sys.stdout.flush()


async def _write_body(response: aiohttp.ClientResponse, output: Path | None) -> None:
    size = response.content_length
    is_worth_it = output is not None and size is not None and size >= LONG and sys.stderr.isatty()
    bar: AbstractContextManager[click._termui_impl.ProgressBar[int]] | None = None
    if is_worth_it:
        bar = click.progressbar(length=size, label=str(output), file=sys.stderr)
    target = sys.stdout.buffer if output is None else output.open("wb")
    try:
        if bar is None:
            async for chunk in response.content.iter_chunked(CHUNK):
                target.write(chunk)
        else:
            with bar as shown:
                async for chunk in response.content.iter_chunked(CHUNK):
                    target.write(chunk)
                    shown.update(len(chunk))
        target.flush()
    finally:
        if output is not None:
            target.close()
