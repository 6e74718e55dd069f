"""rtnetlink(7) by hand: messages, attributes, lists that are dumped, requests by the hundred.

For what a node does before anything else, or ten thousand times: pyroute2 takes a tenth of a second
to import, and longer to encode a route than the kernel takes to make it.
"""

import errno
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

HEADER: Final = struct.Struct("=IHHII")
"""Of a message: length, type, flags, sequence number, port."""
ATTRIBUTE: Final = struct.Struct("=HH")
"""Length, type."""
_STATUS: Final = struct.Struct("=i")
"""Of the last message of an answer: 0, or an error, negative."""

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
_NLM_F_DUMP_INTR: Final = 0x10
_NLM_F_DUMP: Final = 0x300
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_MAX_MESSAGE: Final = 1 << 16
_MAX_TRIES: Final = 8
"""A list that changes while it is read is read again."""
_MAX_BATCH: Final = 128
"""Requests in one write: so many answers have room in a socket's buffer, whatever its limit."""
_NESTED: Final = 0x8000
_PADDING: Final = b"\0\0\0"


def open_socket() -> socket.socket:
    """Open a socket for requests; OSError where that cannot be."""
    return socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )


def dump(opened: socket.socket, kind: int, body: bytes) -> list[memoryview]:
    """Return the bodies of all messages of one kind, of one moment."""
    size, flags = HEADER.size + len(body), NLM_F_REQUEST | _NLM_F_DUMP
    for _ in range(_MAX_TRIES):
        opened.send(HEADER.pack(size, kind, flags, 0, 0) + body)
        bodies = _receive(opened)
        if bodies is not None:
            return bodies
    raise OSError(errno.EAGAIN, "they change all the time")


def _receive(opened: socket.socket) -> list[memoryview] | None:
    """Return the bodies up to the last; None where what is listed has changed meanwhile."""
    bodies: list[memoryview] = []
    is_whole = True
    while True:
        block = memoryview(opened.recv(_MAX_MESSAGE))
        while len(block) >= HEADER.size:
            size, kind, flags, _, _ = HEADER.unpack_from(block)
            body = block[HEADER.size : size]
            is_whole &= not flags & _NLM_F_DUMP_INTR
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                (status,) = _STATUS.unpack_from(body)
                if status < 0:
                    raise OSError(-status, os.strerror(-status))
                return bodies if is_whole else None
            bodies.append(body)
            block = block[aligned(max(size, HEADER.size)) :]


def request(kind: int, flags: int, body: bytes) -> bytes:
    """Return a message that the kernel is to answer."""
    flags |= NLM_F_REQUEST | NLM_F_ACK
    return HEADER.pack(HEADER.size + len(body), kind, flags, 0, 0) + body


def carry_out(opened: socket.socket, requests: Sequence[bytes]) -> list[int]:
    """Send requests, many at a time; return what came of each: 0, or the number of an error."""
    results: list[int] = []
    for start in range(0, len(requests), _MAX_BATCH):
        batch = requests[start : start + _MAX_BATCH]
        opened.send(b"".join(batch))  # the kernel has done them all when this returns
        while len(results) < start + len(batch):
            results += _answers(opened.recv(_MAX_MESSAGE))
    return results


def _answers(block: bytes) -> list[int]:
    found, at = [], 0
    while at + HEADER.size <= len(block):
        size, kind, _, _, _ = HEADER.unpack_from(block, at)
        if kind == _NLMSG_ERROR:
            found.append(-_STATUS.unpack_from(block, at + HEADER.size)[0])
        at += aligned(max(size, HEADER.size))
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded."""
    size = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(size, kind) + value + _PADDING[: -size % 4]


def nested(kind: int, value: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, value)


def attributes(block: memoryview) -> dict[int, memoryview]:
    """Return the attributes of a message by their type."""
    found = {}
    while len(block) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(block)
        found[kind & ~_NESTED] = block[ATTRIBUTE.size : size]
        block = block[aligned(max(size, ATTRIBUTE.size)) :]
    return found


def aligned(size: int) -> int:
    """Return where the next message or attribute begins."""
    return -(-size // 4) * 4
