"""Requests under way: only an answer to one of them, from whom we asked, counts."""

from dataclasses import dataclass
from typing import Final

from ztlink.clock import Now
from ztlink.ids import Address, Endpoint, PacketId, SocketId
from ztlink.wire.verbs import Verb

MAX_REQUESTS: Final = 8192
LIFETIME: Final = 10.0
MAX_WAYS: Final = 32
"""Ways by which one request may be answered: sockets here, times sockets there."""


@dataclass(slots=True)
class Request:
    """What we asked, whom, where and when."""

    destination: Address
    verb: Verb
    endpoint: Endpoint | None
    """Where the datagram was sent; None where it went to the peer by whatever way."""
    sent: float
    answered_at: tuple[SocketId, ...] = ()
    """Local sockets on which it was answered: once more there is a replay."""
    ways: tuple[tuple[SocketId, Endpoint], ...] = ()
    """By which answers came."""

    def is_repeated(self, socket: SocketId, endpoint: Endpoint) -> bool:
        """Tell, and note, whether an answer came this way before, or too many did."""
        if (socket, endpoint) in self.ways or len(self.ways) >= MAX_WAYS:
            return True
        self.ways += ((socket, endpoint),)
        return False


class Requests:
    """Requests by packet id, oldest first; bounded in number and in age."""

    def __init__(self) -> None:
        self._requests: dict[PacketId, Request] = {}

    def add(self, packet_id: PacketId, request: Request) -> None:
        """Remember a request; the oldest goes where there are too many."""
        if len(self._requests) >= MAX_REQUESTS:
            del self._requests[next(iter(self._requests))]
        self._requests[packet_id] = request

    def find(self, packet_id: PacketId, responder: Address, verb: int, now: Now) -> Request | None:
        """Return the request that an OK refers to, if it is one.

        Several answers to one are fine.
        """
        request = self._requests.get(packet_id)
        if request is None or request.destination != responder or request.verb != verb:
            return None
        if now.mono - request.sent > LIFETIME:
            del self._requests[packet_id]
            return None
        return request

    def end(self, packet_id: PacketId) -> None:
        """Listen for no more answers: the one that came is the last word."""
        self._requests.pop(packet_id, None)

    def remove_older(self, now: Now) -> None:
        """Drop what nobody will answer any more; called when adding is frequent."""
        while self._requests:
            packet_id = next(iter(self._requests))
            if now.mono - self._requests[packet_id].sent <= LIFETIME:
                return
            del self._requests[packet_id]
