"""A SOCKS5 server (RFC 1928): CONNECT and UDP ASSOCIATE; user and password (RFC 1929).

A greeting and a request are a few hundred bytes at most and have ten seconds.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ztlink.proxy.associate import associate
from ztlink.proxy.datagrams import Datagrams
from ztlink.proxy.exchange import exchange
from ztlink.proxy.relay import Dial, Stream, finish, relay
from ztlink.proxy.serving import serving
from ztlink.proxy.socks_wire import (
    METHOD_NONE,
    METHOD_OPEN,
    METHOD_PASSWORD,
    VERSION,
    Command,
    Reply,
    Request,
    SocksError,
    encode_reply,
    read_request,
    reply_for,
)

logger = logging.getLogger(__name__)

AUTH_VERSION: Final = 1
HANDSHAKE_TIME: Final = 10.0
"""Seconds from the connection to a whole request."""
MAX_WITH_DATAGRAMS: Final = 256
"""Clients of one proxy that send datagrams at the same time: each has two sockets."""

ServeDatagrams = Callable[[Stream, Datagrams, Request], Awaitable[None]]


class RejectedError(SocksError):
    """A client was turned away before its request, and told so."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may use a proxy."""

    user: bytes
    password: bytes

    def match(self, user: bytes, password: bytes) -> bool:
        """Compare in constant time."""
        is_user = hmac.compare_digest(user, self.user)
        return hmac.compare_digest(password, self.password) and is_user


async def serve(
    dial: Dial,
    datagrams: Datagrams | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = None,
    credentials: Credentials | None = None,
) -> asyncio.Server:
    """Listen for SOCKS5 on a port, 0 for a free one, or on a Unix socket, and dial for clients.

    Their datagrams go by `datagrams`; without it there is no UDP.
    """
    proxy = Proxy(dial, datagrams, credentials)
    if path is not None:
        return await asyncio.start_unix_server(serving(proxy.serve), path)
    return await asyncio.start_server(serving(proxy.serve), host, port)


class Proxy:
    """What the connections of one listener share."""

    def __init__(
        self, dial: Dial, datagrams: Datagrams | None, credentials: Credentials | None
    ) -> None:
        self._dial = dial
        self._datagrams = datagrams
        self._credentials = credentials
        self._with_datagrams = 0

    async def serve(self, client: Stream) -> None:
        """Serve one client until its connection has ended."""
        try:
            async with asyncio.timeout(HANDSHAKE_TIME):
                request = await _handshake(client, self._credentials)
        except RejectedError as error:
            logger.info("socks client error=%s", error)
            await finish(client.writer)
            return
        except SocksError as error:
            logger.info("socks client error=%s", error)
            await _refuse(client, Reply(error.code))
            return
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            await finish(client.writer)
            return
        try:
            await self._follow(client, request)
        except SocksError as error:
            logger.info("socks client error=%s", error)
            await _refuse(client, Reply(error.code))
        except OSError as error:
            logger.info("socks target=%s:%d error=%s", request.host, request.port, error)
            await _refuse(client, reply_for(error))

    async def _follow(self, client: Stream, request: Request) -> None:
        """Do what a client wants; SocksError and OSError, where it cannot be, before a reply."""
        match request.command:
            case Command.CONNECT:
                target = await self._dial(request.host, request.port)
                bound = target.writer.get_extra_info("sockname")
                client.writer.write(encode_reply(Reply.SUCCEEDED, bound))
                await relay(client, target)
            case Command.ASSOCIATE:
                await self._serve_datagrams(associate, client, request)
            case Command.EXCHANGE:
                await self._serve_datagrams(exchange, client, request)
            case _:
                raise SocksError(f"command {request.command}: unknown", Reply.COMMAND_UNKNOWN)

    async def _serve_datagrams(
        self, serve: ServeDatagrams, client: Stream, wanted: Request
    ) -> None:
        if self._datagrams is None:
            raise SocksError("datagrams: there are none here", Reply.COMMAND_UNKNOWN)
        if self._with_datagrams >= MAX_WITH_DATAGRAMS:
            raise SocksError(f"datagrams: {MAX_WITH_DATAGRAMS} send some already", Reply.FAILED)
        self._with_datagrams += 1
        try:
            await serve(client, self._datagrams, wanted)
        finally:
            self._with_datagrams -= 1


async def _handshake(client: Stream, credentials: Credentials | None) -> Request:
    reader, writer = client
    version, count = await reader.readexactly(2)
    if version != VERSION:
        raise SocksError(f"SOCKS version {version}: this proxy speaks 5", Reply.FAILED)
    methods = await reader.readexactly(count)
    wanted = METHOD_OPEN if credentials is None else METHOD_PASSWORD
    if wanted not in methods:
        writer.write(bytes([VERSION, METHOD_NONE]))
        raise RejectedError("no method of authentication in common", Reply.NOT_ALLOWED)
    writer.write(bytes([VERSION, wanted]))
    if credentials is not None:
        await _authenticate(client, credentials)
    return await read_request(reader)


async def _authenticate(client: Stream, credentials: Credentials) -> None:
    reader, writer = client
    version, size = await reader.readexactly(2)
    user = await reader.readexactly(size)
    password = await reader.readexactly((await reader.readexactly(1))[0])
    is_good = version == AUTH_VERSION and credentials.match(user, password)
    writer.write(bytes([AUTH_VERSION, not is_good]))
    if not is_good:
        raise RejectedError("wrong user or password", Reply.NOT_ALLOWED)


async def _refuse(client: Stream, reply: Reply) -> None:
    client.writer.write(encode_reply(reply))
    await finish(client.writer)
