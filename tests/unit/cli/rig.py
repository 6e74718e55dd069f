"""A running node for commands to talk to: its real API in a thread, behind a pair of sockets."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from tests.unit.api.rig import TOKEN, FakeCore, make_api
from tests.unit.controller.rig import Rig
from ztlink.cli import main
from ztlink.controller.service import ControllerService

T = TypeVar("T")

PORT = 9993


class Server:
    """Serves an application from a thread of its own."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(application, access_log=None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self._runner.setup())

    def connect(self) -> socket.socket:
        """Return the client's end of a new connection."""
        ours, theirs = socket.socketpair()
        server = self._runner.server
        assert server is not None
        self._run(self._loop.connect_accepted_socket(server, theirs))
        return ours

    def close(self) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@dataclass(slots=True)
class Node:
    """A node with a home, and the commands that are given to it."""

    home: Path
    core: FakeCore = field(default_factory=FakeCore)
    rig: Rig | None = None

    def run(self, *arguments: str) -> Result:
        """Run a command for this node."""
        return run(*arguments, "--home", str(self.home))


def run(*arguments: str) -> Result:
    """Run a command as from a shell."""
    return CliRunner().invoke(main, list(arguments))


def make_home(home: Path, token: str = TOKEN) -> None:
    """Write what commands read of a running node's home."""
    home.mkdir(exist_ok=True)
    (home / "authtoken.secret").write_text(token)
    (home / "zerotier-one.port").write_text(str(PORT))


def serve(
    core: FakeCore, service: ControllerService | None, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """Have every connection to the node's port end at its API."""
    server = Server(make_api(core, service).application)

    def connect(connection: http.client.HTTPConnection) -> None:
        assert (connection.host, connection.port) == ("127.0.0.1", PORT)
        connection.sock = server.connect()

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    return server


@contextmanager
def another_program(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have another program sit at the node's port, which says this and no more."""
    ours, theirs = socket.socketpair()

    def connect(connection: http.client.HTTPConnection) -> None:
        connection.sock = ours

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    theirs.sendall(raw)
    theirs.shutdown(socket.SHUT_WR)
    yield
    theirs.close()
