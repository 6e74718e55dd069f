"""The local API's peers, moons and bonds."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web

from ztlink.api.body import failure, read_object
from ztlink.api.views import moon_json, peer_json, waiting_moon_json
from ztlink.clock import Now
from ztlink.drivers.loop import Pump
from ztlink.errors import ConfigError
from ztlink.ids import Address, is_reserved, parse_address
from ztlink.node.core import Core
from ztlink.wire.world import World

NO_BONDS: Final = "no bond: this node does not bond its paths"

T = TypeVar("T")


class PeersApi:
    """The routes below /peer, /moon and /bond."""

    def __init__(self, pump: Pump, read_moon: Callable[[int], World | None]) -> None:
        self._pump = pump
        self._read_moon = read_moon

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/peer", self._peers),
            web.get("/peer/{id}", self._peer),
            web.get("/moon", self._moons),
            web.get("/moon/{id}", self._moon),
            web.post("/moon/{id}", self._orbit),
            web.put("/moon/{id}", self._orbit),
            web.delete("/moon/{id}", self._deorbit),
            web.get("/bond/show/{id}", self._no_bond),
            web.post("/bond/rotate/{id}", self._no_bond),
            web.put("/bond/rotate/{id}", self._no_bond),
            web.post("/bond/setmtu/{mtu}/{device}/{ip}", self._no_bond),
            web.put("/bond/setmtu/{mtu}/{device}/{ip}", self._no_bond),
        ]

    async def _ask(self, question: Callable[[Core, Now], T]) -> T:
        return await asyncio.wrap_future(self._pump.submit(question))

    async def _peers(self, request: web.Request) -> web.Response:
        peers = await self._ask(lambda core, now: core.peer_views(now))
        return web.json_response([peer_json(peer) for peer in peers])

    async def _peer(self, request: web.Request) -> web.Response:
        wanted = _address(request)
        for peer in await self._ask(lambda core, now: core.peer_views(now)):
            if peer.identity.address == wanted:
                return web.json_response(peer_json(peer))
        return web.json_response({})

    # -- moons: the id is that of the moon's first root, 10 digits ---------------------------

    async def _moons(self, request: web.Request) -> web.Response:
        moons = await self._ask(lambda core, now: core.moons())
        return web.json_response([moon_json(moon) for moon in moons])

    async def _moon(self, request: web.Request) -> web.Response:
        wanted = _address(request)
        for moon in await self._ask(lambda core, now: core.moons()):
            if moon.world_id == wanted:
                return web.json_response(moon_json(moon))
        return web.json_response({})

    async def _orbit(self, request: web.Request) -> web.Response:
        """Orbit a moon; one that is here already, or whose file is in the home, needs no seed."""
        wanted = _address(request)
        body = await read_object(request)
        for moon in await self._ask(lambda core, now: core.moons()):
            if moon.world_id == wanted:
                return web.json_response(moon_json(moon))
        try:
            kept = await asyncio.to_thread(self._read_moon, wanted)
        except ConfigError as error:
            return failure(409, str(error))
        if kept is not None:
            await self._ask(lambda core, now: core.add_moon(kept, now))
            return web.json_response(moon_json(kept))
        seed = _seed(body.get("seed"))
        await self._ask(lambda core, now: core.orbit(wanted, seed, now))
        return web.json_response(waiting_moon_json(wanted))

    async def _deorbit(self, request: web.Request) -> web.Response:
        wanted = _address(request)
        await self._ask(lambda core, now: core.deorbit(wanted, now))
        return web.json_response({"result": True})

    async def _no_bond(self, request: web.Request) -> web.Response:
        return failure(400, NO_BONDS)


def _seed(value: object) -> Address:
    try:
        seed = parse_address(value) if isinstance(value, str) else None
    except ValueError as error:
        raise ValueError(f"seed: {error}") from error
    if seed is None or is_reserved(seed):
        raise ValueError(f"seed: {value!r} is not the address of a node, 10 hex digits")
    return seed


def _address(request: web.Request) -> Address:
    try:
        return parse_address(request.match_info["id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
