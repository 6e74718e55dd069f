"""What the sockets of one network share: its stack, and who each event of the stack is for.

All of it runs in one thread, the event loop's, in which the pump runs too: a verb goes straight to
the stack. `flush`, once per turn of the loop, has what came of it carried; `send` at once, where
nothing is under way that it could go with.
"""

import asyncio
import contextlib
from typing import Final, Protocol

from ztlink.clock import Now
from ztlink.drivers.clock import read_clock
from ztlink.errors import LocalProtocolError
from ztlink.netstack.events import (
    Accepted,
    AddressConflict,
    ConnectionClosed,
    ConnectionId,
    ConnectionReset,
    DatagramFailed,
    DatagramReceived,
    DatagramsWritable,
    EchoAnswered,
    EchoFailed,
    Event,
    Readable,
)
from ztlink.netstack.stack import Stack

_ENDS: Final = ConnectionClosed, ConnectionReset


class Socket(Protocol):
    """Whoever an id of the stack belongs to."""

    def take(self, event: Event) -> None:
        """Take what the stack tells of it."""

    def shut(self, error: Exception) -> None:
        """End, because the network does."""


class Carrier(Protocol):
    """Who has what stacks send carried."""

    def carry(self) -> None:
        """Have it carried now."""

    def send(self, now: Now) -> None:
        """Have what is to be sent carried now; whoever hears of anything, hears of it later."""

    def carry_soon(self) -> None:
        """Have it carried in the loop's next turn."""


class Flows:
    """The sockets of a network."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stack: Stack, carrier: Carrier) -> None:
        """Make it; `carrier` has the stack's output carried."""
        self.loop = loop
        self.stack = stack
        self.tcp = stack.tcp
        self._carrier = carrier
        self.flush = carrier.carry_soon
        """Has what was done this turn of the loop carried at its end, in one go."""
        self.send = carrier.send
        """Has what was written carried now."""
        self._sockets: dict[tuple[str, int], Socket] = {}
        self._lingering: set[ConnectionId] = set()
        self.closed: str | None = None
        """Why nothing can be opened any more."""

    @property
    def now(self) -> Now:
        """The time, for verbs."""
        return read_clock()

    def add(self, kind: str, number: int, socket: Socket) -> None:
        """Hand `socket` the events of an id from now on."""
        self._sockets[kind, number] = socket

    def remove(self, kind: str, number: int) -> None:
        """Pass over the events of an id from now on."""
        self._sockets.pop((kind, number), None)

    def take(self, event: Event) -> None:
        """Hand an event of the stack to the one it is for."""
        key: tuple[str, int]
        match event:
            case Readable():  # first, as most are
                key = ("tcp", event.id)
            case Accepted():
                key = ("listener", event.listener)
            case DatagramReceived() | DatagramFailed() | DatagramsWritable():
                key = ("udp", event.socket)
            case EchoAnswered() | EchoFailed():
                key = ("echo", event.id)
            case AddressConflict():
                return
            case _:
                key = ("tcp", event.id)
                if isinstance(event, _ENDS):
                    self._lingering.discard(event.id)
        socket = self._sockets.get(key)
        if socket is not None:
            socket.take(event)

    def close_connection(self, connection: ConnectionId) -> None:
        """Have a connection end by itself, once all that was written has arrived."""
        with contextlib.suppress(LocalProtocolError):  # it has ended, which is still to be told
            self.stack.tcp.close(connection, self.now)
            self._lingering.add(connection)
        self.flush()

    def abort_connection(self, connection: ConnectionId) -> None:
        """Have a connection end at once."""
        with contextlib.suppress(LocalProtocolError):
            self.stack.tcp.abort(connection, self.now)
        self.flush()

    @property
    def is_lingering(self) -> bool:
        """Whether something that was written, and closed then, is still on its way."""
        return bool(self._lingering)

    def close(self, reason: str) -> None:
        """End every socket, as the network is left or the node ends."""
        self.closed = reason
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            socket.shut(ConnectionAbortedError(reason))
        self._carrier.carry()
