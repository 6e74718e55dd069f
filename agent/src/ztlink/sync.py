"""The blocking face: a node in a thread of its own, for scripts and libraries that want sockets.

A connection is a real socket of the kernel, one end of a pair whose other end the node's thread
carries over the network. So time-outs, `makefile`, `select`, `ssl.SSLContext.wrap_socket` and
half-close work as for any socket; only the names of its ends are told by us.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ztlink.aio.echo import Pong
from ztlink.aio.network import Network as AsyncNetwork
from ztlink.aio.node import DEFAULT_HOME, JOIN_TIMEOUT
from ztlink.aio.node import Node as AsyncNode
from ztlink.aio.server import Server
from ztlink.ids import IpInterface
from ztlink.proxy.relay import Stream, relay

BACKLOG: Final = 100
T = TypeVar("T")


class Connection(socket.socket):
    """One end of a connection over a network."""

    _names: tuple[Any, Any] = (None, None)

    @classmethod
    def of(cls, kernel: socket.socket, stream: Stream) -> Self:
        """Take over one end of a pair, with the names of the stream behind the other."""
        made = cls(fileno=kernel.detach())
        info = stream.writer.get_extra_info
        made._names = (info("sockname"), info("peername"))
        return made

    def getsockname(self) -> Any:  # noqa: ANN401 - as sockets tell it
        """Return our address and port on the network."""
        return self._names[0]

    def getpeername(self) -> Any:  # noqa: ANN401 - as sockets tell it
        """Return the other's address and port on the network."""
        return self._names[1]


class _Thread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="ztlink", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine there and wait for what it returns."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop, with all that still runs in it."""
        self.run(_cancel_rest())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


class Listener:
    """Takes connections to one port of a network."""

    def __init__(self, thread: _Thread, network: "Network", port: int) -> None:
        self._thread = thread
        self._network = network
        self._taken: asyncio.Queue[Stream] = asyncio.Queue(BACKLOG)
        self._server: Server = thread.run(self._listen(port))

    async def _listen(self, port: int) -> Server:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._taken.put(Stream(reader, writer))

        return await self._network.asynchronous.start_server(take, port=port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    def accept(self, timeout: float | None = None) -> tuple[Connection, Any]:
        """Wait for a connection, and return it and who made it; TimeoutError after `timeout`."""
        stream = self._thread.run(asyncio.wait_for(self._taken.get(), timeout))
        connection = self._network.carry(stream)
        return connection, connection.getpeername()

    def close(self) -> None:
        """Take no more."""
        self._thread.loop.call_soon_threadsafe(self._server.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Inbox(asyncio.DatagramProtocol):
    """Holds what has come, as much as there is room for."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any] | Exception] = asyncio.Queue(BACKLOG)

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401 - asyncio's
        with contextlib.suppress(asyncio.QueueFull):
            self.received.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.received.put_nowait(exc)


class DatagramSocket:
    """A UDP socket on a network, by the names and in the ways of a kernel's."""

    def __init__(self, thread: _Thread, network: AsyncNetwork, port: int) -> None:
        self._thread = thread
        self._network = network
        self._timeout: float | None = None
        self._transport, self._inbox = thread.run(
            network.create_datagram_endpoint(_Inbox, local_addr=("::", port))
        )

    def settimeout(self, timeout: float | None) -> None:
        """Have `recvfrom` wait no longer than so many seconds."""
        self._timeout = timeout

    def getsockname(self) -> Any:  # noqa: ANN401 - as sockets tell it
        """Return the address, `::` for all of both families, and the port."""
        return self._transport.get_extra_info("sockname")

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:
        """Send a datagram to a host, by name or address; OSError where there is no way to it."""
        self._thread.run(self._send(data, address))
        return len(data)

    async def _send(self, data: bytes, address: tuple[str, int]) -> None:
        ip = (await self._network.resolve(address[0]))[0]
        self._transport.sendto(data, (str(ip), address[1]))

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        """Return the next datagram, cut to `size`, and who sent it; TimeoutError after a while.

        What went wrong with one that was sent is raised in its turn.
        """
        coming = asyncio.wait_for(self._inbox.received.get(), self._timeout)
        came = self._thread.run(coming)
        if isinstance(came, Exception):
            raise came
        return came[0][:size], came[1]

    def close(self) -> None:
        """Give the port back."""
        self._thread.loop.call_soon_threadsafe(self._transport.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Network:
    """A network, for code that waits."""

    def __init__(self, thread: _Thread, network: AsyncNetwork) -> None:
        self._thread = thread
        self.asynchronous = network
        """The same network, for code that runs in the node's loop."""

    @property
    def id(self) -> str:
        """The network's id, 16 hex digits."""
        return self.asynchronous.id

    @property
    def status(self) -> str:
        """`OK`, `ACCESS_DENIED` and so on."""
        return self.asynchronous.status

    @property
    def addresses(self) -> tuple[IpInterface, ...]:
        """This member's addresses, with the sizes of their subnets."""
        return self.asynchronous.addresses

    def create_connection(
        self, address: tuple[str, int], timeout: float | None = None
    ) -> Connection:
        """Connect by TCP; as `socket.create_connection`, and `timeout` is the socket's too."""
        opening = self.asynchronous.open_connection(*address)
        connection = self.carry(self._thread.run(asyncio.wait_for(opening, timeout)))
        connection.settimeout(timeout)
        return connection

    def carry(self, stream: Stream) -> Connection:
        """Return a socket whose other end is carried over a stream."""
        ours, theirs = socket.socketpair()
        self._thread.run(_attach(theirs, stream))
        return Connection.of(ours, stream)

    def listen(self, port: int = 0) -> Listener:
        """Take connections to a port; 0 for a free one."""
        return Listener(self._thread, self, port)

    def datagram_socket(self, port: int = 0) -> DatagramSocket:
        """Open a UDP socket on a port of all our addresses; 0 for a free one."""
        return DatagramSocket(self._thread, self.asynchronous, port)

    def ping(self, host: str, *, size: int = 56, timeout: float = 5.0) -> Pong:
        """Send an echo request and return what came back; OSError where nothing did."""
        return self._thread.run(self.asynchronous.ping(host, size=size, timeout=timeout))

    @contextmanager
    def forward(self, host: str, port: int) -> Iterator[int]:
        """Lead a port of the machine's loopback, which is returned, to a target."""
        with self._serving(self.asynchronous.forward(host, port)) as served:
            yield served

    @contextmanager
    def proxy(self) -> Iterator[int]:
        """Serve SOCKS5 on a port of the machine's loopback, which is returned."""
        with self._serving(self.asynchronous.proxy()) as served:
            yield served

    @contextmanager
    def _serving(self, work: Coroutine[Any, Any, asyncio.Server]) -> Iterator[int]:
        server = self._thread.run(work)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self._thread.loop.call_soon_threadsafe(server.close)

    def leave(self) -> None:
        """Leave the network."""
        self._thread.run(self.asynchronous.leave())


async def _attach(kernel: socket.socket, stream: Stream) -> None:
    kernel.setblocking(False)
    inner = Stream(*await asyncio.open_unix_connection(sock=kernel))
    task = asyncio.get_running_loop().create_task(relay(inner, stream))
    _carrying.add(task)
    task.add_done_callback(_carrying.discard)


_carrying: set[asyncio.Task[None]] = set()
"""The loop itself holds tasks weakly only."""


class Node:
    """A node in a thread of its own; a context manager. Arguments as of `ztlink.Node`."""

    def __init__(self, home: str | Path = DEFAULT_HOME, **options: Any) -> None:  # noqa: ANN401
        self._node = AsyncNode(home, **options)
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._thread = _Thread()
        self._exit.callback(self._thread.stop)
        try:
            self._thread.run(self._node.__aenter__())
        except BaseException:
            self._exit.close()
            raise
        self._exit.callback(lambda: self._thread.run(self._node.__aexit__(None, None, None)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    @property
    def address(self) -> str:
        """The node's address, 10 hex digits."""
        return self._node.address

    def join(
        self,
        network_id: str,
        *,
        timeout: float | None = JOIN_TIMEOUT,
        on_waiting: Callable[[str], None] | None = None,
    ) -> Network:
        """Join a network and wait until it serves; as `ztlink.Node.join`."""
        joining = self._node.join(network_id, timeout=timeout, on_waiting=on_waiting)
        return Network(self._thread, self._thread.run(joining))
