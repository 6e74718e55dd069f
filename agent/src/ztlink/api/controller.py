"""The controller's REST API, as the original's.

Nonsense is refused with 400 instead of being coerced.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aiohttp import web

from ztlink.api.body import read_object
from ztlink.clock import Now
from ztlink.controller.backup import PREPARED, discard
from ztlink.controller.fields import FieldError
from ztlink.controller.kept import text_of
from ztlink.controller.service import ControllerService
from ztlink.ids import (
    Address,
    NetworkId,
    format_address,
    format_network_id,
    parse_address,
    parse_network_id,
)

API_VERSION = 4
RANDOM_NUMBER = "______"

_dumps = partial(json.dumps, separators=(",", ":"))
"""As the original writes it: lists of ten thousand members are a tenth shorter."""


class ControllerApi:
    """The routes below /controller."""

    def __init__(
        self, service: ControllerService, read_clock: Callable[[], Now], home: Path
    ) -> None:
        self._service = service
        self._read_clock = read_clock
        self._home = home

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        network, member = "/controller/network/{id}", "/controller/network/{id}/member/{address}"
        return [
            web.get("/controller", self._controller),
            web.get("/controller/network", self._networks),
            web.post("/controller/network", self._create),
            web.put("/controller/network", self._create),
            web.get(network, self._network),
            web.post(network, self._update),
            web.put(network, self._update),
            web.delete(network, self._delete),
            web.get(f"{network}/member", self._members),
            web.get(member, self._member),
            web.post(member, self._update_member),
            web.put(member, self._update_member),
            web.delete(member, self._delete_member),
            web.get("/unstable/controller/network", self._all_networks),
            web.get("/unstable/controller/network/{id}/member", self._all_members),
            web.post("/unstable/controller/restore", self._restore),
        ]

    async def _controller(self, request: web.Request) -> web.Response:
        clock = self._read_clock().unix_ms
        return _answer(
            {
                "apiVersion": API_VERSION,
                "clock": clock,
                "controller": True,
                "databaseReady": True,
            }
        )

    async def _networks(self, request: web.Request) -> web.Response:
        self._service.tally.networks_listed += 1
        return _answer([format_network_id(n) for n in sorted(self._service.networks)])

    async def _create(self, request: web.Request) -> web.Response:
        network = self._service.create_network(None, await read_object(request))
        return _answer(network.to_json())

    async def _network(self, request: web.Request) -> web.Response:
        network = self._service.networks[self._known(request)]
        self._service.tally.networks_read += 1
        return _answer(network.to_json())

    async def _update(self, request: web.Request) -> web.Response:
        text = request.match_info["id"]
        body = await read_object(request)
        if text.endswith(RANDOM_NUMBER):
            self._check_ours(parse_address(text.removesuffix(RANDOM_NUMBER)))
            return _answer(self._service.create_network(None, body).to_json())
        network_id = parse_network_id(text)
        self._check_ours(Address(network_id >> 24))
        return _answer(self._service.update_network(network_id, body).to_json())

    async def _delete(self, request: web.Request) -> web.Response:
        network = self._service.delete_network(self._known(request))
        if network is None:
            raise web.HTTPNotFound
        return _answer(network.to_json())

    async def _members(self, request: web.Request) -> web.Response:
        members = self._service.members[self._known(request)]
        self._service.tally.members_listed += 1
        return _answer({format_address(a): members[a].revision for a in sorted(members)})

    async def _member(self, request: web.Request) -> web.Response:
        members = self._service.members[self._known(request)]
        member = members.get(_address(request))
        if member is None:
            raise web.HTTPNotFound
        self._service.tally.members_read += 1
        return _answer(member.to_json())

    async def _update_member(self, request: web.Request) -> web.Response:
        network_id, address = self._known(request), _address(request)
        body = await read_object(request)
        member = self._service.update_member(network_id, address, body)
        return _answer_text(text_of(member))

    async def _delete_member(self, request: web.Request) -> web.Response:
        member = self._service.delete_member(self._known(request), _address(request))
        if member is None:
            raise web.HTTPNotFound
        return _answer(member.to_json())

    async def _all_networks(self, request: web.Request) -> web.Response:
        self._service.tally.networks_listed += 1
        networks = []
        for network_id in sorted(self._service.networks):
            members = self._service.members[network_id].values()
            meta = {
                "totalMemberCount": len(members),
                "authorizedMemberCount": sum(m.authorized for m in members),
            }
            networks.append(self._service.networks[network_id].to_json() | {"meta": meta})
        return _answer({"data": networks, "meta": {"networkCount": len(networks)}})

    async def _all_members(self, request: web.Request) -> web.Response:
        """Send the records as the database has them: there may be very many."""
        network_id = self._known(request)
        texts = self._service.member_texts(network_id)
        self._service.tally.summaries += 1
        members = self._service.members[network_id].values()
        meta = {
            "totalCount": len(members),
            "authorizedCount": sum(m.authorized for m in members),
        }
        text = f'{{"data":[{",".join(texts)}],"meta":{_dumps(meta)}}}'
        return _answer_text(text)

    async def _restore(self, request: web.Request) -> web.Response:
        """Take over the copy that lies beside the database; only commands on this host put it."""
        prepared = self._home / PREPARED
        if not prepared.is_file():
            raise FieldError(f"there is no {PREPARED}: use 'ztlink controller restore FILE'")
        self._service.restore(prepared)
        discard(self._home)
        return _answer({"networkCount": len(self._service.networks)})

    def _known(self, request: web.Request) -> NetworkId:
        try:
            network_id = parse_network_id(request.match_info["id"])
        except ValueError as error:
            raise web.HTTPNotFound from error
        if network_id not in self._service.networks:
            raise web.HTTPNotFound
        return network_id

    def _check_ours(self, address: Address) -> None:
        own = self._service.identity.address
        if address != own:
            raise ValueError(
                f"{format_address(address)} is not this controller: its networks' ids begin with "
                f"{format_address(own)}"
            )


def _answer(value: object) -> web.Response:
    return _answer_text(_dumps(value))


def _answer_text(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


def _address(request: web.Request) -> Address:
    try:
        return parse_address(request.match_info["address"])
    except ValueError as error:
        raise web.HTTPNotFound from error
