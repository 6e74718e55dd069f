"""A network of a home that another process holds: what goes out goes through that process.

The holder serves SOCKS5 on a Unix socket in the home, one for each network. Who may open the home
may use it, and nobody else.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final

from ztlink.aio import tls
from ztlink.aio.errors import NameNotFound
from ztlink.aio.held_datagrams import HeldDatagrams
from ztlink.errors import ConfigError, ZtError
from ztlink.ids import NetworkId, format_network_id
from ztlink.proxy import socks_wire
from ztlink.proxy.relay import Stream
from ztlink.proxy.socks_wire import Command

MAX_PATH: Final = 107
"""Bytes of a Unix socket's name."""


class HolderGone(ZtError, OSError):
    """Nobody serves the network any more."""


def socket_path(home: Path, network_id: NetworkId) -> Path:
    """Return the socket through which the holder of a home carries others' connections."""
    return home / f"{format_network_id(network_id)}.socks"


def can_bind(path: Path) -> bool:
    """Tell whether a Unix socket may have this name."""
    return len(os.fsencode(path)) <= MAX_PATH


class HeldNetwork:
    """Opens connections through the process that holds a home."""

    def __init__(self, home: Path, network_id: NetworkId) -> None:
        """Make it; ConfigError where the holder does not serve that network."""
        self._path = socket_path(home, network_id)
        if not self._path.exists():
            raise ConfigError(
                f"the process that holds {home} does not serve network "
                f"{format_network_id(network_id)} to others: use a home of your own with --home"
            )

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Connect by TCP; as `Network.create_connection`."""
        loop = asyncio.get_running_loop()
        connected = await self._open(loop, Command.CONNECT, host, port)
        options: dict[str, Any] = {}
        if ssl:
            options = {
                "ssl": tls.client_context(ssl),
                "server_hostname": server_hostname or host,
            }
        return await loop.create_connection(protocol_factory, sock=connected, **options)

    async def open_connection(self, host: str, port: int, **options: Any) -> Stream:
        """Connect and return reader and writer; as `Network.open_connection`."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **options)
        return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        *,
        remote_addr: tuple[str, int],
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Open a UDP socket that is connected; as `Network.create_datagram_endpoint`."""
        loop = asyncio.get_running_loop()
        connected = await self._open(loop, Command.EXCHANGE, *remote_addr)
        protocol = protocol_factory()
        transport = HeldDatagrams(protocol, remote_addr)
        await loop.create_connection(lambda: transport, sock=connected)
        return transport, protocol

    async def _open(
        self, loop: asyncio.AbstractEventLoop, command: Command, host: str, port: int
    ) -> socket.socket:
        try:
            request = socks_wire.encode_request(command, host, port)
        except ValueError as error:
            raise NameNotFound(f"{host!r} can be no name: {error}") from error
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        opened.setblocking(False)
        try:
            try:
                await loop.sock_connect(opened, str(self._path))
            except (ConnectionRefusedError, FileNotFoundError) as error:
                raise HolderGone(
                    error.errno, f"nobody answers on {self._path}: try again"
                ) from error
            await loop.sock_sendall(opened, socks_wire.GREETING + request)
            await _answer(loop, opened, socks_wire.CHOICE_SIZE)
            head = await _answer(loop, opened, socks_wire.REPLY_HEAD_SIZE)
            await _answer(loop, opened, socks_wire.reply_rest(head))
            if head[1] != socks_wire.Reply.SUCCEEDED:
                raise socks_wire.error_for(head[1], host, port)
        except BaseException:
            opened.close()
            raise
        return opened


async def _answer(loop: asyncio.AbstractEventLoop, opened: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = await loop.sock_recv(opened, size - len(content))
        if not more:
            raise ConnectionResetError(104, "the holder of the home closed the connection")
        content += more
    return content
