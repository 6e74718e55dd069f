"""aiohttp on a network: a connector for its client.

It overrides `TCPConnector._create_direct_connection`, a private method, since aiohttp has no public
way to bring connections of one's own; the range of versions is pinned for that.
"""

import asyncio
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, Protocol

import aiohttp
from aiohttp.client_exceptions import ClientConnectorDNSError, ClientConnectorError

from ztlink.aio.errors import NameNotFound


class Dialer(Protocol):
    """What opens connections: a network, or what stands for one."""

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Connect by TCP, and by TLS where `ssl` is given."""


class Connector(aiohttp.TCPConnector):
    """Connects over a network what a `ClientSession` asks for."""

    def __init__(self, network: Dialer, **options: Any) -> None:
        """Make it; `options` are those of `aiohttp.TCPConnector`."""
        super().__init__(**options)
        self._network = network

    async def _create_direct_connection(  # type: ignore[override]
        self,
        req: Any,
        traces: Any,
        timeout: Any,
        *,
        client_error: type[Exception] = ClientConnectorError,
    ) -> tuple[asyncio.BaseTransport, Any]:
        host, port = req.url.raw_host, req.url.port
        context = self._get_ssl_context(req)
        fingerprint = self._get_fingerprint(req)
        hostname = (req.server_hostname or host).rstrip(".") if context is not None else None
        try:
            async with asyncio.timeout(timeout.sock_connect):
                transport, protocol = await self._network.create_connection(
                    self._factory, host.rstrip("."), port, ssl=context, server_hostname=hostname
                )
        except NameNotFound as error:
            raise ClientConnectorDNSError(req.connection_key, error) from error
        except TimeoutError as error:
            if error.errno is None:
                raise
            raise client_error(req.connection_key, error) from error
        except OSError as error:
            raise client_error(req.connection_key, error) from error
        if fingerprint is not None:
            try:
                fingerprint.check(transport)
            except BaseException:
                transport.close()
                raise
        return transport, protocol
