"""httpx and httpcore on a network: a network backend, and a transport that uses it."""

import asyncio
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpcore

from ztlink.aio import tls

if TYPE_CHECKING:
    import httpx

    from ztlink.aio.network import Network


class Backend(httpcore.AsyncNetworkBackend):
    """Opens connections over a network for httpcore."""

    def __init__(self, network: "Network") -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; local addresses and options of kernel sockets mean nothing here."""
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await self._network.open_connection(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return _NetworkStream(reader, writer)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class _NetworkStream(httpcore.AsyncNetworkStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._writer.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            await self._writer.start_tls(
                ssl_context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=timeout or tls.HANDSHAKE_TIMEOUT,
            )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:  # ssl.SSLError is one
            raise httpcore.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._writer.get_extra_info("ssl_object")
            case "client_addr":
                return self._writer.get_extra_info("sockname")
            case "server_addr":
                return self._writer.get_extra_info("peername")
            case "is_readable":
                return self._reader.at_eof()
            case _:
                return None


def transport(
    network: "Network", *, verify: ssl.SSLContext | bool = True, http2: bool = False
) -> "httpx.AsyncHTTPTransport":
    """Return a transport for `httpx.AsyncClient(transport=...)` whose connections are of a network.

    httpx has no parameter for a backend; its pool, a private attribute, is replaced.
    """
    import httpx

    wrapped = httpx.AsyncHTTPTransport(verify=verify, http2=http2)
    wrapped._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=httpx.create_ssl_context(verify=verify),
        http2=http2,
        network_backend=Backend(network),
    )
    return wrapped
