"""The composition root: builds a node of its parts, runs it, and takes it down in order."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, assert_never

from ztlink.api.app import LocalApi
from ztlink.api.health import HealthServer
from ztlink.api.home import ApiHome
from ztlink.api.link_metrics import Metrics
from ztlink.api.observe import Observer
from ztlink.clock import Now
from ztlink.controller.adopt import DIRECTORY as ORIGINALS
from ztlink.controller.adopt import adopt
from ztlink.controller.backup import DATABASE, rename_first
from ztlink.controller.declared import declare, let_in
from ztlink.controller.service import ControllerService
from ztlink.controller.store import ControllerStore
from ztlink.crypto.identity import generate
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.home import PID
from ztlink.drivers.loop import Pump
from ztlink.drivers.store import (
    IDENTITY_PUBLIC,
    LOCAL_CONF,
    PLANET,
    PORT,
    Store,
    local_settings_key,
)
from ztlink.drivers.udp import UdpDriver
from ztlink.drivers.writer import StateWriter
from ztlink.errors import ConfigError, HostError, WireError
from ztlink.host.addresses import device_of
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.memberships import settle
from ztlink.node.core import Core, CoreSettings
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
from ztlink.settings import Role, Settings
from ztlink.underlay import Underlay
from ztlink.wire.buffer import Reader
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World, WorldType

logger = logging.getLogger(__name__)

GROUP_SCAN_INTERVAL: Final = 60.0


class Agent:
    """One running node."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Make it; `say` tells a person what is going on."""
        self._settings = settings
        self._say = say
        self._store = Store(settings.home)
        self._writer = StateWriter(self._store)
        self._kept: set[NetworkId] = set()
        """Networks whose files were there at the start."""
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._policies = Policies()
        self._ports: PortManager | None = None
        self._controller: ControllerService | None = None
        self._metrics = Metrics(read_clock().mono)

    async def run(self) -> None:
        """Run until told to stop; raises ConfigError or HostError where it cannot."""
        self._store.open()
        try:
            self._writer.start()
            await self._run()
        finally:
            self._keep_rest()
            self._writer.stop()
            self._store.close()

    async def _run(self) -> None:
        underlay = Underlay(self._settings, self._store)
        planet = self._planet()  # first: without it, an identity would be made for nothing
        identity = self._identity()
        core = self._core(identity, planet, underlay)
        udp = UdpDriver()
        udp.device_of = device_of
        loop = asyncio.get_running_loop()
        pump = Pump(core, udp, lambda event: _post(loop, self._events, event))
        await asyncio.to_thread(underlay.open, udp)
        self._settings = replace(self._settings, port=underlay.port)
        self._store.write(PORT, str(underlay.port).encode(), 0o644)
        self._store.write(PID, str(os.getpid()).encode(), 0o644)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._attach(pump, identity, loop)
        api, health = self._servers(pump)
        pump.start()
        try:
            await self._begin(pump, api, health)
            self._say(f"{self._settings.role.value} {format_address(identity.address)} is running")
            await self._serve(pump, underlay)
        finally:
            await health.stop()
            await api.stop()
            if self._ports is not None:
                await self._ports.close()
            await asyncio.to_thread(pump.stop)
            udp.close_all()
            if self._controller is not None:
                self._controller.close()
            self._store.write(PID, None)

    def _core(self, identity: SecretIdentity, planet: World, underlay: Underlay) -> Core:
        """Make the node itself, with what the home remembers."""
        moons = self._store.load_moons()
        if self._settings.role is Role.ROOT:
            check_root(identity, self._settings.home, [planet, *moons])
        return Core(
            identity,
            planet,
            random_bytes=random_bytes,
            now=read_clock(),
            moons=moons,
            known_peers=self._store.load_peers(read_clock().unix_ms / 1000),
            settings=CoreSettings(
                controller_enabled=self._settings.has_controller,
                protocol=self._settings.protocol,
                physical=underlay.conf.physical,
                hints=dict(underlay.conf.hints),
            ),
        )

    def _attach(
        self, pump: Pump, identity: SecretIdentity, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Make what acts on the node's events: devices and the controller, where there are any."""
        self._policies = Policies(
            self._store.load_local_settings(),
            lambda network_id, text: self._writer.put(local_settings_key(network_id), text),
        )
        for one in self._settings.memberships:
            self._policies.set(one.network_id, one.policy)
        if self._settings.has_taps:
            self._ports = PortManager(
                pump,
                self._policies,
                self._settings.interface_names,
                wishes=self._store.load_device_names(),
            )
        if self._settings.has_controller:
            store = self._open_records()
            self._controller = ControllerService(
                identity, store, pump, read_clock, later=loop.call_soon_threadsafe
            )
            self._declare(self._controller)

    def _servers(self, pump: Pump) -> tuple[LocalApi, HealthServer]:
        home = self._api_home()
        api = LocalApi(pump, home, self._settings, read_clock, self._ports, self._controller)
        observer = Observer(pump, self._ports, self._policies, self._controller, self._settings)
        return api, HealthServer(observer, self._metrics)

    async def _begin(self, pump: Pump, api: LocalApi, health: HealthServer) -> None:
        """Serve, and join what was joined before."""
        await api.start(self._settings.port)
        networks = settle(self._store, self._settings)
        self._kept = set(self._store.load_networks())
        for network_id, cached in networks.items():
            pump.submit(partial(_join, network_id, cached))
        if self._settings.health is not None:
            await health.start(self._settings.health)

    async def _serve(self, pump: Pump, underlay: Underlay) -> None:
        """Run the tasks of a node; the first that ends unexpectedly ends it."""
        follow_addresses = underlay.follow_addresses(pump, self._own_devices, self._addresses_seen)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._follow_events(underlay), name="events"),
                tasks.create_task(follow_addresses, name="addresses"),
                tasks.create_task(underlay.follow_conf(pump), name="conf"),
                tasks.create_task(underlay.follow_online(pump), name="online"),
                tasks.create_task(_failure_of(pump), name="pump"),
            ]
            if self._ports is not None:
                running.append(tasks.create_task(self._scan_groups(self._ports), name="groups"))
            await self._stopping.wait()
            for task in running:
                task.cancel()

    # -- what it is made of ------------------------------------------------------------------

    def _identity(self) -> SecretIdentity:
        if self._settings.identity is not None:
            return self._store.adopt_identity(self._settings.identity)
        identity = self._store.load_identity()
        if identity is None:
            self._say("making an identity, which takes a few seconds ...")
            identity = generate(random_bytes)
            self._store.save_identity(identity)
        return identity

    def _declare(self, controller: ControllerService) -> None:
        networks = {one.network_id: one.fields for one in self._settings.declared}
        for network_id in declare(controller, networks):
            logger.info("network=%s was made", format_network_id(network_id))

    def _api_home(self) -> ApiHome:
        return ApiHome(
            token=self._store.auth_token(random_bytes),
            metrics_token=self._store.metrics_token(random_bytes),
            policies=self._policies,
            read_conf=lambda: self._store.read(LOCAL_CONF),
            write_conf=lambda text: self._store.write(LOCAL_CONF, text),
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

    def _planet(self) -> World:
        if self._settings.planet is not None:
            planet = _read_planet(self._settings.planet)
            self._store.write(PLANET, planet.to_bytes(), 0o644)
            return planet
        return self._store.load_planet() or DEFAULT_PLANET

    # -- tasks -------------------------------------------------------------------------------

    async def _follow_events(self, underlay: Underlay) -> None:
        while True:
            event = await self._events.get()
            if isinstance(event, NodeOnline):
                underlay.told_online(event.online)
            await self._take(event)

    def _keep(self, event: Event) -> None:
        """Keep what must outlive the process."""
        match event:
            case NetworkJoined() if event.network_id not in self._kept:
                self._writer.keep_network(event.network_id, None)
            case NetworkConfigured():
                self._writer.keep_network(event.network_id, event.config)
            case NetworkLeft():
                self._kept.discard(event.network_id)
                self._policies.forget(event.network_id)
                self._writer.forget_network(event.network_id)
            case StateChanged():
                self._writer.put(event.key, event.value)

    async def _take(self, event: Event) -> None:
        self._keep(event)
        match event:
            case NetworkJoined():
                await self._with_ports(lambda ports: ports.joined(event.network_id, event.mac))
            case NetworkConfigured():
                await self._with_ports(
                    lambda ports: ports.configured(event.network_id, event.config)
                )
                self._metrics.configured(event.network_id, read_clock().mono)
            case NetworkLeft():
                await self._with_ports(lambda ports: ports.left(event.network_id))
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
                pass  # it is kept, and that is all
            case PathConfirmed() | PathLost() | PeerLost() | UserMessageReceived():
                logger.debug("%s", event)
            case _:
                assert_never(event)

    def _requested(self, controller: ControllerService, event: ConfigRequested) -> None:
        controller.request(event)
        if self._settings.auto_authorize:
            let_in(controller, {one.network_id for one in self._settings.declared}, event)

    def _keep_rest(self) -> None:
        """Keep what the core told last, when nobody followed its events any more."""
        while not self._events.empty():
            self._keep(self._events.get_nowait())

    async def _with_ports(self, work: Callable[[PortManager], Awaitable[None]]) -> None:
        if self._ports is not None:
            await work(self._ports)

    def _own_devices(self) -> frozenset[str]:
        ports = self._ports.ports.values() if self._ports is not None else ()
        return frozenset(port.tap.name for port in ports)

    async def _addresses_seen(self) -> None:
        await self._with_ports(lambda ports: ports.scan_groups())

    async def _scan_groups(self, ports: PortManager) -> None:
        """Look at the groups once a minute: for what no event told."""
        while True:
            await asyncio.sleep(GROUP_SCAN_INTERVAL)
            await ports.scan_groups()


def _join(network_id: NetworkId, cached: NetworkConfig | None, core: Core, now: Now) -> None:
    core.join(network_id, now, cached)


async def _failure_of(pump: Pump) -> None:
    await asyncio.shield(asyncio.wrap_future(pump.finished))  # whose outcome is the pump's own


def _post(loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[Event]", event: Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended before the pump
        loop.call_soon_threadsafe(queue.put_nowait, event)


def _read_planet(file: Path) -> World:
    try:
        world = World.decode(Reader(file.read_bytes()))
    except OSError as error:
        raise ConfigError(f"cannot read the planet {file}: {error.strerror}") from error
    except WireError as error:
        raise ConfigError(f"{file} is not a world file: {error}") from error
    if world.world_type is not WorldType.PLANET:
        raise ConfigError(f"{file} is a moon, not a planet")
    return world


def check_root(identity: SecretIdentity, home: Path, worlds: Iterable[World]) -> None:
    """Raise ConfigError where no world names us: nobody would look for us, nor take our word."""
    if not any(root.identity == identity.public for world in worlds for root in world.roots):
        raise ConfigError(
            f"no world names {format_address(identity.address)} as a root: make one with 'ztlink "
            f"world create --root {home / IDENTITY_PUBLIC}@IP/PORT --out FILE', then start with "
            "--planet FILE, here and on the nodes"
        )


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Run a node until it is told to stop."""
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for talkative in ("asyncio", "pyroute2"):  # every message of the kernel, at DEBUG
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        asyncio.run(Agent(settings, say).run())
    except* (ConfigError, HostError) as group:
        raise group.exceptions[0] from None
