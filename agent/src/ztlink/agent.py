"""The composition root: builds a node of its parts, runs it, and takes it down in order."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, assert_never

from ztlink.api.app import LocalApi
from ztlink.clock import Now
from ztlink.controller.service import ControllerService
from ztlink.controller.store import ControllerStore
from ztlink.crypto.identity import generate
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.store import IDENTITY_PUBLIC, PLANET, PORT, Store
from ztlink.drivers.udp import UdpDriver
from ztlink.errors import ConfigError, HostError, WireError
from ztlink.host.netlink import AddressWatch, Netlink
from ztlink.host.ports import PortManager
from ztlink.ids import IpAddress, NetworkId, format_address, format_network_id
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
from ztlink.settings import Role, Settings, is_excluded
from ztlink.wire.buffer import Reader
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.inet_address import IpScope, ip_scope
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World, WorldType

logger = logging.getLogger(__name__)

GROUP_SCAN_INTERVAL: Final = 60.0
ADDRESS_SETTLE_TIME: Final = 0.05
_BINDABLE: Final = frozenset(
    {IpScope.PRIVATE, IpScope.SHARED, IpScope.PSEUDO_PRIVATE, IpScope.GLOBAL}
)


class Agent:
    """One running node."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Make it; `say` tells a person what is going on."""
        self._settings = settings
        self._say = say
        self._store = Store(settings.home)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._ports: PortManager | None = None
        self._controller: ControllerService | None = None

    async def run(self) -> None:
        """Run until told to stop; raises ConfigError or HostError where it cannot."""
        self._store.open()
        try:
            await self._run()
        finally:
            self._store.close()

    async def _run(self) -> None:
        planet = self._planet()  # first: without it, an identity would be made for nothing
        identity = self._identity()
        moons = self._store.load_moons()
        if self._settings.role is Role.ROOT:
            check_root(identity, self._settings.home, [planet, *moons])
        core = Core(
            identity,
            planet,
            random_bytes=random_bytes,
            now=read_clock(),
            moons=moons,
            settings=CoreSettings(
                controller_enabled=self._settings.has_controller,
                protocol=self._settings.protocol,
            ),
        )
        udp = UdpDriver()
        loop = asyncio.get_running_loop()
        pump = Pump(core, udp, lambda event: _post(loop, self._events, event))
        await asyncio.to_thread(self._bind, udp)
        self._store.write(PORT, str(self._settings.port).encode(), 0o644)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        if self._settings.has_taps:
            self._ports = PortManager(pump, {}, self._settings.interface_names)
        if self._settings.has_controller:
            store = ControllerStore(self._settings.home / "controller.db")
            self._controller = ControllerService(identity, store, pump, read_clock)
        api = LocalApi(
            pump,
            self._store.auth_token(random_bytes),
            self._settings,
            read_clock,
            self._ports,
            self._controller,
        )
        pump.start()
        try:
            await api.start(self._settings.port)
            for network_id, cached in self._store.load_networks().items():
                pump.submit(partial(_join, network_id, cached))
            self._say(f"{self._settings.role.value} {format_address(identity.address)} is running")
            await self._serve(pump, udp)
        finally:
            await api.stop()
            if self._ports is not None:
                await self._ports.close()
            await asyncio.to_thread(pump.stop)
            udp.close_all()
            if self._controller is not None:
                self._controller.close()

    async def _serve(self, pump: Pump, udp: UdpDriver) -> None:
        """Run the tasks of a node; the first that ends unexpectedly ends it."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._follow_events(), name="events"),
                tasks.create_task(self._follow_addresses(pump, udp), name="addresses"),
                tasks.create_task(_failure_of(pump), name="pump"),
            ]
            if self._ports is not None:
                running.append(tasks.create_task(self._scan_groups(self._ports), name="groups"))
            await self._stopping.wait()
            for task in running:
                task.cancel()

    # -- what it is made of ------------------------------------------------------------------

    def _identity(self) -> SecretIdentity:
        identity = self._store.load_identity()
        if identity is None:
            self._say("making an identity, which takes a few seconds ...")
            identity = generate(random_bytes)
            self._store.save_identity(identity)
        return identity

    def _planet(self) -> World:
        if self._settings.planet is not None:
            planet = _read_planet(self._settings.planet)
            self._store.write(PLANET, planet.to_bytes(), 0o644)
            return planet
        return self._store.load_planet() or DEFAULT_PLANET

    def _bind(self, udp: UdpDriver) -> None:
        """Open a socket for every address that is not open yet, close those that are gone."""
        wanted = set(self._settings.bind) or _eligible_addresses()
        for socket_id, opened in list(udp.sockets.items()):
            if opened.endpoint.ip not in wanted:
                udp.close(socket_id)
        bound = {opened.endpoint.ip for opened in udp.sockets.values()}
        for ip in sorted(wanted - bound, key=lambda ip: (ip.version, int(ip))):
            try:
                udp.open(ip, self._settings.port)
            except HostError as error:
                if not bound:
                    raise
                logger.warning("%s", error)

    # -- tasks -------------------------------------------------------------------------------

    async def _follow_events(self) -> None:
        while True:
            await self._take(await self._events.get())

    async def _take(self, event: Event) -> None:
        match event:
            case NetworkJoined():
                self._store.write_if_absent(event.network_id)
                await self._with_ports(lambda ports: ports.joined(event.network_id, event.mac))
            case NetworkConfigured():
                self._store.save_network(event.network_id, event.config)
                await self._with_ports(
                    lambda ports: ports.configured(event.network_id, event.config)
                )
            case NetworkLeft():
                self._store.forget_network(event.network_id)
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
            case StateChanged():
                self._store.write(event.key, event.value)
            case ConfigRequested():
                if self._controller is not None:
                    self._controller.request(event)
            case IdentityCollided():
                raise ConfigError(
                    f"root {format_address(event.reporter)} knows another node by our address: "
                    "move identity.secret away to get a new one"
                )
            case PathConfirmed() | PathLost() | PeerLost() | UserMessageReceived():
                logger.debug("%s", event)
            case _:
                assert_never(event)

    async def _with_ports(self, work: Callable[[PortManager], Awaitable[None]]) -> None:
        if self._ports is not None:
            await work(self._ports)

    async def _follow_addresses(self, pump: Pump, udp: UdpDriver) -> None:
        """Bind anew and look at the groups when the machine's addresses change."""
        watch = AddressWatch()
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def note() -> None:
            watch.drain()
            changed.set()

        loop.add_reader(watch.fileno(), note)
        try:
            while await changed.wait():
                await asyncio.sleep(ADDRESS_SETTLE_TIME)
                changed.clear()
                if not self._settings.bind:
                    await asyncio.wrap_future(pump.open_sockets(self._bind))
                await self._with_ports(lambda ports: ports.scan_groups())
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

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


def _eligible_addresses() -> set[IpAddress]:
    netlink = Netlink()
    try:
        return {
            ip
            for name, ip in netlink.local_addresses()
            if ip_scope(ip) in _BINDABLE and not is_excluded(name)
        }
    finally:
        netlink.close()


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
    try:
        asyncio.run(Agent(settings, say).run())
    except* (ConfigError, HostError) as group:
        raise group.exceptions[0] from None
