"""A connection to the local API: the original's tools say HTTP/1.1 and leave the Host header out.

aiohttp refuses that, as it should on the net. Here the header is put into the first request of a
connection, before it is read; browsers, whose names must be checked, always send one.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

MAX_HEAD: Final = 16_384
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


class Connection(asyncio.Protocol):
    """Hands on to a server's protocol; of the first request when its head is complete."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        lets_in: Callable[[str], bool] = lambda client: True,
    ) -> None:
        self._inner = make()
        self._lets_in = lets_in
        self._transport: asyncio.Transport | None = None
        self._head: bytearray | None = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):  # a stream, as all are that a server has
            self._transport = transport
        self._inner.connection_made(transport)
        self._is_refused()

    def data_received(self, data: bytes) -> None:
        if self._is_refused():
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
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

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
        self._inner.data_received(fill_host(request))
