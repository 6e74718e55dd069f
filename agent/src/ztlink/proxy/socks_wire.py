"""What SOCKS5 says (RFC 1928), byte for byte, by either side: requests, replies, datagrams.

Whatever bytes hold, nothing but `SocksError` comes of reading them.
"""

import asyncio
import errno
import socket
import struct
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from ztlink.errors import RemoteProtocolError
from ztlink.ids import IpAddress

VERSION: Final = 5
METHOD_OPEN: Final = 0
METHOD_PASSWORD: Final = 2
METHOD_NONE: Final = 0xFF
GREETING: Final = bytes([VERSION, 1, METHOD_OPEN])
"""What a client begins with that needs no password."""
CHOICE_SIZE: Final = 2
"""Bytes of a server's answer to that."""
REPLY_HEAD_SIZE: Final = 4
"""Bytes of a reply that tell how many follow."""
_KIND_IPV4: Final = 1
_KIND_NAME: Final = 3
_KIND_IPV6: Final = 4
_SIZES: Final = {_KIND_IPV4: 4, _KIND_IPV6: 16}
_DATAGRAM_HEAD: Final = 3
"""Two bytes that are reserved, and the number of a fragment."""


class Command(IntEnum):
    """What a client wants."""

    CONNECT = 1
    BIND = 2
    ASSOCIATE = 3
    """A port to send datagrams to, as long as the connection lasts (RFC 1928 7)."""
    EXCHANGE = 0x80
    """Ours: datagrams with one target, over this very connection."""


class Reply(IntEnum):
    """What a request comes to (RFC 1928 6)."""

    SUCCEEDED = 0
    FAILED = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    COMMAND_UNKNOWN = 7
    ADDRESS_UNKNOWN = 8


_ERRNO: Final[dict[int, int]] = {
    Reply.REFUSED: errno.ECONNREFUSED,
    Reply.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    Reply.NETWORK_UNREACHABLE: errno.ENETUNREACH,
    Reply.NOT_ALLOWED: errno.EACCES,
}


class SocksError(RemoteProtocolError):
    """The other side does not keep to the protocol; `code` is the reply that a request gets."""


class Request(NamedTuple):
    """What a client wants, and of whom."""

    command: int
    host: str
    port: int


class Datagram(NamedTuple):
    """A datagram between a client and its proxy: to whom, or from whom."""

    host: str
    port: int
    data: bytes


# -- requests ------------------------------------------------------------------------------------


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read a request; SocksError says what is wrong with it."""
    version, command, _, kind = await reader.readexactly(4)
    if version != VERSION:
        raise SocksError(f"a request of version {version}", Reply.FAILED)
    size = _SIZES.get(kind)
    if size is None and kind != _KIND_NAME:
        raise SocksError(f"address of kind {kind}", Reply.ADDRESS_UNKNOWN)
    host = await reader.readexactly((await reader.readexactly(1))[0] if size is None else size)
    (port,) = struct.unpack(">H", await reader.readexactly(2))
    return Request(command, _host(kind, host), port)


def encode_request(command: Command, host: str, port: int) -> bytes:
    """Return a request; ValueError where the host can be no name."""
    return bytes([VERSION, command, 0]) + _encode_host(host) + struct.pack(">H", port)


# -- replies -------------------------------------------------------------------------------------


def encode_reply(reply: Reply, bound: Any = None) -> bytes:  # noqa: ANN401 - as sockets name it
    """Return a reply with the name of a socket of the proxy's."""
    ip, port = (ip_address(bound[0]), bound[1]) if bound else (IPv4Address(0), 0)
    return bytes([VERSION, reply, 0]) + _encode_ip(ip) + struct.pack(">H", port)


def reply_rest(head: bytes) -> int:
    """Return how many bytes of a reply follow its head; SocksError where that is none."""
    if head[0] != VERSION or head[3] not in _SIZES:
        raise SocksError(f"a reply that is none: {head.hex()}", Reply.FAILED)
    return _SIZES[head[3]] + 2


def reply_for(error: OSError) -> Reply:
    """Return what a client is told of an attempt that failed."""
    if isinstance(error, ConnectionRefusedError):
        return Reply.REFUSED
    if isinstance(error, socket.gaierror | TimeoutError) or error.errno == errno.EHOSTUNREACH:
        return Reply.HOST_UNREACHABLE
    if error.errno == errno.ENETUNREACH:
        return Reply.NETWORK_UNREACHABLE
    return Reply.NOT_ALLOWED if isinstance(error, PermissionError) else Reply.FAILED


def error_for(reply: int, host: str, port: int) -> OSError:
    """Return what a reply other than success means to who asked: `reply_for` the other way."""
    name = Reply(reply).name.lower().replace("_", " ") if reply in set(Reply) else f"reply {reply}"
    return OSError(_ERRNO.get(reply, errno.EIO), f"{host} port {port}: {name}")


# -- datagrams -----------------------------------------------------------------------------------


def decode_datagram(content: bytes) -> Datagram:
    """Return what a client sends to its port; SocksError where that is none, or a fragment."""
    kind = content[_DATAGRAM_HEAD] if len(content) > _DATAGRAM_HEAD else 0
    start = _DATAGRAM_HEAD + 1
    size = _SIZES.get(kind, 0)
    if kind == _KIND_NAME and len(content) > start:
        size, start = content[start], start + 1
    end = start + size
    if size == 0 or len(content) < end + 2:
        raise SocksError("a datagram without an address", Reply.ADDRESS_UNKNOWN)
    if content[2] != 0:
        raise SocksError("a datagram in fragments", Reply.FAILED)
    (port,) = struct.unpack_from(">H", content, end)
    return Datagram(_host(kind, content[start:end]), port, content[end + 2 :])


def encode_datagram(host: str, port: int, data: bytes) -> bytes:
    """Return what goes to a client's port, or to the proxy's."""
    return bytes(_DATAGRAM_HEAD) + _encode_host(host) + struct.pack(">H", port) + data


# -- hosts ---------------------------------------------------------------------------------------


def _host(kind: int, content: bytes) -> str:
    if kind == _KIND_NAME:
        return _name(content)
    return str(IPv4Address(content) if kind == _KIND_IPV4 else IPv6Address(content))


def _name(text: bytes) -> str:
    try:
        name = text.decode("ascii")
    except UnicodeDecodeError as error:
        raise SocksError("a name that is not ASCII", Reply.ADDRESS_UNKNOWN) from error
    if not name or not name.isprintable():
        raise SocksError("a name that is none", Reply.ADDRESS_UNKNOWN)
    return name


def _encode_host(host: str) -> bytes:
    try:
        return _encode_ip(ip_address(host))
    except ValueError:
        name = host.encode("idna")
        return bytes([_KIND_NAME, len(name)]) + name


def _encode_ip(ip: IpAddress) -> bytes:
    return bytes([_KIND_IPV4 if ip.version == 4 else _KIND_IPV6]) + ip.packed
