"""TCP connections of a stack as asyncio transports, with all that asyncio promises of one.

What the application writes goes to the stack at once; what the stack does not take waits here, and
above the high-water mark the protocol is told to pause. Reading is the same the other way round:
what a paused protocol does not take stays in the stack, whose window closes.

The stack tells of things one after the other. What it tells of a connection may come when the peer
has reset it since, and so may a verb of the application: the stack refuses what is done with it
then, which is passed over, because the reset is still to be told.
"""

import asyncio
import contextlib
import logging
from asyncio import constants
from collections.abc import Callable, Iterable
from typing import Final

from ztlink.aio.flow_control import FlowControl
from ztlink.aio.flows import Flows
from ztlink.aio.reasons import os_error
from ztlink.errors import LocalProtocolError
from ztlink.ids import Endpoint
from ztlink.netstack.events import (
    Connected,
    ConnectFailed,
    ConnectionClosed,
    ConnectionId,
    ConnectionRefused,
    ConnectionReset,
    Event,
    PeerFinished,
    Readable,
    SoftError,
    Writable,
)

logger = logging.getLogger(__name__)

MAX_READ: Final = 256 * 1024
"""Bytes handed to a protocol at once."""

Buffer = bytes | bytearray | memoryview
_BYTES_LIKE: Final = (bytes, bytearray, memoryview)


def socket_name(endpoint: Endpoint) -> tuple[str, int] | tuple[str, int, int, int]:
    """Return an endpoint as Python's sockets name it."""
    if endpoint.ip.version == 4:
        return str(endpoint.ip), endpoint.port
    return str(endpoint.ip), endpoint.port, 0, 0


class StreamTransport(FlowControl[memoryview], asyncio.Transport):
    """One TCP connection; made with `connection_made` still to be called by `begin`."""

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK  # noqa: SLF001

    def __init__(
        self,
        flows: Flows,
        connection: ConnectionId,
        protocol: asyncio.BaseProtocol,
        on_lost: Callable[["StreamTransport"], None] | None = None,
    ) -> None:
        local, remote = flows.stack.tcp.endpoints(connection)
        names = {"sockname": socket_name(local), "peername": socket_name(remote)}
        super().__init__(names, flows.loop)
        self._flows = flows
        self._connection = connection
        self._on_lost = on_lost
        self._remote = remote
        self._is_paused = False
        self._has_begun = False
        self._wants_eof = False
        self._peer_finished = False
        self._has_told_eof = False
        self._is_over = False
        """Both sides are done; what is unread is still here."""
        self.set_protocol(protocol)
        flows.add("tcp", connection, self)

    def begin(self, waiter: "asyncio.Future[None] | None" = None) -> None:
        """Tell the protocol of the connection, and hand it what is there already."""
        self._flows.loop.call_soon(self._begin, waiter)

    def _begin(self, waiter: "asyncio.Future[None] | None") -> None:
        if not self._is_lost:
            self._protocol.connection_made(self)
            self._has_begun = True
            self._deliver()
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- from the stack ----------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take what the stack tells of this connection."""
        match event:
            case Readable():
                self._deliver()
            case Writable():
                self._write_rest()
            case PeerFinished():
                self._peer_finished = True
                self._deliver()
            case ConnectionReset():
                self.lose(os_error(event.reason, self._remote))
            case ConnectionClosed():
                self._is_over = True
                self._deliver()
            case SoftError():
                logger.debug("soft error peer=%s %s", self._remote, event.reason)
            case _:
                raise AssertionError(event)

    def lose(self, error: Exception | None) -> None:
        """End: the connection is gone already."""
        if self._become_lost():
            self._flows.remove("tcp", self._connection)
            self._flows.loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        try:
            if self._has_begun:
                self._protocol.connection_lost(error)
        finally:
            if self._on_lost is not None:
                self._on_lost(self)

    def _deliver(self) -> None:
        """Hand the protocol what it will take."""
        if not self._has_begun:
            return
        tcp, now = self._flows.tcp, self._flows.now
        while not (self._is_paused or self._is_closing):
            try:
                data = tcp.read(self._connection, MAX_READ, now)
            except LocalProtocolError:  # its end is still to be told
                return
            if not data:
                self._tell_eof()
                if self._is_over and not self._is_lost:
                    self._finish()
                break
            try:
                self._feed(data)
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                self._fail(error, "a protocol failed on what it received")
                return
            if not (tcp.has_unread(self._connection) or self._peer_finished or self._is_over):
                break  # most often; else what comes next is more, or the end
        stack = self._flows.stack
        if stack.has_output() or stack.has_event():  # windows have opened, others' buffers, too
            self._flows.flush()

    def _feed(self, data: bytes | memoryview) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            assert isinstance(protocol, asyncio.Protocol)
            protocol.data_received(bytes(data))
            return
        view = memoryview(data)
        while view:
            buffer = memoryview(protocol.get_buffer(len(view)))
            size = min(len(buffer), len(view))
            if size == 0:
                raise RuntimeError("get_buffer() returned an empty buffer")
            buffer[:size] = view[:size]
            protocol.buffer_updated(size)
            view = view[size:]

    def _tell_eof(self) -> None:
        if not self._peer_finished or self._has_told_eof:
            return
        self._has_told_eof = True
        protocol = self._protocol
        assert isinstance(protocol, asyncio.Protocol | asyncio.BufferedProtocol)
        if not protocol.eof_received():
            self.close()

    def _fail(self, error: Exception, message: str) -> None:
        self._flows.loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._force_close(error)

    # -- from the application: reading -------------------------------------------------------

    def is_reading(self) -> bool:
        """Tell whether the protocol is handed what comes."""
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        """Hand the protocol nothing until `resume_reading`."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Hand the protocol what comes, and what came meanwhile."""
        if self._is_paused:
            self._is_paused = False
            self._flows.loop.call_soon(self._deliver)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Change whom the connection is for."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return whom the connection is for."""
        return self._protocol

    # -- from the application: writing -------------------------------------------------------

    def write(self, data: Buffer) -> None:
        """Send bytes; never blocks."""
        if not isinstance(data, _BYTES_LIKE):
            raise TypeError(f"data: bytes-like object expected, not {type(data).__name__}")
        if self._wants_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._is_closing or not data:
            return
        view = memoryview(data).cast("B")
        taken = 0
        if not self._unwritten:
            tcp, now = self._flows.tcp, self._flows.now
            try:
                taken = tcp.write(self._connection, view, now)
            except LocalProtocolError:  # its end is still to be told
                return
            if tcp.unacknowledged(self._connection) == taken:
                self._flows.send(now)  # nothing else is under way that it could go with
            else:
                self._flows.flush()
        if taken < len(view):
            self._unwritten.append(memoryview(bytes(view[taken:])))  # it is the application's
            self._unwritten_size += len(view) - taken
            self.pause_if_full()

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        """Send several buffers as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Tell that one direction can end before the other: it can."""
        return True

    def write_eof(self) -> None:
        """End our direction after what was written."""
        if self._wants_eof or self._is_closing:
            return
        self._wants_eof = True
        if not self._unwritten:
            self._shutdown()

    def _write_rest(self) -> None:
        tcp, now = self._flows.tcp, self._flows.now
        while self._unwritten:
            view = self._unwritten[0]
            try:
                taken = tcp.write(self._connection, view, now)
            except LocalProtocolError:  # its end is still to be told
                return
            self._unwritten_size -= taken
            if taken < len(view):
                self._unwritten[0] = view[taken:]
                break
            self._unwritten.popleft()
        self._flows.flush()
        self.resume_if_drained()
        if not self._unwritten and not self._is_lost:
            if self._is_closing:
                self._finish()
            elif self._wants_eof:
                self._shutdown()

    def _shutdown(self) -> None:
        with contextlib.suppress(LocalProtocolError):  # its end is still to be told
            self._flows.tcp.shutdown(self._connection, self._flows.now)
        self._flows.flush()

    # -- from the application: the end -------------------------------------------------------

    def _finish(self) -> None:
        self._close_connection()
        self.lose(None)

    def _close_connection(self) -> None:
        """Have the stack end the connection, or forget it where both sides are done."""
        if self._is_over:
            self._flows.tcp.close(self._connection, self._flows.now)
        else:
            self._flows.close_connection(self._connection)

    def _force_close(self, error: Exception | None) -> None:
        """Close at once because of an error: what asyncio's SSL protocol calls."""
        if not self._is_lost:
            self._flows.abort_connection(self._connection)
            self.lose(error)

    def shut(self, error: Exception) -> None:
        """End, because the network does: what was written may still arrive."""
        if not self._is_lost:
            self._close_connection()
            self.lose(error)

    def abort(self) -> None:
        """Close at once; what is not sent yet is not sent."""
        self._force_close(None)


class Connecting:
    """A connection on its way: its future ends with a transport, or the stack's refusal."""

    def __init__(
        self,
        flows: Flows,
        connection: ConnectionId,
        target: Endpoint,
        make: Callable[[], StreamTransport],
    ) -> None:
        """Make it; `make` is called once the connection is established, and takes it over."""
        self._flows = flows
        self._target = target
        self._connection = connection
        self._make = make
        self._outcome: asyncio.Future[StreamTransport] = flows.loop.create_future()
        flows.add("tcp", connection, self)

    def take(self, event: Event) -> None:
        """Take what the stack tells of it."""
        if self._outcome.done():
            return
        match event:
            case Connected():
                try:
                    self._outcome.set_result(self._make())
                except LocalProtocolError:
                    pass  # its end is still to be told
                except BaseException as error:
                    if not isinstance(error, Exception):
                        raise
                    self._outcome.set_exception(error)
                    self._give_up()
            case ConnectionRefused() | ConnectFailed() | ConnectionReset():
                self._flows.remove("tcp", self._connection)
                self._outcome.set_exception(os_error(event.reason, self._target))
            case _:
                pass  # a soft error: the stack goes on trying

    def shut(self, error: Exception) -> None:
        """End, because the network does."""
        self._give_up()
        if not self._outcome.done():
            self._outcome.set_exception(error)

    async def wait(self) -> StreamTransport:
        """Wait for the answer; whoever stops waiting takes the attempt back."""
        try:
            return await self._outcome
        except asyncio.CancelledError:
            if self._outcome.cancelled():
                self._give_up()
            elif self._outcome.exception() is None:
                self._outcome.result().abort()
            raise

    def _give_up(self) -> None:
        self._flows.remove("tcp", self._connection)
        self._flows.abort_connection(self._connection)
