"""What a node does for its machine and its users: devices, the controller, the HTTP servers.

The agent imports this when the pump runs already: HTTP alone takes a fifth of a second to import,
and the roots need not wait for it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

from ztlink.api.app import LocalApi
from ztlink.api.home import ApiHome
from ztlink.api.observe import News, Observer, Reporter
from ztlink.controller.adopt import DIRECTORY as ORIGINALS
from ztlink.controller.adopt import adopt
from ztlink.controller.backup import DATABASE, rename_first
from ztlink.controller.declared import declare, let_in
from ztlink.controller.service import ControllerService
from ztlink.controller.store import ControllerStore
from ztlink.drivers.binder import Bound
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.handover import Handover
from ztlink.drivers.loop import Pump
from ztlink.drivers.store import LOCAL_CONF, Store, local_settings_key
from ztlink.drivers.writer import StateWriter
from ztlink.errors import ConfigError, HostError
from ztlink.host.desired import Desired
from ztlink.host.dns import NameServers, name_servers
from ztlink.host.dns_manager import DnsManager, Wanted
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.members import MemberSearch
from ztlink.host.overlay import Overlay
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.host.routes.manager import RouteManager
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.local_conf import LocalConf
from ztlink.node.events import (
    ConfigRequested,
    Event,
    IdentityCollided,
    NetworkConfigured,
    NetworkJoined,
    NetworkLeft,
    NetworkStatusChanged,
    NodeOnline,
    PathConfirmed,
    PathLost,
    PeerLost,
    StateChanged,
    UserMessageReceived,
)
from ztlink.reloads import ReloadBook
from ztlink.settings import HttpSettings, OnStop, Settings
from ztlink.wire.identity import SecretIdentity

if TYPE_CHECKING:
    from ztlink.api.health import HealthServer
    from ztlink.api.link_metrics import Metrics

logger = logging.getLogger(__name__)

GROUP_SCAN_INTERVAL: Final = 60.0
HOST_CHECK_INTERVAL: Final = 30.0
OVERLAY_INTERVAL: Final = 2.0
"""Seconds between two looks at what networks there are, where routes are seen to."""
HEALTH_INTERVAL: Final = 10.0
"""Seconds after which a node is judged where nobody asks."""


class Services:
    """What acts on a node's events, and what answers questions about it."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        writer: StateWriter,
        pump: Pump,
        identity: SecretIdentity,
        *,
        bound: Callable[[], Bound],
        started: float,
        say: Callable[[str], None],
        reloads: ReloadBook | None = None,
    ) -> None:
        """Make them for a pump that runs; `started` is when the node did."""
        self._settings = settings
        self._reloads = reloads
        self._started = started
        self._address = identity.address
        self._store = store
        self._pump = pump
        self._say = say
        self._bound = bound
        self._policies = Policies(
            store.load_local_settings(),
            lambda network_id, text: writer.put(local_settings_key(network_id), text),
        )
        for one in settings.memberships:
            self._policies.set(one.network_id, one.policy)
        self._ports: PortManager | None = None
        self._firewall = FirewallManager()
        self._overlays: Mapping[NetworkId, Overlay] = {}
        self._routes: RouteManager | None = None
        self._has_routes = asyncio.Event()
        self._members = MemberSearch(pump)
        if settings.has_taps:
            self._ports = PortManager(
                pump,
                self._policies,
                settings.interface_names,
                wishes=store.load_device_names(),
                keeps=settings.on_stop is OnStop.KEEP,
                guard=self._firewall.guard,
                spare=self._spare,
            )
        self._controller = self._open_controller(identity) if settings.has_controller else None
        self._api = LocalApi(
            pump, self._api_home(), settings, read_clock, self._ports, self._controller
        )
        self._handover = Handover(store)
        self._reporters: dict[str, Reporter] = {}
        """Who manages something on the machine, by what that is."""
        if reloads is not None:
            self._reporters["config"] = reloads
        self._dns = DnsManager()
        self._name_servers: dict[NetworkId, NameServers] = {}
        self._reporters["dns"] = self._dns
        self._reporters["firewall"] = self._firewall
        self._observer = self._make_observer()
        self._metrics: Metrics | None = None
        self._health: HealthServer | None = None

    async def start(self, joined: Collection[NetworkId]) -> None:
        """Serve, and clear away what was kept for networks that are `joined` no more.

        HostError where a port is taken.
        """
        await self._firewall.use(self._settings.firewall)  # before there is any device
        await self._use_routing(self._settings)
        await self._api.start(self._settings.port)
        await self._serve_health(self._settings.http)
        if self._reloads is not None or self._settings.on_stop is OnStop.KEEP:
            await self._with_ports(lambda ports: ports.sweep(self._address, joined))

    async def use_networks(self, settings: Settings) -> None:
        """Follow what is said of networks, before any is joined."""
        known = {one.network_id: one.policy for one in self._settings.memberships}
        for one in settings.memberships:
            if known.get(one.network_id) != one.policy:
                self._policies.set(one.network_id, one.policy)
                await self._with_ports(partial(PortManager.allowed, network_id=one.network_id))
        await self._with_ports(lambda ports: ports.rename(settings.interface_names))

    async def use(self, settings: Settings) -> None:
        """Follow all else; HostError where it cannot be, after all that can is done."""
        former, self._settings = self._settings, settings
        self._observer.settings = settings
        await self._with_ports(lambda ports: ports.keep(settings.on_stop is OnStop.KEEP))
        await self._with_firewall(self._firewall.use(settings.firewall))
        await self._use_routing(settings)
        if former.http != settings.http:
            await self._move_health(former.http, settings.http)

    async def use_conf(self, conf: LocalConf) -> None:
        """Follow what local.conf says now."""
        await self._api.allow_from(conf.management)

    async def stop(self) -> None:
        """Serve no more, and take the devices away."""
        if self._health is not None:
            await self._health.stop()
        await self._api.stop()
        if self._routes is not None:
            await self._routes.close(keep=self._settings.on_stop is OnStop.KEEP)
        await self._dns.close(keep=self._settings.on_stop is OnStop.KEEP)
        if self._ports is not None:
            await self._ports.close()
        await self._firewall.close(self._settings.on_stop is OnStop.KEEP)
        self._handover.ended(is_kept=self._settings.on_stop is OnStop.KEEP)

    def close(self) -> None:
        """Close the controller's records, when the pump has ended."""
        if self._controller is not None:
            self._controller.close()

    # -- what they are made of ---------------------------------------------------------------

    def _open_controller(self, identity: SecretIdentity) -> ControllerService:
        controller = ControllerService(
            identity,
            self._open_records(),
            self._pump,
            read_clock,
            later=asyncio.get_running_loop().call_soon_threadsafe,
        )
        networks = {one.network_id: one.fields for one in self._settings.declared}
        try:
            for network_id in declare(controller, networks):
                logger.info("network=%s was made", format_network_id(network_id))
        except ConfigError:
            controller.close()
            raise
        return controller

    def _make_observer(self) -> Observer:
        return Observer(
            self._pump,
            self._ports,
            self._policies,
            self._controller,
            self._settings,
            self._bound,
            self._news,
            self._reporters,
        )

    def _open_records(self) -> ControllerStore:
        """Open the controller's database; the original's files are taken over on the first day."""
        rename_first(self._settings.home)
        store = ControllerStore(self._settings.home / DATABASE)
        try:
            count = adopt(self._settings.home / ORIGINALS, store)
        except ConfigError:
            store.close()
            raise
        if count:
            self._say(f"networks taken over from ZeroTierOne's controller: {count}")
        return store

    def _api_home(self) -> ApiHome:
        return ApiHome(
            token=self._store.auth_token(random_bytes),
            metrics_token=self._store.metrics_token(random_bytes),
            policies=self._policies,
            bound=self._bound,
            read_moon=self._store.load_moon,
            read_conf=lambda: self._store.read(LOCAL_CONF),
            write_conf=lambda text: self._store.write(LOCAL_CONF, text),
        )

    async def _serve_health(self, where: HttpSettings | None) -> None:
        if where is None:
            return
        # Here, as few nodes have it outside of a cluster, and prometheus_client takes its time.
        from ztlink.api.health import HealthServer
        from ztlink.api.link_metrics import Metrics
        from ztlink.config.show import schema

        if self._metrics is None:
            self._metrics = Metrics(self._started)
        self._health = HealthServer(self._observer, self._metrics, schema)
        await self._health.start(where)

    async def _move_health(self, former: HttpSettings | None, where: HttpSettings | None) -> None:
        """Serve elsewhere; where that cannot be, where it was."""
        if self._health is not None:
            await self._health.stop()
            self._health = None
        try:
            await self._serve_health(where)
        except HostError:
            self._settings = self._observer.settings = replace(self._settings, http=former)
            await self._serve_health(former)
            raise

    def _news(self) -> News:
        """Return what the rest of the agent counts."""
        adopted = self._ports.adopted_mono if self._ports is not None else None
        return News(
            self._reloads.counts if self._reloads is not None else None,
            self._handover.gap(adopted),
        )

    # -- the node's events -------------------------------------------------------------------

    async def take(self, event: Event) -> None:
        """Act on an event."""
        match event:
            case NetworkJoined():
                await self._with_ports(lambda ports: ports.joined(event.network_id, event.mac))
                await self._tell_overlays()
            case NetworkConfigured():
                await self._with_ports(
                    lambda ports: ports.configured(event.network_id, event.config)
                )
                await self._tell_overlays()
                if self._metrics is not None:
                    self._metrics.configured(event.network_id, read_clock().mono)
                self._name_servers.pop(event.network_id, None)
                found = name_servers(event.config)
                if found is not None:
                    self._name_servers[event.network_id] = found
                await self._follow_dns()
            case NetworkLeft():
                self._policies.forget(event.network_id)
                self._name_servers.pop(event.network_id, None)
                await self._follow_dns()
                await self._with_ports(lambda ports: ports.left(event.network_id))
                await self._tell_overlays()
            case NetworkStatusChanged():
                logger.info(
                    "network=%s status=%s reason=%s",
                    format_network_id(event.network_id),
                    event.status.name,
                    event.reason,
                )
            case NodeOnline():
                logger.info("online=%s", event.online)
                is_online = event.online
                await self._with_ports(lambda ports: ports.online(is_online))
            case ConfigRequested():
                if self._controller is not None:
                    self._requested(self._controller, event)
            case IdentityCollided():
                raise ConfigError(
                    f"root {format_address(event.reporter)} knows another node by our address: "
                    "move identity.secret away to get a new one"
                )
            case StateChanged():
                pass  # the agent keeps it, and that is all
            case PathConfirmed() | PathLost() | PeerLost() | UserMessageReceived():
                logger.debug("%s", event)
            case _:
                assert_never(event)

    def _requested(self, controller: ControllerService, event: ConfigRequested) -> None:
        controller.request(event)
        if self._settings.auto_authorize:
            let_in(controller, {one.network_id for one in self._settings.declared}, event)

    # -- devices -----------------------------------------------------------------------------

    def own_devices(self) -> frozenset[str]:
        """Return the names of our networks' devices."""
        ports = self._ports.ports.values() if self._ports is not None else ()
        return frozenset(port.tap.name for port in ports)

    async def scan_groups(self) -> None:
        """Look at what our devices listen to."""
        await self._with_ports(lambda ports: ports.scan_groups())
        await self._tell_overlays()

    async def follow_groups(self) -> None:
        """Look at the groups once a minute: for what no event told."""
        while True:
            await asyncio.sleep(GROUP_SCAN_INTERVAL)
            await self.scan_groups()

    async def follow_host(self) -> None:
        """Look twice a minute whether the machine still is as it was made."""
        while True:
            await asyncio.sleep(HOST_CHECK_INTERVAL)
            await self._with_firewall(self._firewall.check())

    async def _tell_overlays(self) -> None:
        """Have what is made for devices follow those that there are."""
        await self._with_ports(lambda ports: ports.tell(self._address, self._follow))
        if self._routes is not None:
            overlays = await self._members.look(self._overlays, self._routes.asks_for)
            await self._routes.follow(overlays)

    async def _follow(self, overlays: Mapping[NetworkId, Overlay]) -> None:
        self._overlays = overlays
        await self._firewall.follow(overlays)

    # -- routes ------------------------------------------------------------------------------

    async def _use_routing(self, settings: Settings) -> None:
        """Have routes as they are declared; one that follows a file sees to it even if none is.

        For what the process before it has kept, and what is declared no more.
        """
        wanted = settings.routing
        if wanted is None and (self._routes is not None or self._reloads is not None):
            wanted = RoutingSettings(node_name=settings.node_name)
        if wanted is None or self._ports is None:
            return
        if self._routes is not None:
            await self._routes.use(wanted)
            for network_id in list(self._ports.ports):
                await self._ports.allowed(network_id)  # by other ranges, other routes do harm
            await self._tell_overlays()
            return
        self._routes = self._reporters["routes"] = RouteManager(wanted)
        await self._routes.start()
        self._has_routes.set()

    def _spare(self, network_id: NetworkId, wanted: Desired) -> Desired:
        return wanted if self._routes is None else self._routes.spare(network_id, wanted)

    async def follow_routes(self) -> None:
        """Keep declared routes as they should be."""
        await self._has_routes.wait()
        assert self._routes is not None
        await self._routes.run()

    async def follow_overlays(self) -> None:
        """Look for what no event told: members that routes lead through, devices made again."""
        await self._has_routes.wait()
        while True:
            await asyncio.sleep(OVERLAY_INTERVAL)
            await self._tell_overlays()

    async def _with_firewall(self, work: Awaitable[None]) -> None:
        """Do something with the firewall; devices that waited for it are made."""
        was_open = self._firewall.is_open
        await work
        if self._firewall.is_open and not was_open:
            await self._with_ports(PortManager.retry)

    async def follow_health(self) -> None:
        """Judge the node from time to time, where health is served; keep what was set for DNS."""
        while True:
            await self._follow_dns()
            if self._health is not None:
                await self._health.judge()
            await asyncio.sleep(HEALTH_INTERVAL)

    async def _follow_dns(self) -> None:
        """Have the machine ask networks' name servers, where operator and network allow it."""
        ports = self._ports.ports if self._ports is not None else {}
        await self._dns.follow(
            {
                network_id: Wanted(ports[network_id].tap.name, found)
                for network_id, found in self._name_servers.items()
                if self._settings.apply_dns
                and network_id in ports
                and self._policies.get(network_id).allow_dns
            }
        )

    async def follow_held(self) -> None:
        """Take over devices that the process before us still holds."""
        await self._with_ports(PortManager.follow_held)

    async def _with_ports(self, work: Callable[[PortManager], Awaitable[None]]) -> None:
        if self._ports is not None:
            await work(self._ports)
