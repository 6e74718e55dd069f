"""What servers and clients of several tests do with connections and datagrams."""

import asyncio
from contextlib import suppress
from typing import Any


async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing, and hold the connection until the other side ends it.

    A writer that nobody holds is closed by Python, since 3.13 with a warning.
    """
    with suppress(ConnectionError):
        await reader.read()
    writer.close()


class Echo(asyncio.DatagramProtocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(data, addr)


class Inbox(asyncio.DatagramProtocol):
    """Holds what comes, and what went wrong."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.ended = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        self.received.put_nowait(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
