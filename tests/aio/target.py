"""Whom a proxy dials."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, Final, Self

from ztlink.aio.errors import NameNotFound
from ztlink.ids import IpAddress
from ztlink.proxy.forward import port_of
from ztlink.proxy.relay import Stream

LOOPBACK: Final = "127.0.0.1"
PATIENCE: Final = 5.0
NAME: Final = "echo.example"
"""The name that is known, of the loopback."""


class Target:
    """Somebody to dial, who notes whom he was asked for and echoes."""

    def __init__(self, port: int) -> None:
        self.asked: list[tuple[str, int]] = []
        self.error: OSError | None = None
        self._port = port
        self.sockets: list[asyncio.DatagramTransport] = []
        """Those that were opened for datagrams."""
        self.may_resolve = asyncio.Event()
        """Whether names are found, or looked for yet."""
        self.may_resolve.set()

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

    async def resolve(self, host: str) -> Sequence[IpAddress]:
        await self.may_resolve.wait()
        if host != NAME:
            raise NameNotFound(f"{host} is not known")
        return (ip_address(LOOPBACK),)

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[asyncio.DatagramTransport, Any]:
        if local_addr is None and remote_addr is None:
            local_addr = (LOOPBACK, 0)
        if self.error is not None:
            raise self.error
        opened = await asyncio.get_running_loop().create_datagram_endpoint(
            protocol_factory, local_addr, remote_addr
        )
        self.sockets.append(opened[0])
        return opened

    async def wait_closed(self) -> bool:
        """Wait until all sockets for datagrams are closed, and say so; TimeoutError in the end."""
        async with asyncio.timeout(PATIENCE):
            for opened in self.sockets:
                while not opened.is_closing():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
        return True


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()
