"""A root, which is a controller too, as a process of this machine, on its loopback unless said."""

import os
import signal
import socket
import subprocess
import sys
import time
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ci.demo_userspace import free_port
from tests.lab.ours import compiled_once
from tests.unit.vl1.mesh import identity
from ztlink.aio.node import Node
from ztlink.client import Client, NodeUnreachableError
from ztlink.crypto.world import make_world
from ztlink.drivers.store import IDENTITY_SECRET, Store
from ztlink.ids import Endpoint, format_address
from ztlink.wire.world import Root, WorldType

ZTLINK: Final = (sys.executable, "-m", "ztlink")
PATIENCE: Final = 60.0
CONTROLLER: Final = 0
"""The number of its identity among the thousand that are known to be valid."""


class Overlay:
    """The process, its world, and homes for nodes in it."""

    def __init__(self, directory: Path, ip: str | None = None) -> None:
        self.directory = directory
        self.ip = ip or own_loopback()
        """Of this machine, for the root and for nodes."""
        self.planet = directory / "planet"
        self.home = directory / "controller"
        self._port = free_port(socket.SOCK_DGRAM)
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def __enter__(self) -> Self:
        secret = identity(CONTROLLER)
        self.home.mkdir(parents=True)
        Store(self.home).save_identity(secret)
        where = Endpoint(IPv4Address(self.ip), self._port)
        root = Root(secret.public, (where,))
        world = make_world(WorldType.PLANET, 77, time.time_ns() // 1_000_000, (root,), secret)
        self.planet.write_bytes(world.to_bytes())
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with (self.directory / "controller.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*ZTLINK, "controller", "--allow-loopback", "--bind", self.ip),
                    *("--home", str(self.home), "--planet", str(self.planet)),
                    *("--port", str(self._port)),
                ],
                stderr=log,
                env={"ZTLINK_ENGINE": "portable", **os.environ, **compiled_once()},
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                Client(self.home).get("/controller")
            except NodeUnreachableError:
                assert time.monotonic() < deadline, (self.directory / "controller.log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)
            self._process = None

    # -- networks ----------------------------------------------------------------------------

    def make_network(self, **fields: Any) -> str:
        """Make a network with a pool of addresses of both families, public unless said."""
        address = format_address(identity(CONTROLLER).public.address)
        self._count += 1
        given = {
            "private": False,
            "ipAssignmentPools": [
                {"ipRangeStart": "10.9.0.1", "ipRangeEnd": "10.9.0.250"},
                {"ipRangeStart": "fd09::1", "ipRangeEnd": "fd09::fa"},
            ],
            "routes": [{"target": "10.9.0.0/24"}, {"target": "fd09::/64"}],
            "v4AssignMode": {"zt": True},
            "v6AssignMode": {"zt": True},
            **fields,
        }
        network_id = f"{address}{self._count:06x}"
        Client(self.home).post(f"/controller/network/{network_id}", given)
        return network_id

    def change_network(self, network_id: str, **fields: Any) -> None:
        """Change what a network is."""
        Client(self.home).post(f"/controller/network/{network_id}", fields)

    def authorize(self, network_id: str, address: str) -> None:
        """Let a node into a network."""
        path = f"/controller/network/{network_id}/member/{address}"
        Client(self.home).post(path, {"authorized": True})

    # -- nodes -------------------------------------------------------------------------------

    def make_home(self, number: int) -> Path:
        """Return the home of a node, made on the first call, with an identity that is there."""
        home = self.directory / f"node-{number}"
        if not (home / IDENTITY_SECRET).exists():
            home.mkdir()
            Store(home).save_identity(identity(number))
        return home

    def node(self, number: int, **options: Any) -> Node:
        """Return a node in user space, yet to be entered."""
        options = {
            "bind": (self.ip,),
            "allow_loopback": True,
            "engine": os.environ.get("ZTLINK_ENGINE", "portable"),
            **options,
        }
        return Node(self.make_home(number), planet=self.planet, **options)


def own_loopback() -> str:
    """Return an address of the loopback that is this process's, as good as always.

    Tests that run at the same time have nodes of the same identities, which would take each other's
    datagrams.
    """
    high, low = divmod(os.getpid(), 250)
    return f"127.{1 + high % 250}.{low}.1"


def ip_of(network: Any, version: int = 4) -> str:
    """Return a member's address of a family."""
    return next(str(one.ip) for one in network.addresses if ip_address(one.ip).version == version)
