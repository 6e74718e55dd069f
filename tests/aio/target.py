"""Whom a proxy dials."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from ztlink.proxy.forward import port_of
from ztlink.proxy.relay import Stream

LOOPBACK: Final = "127.0.0.1"


class Target:
    """Somebody to dial, who notes whom he was asked for and echoes."""

    def __init__(self, port: int) -> None:
        self.asked: list[tuple[str, int]] = []
        self.error: OSError | None = None
        self._port = port

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncIterator[Self]:
        """Listen on the loopback for as long as the context lasts."""
        server = await asyncio.start_server(_echo, LOOPBACK, 0)
        yield cls(port_of(server))
        server.close()
        await server.wait_closed()

    async def dial(self, host: str, port: int) -> Stream:
        self.asked.append((host, port))
        if self.error is not None:
            raise self.error
        return Stream(*await asyncio.open_connection(LOOPBACK, self._port))


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()
