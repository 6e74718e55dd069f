"""Datagrams with one target through the process that holds a home, as an asyncio transport."""

import asyncio
import errno
from typing import Any

from ztlink.aio.datagram import MAX_DATAGRAM
from ztlink.aio.transport import Buffer
from ztlink.proxy.exchange import FIRST_ERROR, SIZE_SIZE, framed
from ztlink.proxy.socks_wire import error_for


class HeldDatagrams(asyncio.Protocol, asyncio.DatagramTransport):
    """Speaks with the holder on one side, and is the transport of a protocol on the other."""

    def __init__(self, protocol: asyncio.DatagramProtocol, remote: tuple[str, int]) -> None:
        """Make it, for a connection whose holder has agreed already."""
        asyncio.DatagramTransport.__init__(self, {"peername": remote})
        self._protocol = protocol
        self._remote = remote
        self._came = bytearray()
        self._holder: asyncio.Transport

    # -- from the holder ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._holder = transport
        self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Hand on each datagram that is whole."""
        self._came += data
        while len(self._came) >= SIZE_SIZE:
            size = int.from_bytes(self._came[:SIZE_SIZE], "big")
            if size >= FIRST_ERROR:
                del self._came[:SIZE_SIZE]
                self._protocol.error_received(error_for(size - FIRST_ERROR, *self._remote))
                continue
            end = SIZE_SIZE + size
            if len(self._came) < end:
                return
            content = bytes(self._came[SIZE_SIZE:end])
            del self._came[:end]
            self._protocol.datagram_received(content, self._remote)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Have the protocol send no more for now."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Have the protocol send again."""
        self._protocol.resume_writing()

    # -- from the application ----------------------------------------------------------------

    def sendto(self, data: Buffer, addr: Any = None) -> None:
        """Send a datagram to the one target that there is."""
        if addr is not None and tuple(addr[:2]) != self._remote:
            raise ValueError(f"Invalid address: must be None or {self._remote}")
        if len(data) > MAX_DATAGRAM:
            error = OSError(errno.EMSGSIZE, f"{len(data)} bytes: a datagram carries {MAX_DATAGRAM}")
            self._protocol.error_received(error)
        else:
            self._holder.write(framed(data))

    def is_closing(self) -> bool:
        """Tell whether it is closing or closed."""
        return self._holder.is_closing()

    def close(self) -> None:
        """Close, after what waits has been sent."""
        self._holder.close()

    def abort(self) -> None:
        """Close at once."""
        self._holder.abort()
