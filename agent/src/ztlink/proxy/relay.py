"""Carries bytes between two streams, each direction until its own end.

An end in one direction is passed on as an end, and the other direction lives on: `printf | nc -N`
gets its answer. A reset is passed on as a reset, never as an end. What the receiver does not take
stays with the sender: a direction holds one chunk and what the writer's limit lets wait.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Final, NamedTuple, Protocol

CHUNK: Final = 256 * 1024
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, with no time: the kernel resets what is closed."""


class Stream(NamedTuple):
    """The two halves of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Dial(Protocol):
    """Opens connections; raises OSError where it cannot."""

    async def __call__(self, host: str, port: int) -> Stream:
        """Connect to a port of a host, which is a name or an address."""


async def relay(one: Stream, other: Stream) -> None:
    """Carry both directions until both have ended; both streams are closed afterwards."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_carry(one.reader, other.writer))
            tasks.create_task(_carry(other.reader, one.writer))
    except* OSError:
        reset(one.writer)
        reset(other.writer)
    except* asyncio.CancelledError:
        reset(one.writer)
        reset(other.writer)
        raise
    finally:
        await asyncio.gather(finish(one.writer), finish(other.writer))


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees a reset."""
    kernel = writer.get_extra_info("socket")
    if kernel is not None:
        with contextlib.suppress(OSError):  # it has ended already
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


async def finish(writer: asyncio.StreamWriter) -> None:
    """Close a stream and wait until it is closed, however it ended."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
