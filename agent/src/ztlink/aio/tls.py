"""TLS over transports of ours: asyncio's own SSL protocol, between the transport and the protocol.

`asyncio.sslproto` is what the loops of the standard library use; it is used directly, since they
offer it for sockets of the kernel only.
"""

import asyncio
import ssl
from asyncio import sslproto
from typing import Any

HANDSHAKE_TIMEOUT = 60.0
"""Seconds, as asyncio's."""


def client_protocol(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext,
    hostname: str | None,
    waiter: "asyncio.Future[Any]",
    handshake_timeout: float | None = None,
) -> sslproto.SSLProtocol:
    """Return what to give a transport in the place of `protocol`; `waiter` ends when TLS stands."""
    return sslproto.SSLProtocol(
        loop,
        protocol,
        context,
        waiter,
        server_side=False,
        server_hostname=hostname,
        ssl_handshake_timeout=handshake_timeout,  # type: ignore[arg-type]
    )


def server_protocol(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, context: ssl.SSLContext
) -> sslproto.SSLProtocol:
    """Return what to give the transport of a connection that was taken."""
    waiter: asyncio.Future[Any] = loop.create_future()
    waiter.add_done_callback(_retrieve)
    return sslproto.SSLProtocol(
        loop,
        protocol,
        context,
        waiter,
        server_side=True,
    )


def _retrieve(waiter: "asyncio.Future[Any]") -> None:
    """Take note of a failed handshake, so that nobody is told that it was never looked at."""
    if not waiter.cancelled():
        waiter.exception()


def client_context(wanted: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Return the context for `ssl=`: one's own, or the default that checks certificates."""
    return wanted if isinstance(wanted, ssl.SSLContext) else ssl.create_default_context()


def transport_of(protocol: asyncio.BaseProtocol) -> asyncio.Transport:
    """Return the transport that an SSL protocol offers to the protocol above it."""
    assert isinstance(protocol, sslproto.SSLProtocol)
    get = getattr(protocol, "_get_app_transport", None)  # of Python 3.12; before, an attribute
    transport = get() if get is not None else protocol._app_transport  # noqa: SLF001
    assert isinstance(transport, asyncio.Transport)
    return transport
