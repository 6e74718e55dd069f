"""UDP sockets of a stack as asyncio transports."""

import asyncio
import errno
from ipaddress import ip_address
from typing import Any

from ztlink.aio.flow_control import FlowControl
from ztlink.aio.flows import Flows
from ztlink.aio.reasons import os_error
from ztlink.aio.transport import Buffer, socket_name
from ztlink.ids import Endpoint, SocketId
from ztlink.netstack.events import (
    DatagramFailed,
    DatagramReceived,
    DatagramsWritable,
    Event,
)

MAX_DATAGRAM = 65_507
"""Bytes that a UDP datagram over IPv4 may carry."""


class DatagramTransport(FlowControl[tuple[bytes, Endpoint]], asyncio.DatagramTransport):
    """One UDP socket, connected where `remote` is given."""

    def __init__(
        self,
        flows: Flows,
        socket: SocketId,
        protocol: asyncio.DatagramProtocol,
    ) -> None:
        local, remote = flows.stack.udp_endpoints(socket)
        names = {"sockname": socket_name(local)}
        if remote is not None:
            names["peername"] = socket_name(remote)
        super().__init__(names, flows.loop)
        self._flows = flows
        self._socket = socket
        self._protocol = protocol
        self._remote = remote
        flows.add("udp", socket, self)
        flows.loop.call_soon(protocol.connection_made, self)

    # -- from the stack ----------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take what the stack tells of this socket."""
        if self._is_closing and not isinstance(event, DatagramsWritable):
            return
        match event:
            case DatagramReceived():
                self._protocol.datagram_received(event.data, socket_name(event.remote))
            case DatagramFailed():
                self._protocol.error_received(os_error(event.reason, event.remote))
            case DatagramsWritable():
                self._send_rest()
            case _:
                raise AssertionError(event)

    def shut(self, error: Exception) -> None:
        """End, because the network does."""
        self._finish(error)

    # -- from the application ----------------------------------------------------------------

    def sendto(self, data: Buffer, addr: Any = None) -> None:
        """Send a datagram; never blocks. An error comes by `error_received`."""
        if self._is_closing:
            return
        remote = self._target(addr)
        if len(data) > MAX_DATAGRAM:
            error = OSError(errno.EMSGSIZE, f"{len(data)} bytes: a datagram carries {MAX_DATAGRAM}")
            self._protocol.error_received(error)
            return
        content = bytes(data)
        if self._unwritten or not self._send(content, remote):
            self._unwritten.append((content, remote))
            self._unwritten_size += len(content)
            self.pause_if_full()

    def _target(self, addr: Any) -> Endpoint:
        if addr is None:
            if self._remote is None:
                raise ValueError("sendto() without an address on a socket that is not connected")
            return self._remote
        remote = Endpoint(ip_address(addr[0]), addr[1])
        if self._remote is not None and remote != self._remote:
            raise ValueError(f"Invalid address: must be None or {socket_name(self._remote)}")
        return remote

    def _send(self, content: bytes, remote: Endpoint) -> bool:
        """Return whether the stack took it."""
        try:
            is_taken = self._flows.stack.send_datagram(
                self._socket, content, remote, self._flows.now
            )
        except OSError as error:
            self._protocol.error_received(error)
            return True
        self._flows.flush()
        return is_taken

    def _send_rest(self) -> None:
        while self._unwritten and self._send(*self._unwritten[0]):
            content, _ = self._unwritten.popleft()
            self._unwritten_size -= len(content)
        self.resume_if_drained()
        if self._is_closing and not self._unwritten:
            self._finish()

    def abort(self) -> None:
        """Close at once."""
        self._finish()

    def _finish(self, error: Exception | None = None) -> None:
        if self._become_lost():
            self._flows.stack.close_udp(self._socket)
            self._flows.remove("udp", self._socket)
            self._flows.loop.call_soon(self._protocol.connection_lost, error)
