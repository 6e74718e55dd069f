"""Keeps tests without I/O honest: whoever opens a socket or sleeps there fails, by name."""

import socket
import time
from collections.abc import Iterable
from typing import Final, NoReturn

import pytest

QUIET_DIRECTORIES: Final = frozenset({"unit", "sim", "property", "vectors"})
"""Below these, tests use no sockets and do not sleep."""

_SOCKET_METHODS: Final = ("bind", "connect", "connect_ex", "listen", "sendto")
_SENDMSG: Final = socket.socket.sendmsg


class GuardError(AssertionError):
    """A test used what tests of its kind do without."""


def refuse_io(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sockets and sleeps fail; pipes of event loops (socket pairs) go on to work."""
    for name in _SOCKET_METHODS:
        monkeypatch.setattr(socket.socket, name, _refuse_socket)
    monkeypatch.setattr(socket.socket, "sendmsg", _send_within_a_pair)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse_socket)
    monkeypatch.setattr(time, "sleep", _refuse_sleep)


def _send_within_a_pair(one: socket.socket, buffers: Iterable[bytes], *more: object) -> int:
    """Send as asyncio does, since Python 3.12, what waits to be written."""
    if one.family is not socket.AF_UNIX or more:
        _refuse_socket()
    return _SENDMSG(one, buffers)


def _refuse_socket(*_args: object, **_options: object) -> NoReturn:
    raise GuardError("sockets belong into tests/host or tests/interop")


def _refuse_sleep(*_args: object) -> NoReturn:
    raise GuardError("sleeps belong into tests/host or tests/interop")
