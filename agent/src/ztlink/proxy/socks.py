"""A SOCKS5 server (RFC 1928): CONNECT to names, IPv4 and IPv6; user and password (RFC 1929).

A greeting and a request are a few hundred bytes at most and have ten seconds; whatever they hold,
nothing but `SocksError` comes of it. What a client says is here too: numbers are here alone.
"""

import asyncio
import errno
import hmac
import logging
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from ztlink.errors import RemoteProtocolError
from ztlink.ids import IpAddress
from ztlink.proxy.relay import Dial, Stream, finish, relay
from ztlink.proxy.serving import serving

logger = logging.getLogger(__name__)

VERSION: Final = 5
AUTH_VERSION: Final = 1
HANDSHAKE_TIME: Final = 10.0
"""Seconds from the connection to a whole request."""
_METHOD_OPEN: Final = 0
_METHOD_PASSWORD: Final = 2
_METHOD_NONE: Final = 0xFF
_COMMAND_CONNECT: Final = 1
_KIND_IPV4: Final = 1
_KIND_NAME: Final = 3
_KIND_IPV6: Final = 4


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


class SocksError(RemoteProtocolError):
    """A client does not keep to the protocol; `code` is the reply that its request gets."""


class RejectedError(SocksError):
    """A client was turned away before its request, and told so."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may use a proxy."""

    user: bytes
    password: bytes

    def match(self, user: bytes, password: bytes) -> bool:
        """Compare in constant time."""
        is_user = hmac.compare_digest(user, self.user)
        return hmac.compare_digest(password, self.password) and is_user


async def serve(
    dial: Dial,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = None,
    credentials: Credentials | None = None,
) -> asyncio.Server:
    """Listen for SOCKS5 on a port, 0 for a free one, or on a Unix socket, and dial for clients."""
    accept = serving(lambda client: handle(client, dial, credentials))
    if path is not None:
        return await asyncio.start_unix_server(accept, path)
    return await asyncio.start_server(accept, host, port)


async def handle(client: Stream, dial: Dial, credentials: Credentials | None = None) -> None:
    """Serve one client until its connection has ended."""
    try:
        async with asyncio.timeout(HANDSHAKE_TIME):
            host, port = await _handshake(client, credentials)
    except RejectedError as error:
        logger.info("socks client error=%s", error)
        await finish(client.writer)
        return
    except SocksError as error:
        logger.info("socks client error=%s", error)
        await _refuse(client, Reply(error.code))
        return
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        await finish(client.writer)
        return
    try:
        target = await dial(host, port)
    except OSError as error:
        logger.info("socks target=%s:%d error=%s", host, port, error)
        await _refuse(client, reply_for(error))
        return
    client.writer.write(_encode_reply(Reply.SUCCEEDED, target.writer.get_extra_info("sockname")))
    await relay(client, target)


async def _handshake(client: Stream, credentials: Credentials | None) -> tuple[str, int]:
    reader, writer = client
    version, count = await reader.readexactly(2)
    if version != VERSION:
        raise SocksError(f"SOCKS version {version}: this proxy speaks 5", Reply.FAILED)
    methods = await reader.readexactly(count)
    wanted = _METHOD_OPEN if credentials is None else _METHOD_PASSWORD
    if wanted not in methods:
        writer.write(bytes([VERSION, _METHOD_NONE]))
        raise RejectedError("no method of authentication in common", Reply.NOT_ALLOWED)
    writer.write(bytes([VERSION, wanted]))
    if credentials is not None:
        await _authenticate(client, credentials)
    return await _request(reader)


async def _authenticate(client: Stream, credentials: Credentials) -> None:
    reader, writer = client
    version, size = await reader.readexactly(2)
    user = await reader.readexactly(size)
    password = await reader.readexactly((await reader.readexactly(1))[0])
    is_good = version == AUTH_VERSION and credentials.match(user, password)
    writer.write(bytes([AUTH_VERSION, not is_good]))
    if not is_good:
        raise RejectedError("wrong user or password", Reply.NOT_ALLOWED)


async def _request(reader: asyncio.StreamReader) -> tuple[str, int]:
    version, command, _, kind = await reader.readexactly(4)
    if version != VERSION:
        raise SocksError(f"a request of version {version}", Reply.FAILED)
    host = await _host(reader, kind)
    (port,) = struct.unpack(">H", await reader.readexactly(2))
    if command != _COMMAND_CONNECT:
        raise SocksError(f"command {command}: this proxy connects only", Reply.COMMAND_UNKNOWN)
    return host, port


async def _host(reader: asyncio.StreamReader, kind: int) -> str:
    if kind == _KIND_IPV4:
        return str(IPv4Address(await reader.readexactly(4)))
    if kind == _KIND_IPV6:
        return str(IPv6Address(await reader.readexactly(16)))
    if kind == _KIND_NAME:
        return _name(await reader.readexactly((await reader.readexactly(1))[0]))
    raise SocksError(f"address of kind {kind}", Reply.ADDRESS_UNKNOWN)


def _name(text: bytes) -> str:
    try:
        name = text.decode("ascii")
    except UnicodeDecodeError as error:
        raise SocksError("a name that is not ASCII", Reply.ADDRESS_UNKNOWN) from error
    if not name or not name.isprintable():
        raise SocksError("a name that is none", Reply.ADDRESS_UNKNOWN)
    return name


def reply_for(error: OSError) -> Reply:
    """Return what a client is told of an attempt that failed."""
    if isinstance(error, ConnectionRefusedError):
        return Reply.REFUSED
    if isinstance(error, socket.gaierror | TimeoutError) or error.errno == errno.EHOSTUNREACH:
        return Reply.HOST_UNREACHABLE
    if error.errno == errno.ENETUNREACH:
        return Reply.NETWORK_UNREACHABLE
    return Reply.NOT_ALLOWED if isinstance(error, PermissionError) else Reply.FAILED


async def _refuse(client: Stream, reply: Reply) -> None:
    client.writer.write(_encode_reply(reply, None))
    await finish(client.writer)


def _encode_reply(reply: Reply, bound: tuple[str, int] | None) -> bytes:
    ip = ip_address(bound[0]) if bound else IPv4Address(0)
    port = struct.pack(">H", bound[1] if bound else 0)
    return bytes([VERSION, reply, 0]) + _encode_ip(ip) + port


def _encode_ip(ip: IpAddress) -> bytes:
    return bytes([_KIND_IPV4 if ip.version == 4 else _KIND_IPV6]) + ip.packed


# -- the other side: a client that needs no password ----------------------------------------------

GREETING: Final = bytes([VERSION, 1, _METHOD_OPEN])
"""What a client begins with."""
CHOICE_SIZE: Final = 2
"""Bytes of a server's answer to that."""
REPLY_HEAD_SIZE: Final = 4
"""Bytes of a reply that tell how many follow."""
_ERRNO: Final[dict[int, int]] = {
    Reply.REFUSED: errno.ECONNREFUSED,
    Reply.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    Reply.NETWORK_UNREACHABLE: errno.ENETUNREACH,
    Reply.NOT_ALLOWED: errno.EACCES,
}


def encode_connect(host: str, port: int) -> bytes:
    """Return a request to connect; ValueError where the host can be no name."""
    try:
        target = _encode_ip(ip_address(host))
    except ValueError:
        name = host.encode("idna")
        target = bytes([_KIND_NAME, len(name)]) + name
    return bytes([VERSION, _COMMAND_CONNECT, 0]) + target + struct.pack(">H", port)


def reply_rest(head: bytes) -> int:
    """Return how many bytes of a reply follow its head; SocksError where that is none."""
    sizes = {_KIND_IPV4: 4, _KIND_IPV6: 16}
    if head[0] != VERSION or head[3] not in sizes:
        raise SocksError(f"a reply that is none: {head.hex()}", Reply.FAILED)
    return sizes[head[3]] + 2


def error_for(reply: int, host: str, port: int) -> OSError:
    """Return what a reply other than success means to who asked: `reply_for` the other way."""
    name = Reply(reply).name.lower().replace("_", " ") if reply in set(Reply) else f"reply {reply}"
    return OSError(_ERRNO.get(reply, errno.EIO), f"{host} port {port}: {name}")
