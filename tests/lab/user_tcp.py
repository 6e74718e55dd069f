"""Transfers of a user-space node over TCP, moved by the stack's events."""

import hashlib
from concurrent.futures import Future
from dataclasses import dataclass, field

from tests.lab.errors import LabError
from ztlink.clock import Now
from ztlink.netstack.events import (
    Accepted,
    Connected,
    ConnectFailed,
    ConnectionClosed,
    ConnectionId,
    ConnectionRefused,
    ConnectionReset,
    Event,
    PeerFinished,
    Readable,
    Writable,
)
from ztlink.netstack.stack import Stack

CHUNK = 1 << 20


@dataclass
class Transfer:
    """One connection: sends `data` and its end, reads until the other's end, then closes.

    Used in the pump's thread alone.
    """

    stack: Stack
    data: memoryview = field(default_factory=lambda: memoryview(b""))
    id: ConnectionId | None = None
    received: int = 0
    done: "Future[str]" = field(default_factory=Future)
    """The MD5 of what was read, when both sides have finished."""
    _digest: "hashlib._Hash" = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _is_shut: bool = False

    def take(self, event: Event, now: Now) -> None:
        """Act on an event of the stack."""
        if isinstance(event, Accepted) and self.id is None:
            self.id = self.stack.tcp.accept(event.listener)
            self._write(now)
        elif getattr(event, "id", None) != self.id:
            return
        match event:
            case Connected() | Writable():
                self._write(now)
            case Readable():
                self._read(now)
            case PeerFinished():
                self._read(now)
                self.done.set_result(self._digest.hexdigest())
                if self._is_shut:
                    self._close(now)
            case ConnectFailed() | ConnectionRefused() | ConnectionReset():
                if not self.done.done():
                    self.done.set_exception(LabError(str(event)))
            case ConnectionClosed() if not self.done.done():
                self.done.set_result(self._digest.hexdigest())

    def _write(self, now: Now) -> None:
        assert self.id is not None
        taken = self.stack.tcp.write(self.id, self.data[:CHUNK], now)
        while taken:
            self.data = self.data[taken:]
            if not self.data:
                break
            taken = self.stack.tcp.write(self.id, self.data[:CHUNK], now)
        if not self.data and not self._is_shut:
            self._is_shut = True
            self.stack.tcp.shutdown(self.id, now)
            if self.done.done():
                self._close(now)

    def _read(self, now: Now) -> None:
        assert self.id is not None
        while chunk := self.stack.tcp.read(self.id, CHUNK, now):
            self._digest.update(chunk)
            self.received += len(chunk)

    def _close(self, now: Now) -> None:
        assert self.id is not None
        self.stack.tcp.close(self.id, now)
