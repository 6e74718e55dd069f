"""UDP ASSOCIATE (RFC 1928 7): a port of the machine, and a socket elsewhere, for one client.

They live as long as the client's connection. The port takes what comes from the client alone: from
its address, and from the port that it named, else from that of its first datagram. Nothing is kept
waiting without a bound; what has no room is dropped, as UDP may.
"""

import asyncio
import logging
from ipaddress import ip_address
from typing import Any, Final

from ztlink.proxy.datagrams import Datagrams
from ztlink.proxy.relay import Stream, finish
from ztlink.proxy.socks_wire import (
    Datagram,
    Reply,
    Request,
    SocksError,
    decode_datagram,
    encode_datagram,
    encode_reply,
)

logger = logging.getLogger(__name__)

MAX_RESOLVING: Final = 16
"""Datagrams of one client that wait for the address of a name."""
_CHUNK: Final = 4096


async def associate(client: Stream, datagrams: Datagrams, request: Request) -> None:
    """Carry a client's datagrams until its connection ends."""
    named = client.writer.get_extra_info
    local, peer = named("sockname"), named("peername")
    if not isinstance(local, tuple):  # a Unix socket: anybody could send to a port
        raise SocksError("datagrams: not by a Unix socket", Reply.COMMAND_UNKNOWN)
    loop = asyncio.get_running_loop()
    association = Association(client, datagrams, peer[0], request.port)
    try:
        association.far, _ = await datagrams.create_datagram_endpoint(lambda: _Far(association))
        association.near, _ = await loop.create_datagram_endpoint(
            lambda: _Near(association), local_addr=(local[0], 0)
        )
        bound = association.near.get_extra_info("sockname")
        client.writer.write(encode_reply(Reply.SUCCEEDED, bound))
        await _ended(client)
    finally:
        association.close()
    await finish(client.writer)


async def _ended(client: Stream) -> None:
    """Wait for the end of a connection over which nothing more is to be said."""
    try:
        while await client.reader.read(_CHUNK):
            pass
    except OSError:
        pass


class Association:
    """What goes between a client's port and a socket elsewhere."""

    def __init__(self, client: Stream, datagrams: Datagrams, host: str, port: int) -> None:
        self._client = client
        self._datagrams = datagrams
        self._host = host
        self._port = port
        self._resolving: set[asyncio.Task[None]] = set()
        self.near: asyncio.DatagramTransport | None = None
        """The port of the machine, once it is open."""
        self.far: asyncio.DatagramTransport | None = None
        """The socket elsewhere."""
        self.is_full = False
        """The socket elsewhere takes no more for now."""
        self.is_slow = False
        """The client's takes no more for now."""

    def out(self, content: bytes, host: str, port: int) -> None:
        """Send on what came to the port."""
        if host != self._host or port != (self._port or port):
            return
        self._port = port
        try:
            datagram = decode_datagram(content)
        except SocksError as error:
            logger.debug("socks datagram error=%s", error)
            return
        try:
            ip_address(datagram.host)
        except ValueError:
            self._resolve(datagram)
        else:
            self._send(datagram, datagram.host)

    def _resolve(self, datagram: Datagram) -> None:
        if len(self._resolving) < MAX_RESOLVING:
            task = asyncio.get_running_loop().create_task(self._send_to_name(datagram))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    async def _send_to_name(self, datagram: Datagram) -> None:
        try:
            ips = await self._datagrams.resolve(datagram.host)
        except OSError as error:
            logger.debug("socks datagram target=%s error=%s", datagram.host, error)
        else:
            self._send(datagram, str(ips[0]))

    def _send(self, datagram: Datagram, ip: str) -> None:
        if self.far is not None and not self.is_full:
            self.far.sendto(datagram.data, (ip, datagram.port))

    def back(self, data: bytes, host: str, port: int) -> None:
        """Send the client what came from elsewhere, once it is known where it is."""
        if self.near is not None and self._port and not self.is_slow:
            self.near.sendto(encode_datagram(host, port, data), (self._host, self._port))

    def lost(self) -> None:
        """End the client's connection: nothing can be sent any more."""
        self._client.writer.close()

    def close(self) -> None:
        """Close both sockets."""
        for task in self._resolving:
            task.cancel()
        for transport in (self.near, self.far):
            if transport is not None:
                transport.abort()


class _Near(asyncio.DatagramProtocol):
    """The client's side."""

    def __init__(self, association: Association) -> None:
        self._association = association

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401 - asyncio's
        self._association.out(data, addr[0], addr[1])

    def error_received(self, exc: Exception) -> None:
        logger.debug("socks datagram to a client error=%s", exc)

    def pause_writing(self) -> None:
        self._association.is_slow = True

    def resume_writing(self) -> None:
        self._association.is_slow = False


class _Far(asyncio.DatagramProtocol):
    """The other side."""

    def __init__(self, association: Association) -> None:
        self._association = association

    def connection_lost(self, exc: Exception | None) -> None:
        self._association.lost()

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401 - asyncio's
        self._association.back(data, addr[0], addr[1])

    def error_received(self, exc: Exception) -> None:
        logger.debug("socks datagram from a client error=%s", exc)

    def pause_writing(self) -> None:
        self._association.is_full = True

    def resume_writing(self) -> None:
        self._association.is_full = False
