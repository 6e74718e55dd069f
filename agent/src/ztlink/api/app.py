"""The local HTTP API of a node: the only channel between commands and the node that runs."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from aiohttp import web

from ztlink.api.body import read_object
from ztlink.api.controller import ControllerApi
from ztlink.api.views import Json, network_json, peer_json, status_json
from ztlink.clock import Now
from ztlink.controller.service import ControllerService
from ztlink.drivers.loop import Pump
from ztlink.errors import HostError, ZtError
from ztlink.host.desired import Policy
from ztlink.host.ports import PortManager
from ztlink.ids import (
    NetworkId,
    format_network_id,
    parse_address,
    parse_network_id,
)
from ztlink.node.core import Core
from ztlink.settings import Settings

logger = logging.getLogger(__name__)

MAX_BODY: Final = 4 << 20
LOOPBACK: Final = "127.0.0.1"
LOOPBACK_V6: Final = "::1"
OPEN_PATHS: Final = frozenset({"/health"})
POLICY_FIELDS: Final = {
    "allowManaged": "allow_managed",
    "allowGlobal": "allow_global",
    "allowDefault": "allow_default",
    "allowDNS": "allow_dns",
}

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalApi:
    """The HTTP server on loopback."""

    def __init__(
        self,
        pump: Pump,
        token: str,
        settings: Settings,
        read_clock: Callable[[], Now],
        ports: PortManager | None,
        controller: ControllerService | None,
    ) -> None:
        self._pump = pump
        self._token = token.encode()
        self._settings = settings
        self._read_clock = read_clock
        self._ports = ports
        self._policies: dict[NetworkId, Policy] = {}
        """Of a node without devices: shown, and without effect."""
        self._runner: web.AppRunner | None = None
        self.application = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        self.application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/status", self._status),
                web.get("/network", self._networks),
                web.get("/network/{id}", self._network),
                web.post("/network/{id}", self._join),
                web.put("/network/{id}", self._join),
                web.delete("/network/{id}", self._leave),
                web.get("/peer", self._peers),
                web.get("/peer/{id}", self._peer),
            ]
        )
        if controller is not None:
            self.application.add_routes(ControllerApi(controller, read_clock).routes())

    async def start(self, port: int) -> None:
        """Listen on loopback; HostError where the port is taken.

        Commands come to 127.0.0.1, with the token: nobody else may have that port.
        """
        self._runner = web.AppRunner(self.application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, LOOPBACK, port).start()
        except OSError as error:
            raise HostError(
                error.errno,
                f"cannot bind TCP {LOOPBACK}:{port} for the local API: is another node running? "
                "Choose another port with --port",
            ) from error
        try:
            await web.TCPSite(self._runner, LOOPBACK_V6, port).start()
        except OSError as error:
            logger.info("the local API is not served on %s error=%s", LOOPBACK_V6, error.strerror)

    async def stop(self) -> None:
        """Close the server."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who shows the token; say what is wrong with what cannot be done."""
        if request.path not in OPEN_PATHS and not self._is_authorized(request):
            return web.json_response({}, status=401)
        try:
            return await handler(request)
        except ValueError as error:
            return _failure(400, str(error))
        except web.HTTPRequestEntityTooLarge:
            return _failure(413, f"the body is larger than {MAX_BODY} bytes")
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            return web.Response(status=404)  # no body, as the original
        except ZtError as error:
            return _failure(500, str(error))

    def _is_authorized(self, request: web.Request) -> bool:
        shown = request.headers.get("X-ZT1-Auth") or request.query.get("auth")
        if not shown:
            kind, _, value = request.headers.get("Authorization", "").partition(" ")
            shown = value.strip() if kind.lower() == "bearer" else ""
        return hmac.compare_digest(shown.encode(errors="replace"), self._token)

    async def _ask(self, question: Callable[[Core, Now], T]) -> T:
        return await asyncio.wrap_future(self._pump.submit(question))

    # -- the node ----------------------------------------------------------------------------

    async def _health(self, request: web.Request) -> web.Response:
        node = await self._ask(lambda core, now: core.node_view(now))
        status = status_json(node, (), "", self._settings.port, self._read_clock())
        keys = ("online", "clock", "version", "versionMajor", "versionMinor", "versionRev")
        return web.json_response({key: status[key] for key in (*keys, "versionBuild")})

    async def _status(self, request: web.Request) -> web.Response:
        node = await self._ask(lambda core, now: core.node_view(now))
        listening = await self._ask(lambda core, now: tuple(core.sockets().values()))
        home, port = str(self._settings.home), self._settings.port
        return web.json_response(status_json(node, listening, home, port, self._read_clock()))

    async def _peers(self, request: web.Request) -> web.Response:
        peers = await self._ask(lambda core, now: core.peer_views(now))
        return web.json_response([peer_json(peer) for peer in peers])

    async def _peer(self, request: web.Request) -> web.Response:
        try:
            wanted = parse_address(request.match_info["id"])
        except ValueError as error:
            raise web.HTTPNotFound from error
        for peer in await self._ask(lambda core, now: core.peer_views(now)):
            if peer.identity.address == wanted:
                return web.json_response(peer_json(peer))
        return web.json_response({})

    # -- networks ----------------------------------------------------------------------------

    async def _network_list(self) -> list[Json]:
        views = await self._ask(lambda core, now: core.network_views(now))
        return [
            network_json(view, self._policy(view.network_id), self._device(view.network_id))
            for view in views
        ]

    def _policy(self, network_id: NetworkId) -> Policy:
        if self._ports is None:
            return self._policies.get(network_id, Policy())
        return self._ports.policy(network_id)

    def _device(self, network_id: NetworkId) -> str:
        port = self._ports.ports.get(network_id) if self._ports else None
        return port.tap.name if port else ""

    async def _networks(self, request: web.Request) -> web.Response:
        return web.json_response(await self._network_list())

    async def _network(self, request: web.Request) -> web.Response:
        return await self._show(_network_id(request))

    async def _show(self, network_id: NetworkId) -> web.Response:
        wanted = format_network_id(network_id)
        for network in await self._network_list():
            if network["id"] == wanted:
                return web.json_response(network)
        return web.json_response({}, status=404)

    async def _join(self, request: web.Request) -> web.Response:
        network_id = _network_id(request)
        body = await read_object(request)
        wanted = {}
        for key, attribute in POLICY_FIELDS.items():
            if key in body:
                if not isinstance(body[key], bool):
                    raise ValueError(f"{key}: {body[key]!r} is not true or false")
                wanted[attribute] = body[key]
        await self._ask(lambda core, now: core.join(network_id, now))
        if wanted:
            await self._set_policy(network_id, replace(self._policy(network_id), **wanted))
        return await self._show(network_id)

    async def _set_policy(self, network_id: NetworkId, policy: Policy) -> None:
        if self._ports is None:
            self._policies[network_id] = policy
            return
        views = await self._ask(lambda core, now: core.network_views(now))
        config = next((v.config for v in views if v.network_id == network_id), None)
        await self._ports.set_policy(network_id, policy, config)

    async def _leave(self, request: web.Request) -> web.Response:
        network_id = _network_id(request)
        views = await self._ask(lambda core, now: core.network_views(now))
        if all(view.network_id != network_id for view in views):
            return web.json_response({})
        await self._ask(lambda core, now: core.leave(network_id, now))
        self._policies.pop(network_id, None)
        return web.json_response({"result": True})


def _failure(status: int, description: str) -> web.Response:
    return web.json_response({"error": status, "description": description}, status=status)


def _network_id(request: web.Request) -> NetworkId:
    try:
        return parse_network_id(request.match_info["id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
