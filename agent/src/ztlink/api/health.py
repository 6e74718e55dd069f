"""All below `/zerotier/`: health, probes, metrics and manifest; status and a page for people.

Liveness is the process alone, so that a network that is away restarts nothing. Readiness says that
the networks that the node is here for carry its traffic. Everybody who reaches the port may ask for
that: nothing secret is said. Page and status tell who the peers are: on this machine only, unless
the operator exposes them.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from ztlink.api.access import is_local_host
from ztlink.api.connection import Connection, Door
from ztlink.api.judgement import Json, Judge, Judgement
from ztlink.api.link_metrics import CONTENT_TYPE, Metrics
from ztlink.api.link_views import SCHEMA_PATH, health_json, manifest_json, status_json
from ztlink.api.listening import listen
from ztlink.api.observe import Observation, Observer
from ztlink.api.page import HEADERS, page
from ztlink.api.runner import SHUTDOWN_TIMEOUT, make_runner
from ztlink.drivers.clock import read_clock
from ztlink.errors import HostError
from ztlink.settings import LOOPBACK, Expose, HttpSettings

logger = logging.getLogger(__name__)

PRIVATE: Final = frozenset({"/zerotier/", "/zerotier/status"})
"""What this machine alone may see."""
ANY_IPV4: Final = ip_address(0)
"""Includes the loopback; that of IPv6 does not include 127.0.0.1."""
MAX_BODY: Final = 1024
"""Nothing here takes a body."""
_COUNTED: Final = (
    *((f"/zerotier/{name}", 200) for name in ("health", "metrics", "manifest", "status", "")),
    *((f"/zerotier/health/{name}", 200) for name in ("live", "ready", "startup")),
    *((f"/zerotier/health/{name}", 503) for name in ("ready", "startup")),
)
"""Answers that are counted from 0 on: of what was never there, no rate tells that it began."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HealthServer:
    """Serves it on an address of the machine, and on loopback beside that."""

    def __init__(
        self,
        observer: Observer,
        metrics: Metrics,
        read_schema: Callable[[], Json] | None = None,
    ) -> None:
        """Make it; `read_schema` returns the JSON Schema of the configuration."""
        self._observer = observer
        self._metrics = metrics
        self._read_schema = read_schema
        self._judge = Judge()
        self._seen: Observation | None = None
        self._judgement: Judgement | None = None
        """Of `_seen`: many who ask share one look, and what is made of it."""
        self._text: bytes | None = None
        self._answers: Counter[tuple[str, int]] = Counter(dict.fromkeys(_COUNTED, 0))
        self._runner: web.AppRunner | None = None
        self._where: HttpSettings | None = None
        """Where it listens."""
        self._listeners: list[asyncio.Server] = []
        self.application = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        self.application.add_routes(
            [
                web.get("/zerotier", self._to_page),
                web.get("/zerotier/", self._page),
                web.get("/zerotier/status", self._status),
                web.get("/zerotier/health", self._health),
                web.get("/zerotier/health/live", self._live),
                web.get("/zerotier/health/ready", self._ready),
                web.get("/zerotier/health/startup", self._startup),
                web.get("/zerotier/metrics", self._show_metrics),
                web.get("/zerotier/manifest", self._manifest),
                web.get(SCHEMA_PATH, self._schema),
            ]
        )

    # -- where it is served ------------------------------------------------------------------

    async def start(self, where: HttpSettings) -> None:
        """Listen; HostError where the port is taken or the address is not the machine's."""
        self._runner = make_runner(self.application)
        await self._runner.setup()
        try:
            await self._open(where)
        except HostError:
            await self.stop()
            raise

    async def move(self, where: HttpSettings) -> None:
        """Listen elsewhere from now on; HostError where that cannot be, and it stays where it was.

        Whoever asks meanwhile is answered, but where other addresses are to have the same port:
        the former may overlap them, and must go first. Connections to the former place end.
        """
        former = self._where
        assert former is not None  # it was started
        if (where.ip, where.port) == (former.ip, former.port):
            return
        leaving, self._listeners = self._listeners, []
        held = self._server().connections
        if where.port == former.port:
            _close(leaving)
        try:
            await self._open(where, again=where.port == former.port)
        except HostError:
            if where.port == former.port:
                await self._open(former, again=True)
            else:
                self._listeners = leaving
            raise
        _close(leaving)
        await asyncio.gather(*(one.shutdown(SHUTDOWN_TIMEOUT) for one in held))

    async def _open(self, where: HttpSettings, *, again: bool = False) -> None:
        make = partial(Connection, self._server(), door=Door(may_end_any=True))
        try:
            self._listeners.append(await listen(make, str(where.ip), where.port, again=again))
        except OSError as error:
            raise HostError(
                error.errno,
                f"cannot bind TCP {where.ip}:{where.port} for health and metrics "
                f"({error.strerror}): choose another http.port or http.address",
            ) from error
        self._where = where
        if where.ip.is_loopback or where.ip == ANY_IPV4:
            return
        try:
            self._listeners.append(await listen(make, str(LOOPBACK), where.port, again=again))
        except OSError as error:
            logger.warning(
                "page and status are not served: cannot bind TCP %s:%d: %s; choose another "
                "http.port, or http.expose: all",
                LOOPBACK,
                where.port,
                os.strerror(error.errno or 0),
            )

    def _server(self) -> web.Server:
        assert self._runner is not None  # it was started
        assert self._runner.server is not None
        return self._runner.server

    async def stop(self) -> None:
        """Close the server."""
        _close(self._listeners)
        if self._runner is not None:
            await self._runner.cleanup()

    async def judge(self) -> None:
        """Judge the node where nobody asks, so that a change is in the log when it comes."""
        await self._look()

    # -- who is answered ---------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what is for this machine only; count what is answered."""
        resource = request.match_info.route.resource
        target = resource.canonical if resource is not None else "other"
        try:
            if target in PRIVATE and not self._may_see(request):
                answer: web.StreamResponse = _refused()
            else:
                answer = await handler(request)
        except web.HTTPException as error:
            self._answers[target, error.status] += 1
            raise
        self._answers[target, answer.status] += 1
        return answer

    def _may_see(self, request: web.Request) -> bool:
        """Tell whether page and status are for whoever asks.

        A page on the net, whose name was made to point here, is refused by the name that it gives.
        """
        http = self._observer.settings.http
        if http is not None and http.expose is Expose.ALL:
            return True
        client = request.remote
        is_here = not client or ip_address(client).is_loopback  # no address: a pair of sockets
        return is_here and is_local_host(request.headers.get("Host", ""))

    # -- what is answered --------------------------------------------------------------------

    async def _look(self) -> tuple[Observation | None, Judgement]:
        settings, unix = self._observer.settings, read_clock().unix_ms / 1000
        try:
            seen = await self._observer.observe()
        except TimeoutError:
            self._seen = None
            return None, self._judge.judge(None, settings, unix)
        if self._judgement is None or self._seen is not seen:
            self._seen, self._text = seen, None
            self._judgement = self._judge.judge(seen, settings, unix)
        return seen, self._judgement

    async def _health(self, request: web.Request) -> web.Response:
        seen, judged = await self._look()
        return web.json_response(health_json(seen, judged, self._observer.settings))

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, request: web.Request) -> web.Response:
        _, judged = await self._look()
        missed = [one for one in judged.json() if one["required"] and one["status"] != "ok"]
        body = {"ready": judged.is_ready, "conditions": missed}
        return web.json_response(body, status=200 if judged.is_ready else 503)

    async def _startup(self, request: web.Request) -> web.Response:
        seen, _ = await self._look()
        started = seen is not None and bool(seen.sockets)
        return web.json_response({"started": started}, status=200 if started else 503)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        seen, judged = await self._look()
        if seen is None:
            return web.Response(status=503, text="the node does not answer\n")
        if self._text is None:
            self._text = self._metrics.render(
                seen, judged.conditions, self._answers, self._observer.settings.metrics
            )
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE})

    async def _status(self, request: web.Request) -> web.Response:
        seen, judged = await self._look()
        settings = self._observer.settings
        if seen is None:
            return web.json_response(health_json(seen, judged, settings), status=503)
        return web.json_response(status_json(seen, judged, settings))

    async def _page(self, request: web.Request) -> web.Response:
        seen, judged = await self._look()
        text = page(seen, judged, self._observer.settings)
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def _to_page(self, request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect("/zerotier/")

    async def _manifest(self, request: web.Request) -> web.Response:
        return web.json_response(manifest_json(self._observer.settings))

    async def _schema(self, request: web.Request) -> web.Response:
        if self._read_schema is None:
            raise web.HTTPNotFound
        return web.json_response(self._read_schema())


def _refused() -> web.Response:
    return web.Response(
        status=403,
        text="page and status are served on this machine only: ask http://127.0.0.1 at this port "
        "there, or have the configuration say http.expose: all\n",
    )


def _close(listeners: Sequence[asyncio.Server]) -> None:
    for listener in listeners:
        listener.close()
