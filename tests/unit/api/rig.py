"""A local API that is spoken to over HTTP: real bytes through aiohttp, on a pair of sockets."""

import asyncio
import http.client
import io
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar, cast

from aiohttp import web

from tests.unit.controller.rig import CONTROLLER, START, Rig
from tests.unit.vl1.mesh import identity
from ztlink.api.app import LocalApi
from ztlink.api.connection import Connection
from ztlink.api.home import ApiHome
from ztlink.api.runner import make_runner
from ztlink.clock import Now
from ztlink.controller.service import ControllerService
from ztlink.drivers.binder import Bound
from ztlink.drivers.loop import Pump
from ztlink.errors import ConfigError
from ztlink.host.policies import Policies
from ztlink.ids import Address, Endpoint, NetworkId, SocketId, member_mac
from ztlink.node.core import Core
from ztlink.node.events import NetworkStatus
from ztlink.node.status import NetworkView, NodeView, PeerView
from ztlink.settings import Settings
from ztlink.stats import Stats
from ztlink.wire.world import World

T = TypeVar("T")

TOKEN = "abcdefghijklmnopqrstuvwx"  # noqa: S105 - made for tests
METRICS_TOKEN = "metricsmetricsmetricsmet"  # noqa: S105 - made for tests
SETTINGS = Settings(home=Path("/home/of/the/node"), port=9993)
NODE = NodeView(
    identity=identity(0).public,
    online=True,
    is_root=False,
    planet_id=5494745588136148993,
    planet_timestamp=1_795_320_908_293,
    surface=(Endpoint(ip_address("10.200.0.12"), 21648),),
    roots=(),
)


@dataclass(slots=True)
class FakeCore:
    """The core's face as far as the API sees it."""

    node: NodeView = NODE
    peers: list[PeerView] = field(default_factory=list)
    networks: dict[NetworkId, NetworkView] = field(default_factory=dict)
    moons_here: list[World] = field(default_factory=list)
    wanted_moons: dict[int, Address] = field(default_factory=dict)
    stats: Stats = field(default_factory=Stats)
    failure: Exception | None = None
    """What any question is answered with."""

    def node_view(self, now: Now) -> NodeView:
        return self.node

    def peer_views(self, now: Now) -> list[PeerView]:
        return self.peers

    def network_views(self, now: Now) -> list[NetworkView]:
        return [self.networks[network_id] for network_id in sorted(self.networks)]

    def sockets(self) -> Mapping[SocketId, Endpoint]:
        return {SocketId(1): Endpoint(ip_address("10.200.0.12"), 9993)}

    def join(self, network_id: NetworkId, now: Now) -> None:
        mac = member_mac(self.node.identity.address, network_id)
        view = NetworkView(
            network_id,
            mac,
            NetworkStatus.REQUESTING_CONFIGURATION,
            "waiting for the controller's identity",
            None,
            (),
            0,
        )
        self.networks.setdefault(network_id, view)

    def leave(self, network_id: NetworkId, now: Now) -> None:
        del self.networks[network_id]

    def moons(self) -> tuple[World, ...]:
        return tuple(self.moons_here)

    def add_moon(self, moon: World, now: Now) -> None:
        self.moons_here.append(moon)

    def orbit(self, moon_id: int, seed: Address, now: Now) -> None:
        self.wanted_moons[moon_id] = seed

    def deorbit(self, moon_id: int, now: Now) -> None:
        self.wanted_moons.pop(moon_id, None)
        self.moons_here = [moon for moon in self.moons_here if moon.world_id != moon_id]


@dataclass(slots=True)
class FakePump:
    """Runs commands at once."""

    core: FakeCore

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        future: Future[T] = Future()
        if self.core.failure is not None:
            future.set_exception(self.core.failure)
        else:
            future.set_result(command(cast(Core, self.core), START))
        return future


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


@dataclass(slots=True)
class Disk:
    """The files that the API reads and writes."""

    conf: bytes | None = None
    settings: dict[NetworkId, bytes] = field(default_factory=dict)
    moons: dict[int, World | ConfigError] = field(default_factory=dict)

    def moon(self, moon_id: int) -> World | None:
        found = self.moons.get(moon_id)
        if isinstance(found, ConfigError):
            raise found
        return found

    def home(self) -> ApiHome:
        return ApiHome(
            TOKEN,
            METRICS_TOKEN,
            Policies(self.settings, self.settings.__setitem__),
            lambda: self.conf,
            lambda text: setattr(self, "conf", text),
            self.moon,
            lambda: Bound(9993, 20_001),
        )


def make_api(
    core: FakeCore,
    service: ControllerService | None = None,
    disk: Disk | None = None,
    settings: Settings = SETTINGS,
) -> LocalApi:
    pump = cast(Pump, FakePump(core))
    home = (disk or Disk()).home()
    return LocalApi(pump, home, settings, lambda: START, None, service)


@dataclass(slots=True)
class Speaker:
    """Sends requests to an application, one connection each."""

    server: web.Server

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request with the token, or with these headers alone."""
        text = body if isinstance(body, bytes) else b"" if body is None else _encode(body)
        shown = {"X-ZT1-Auth": TOKEN} if headers is None else headers
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        head += [f"Content-Length: {len(text)}", *(f"{k}: {v}" for k, v in shown.items())]
        raw = await self.exchange("\r\n".join([*head, "", ""]).encode() + text)
        return _parse(raw, method)

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes; return all bytes that come back."""
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(partial(Connection, self.server), theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(request)
        await writer.drain()
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
        return raw


def _encode(body: object) -> bytes:
    return json.dumps(body).encode()


class _Raw:
    """Bytes that http.client reads as from a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _parse(raw: bytes, method: str) -> Answer:
    response = http.client.HTTPResponse(cast(socket.socket, _Raw(raw)), method=method)
    response.begin()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    response.close()
    return answer


@asynccontextmanager
async def speak_to(api: LocalApi) -> AsyncIterator[Speaker]:
    """Run an API without a port."""
    runner = make_runner(api.application)
    await runner.setup()
    assert runner.server is not None
    try:
        yield Speaker(runner.server)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def controller_api() -> AsyncIterator[tuple[Speaker, Rig]]:
    """Run the API of a node that is a controller too."""
    rig = Rig()
    assert rig.service.identity == CONTROLLER
    async with speak_to(make_api(FakeCore(), rig.service)) as speaker:
        yield speaker, rig
    rig.service.close()
