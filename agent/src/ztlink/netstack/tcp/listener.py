"""A local endpoint that takes connections: the LISTEN state, and its two bounded queues."""

from collections import deque
from math import inf

from ztlink.ids import Endpoint
from ztlink.netstack.events import ConnectionId, ListenerId


class Listener:
    """Who waits for the end of its handshake, and who for `accept`."""

    __slots__ = ("backlog", "completed", "cookies_until", "half_open", "id", "local")

    def __init__(self, id: ListenerId, local: Endpoint, backlog: int) -> None:  # noqa: A002 - as in the events
        self.id = id
        self.local = local
        self.backlog = max(backlog, 1)
        self.completed: deque[ConnectionId] = deque()
        """Established, not accepted yet."""
        self.half_open: dict[ConnectionId, None] = {}
        """In SYN_RECEIVED, the oldest first."""
        self.cookies_until = -inf
        """Until when an acknowledgement may bring a SYN cookie."""

    @property
    def is_full(self) -> bool:
        """Whether the application is behind: no handshake is completed until it accepts."""
        return len(self.completed) >= self.backlog

    def complete(self, connection: ConnectionId) -> None:
        """Move a connection from the one queue to the other."""
        self.half_open.pop(connection, None)
        self.completed.append(connection)

    def forget(self, connection: ConnectionId) -> None:
        """Drop a connection that ended before it was accepted."""
        self.half_open.pop(connection, None)
        if connection in self.completed:
            self.completed.remove(connection)
