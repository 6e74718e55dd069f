"""Datagrams with one target, over a client's own connection: each behind its size.

For clients on a Unix socket: a port of the machine, as SOCKS5 has it, would be open to anybody.
What went wrong with a datagram comes in the place of a size.
"""

import asyncio
from typing import Final

from ztlink.proxy.datagrams import Datagrams
from ztlink.proxy.relay import Stream, finish
from ztlink.proxy.socks_wire import Reply, Request, encode_reply, reply_for

MAX_WAITING: Final = 256 * 1024
"""Bytes on their way to a client that does not take them; what comes then is dropped."""
SIZE_SIZE: Final = 2
FIRST_ERROR: Final = 0xFFF0
"""From here on a size is none, but a `Reply`: a datagram has 65,507 bytes at most."""


async def exchange(client: Stream, datagrams: Datagrams, request: Request) -> None:
    """Carry datagrams between a client and its target until its connection ends."""
    reader, writer = client
    far = _Far(client)
    transport, _ = await datagrams.create_datagram_endpoint(
        lambda: far, remote_addr=(request.host, request.port)
    )
    writer.write(encode_reply(Reply.SUCCEEDED, transport.get_extra_info("sockname")))
    try:
        while (size := int.from_bytes(await reader.readexactly(SIZE_SIZE), "big")) < FIRST_ERROR:
            transport.sendto(await reader.readexactly(size))
            await far.has_room.wait()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        transport.close()  # what waits is sent yet
    await finish(writer)


def framed(data: bytes | bytearray | memoryview) -> bytes:
    """Return a datagram behind its size."""
    return len(data).to_bytes(SIZE_SIZE, "big") + data


class _Far(asyncio.DatagramProtocol):
    """The target's side."""

    def __init__(self, client: Stream) -> None:
        self._writer = client.writer
        self.has_room = asyncio.Event()
        self.has_room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_room.set()
        self._writer.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._writer.transport.get_write_buffer_size() < MAX_WAITING:
            self._writer.write(framed(data))

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self._writer.write((FIRST_ERROR + reply_for(exc)).to_bytes(SIZE_SIZE, "big"))

    def pause_writing(self) -> None:
        self.has_room.clear()

    def resume_writing(self) -> None:
        self.has_room.set()
