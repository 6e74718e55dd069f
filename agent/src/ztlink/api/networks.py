"""The local API's networks: join, leave, settings."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from aiohttp import web

from ztlink.api.body import Json, read_object
from ztlink.api.views import network_json
from ztlink.clock import Now
from ztlink.drivers.loop import Pump
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.ids import NetworkId, parse_network_id
from ztlink.node.core import Core
from ztlink.node.status import NetworkView

POLICY_FIELDS: Final = {
    "allowManaged": "allow_managed",
    "allowGlobal": "allow_global",
    "allowDefault": "allow_default",
    "allowDNS": "allow_dns",
}

T = TypeVar("T")


class NetworksApi:
    """The routes below /network."""

    def __init__(self, pump: Pump, policies: Policies, ports: PortManager | None) -> None:
        self._pump = pump
        self._policies = policies
        self._ports = ports

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/network", self._networks),
            web.get("/network/{id}", self._network),
            web.post("/network/{id}", self._join),
            web.put("/network/{id}", self._join),
            web.delete("/network/{id}", self._leave),
        ]

    async def _ask(self, question: Callable[[Core, Now], T]) -> T:
        return await asyncio.wrap_future(self._pump.submit(question))

    async def _views(self) -> list[NetworkView]:
        return await self._ask(lambda core, now: core.network_views(now))

    async def _view(self, network_id: NetworkId) -> NetworkView | None:
        views = await self._views()
        return next((view for view in views if view.network_id == network_id), None)

    def _json(self, view: NetworkView) -> Json:
        port = self._ports.ports.get(view.network_id) if self._ports else None
        device = port.tap.name if port else ""
        return network_json(view, self._policies.get(view.network_id), device)

    async def _networks(self, request: web.Request) -> web.Response:
        return web.json_response([self._json(view) for view in await self._views()])

    async def _network(self, request: web.Request) -> web.Response:
        return await self._show(_network_id(request))

    async def _show(self, network_id: NetworkId) -> web.Response:
        view = await self._view(network_id)
        if view is None:
            return web.json_response({}, status=404)
        return web.json_response(self._json(view))

    async def _join(self, request: web.Request) -> web.Response:
        """Join, and take what the body allows; fields that are none of ours are passed over."""
        network_id = _network_id(request)
        body = await read_object(request)
        wanted: dict[str, Any] = {}
        for key, attribute in POLICY_FIELDS.items():
            if key in body:
                if not isinstance(body[key], bool):
                    raise ValueError(f"{key}: {body[key]!r} is not true or false")
                wanted[attribute] = body[key]
        await self._ask(lambda core, now: core.join(network_id, now))
        if wanted:
            await self._allow(network_id, wanted)
        return await self._show(network_id)

    async def _allow(self, network_id: NetworkId, wanted: dict[str, Any]) -> None:
        self._policies.set(network_id, replace(self._policies.get(network_id), **wanted))
        if self._ports is not None:
            await self._ports.allowed(network_id)

    async def _leave(self, request: web.Request) -> web.Response:
        network_id = _network_id(request)
        if await self._view(network_id) is None:
            return web.json_response({})
        await self._ask(lambda core, now: core.leave(network_id, now))
        self._policies.forget(network_id)
        return web.json_response({"result": True})


def _network_id(request: web.Request) -> NetworkId:
    try:
        return parse_network_id(request.match_info["id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
