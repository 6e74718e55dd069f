"""What a node does for its users: its machine, the controller, the HTTP servers.

The agent imports this when the pump runs already: the roots need not wait for it. HTTP alone takes
a fifth of a second to import, and is what devices need not wait for.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from ztlink.api.observe import News, Observer
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
from ztlink.host.policies import Policies
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.local_conf import LocalConf
from ztlink.machine import Machine
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
    from ztlink.api.app import LocalApi
    from ztlink.api.health import HealthServer
    from ztlink.api.link_metrics import Metrics

logger = logging.getLogger(__name__)

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
        self._machine = Machine(
            settings,
            pump,
            self._policies,
            identity.address,
            wishes=store.load_device_names(),
            is_followed=reloads is not None,
        )
        self._controller = self._open_controller(identity) if settings.has_controller else None
        self._api: LocalApi | None = None
        self._handover = Handover(store)
        if reloads is not None:
            self._machine.reporters["config"] = reloads
        self._observer = self._make_observer()
        self._metrics: Metrics | None = None
        self._health: HealthServer | None = None

    async def start(self, joined: Collection[NetworkId]) -> None:
        """Be ready for devices; clear away what was kept for networks that are `joined` no more."""
        await self._machine.start()
        await self._machine.sweep(joined)

    async def serve(self) -> None:
        """Serve over HTTP; HostError where a port is taken."""
        self._api = self._make_api()
        await self._api.start(self._settings.port)
        await self._serve_health(self._settings.http)

    async def use_networks(self, settings: Settings) -> None:
        """Follow what is said of networks, before any is joined."""
        await self._machine.use_networks(settings)

    async def use(self, settings: Settings) -> None:
        """Follow all else; HostError where it cannot be, after all that can is done."""
        former, self._settings = self._settings, settings
        self._observer.settings = settings
        await self._machine.use(settings)
        if former.http != settings.http:
            await self._move_health(former.http, settings.http)

    async def use_conf(self, conf: LocalConf) -> None:
        """Follow what local.conf says now."""
        assert self._api is not None
        await self._api.allow_from(conf.management)

    async def stop(self) -> None:
        """Serve no more, and take the devices away."""
        if self._health is not None:
            await self._health.stop()
        if self._api is not None:
            await self._api.stop()
        await self._machine.stop()
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
            self._machine.ports,
            self._policies,
            self._controller,
            self._settings,
            self._bound,
            self._news,
            self._machine.reporters,
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

    def _make_api(self) -> "LocalApi":
        from ztlink.api.app import LocalApi
        from ztlink.api.home import ApiHome

        home = ApiHome(
            token=self._store.auth_token(random_bytes),
            metrics_token=self._store.metrics_token(random_bytes),
            policies=self._policies,
            bound=self._bound,
            read_moon=self._store.load_moon,
            read_conf=lambda: self._store.read(LOCAL_CONF),
            write_conf=lambda text: self._store.write(LOCAL_CONF, text),
        )
        ports = self._machine.ports
        return LocalApi(self._pump, home, self._settings, read_clock, ports, self._controller)

    async def _serve_health(self, where: HttpSettings | None) -> None:
        if where is None:
            return
        # Here, as few nodes have it outside of a cluster, and prometheus_client takes its time.
        from ztlink.api.health import HealthServer
        from ztlink.api.link_metrics import Metrics
        from ztlink.config.show import schema

        if self._metrics is None:
            self._metrics = Metrics(self._started)
        health = HealthServer(self._observer, self._metrics, schema)
        await health.start(where)
        self._health = health

    async def _move_health(self, former: HttpSettings | None, where: HttpSettings | None) -> None:
        """Serve elsewhere; where that cannot be, where it was."""
        try:
            if self._health is None:
                await self._serve_health(where)
            elif where is not None:
                await self._health.move(where)
            else:
                await self._health.stop()
                self._health = None
        except HostError:
            self._settings = self._observer.settings = replace(self._settings, http=former)
            raise

    def _news(self) -> News:
        """Return what the rest of the agent counts."""
        ports = self._machine.ports
        adopted = ports.adopted_mono if ports is not None else None
        return News(
            self._reloads.counts if self._reloads is not None else None,
            self._handover.gap(adopted),
        )

    # -- the node's events -------------------------------------------------------------------

    async def take(self, event: Event) -> None:
        """Act on an event."""
        match event:
            case NetworkJoined():
                await self._machine.joined(event.network_id, event.mac)
            case NetworkConfigured():
                await self._machine.configured(event.network_id, event.config)
                if self._metrics is not None:
                    self._metrics.configured(event.network_id, read_clock().mono)
            case NetworkLeft():
                await self._machine.left(event.network_id)
            case NetworkStatusChanged():
                logger.info(
                    "network=%s status=%s reason=%s",
                    format_network_id(event.network_id),
                    event.status.name,
                    event.reason,
                )
                await self._machine.status_changed(event.network_id, event.status, event.reason)
            case NodeOnline():
                logger.info("online=%s", event.online)
                await self._machine.online(event.online)
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

    # -- what no event tells -----------------------------------------------------------------

    def own_devices(self) -> frozenset[str]:
        """Return the names of our networks' devices."""
        return self._machine.own_devices()

    async def scan_groups(self) -> None:
        """Look at what our devices listen to."""
        await self._machine.scan_groups()

    async def follow_machine(self) -> None:
        """Have the machine stay as it should be."""
        await self._machine.follow()

    async def follow_health(self) -> None:
        """Judge the node from time to time, where health is served."""
        while True:
            if self._health is not None:
                await self._health.judge()
            await asyncio.sleep(HEALTH_INTERVAL)
