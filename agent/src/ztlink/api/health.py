"""Whether a node is well, and if not, what would help: `/zerotier/health` and what is below it.

Liveness is the process alone, so that a network that is away restarts nothing. Readiness says that
the networks that the node is here for carry its traffic. Everybody who reaches the port may ask:
nothing secret is said.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from aiohttp import web

from ztlink.api.connection import Connection, Door
from ztlink.api.link_metrics import CONTENT_TYPE, Metrics
from ztlink.api.observe import Membership, Observation, Observer
from ztlink.api.runner import make_runner
from ztlink.conditions import Condition, Status
from ztlink.errors import HostError
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.node.events import NetworkStatus
from ztlink.settings import HttpSettings, Settings
from ztlink.wire.verbs import SOFTWARE_VERSION

Json = dict[str, Any]

REMEDIES: Final[Mapping[NetworkStatus, str]] = {
    NetworkStatus.REQUESTING_CONFIGURATION: (
        "if it stays so, look whether the controller runs and whether UDP gets to the roots"
    ),
    NetworkStatus.ACCESS_DENIED: (
        "authorise this node at the network's controller: "
        "'ztlink authorize {network} {address}' where the controller is ours"
    ),
    NetworkStatus.NOT_FOUND: "check the network's id: its controller knows no such network",
    NetworkStatus.PORT_ERROR: "give the node /dev/net/tun and CAP_NET_ADMIN; its log says more",
    NetworkStatus.CLIENT_TOO_OLD: "run a newer version: the controller takes no older ones",
    NetworkStatus.AUTHENTICATION_REQUIRED: (
        "exempt this node from single sign-on at the controller: a node cannot log in"
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that keeps a node from being ready."""

    subject: str
    """`sockets`, or a network's id."""
    message: str
    remedy: str


def faults_of(seen: Observation, settings: Settings) -> tuple[Fault, ...]:
    """Say what keeps a node from being ready; empty where it is."""
    joined = {membership.view.network_id: membership for membership in seen.memberships}
    required = [m.network_id for m in settings.memberships if m.is_required]
    return (
        *_socket_faults(seen, settings),
        *(
            Fault(" ".join(one.key).strip(), one.cause, one.remedy)
            for one in seen.news.conditions
            if one.is_required and one.status is not Status.OK
        ),
        *(
            fault
            for network_id in required
            for fault in _network_faults(seen, network_id, joined.get(network_id))
        ),
    )


def _socket_faults(seen: Observation, settings: Settings) -> Iterator[Fault]:
    if not seen.sockets:
        message = f"no UDP socket is open on port {settings.port}"
        remedy = "give the machine an address that others can reach, and free the port"
        if seen.deafness is not None:
            message, remedy = f"{message}: {seen.deafness.message}", seen.deafness.remedy
        yield Fault("sockets", message, remedy)


def _network_faults(
    seen: Observation, network_id: NetworkId, membership: Membership | None
) -> Iterator[Fault]:
    name = format_network_id(network_id)
    if membership is None:
        yield Fault(name, "the network is required and was left", f"run 'ztlink join {name}'")
        return
    view = membership.view
    if view.status is not NetworkStatus.OK:
        remedy = REMEDIES[view.status].format(
            network=name, address=format_address(seen.node.identity.address)
        )
        yield Fault(name, f"{view.status.name}: {view.reason}", remedy)
        return
    if membership.policy.allow_managed and not (view.config and view.config.addresses):
        yield Fault(
            name,
            "the controller has assigned no address to this node",
            "give the network an assignment pool, or the member an address",
        )
    if membership.device.fault is not None:
        yield Fault(
            name, membership.device.fault, "it is set again within a minute; else the log says why"
        )


def health_json(seen: Observation, settings: Settings) -> Json:
    """Return GET /zerotier/health."""
    faults = faults_of(seen, settings)
    return {
        "status": "degraded" if faults else "ok",
        "ready": not faults,
        "started": bool(seen.sockets),
        "role": settings.role.value,
        "address": format_address(seen.node.identity.address),
        "node": settings.node_name,
        "version": ".".join(str(part) for part in SOFTWARE_VERSION),
        "online": seen.node.online,
        "engine": seen.node.engine,
        "world": {
            "id": f"{seen.node.planet_id:016x}",
            "timestamp": seen.node.planet_timestamp,
        },
        "networks": [_network_json(one, settings) for one in seen.memberships],
        "faults": [asdict(fault) for fault in faults],
        "conditions": [_condition_json(one, seen) for one in seen.news.conditions],
        "clock": seen.now.unix_ms,
    }


def _condition_json(condition: Condition, seen: Observation) -> Json:
    return {
        "kind": condition.kind,
        "subject": condition.subject,
        "status": condition.status.value,
        "cause": condition.cause,
        "remedy": condition.remedy,
        "required": condition.is_required,
        "since": seen.since.get(condition.key),
    }


def _network_json(membership: Membership, settings: Settings) -> Json:
    view = membership.view
    required = {m.network_id for m in settings.memberships if m.is_required}
    return {
        "id": format_network_id(view.network_id),
        "name": view.config.name.decode(errors="replace") if view.config else "",
        "required": view.network_id in required,
        "status": view.status.name,
        "reason": view.reason,
        "addresses": [str(one) for one in view.config.addresses] if view.config else [],
        "device": membership.device.name,
        "fault": membership.device.fault,
    }


class HealthServer:
    """Serves health and metrics on an address of the machine."""

    def __init__(self, observer: Observer, metrics: Metrics) -> None:
        self._observer = observer
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.application = web.Application()
        self.application.add_routes(
            [
                web.get("/zerotier/health", self._health),
                web.get("/zerotier/health/live", self._live),
                web.get("/zerotier/health/ready", self._ready),
                web.get("/zerotier/health/startup", self._startup),
                web.get("/zerotier/metrics", self._show_metrics),
            ]
        )

    async def start(self, where: HttpSettings) -> None:
        """Listen; HostError where the port is taken or the address is not the machine's."""
        self._runner = make_runner(self.application)
        await self._runner.setup()
        try:
            assert self._runner.server is not None  # it was set up
            make = partial(Connection, self._runner.server, door=Door())
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(make, str(where.ip), where.port)
        except OSError as error:
            raise HostError(
                error.errno,
                f"cannot bind TCP {where.ip}:{where.port} for health and metrics "
                f"({error.strerror}): choose another http.port or http.address",
            ) from error

    async def stop(self) -> None:
        """Close the server."""
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        try:
            seen = await self._observer.observe()
        except TimeoutError:
            return _stuck()
        return web.json_response(health_json(seen, self._observer.settings))

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, request: web.Request) -> web.Response:
        try:
            seen = await self._observer.observe()
        except TimeoutError:
            return _stuck()
        faults = faults_of(seen, self._observer.settings)
        body = {"ready": not faults, "faults": [asdict(fault) for fault in faults]}
        return web.json_response(body, status=503 if faults else 200)

    async def _startup(self, request: web.Request) -> web.Response:
        try:
            seen = await self._observer.observe()
        except TimeoutError:
            return _stuck()
        started = bool(seen.sockets)
        return web.json_response({"started": started}, status=200 if started else 503)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        try:
            seen = await self._observer.observe()
        except TimeoutError:
            return _stuck()
        return web.Response(body=self._metrics.render(seen), headers={"Content-Type": CONTENT_TYPE})


def _stuck() -> web.Response:
    return web.json_response({"ready": False, "error": "the node does not answer"}, status=503)
