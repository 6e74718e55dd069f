"""The local HTTP API of a node: the only channel between commands and the node that runs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web

from ztlink.api.access import is_authorized, is_local_host
from ztlink.api.body import check_jsonp, failure, read_object, wrap_jsonp
from ztlink.api.controller import ControllerApi
from ztlink.api.home import ApiHome
from ztlink.api.listeners import Listeners
from ztlink.api.networks import NetworksApi
from ztlink.api.peers import PeersApi
from ztlink.api.runner import make_runner
from ztlink.api.views import status_json
from ztlink.clock import Now
from ztlink.controller.service import ControllerService
from ztlink.drivers.binder import Bound
from ztlink.drivers.loop import Pump
from ztlink.errors import ProtocolError, UnavailableError, ZtError
from ztlink.host.ports import PortManager
from ztlink.node.core import Core
from ztlink.settings import Settings
from ztlink.vl1.context import IpNetwork

MAX_BODY: Final = 4 << 20
NO_LOGIN: Final = (
    "This node has no single sign-on. Have the network's controller exempt it from that.\n"
)

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalApi:
    """The HTTP server."""

    def __init__(
        self,
        pump: Pump,
        home: ApiHome,
        settings: Settings,
        read_clock: Callable[[], Now],
        ports: PortManager | None,
        controller: ControllerService | None,
    ) -> None:
        self._pump = pump
        self._home = home
        self._tokens = home.token.encode(), home.metrics_token.encode()
        self._settings = settings
        self._read_clock = read_clock
        self._controller = controller
        self._runner: web.AppRunner | None = None
        self._listeners: Listeners | None = None
        self.application = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        self.application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/status", self._status),
                web.get("/config", self._config),
                web.post("/config/settings", self._set_config),
                web.put("/config/settings", self._set_config),
                web.get("/sso", self._no_login),
                web.get("/metrics", self._show_metrics),
                *NetworksApi(pump, home.policies, ports).routes(),
                *PeersApi(pump, home.read_moon).routes(),
            ]
        )
        if controller is not None:
            api = ControllerApi(controller, read_clock, settings.home)
            self.application.add_routes(api.routes())

    async def start(self, port: int) -> None:
        """Listen on loopback; HostError where the port is taken."""
        self._runner = make_runner(self.application)
        await self._runner.setup()
        assert self._runner.server is not None  # it was set up
        self._listeners = Listeners(self._runner.server)
        await self._listeners.open(port)

    async def allow_from(self, networks: tuple[IpNetwork, ...]) -> None:
        """Serve clients of these networks beside those of this machine."""
        assert self._listeners is not None, "started"
        await self._listeners.allow_from(networks)

    async def stop(self) -> None:
        """Close the server."""
        if self._listeners is not None:
            self._listeners.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who shows the token; say what is wrong with what cannot be done."""
        if not is_local_host(request.headers.get("Host", "")):
            return failure(
                403, "the Host header names neither an address nor localhost: ask by an address"
            )
        if not is_authorized(request, *self._tokens):
            refused = web.json_response({}, status=401)
            refused.force_close()
            return refused
        try:
            check_jsonp(request)
            return wrap_jsonp(request, await handler(request))
        except ValueError as error:
            return failure(400, str(error))
        except web.HTTPRequestEntityTooLarge:
            return failure(413, f"the body is larger than {MAX_BODY} bytes")
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            return web.Response(status=404)  # no body, as the original
        except ProtocolError as error:
            return failure(409, str(error))  # it is a limit of ours, or not possible as things are
        except UnavailableError as error:
            return failure(503, str(error))
        except ZtError as error:
            return failure(500, str(error))

    async def _ask(self, question: Callable[[Core, Now], T]) -> T:
        return await asyncio.wrap_future(self._pump.submit(question))

    async def _health(self, request: web.Request) -> web.Response:
        node = await self._ask(lambda core, now: core.node_view(now))
        status = status_json(node, (), "", Bound(), self._read_clock(), {})
        keys = ("online", "clock", "version", "versionMajor", "versionMinor", "versionRev")
        return web.json_response({key: status[key] for key in (*keys, "versionBuild")})

    async def _status(self, request: web.Request) -> web.Response:
        node = await self._ask(lambda core, now: core.node_view(now))
        listening = await self._ask(lambda core, now: tuple(core.sockets().values()))
        home, bound = str(self._settings.home), self._home.bound()
        conf = self._home.shown_conf()
        now = self._read_clock()
        return web.json_response(status_json(node, listening, home, bound, now, conf))

    async def _no_login(self, request: web.Request) -> web.Response:
        """Tell a browser, which an identity provider has sent here, that this leads nowhere."""
        return web.Response(status=404, text=NO_LOGIN)

    async def _config(self, request: web.Request) -> web.Response:
        return web.json_response(self._home.shown_conf())

    async def _set_config(self, request: web.Request) -> web.Response:
        """Put values into the settings of local.conf, which whoever reads it then sees."""
        self._home.merge_settings(await read_object(request))
        return web.json_response({})

    async def _show_metrics(self, request: web.Request) -> web.Response:
        # Here: for whoever asks. The package lays out text and brings an HTTP server of its own.
        from ztlink.api.metrics import Metrics

        metrics = Metrics(self._controller)
        snapshot = await self._ask(metrics.take)
        return web.Response(text=metrics.render(snapshot), content_type="text/plain")
