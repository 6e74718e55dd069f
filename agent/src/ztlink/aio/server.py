"""Listening on a network: what asyncio calls a server."""

import asyncio
import contextlib
import errno
from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from ztlink.aio import tls
from ztlink.aio.flows import Flows
from ztlink.aio.transport import StreamTransport, socket_name
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.sockets import MAX_TRIES, random_port
from ztlink.ids import Endpoint, IpAddress
from ztlink.netstack.events import Accepted, Event, ListenerId

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class ListeningSocket:
    """What stands in for a socket where a program asks a server for its address."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def getsockname(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """Return the address and the port."""
        return socket_name(self._endpoint)


class Server(asyncio.AbstractServer):
    """Takes connections to some endpoints of a network."""

    def __init__(
        self,
        flows: Flows,
        factory: ProtocolFactory,
        ips: tuple[IpAddress, ...],
        port: int,
        backlog: int,
        ssl: SSLContext | None,
    ) -> None:
        self._flows = flows
        self._factory = factory
        self._ips = ips
        self._port = port
        self._backlog = backlog
        self._ssl = ssl
        self._listeners: dict[ListenerId, Endpoint] = {}
        self._transports: set[StreamTransport] = set()
        self._is_closed = False
        self._all_closed: asyncio.Future[None] = flows.loop.create_future()
        self._serving: asyncio.Future[None] | None = None

    # -- asyncio's ---------------------------------------------------------------------------

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that it runs in."""
        return self._flows.loop

    def is_serving(self) -> bool:
        """Tell whether connections are taken."""
        return bool(self._listeners)

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """What it listens on."""
        return tuple(ListeningSocket(endpoint) for endpoint in self._listeners.values())

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    async def start_serving(self) -> None:
        """Take connections from now on."""
        self.listen()

    def listen(self) -> None:
        """Take connections from now on; OSError where the port is taken."""
        if self._is_closed or self._listeners:
            return
        if self._port:
            self._listen_on(self._port)
            return
        for _ in range(MAX_TRIES):
            port = random_port(random_bytes)
            with contextlib.suppress(OSError):  # it is taken for one of the addresses
                self._listen_on(port)
                self._port = port
                return
        raise OSError(errno.EADDRINUSE, "no free port")

    def _listen_on(self, port: int) -> None:
        try:
            for ip in self._ips:
                endpoint = Endpoint(ip, port)
                listener = self._flows.stack.listen(endpoint, self._backlog, self._flows.now)
                self._listeners[listener] = endpoint
                self._flows.add("listener", listener, self)
        except BaseException:
            self._stop_listening()
            raise

    async def serve_forever(self) -> None:
        """Take connections until cancelled or closed."""
        if self._is_closed:
            raise RuntimeError("this server is closed")
        if self._serving is not None:
            raise RuntimeError("this server serves already")
        self.listen()
        self._serving = self._flows.loop.create_future()
        try:
            await self._serving
        finally:
            self._serving = None
            self.close()

    def close(self) -> None:
        """Take no more connections; those that are there live on."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop_listening()
        if self._serving is not None and not self._serving.done():
            self._serving.cancel()
        self._look_whether_done()

    async def wait_closed(self) -> None:
        """Wait until it is closed and its connections have ended."""
        await asyncio.shield(self._all_closed)

    def close_clients(self) -> None:
        """Close all connections, each after what was written."""
        for transport in tuple(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """Close all connections at once."""
        for transport in tuple(self._transports):
            transport.abort()

    # -- from the stack ----------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take a connection."""
        assert isinstance(event, Accepted)
        tcp = self._flows.stack.tcp
        while (connection := tcp.accept(event.listener)) is not None:
            try:
                protocol = self._factory()
                if self._ssl is not None:
                    protocol = tls.server_protocol(self._flows.loop, protocol, self._ssl)
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                context = {"message": "a server's protocol factory failed", "exception": error}
                self._flows.loop.call_exception_handler(context)
                tcp.abort(connection, self._flows.now)
                continue
            transport = StreamTransport(self._flows, connection, protocol, self._ended)
            self._transports.add(transport)
            transport.begin()
        self._flows.flush()

    def shut(self, error: Exception) -> None:
        """End, because the network does."""
        self.close()

    def _ended(self, transport: StreamTransport) -> None:
        self._transports.discard(transport)
        self._look_whether_done()

    def _look_whether_done(self) -> None:
        if self._is_closed and not self._transports and not self._all_closed.done():
            self._all_closed.set_result(None)

    def _stop_listening(self) -> None:
        listeners, self._listeners = self._listeners, {}
        for listener in listeners:
            self._flows.remove("listener", listener)
            self._flows.stack.tcp.close_listener(listener, self._flows.now)
        self._flows.flush()

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self.wait_closed()
