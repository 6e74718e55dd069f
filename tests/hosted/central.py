"""A stand-in for ZeroTier Central: networks and members of one account, as its API v1 speaks.

Paths, the header, the forms of networks and members, partial updates by POST, members that are made
before they ask, and the statuses are those of the published description; 429 is what its limit of
requests would give.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

Json = dict[str, Any]

TOKEN: Final = "s3cretTokenOfCentral0123456789ab"  # noqa: S105 - made for tests
NETWORK: Final = "8056c2e21c000001"
CLOCK: Final = 1_700_000_000_000


@dataclass
class Central:
    """An account with one network."""

    token: str = TOKEN
    is_reader: bool = False
    """The account may read the network, and nothing else."""
    troubles: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers with which the next requests are answered before they are looked at."""
    members: dict[str, Json] = field(default_factory=dict)
    after_update: Callable[[], None] = lambda: None
    """What happens right after a member was changed."""
    log: list[str] = field(default_factory=list)
    """Every request that came."""
    bodies: list[Json] = field(default_factory=list)

    def application(self) -> web.Application:
        application = web.Application()
        network = "/api/v1/network/{network}"
        application.add_routes(
            [
                web.get(network, self._network),
                web.get(f"{network}/member/{{member}}", self._get),
                web.post(f"{network}/member/{{member}}", self._update),
            ]
        )
        return application

    def put(self, address: str, *, authorized: bool) -> None:
        """Have a member ask, or be let in."""
        self.members[address] = {
            "id": f"{NETWORK}-{address}",
            "clock": CLOCK,
            "networkId": NETWORK,
            "nodeId": address,
            "controllerId": NETWORK[:10],
            "hidden": False,
            "name": "",
            "description": "",
            "config": {"id": address, "authorized": authorized, "ipAssignments": []},
            "lastSeen": 0,
        }

    @property
    def authorized(self) -> set[str]:
        return {name for name, one in self.members.items() if one["config"]["authorized"]}

    async def _network(self, request: web.Request) -> web.Response:
        await self._admit(request)
        config = {"id": NETWORK, "name": "mesh", "private": True}
        return web.json_response({"id": NETWORK, "clock": CLOCK, "config": config})

    async def _get(self, request: web.Request) -> web.Response:
        await self._admit(request)
        member = self.members.get(request.match_info["member"])
        return web.json_response(member) if member else _refuse(404, "Not Found")

    async def _update(self, request: web.Request) -> web.Response:
        await self._admit(request)
        if self.is_reader:
            return _refuse(403, "access denied")
        address, body = request.match_info["member"], await request.json()
        self.bodies.append(body)
        if address not in self.members:
            self.put(address, authorized=False)
        self.after_update()
        member = self.members[address]
        config = member["config"] | body.get("config", {})
        member |= body | {"config": config}
        return web.json_response(member)

    async def _admit(self, request: web.Request) -> None:
        self.log.append(f"{request.method} {request.path}")
        if self.troubles:
            status, headers = self.troubles.pop(0)
            raise _Trouble(status, headers)
        if request.headers.get("Authorization") != f"token {self.token}":
            raise _Trouble(401, {})
        if request.match_info["network"] != NETWORK:
            raise _Trouble(404, {})


class _Trouble(web.HTTPException):
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status_code = status
        super().__init__(headers=headers, text="{}", content_type="application/json")


def _refuse(status: int, message: str) -> web.Response:
    return web.json_response({"type": "error", "message": message}, status=status)
