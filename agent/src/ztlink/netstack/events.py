"""What a stack tells: frozen values in the past tense, pulled one at a time with `next_event`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from ztlink.ids import Endpoint, IpAddress, Mac, SocketId

ConnectionId = NewType("ConnectionId", int)
"""A TCP connection; never used again."""

ListenerId = NewType("ListenerId", int)
"""A TCP listener; never used again."""

EchoId = NewType("EchoId", int)
"""One echo request; never used again."""


class Reason(StrEnum):
    """Why something failed, in words for people."""

    REFUSED = "connection refused"
    RESET = "connection reset by the peer"
    ABORTED = "connection aborted"
    TIMED_OUT = "timed out"
    NETWORK_UNREACHABLE = "network unreachable"
    HOST_UNREACHABLE = "host unreachable"
    PROTOCOL_UNREACHABLE = "protocol unreachable"
    PORT_UNREACHABLE = "port unreachable"
    PROHIBITED = "administratively prohibited"
    TOO_BIG = "packet too big"
    HOP_LIMIT = "hop limit exceeded"


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that we opened is established."""

    id: ConnectionId
    local: Endpoint
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """The peer answered a connection attempt with a reset; the id is gone."""

    id: ConnectionId
    reason: Reason


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """A connection attempt ended without an answer; the id is gone."""

    id: ConnectionId
    reason: Reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """A listener has an established connection for `accept`."""

    listener: ListenerId
    id: ConnectionId
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class Readable:
    """There are bytes to read; told once until the application has read."""

    id: ConnectionId


@dataclass(frozen=True, slots=True)
class Writable:
    """There is room again after a write that took less than it was given."""

    id: ConnectionId


@dataclass(frozen=True, slots=True)
class PeerFinished:
    """The peer sends no more; what it sent before may still be unread."""

    id: ConnectionId


@dataclass(frozen=True, slots=True)
class ConnectionReset:
    """A connection ended before both sides were done; the id is gone, unread bytes with it."""

    id: ConnectionId
    reason: Reason


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """Both sides are done and all that we sent has been acknowledged; the id is gone."""

    id: ConnectionId


@dataclass(frozen=True, slots=True)
class SoftError:
    """The network reported trouble; the connection goes on."""

    id: ConnectionId
    reason: Reason


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    """A UDP socket got a datagram."""

    socket: SocketId
    data: bytes
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class DatagramFailed:
    """The network reported that a datagram of a UDP socket did not arrive."""

    socket: SocketId
    remote: Endpoint
    reason: Reason


@dataclass(frozen=True, slots=True)
class DatagramsWritable:
    """A UDP socket takes datagrams again, after one that it did not take."""

    socket: SocketId


@dataclass(frozen=True, slots=True)
class EchoAnswered:
    """An echo request was answered."""

    id: EchoId
    remote: IpAddress
    sequence: int
    size: int
    round_trip: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class EchoFailed:
    """An echo request got an error or no answer in time."""

    id: EchoId
    remote: IpAddress
    sequence: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class AddressConflict:
    """Somebody else uses an address of ours."""

    address: IpAddress
    mac: Mac


TcpEvent = (
    Connected
    | ConnectionRefused
    | ConnectFailed
    | Accepted
    | Readable
    | Writable
    | PeerFinished
    | ConnectionReset
    | ConnectionClosed
    | SoftError
)

Event = (
    TcpEvent
    | DatagramReceived
    | DatagramFailed
    | DatagramsWritable
    | EchoAnswered
    | EchoFailed
    | AddressConflict
)
