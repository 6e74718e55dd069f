"""The two sides of an overlay: a kernel behind a TAP in one namespace, a node of ours in another.

The thread of the tests is in the user-space node's namespace, and so are the commands that it
starts as they are; sockets of the kernel's side are opened in the other one.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from aiohttp import web

from tests.aio.overlay import ip_of
from tests.judge.command import Command
from tests.lab.errors import LabError
from tests.lab.lab import Host
from tests.lab.measure import ping
from tests.lab.mesh import Mesh
from tests.lab.node import fresh_identity
from tests.lab.ours import bytecode_directory
from ztlink.aio.network import Network
from ztlink.aio.node import Node
from ztlink.drivers.store import Store

WARM_UP: Final = 60.0
"""Seconds that a new device takes at most until all is known to all."""
VERSIONS: Final = (4, 6)


class Served(NamedTuple):
    """What one side serves on all its addresses."""

    ip: Callable[[int], str]
    port: int

    def url(self, path: str = "/", version: int = 4) -> str:
        """Return the URL of a page, by an address of that family."""
        ip = self.ip(version)
        return f"http://{f'[{ip}]' if version == 6 else ip}:{self.port}{path}"


class Field:
    """Where the tests take place."""

    def __init__(self, mesh: Mesh, network: Network, shell: Path, planet: Path) -> None:
        """Take it as it is; `shell` is the home of the commands."""
        self.mesh = mesh
        """The nodes, but for ours in user space."""
        self.network = network
        self.planet = planet
        self._shell = shell

    @property
    def kernel(self) -> Host:
        """The machine with the TAP."""
        return self.mesh.members[0].host

    def kernel_ip(self, version: int = 4) -> str:
        """Return the kernel's address on the overlay."""
        member, network_id = self.mesh.members[0], self.mesh.network_id
        return member.ipv4(network_id) if version == 4 else member.ipv6(network_id)

    def our_ip(self, version: int = 4) -> str:
        """Return the address of the node in this process."""
        return ip_of(self.network, version)

    def open_socket(self, version: int, kind: socket.SocketKind) -> socket.socket:
        """Open a socket of the kernel's side, for asyncio."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        opened = self.kernel.namespace.open_socket(family, kind)
        opened.setblocking(False)
        return opened

    def bound(self, kind: socket.SocketKind, version: int = 4, port: int = 0) -> socket.socket:
        """Open a socket of the kernel's side on its address."""
        opened = self.open_socket(version, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((self.kernel_ip(version), port))
        return opened

    # -- programs ----------------------------------------------------------------------------

    @asynccontextmanager
    async def on_kernel(self, *argv: str) -> AsyncIterator[Command]:
        """Run a program on the kernel's side."""
        async with Command.running(*self.kernel.namespace.entry, *argv) as command:
            yield command

    def ztlink(self, name: str, *arguments: str) -> tuple[str, ...]:
        """Return the command line of one of our commands in user space, on a machine of its own."""
        where = ("--home", str(self._shell), "--planet", str(self.planet))
        return (
            *self.mesh.lab.hosts["shell"].namespace.entry,
            *(sys.executable, "-X", f"pycache_prefix={bytecode_directory()}"),
            *("-m", "ztlink", name, *arguments),
            *("--network", self.mesh.network_id, *where),
        )

    @asynccontextmanager
    async def on_shell(self, name: str, *arguments: str) -> AsyncIterator[Command]:
        """Run one of our commands in user space."""
        async with Command.running(*self.ztlink(name, *arguments)) as command:
            yield command

    # -- HTTP --------------------------------------------------------------------------------

    @asynccontextmanager
    async def kernel_site(self, app: web.Application) -> AsyncIterator[Served]:
        """Serve an application on the kernel's side."""
        async with _runner(app) as runner:
            listening = self.open_socket(6, socket.SOCK_STREAM)
            listening.bind(("::", 0))
            await web.SockSite(runner, listening).start()
            yield Served(self.kernel_ip, listening.getsockname()[1])

    @asynccontextmanager
    async def our_site(self, app: web.Application) -> AsyncIterator[Served]:
        """Serve an application in user space."""
        async with _runner(app) as runner:
            site = self.network.site(runner, port=0)
            await site.start()
            yield Served(self.our_ip, site.port)

    @asynccontextmanager
    async def shell_site(self, app: web.Application) -> AsyncIterator[int]:
        """Serve an application on the loopback of the commands' machine; yield the port."""
        async with _runner(app) as runner:
            family = (socket.AF_INET, socket.SOCK_STREAM)
            listening = self.mesh.lab.hosts["shell"].namespace.open_socket(*family)
            listening.bind(("127.0.0.1", 0))
            await web.SockSite(runner, listening).start()
            yield listening.getsockname()[1]

    def kernel_session(self) -> aiohttp.ClientSession:
        """Return a client on the kernel's side."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=lambda info: self.kernel.namespace.open_socket(*info[:3])
            )
        )

    def our_session(self) -> aiohttp.ClientSession:
        """Return a client in user space."""
        return aiohttp.ClientSession(connector=self.network.connector())


@asynccontextmanager
async def _runner(app: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


def user_home(mesh: Mesh, name: str) -> Path:
    """Return the home of a user's node on a machine of its own; made on the first call."""
    home = mesh.lab.directory / f"home-{name}"
    if name not in mesh.lab.hosts:
        mesh.lab.host(name)
        home.mkdir(mode=0o700)
        Store(home).save_identity(fresh_identity(mesh.lab))
    return home


@asynccontextmanager
async def field(mesh: Mesh) -> AsyncIterator[Field]:
    """Have a node join the mesh in user space, and reach the kernel by both families."""
    planet = mesh.lab.directory / "planet"
    planet.write_bytes(mesh.planet())
    home, shell = user_home(mesh, "user"), user_home(mesh, "shell")
    with mesh.lab.hosts["user"].namespace.inhabited():
        async with Node(home, planet=planet) as node:
            made = Field(mesh, await node.join(mesh.network_id), shell, planet)
            for version in VERSIONS:
                await _reach(made, version)
            yield made


async def _reach(made: Field, version: int) -> None:
    """Wait until both sides reach each other."""
    async with asyncio.timeout(WARM_UP):
        while not await asyncio.to_thread(_is_heard, made, version):
            pass
        while True:
            with suppress(OSError):
                await made.network.ping(made.kernel_ip(version), timeout=1.0)
                return


def _is_heard(made: Field, version: int) -> bool:
    with suppress(LabError):  # at first the kernel may not even have a route
        return ping(made.kernel, made.our_ip(version), count=1).lost == 0
    return False
