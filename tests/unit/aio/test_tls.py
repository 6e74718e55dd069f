"""Contexts and transports of TLS."""

import asyncio
import ssl

from ztlink.aio import tls


def test_a_context_of_ones_own_is_taken() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert tls.client_context(context) is context


def test_the_default_context_checks_names_and_certificates() -> None:
    context = tls.client_context(True)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


async def test_the_transport_above_tls_is_not_the_one_below() -> None:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    context = ssl.create_default_context()
    protocol = tls.client_protocol(loop, asyncio.Protocol(), context, "example", waiter)
    transport = tls.transport_of(protocol)
    assert transport.get_extra_info("sslcontext") is context
    transport.abort()
    waiter.cancel()
