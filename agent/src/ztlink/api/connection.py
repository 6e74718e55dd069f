"""Connections to our HTTP servers: bounded in number, and in how long they may say nothing.

Who has not said what it wants within some seconds is let go, and sooner where all places are taken:
a process that opens connections and is silent, or slow, keeps nobody else out for long, and takes
none of the descriptors that the node needs. Nor does one that asks, and reads no answer.

The original's tools say HTTP/1.1 and leave the Host header out. aiohttp refuses that, as it should
on the net. Here the header is put into the first request of a connection, before it is read;
browsers, whose names must be checked, always send one.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

MAX_HEAD: Final = 16_384
MAX_CONNECTIONS: Final = 128
HEAD_TIMEOUT: Final = 10.0
"""Seconds for the head of the first request."""
READ_TIMEOUT: Final = 20.0
"""Seconds within which a client has to read what it is sent."""
_HEAD_END: Final = b"\r\n\r\n"
_HAS_HOST: Final = re.compile(rb"\r\nhost[ \t]*:", re.IGNORECASE)
_HOST: Final = b"\r\nHost: localhost"


def fill_host(request: bytes) -> bytes:
    """Return a request that names a host: its own, or localhost."""
    line, _, rest = request.partition(b"\r\n")
    head = request.partition(_HEAD_END)[0]
    if not line.endswith(b" HTTP/1.1") or _HAS_HOST.search(head):
        return request
    return line + _HOST + b"\r\n" + rest


class Door:
    """Who is in at a server, and who has not said yet what it wants."""

    def __init__(self, *, may_end_any: bool = False) -> None:
        """Make it; with `may_end_any`, the longest inside goes where all have spoken.

        For servers whose answers are short and may be asked for again: nobody can keep a probe out.
        """
        self._may_end_any = may_end_any
        self._inside: dict[asyncio.Transport, None] = {}
        self._silent: dict[asyncio.Transport, None] = {}
        """Of them, the longest waiting first."""

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, transport: asyncio.Transport) -> bool:
        """Let a connection in; one that is silent goes for it where there is no room."""
        if len(self._inside) >= MAX_CONNECTIONS:
            if not self._silent and not self._may_end_any:
                return False
            self._show_out(next(iter(self._silent or self._inside)))
        self._inside[transport] = None
        self._silent[transport] = None
        asyncio.get_running_loop().call_later(HEAD_TIMEOUT, self._expire, transport)
        return True

    def spoke(self, transport: asyncio.Transport) -> None:
        """Note that a connection has said what it wants."""
        self._silent.pop(transport, None)

    def leave(self, transport: asyncio.Transport) -> None:
        """Note that a connection has ended."""
        self._inside.pop(transport, None)
        self._silent.pop(transport, None)

    def _expire(self, transport: asyncio.Transport) -> None:
        if transport in self._silent:
            self._show_out(transport)

    def _show_out(self, transport: asyncio.Transport) -> None:
        self.leave(transport)
        transport.abort()


class Connection(asyncio.Protocol):
    """Hands on to a server's protocol; of the first request when its head is complete."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        lets_in: Callable[[str], bool] = lambda client: True,
        door: Door | None = None,
    ) -> None:
        self._inner = make()
        self._lets_in = lets_in
        self._door = Door() if door is None else door
        self._transport: asyncio.Transport | None = None
        self._has_place = True
        self._stalled: asyncio.TimerHandle | None = None
        """Ends the connection of a client that does not read, while something is left to send."""
        self._head: bytearray | None = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):  # a stream, as all are that a server has
            self._transport = transport
            self._has_place = not self._is_refused() and self._door.enter(transport)
            if not self._has_place:
                transport.abort()
                return
            transport.set_write_buffer_limits(high=0)  # we are told whenever the client is slow
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._has_place or self._is_refused():
            return
        if self._head is None:
            self._inner.data_received(data)
            return
        self._head += data
        if _HEAD_END in self._head or len(self._head) >= MAX_HEAD:
            self._hand_on()

    def eof_received(self) -> bool | None:
        if self._head:
            self._hand_on()
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_stall()
        if self._transport is not None:
            self._door.leave(self._transport)
        if self._has_place:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._transport is not None:
            loop = asyncio.get_running_loop()
            self._stalled = loop.call_later(READ_TIMEOUT, self._transport.abort)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._forget_stall()
        self._inner.resume_writing()

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _is_refused(self) -> bool:
        """Close the connection of a client that may not speak, or may no more."""
        transport = self._transport
        client = transport.get_extra_info("peername") if transport else None
        if transport is None or not client or self._lets_in(client[0]):
            return False
        transport.abort()
        return True

    def _hand_on(self) -> None:
        request, self._head = bytes(self._head or b""), None
        if self._transport is not None:
            self._door.spoke(self._transport)
        self._inner.data_received(fill_host(request))
