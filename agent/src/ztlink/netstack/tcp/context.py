"""What the connections of a stack share: settings, chance, memory, and where they report to."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ztlink.netstack.events import ConnectionId, TcpEvent
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.tcp.options import window_shift
from ztlink.netstack.tcp.settings import TcpSettings

MAX_STRAYS: Final = 256
"""Answers of no connection that wait to be sent: what is more is not answered."""
_CHALLENGES_PER_SECOND: Final = 200
_PRESSURE: Final = 0.75


class Memory:
    """Bytes in the buffers of all connections, and how many there may be."""

    __slots__ = ("limit", "starving", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.starving: dict[ConnectionId, None] = {}
        """Who could not write for want of it, in order."""

    @property
    def is_tight(self) -> bool:
        """Whether buffers should grow no more."""
        return self.used > self.limit * _PRESSURE

    @property
    def free(self) -> int:
        """Bytes that may still be taken."""
        return max(self.limit - self.used, 0)


class ChallengeLimit:
    """How many challenge acknowledgements all connections may send (RFC 5961 7).

    The allowance of each second is random, so that it cannot be counted down from outside
    (CVE-2016-5696).
    """

    __slots__ = ("_left", "_random_bytes", "_second")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._second = -1
        self._left = 0

    def take(self, now: float) -> bool:
        """Tell whether one more may be sent."""
        second = int(now)
        if second != self._second:
            self._second = second
            half = _CHALLENGES_PER_SECOND // 2
            self._left = half + int.from_bytes(self._random_bytes(2), "big") % (half + 1)
        if self._left <= 0:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Context:
    """Shared by the connections of one layer; owned by it."""

    settings: TcpSettings
    emit: Callable[[TcpEvent], None]
    random_bytes: Callable[[int], bytes]
    memory: Memory
    challenges: ChallengeLimit
    ready: deque[ConnectionId] = field(default_factory=deque)
    """Connections that may have something to send, each once, in turn."""
    senders: set[ConnectionId] = field(default_factory=set)
    """Connections of which something is on its way; only counted."""
    strays: deque[Outgoing] = field(default_factory=deque)
    """Answers without a connection, or of one that is gone."""
    waiting: dict[ConnectionId, None] = field(default_factory=dict)
    """Connections in TIME_WAIT, the oldest first."""
    ended: list[ConnectionId] = field(default_factory=list)
    """Connections that became CLOSED within this input."""

    @property
    def shift(self) -> int:
        """The scale for the greatest window that we may come to offer."""
        return window_shift(self.settings.max_receive_buffer)

    def send_stray(self, outgoing: Outgoing) -> None:
        """Queue an answer of no connection, if there are not too many."""
        if len(self.strays) < MAX_STRAYS:
            self.strays.append(outgoing)
