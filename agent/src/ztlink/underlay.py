"""The machine's network under the node: sockets follow its addresses, settings follow local.conf.

Netlink and files are looked at beside the pump; what follows from them is done in its thread.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ztlink.clock import Now
from ztlink.drivers.binder import Binder, Bound, Ports
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.loop import Pump
from ztlink.drivers.sockets import SocketPolicy
from ztlink.drivers.store import Store
from ztlink.drivers.udp import UdpDriver
from ztlink.errors import ConfigError
from ztlink.host.addresses import AddressWatch, underlay_addresses
from ztlink.ids import Address
from ztlink.local_conf import LOCAL_CONF, LocalConf, parse_local_conf
from ztlink.node.core import Core
from ztlink.settings import EXCLUDED_DEVICES, EXCLUDED_INTERFACES, Settings

logger = logging.getLogger(__name__)

SETTLE_TIME: Final = 0.05
"""Changes come in flocks."""
LOOKING_SHARE: Final = 0.1
"""Of one processor, at most, goes into looking at addresses, however often they change."""
CONF_INTERVAL: Final = 1.0
"""Seconds between looks at the file's time (decisions/0008-local-conf-is-looked-at.adoc)."""
OFFLINE_PATIENCE: Final = 120.0
"""Seconds offline after which another secondary port is tried."""


class Underlay:
    """Sockets and settings of one node, from arguments, local.conf and what the machine has."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Read local.conf; ConfigError says what is wrong with it."""
        self._settings = settings
        self._store = store
        self._stamp = store.stamp(LOCAL_CONF)  # before it is read, lest a change be missed
        self._content = store.read(LOCAL_CONF)
        self.conf = self._parse(self._content)
        self._own_devices: frozenset[str] = frozenset()
        self._binder = Binder(
            ports_of(settings, self.conf), socket_policy(settings, self.conf), random_bytes
        )
        self._online = asyncio.Event()
        self._offline = asyncio.Event()
        self._offline.set()

    @property
    def bound(self) -> Bound:
        """The ports in use; all 0 before `open`."""
        return self._binder.bound

    def open(self, udp: UdpDriver, address: Address) -> None:
        """Bind for the first time, as the node of that address; HostError where no port is free."""
        self._binder.addresses = underlay_addresses()
        self._binder.start(udp, address)

    # -- news from the rest of the node ------------------------------------------------------

    def told_online(self, online: bool) -> None:
        """Note whether a root is in reach."""
        (self._online if online else self._offline).set()
        (self._offline if online else self._online).clear()

    # -- tasks -------------------------------------------------------------------------------

    async def follow_addresses(
        self,
        pump: Pump,
        own_devices: Callable[[], frozenset[str]],
        then: Callable[[], Awaitable[None]],
    ) -> None:
        """Bind anew whenever the machine's addresses change; `then` is for who else looks."""
        watch = AddressWatch()
        changed = asyncio.Event()
        changed.set()  # since `open`, nobody looked
        loop = asyncio.get_running_loop()

        def note() -> None:
            watch.drain()
            changed.set()

        loop.add_reader(watch.fileno(), note)
        try:
            while await changed.wait():
                await asyncio.sleep(SETTLE_TIME)
                changed.clear()
                began = loop.time()
                await self._look(pump, own_devices())
                await then()
                await asyncio.sleep((loop.time() - began) / LOOKING_SHARE)
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    async def _look(self, pump: Pump, own_devices: frozenset[str]) -> None:
        found = await asyncio.to_thread(underlay_addresses)
        if found == self._binder.addresses and own_devices == self._own_devices:
            return
        self._binder.addresses, self._own_devices = found, own_devices
        await self._bind(pump)

    async def follow_conf(self, pump: Pump, then: Callable[[LocalConf], Awaitable[None]]) -> None:
        """Read local.conf again when it changes, as the original does; ports stay.

        `then` is told what it says, also what it said at the start.
        """
        await then(self.conf)
        while True:
            await asyncio.sleep(CONF_INTERVAL)
            stamp = self._store.stamp(LOCAL_CONF)
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                content = await asyncio.to_thread(self._store.read, LOCAL_CONF)
                if content == self._content:
                    continue
                self._content = content
                await self._use(self._parse(content), pump)
                await then(self.conf)
            except ConfigError as error:
                logger.warning("%s; what it said before stays in force", error)

    async def _use(self, conf: LocalConf, pump: Pump) -> None:
        if ports_of(self._settings, conf) != ports_of(self._settings, self.conf):
            logger.warning("%s: other ports are taken at the next start", LOCAL_CONF)
        self.conf = conf
        logger.info("%s was read again", LOCAL_CONF)
        await asyncio.wrap_future(pump.submit(Reconfigure(conf)))
        await self._bind(pump)

    async def follow_online(self, pump: Pump) -> None:
        """Take another random secondary port whenever no root was in reach for two minutes."""
        while await self._offline.wait():
            try:
                async with asyncio.timeout(OFFLINE_PATIENCE):  # wait_for may swallow our end
                    await self._online.wait()
            except TimeoutError:
                logger.info("offline for %.0f s: another secondary port", OFFLINE_PATIENCE)
                await asyncio.wrap_future(pump.open_sockets(self._binder.draw_secondary))

    async def _bind(self, pump: Pump) -> None:
        self._binder.policy = socket_policy(self._settings, self.conf, self._own_devices)
        await asyncio.wrap_future(pump.open_sockets(self._binder.follow))

    def _parse(self, content: bytes | None) -> LocalConf:
        conf = parse_local_conf(content or b"", str(self._store.home / LOCAL_CONF))
        for note in conf.notes:
            logger.warning("%s: %s", LOCAL_CONF, note)
        return conf


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """A command: take what local.conf says of physical networks and of peers."""

    conf: LocalConf

    def __call__(self, core: Core, now: Now) -> None:
        """Run in the pump's thread."""
        core.set_physical(self.conf.physical, dict(self.conf.hints), now)


def ports_of(settings: Settings, conf: LocalConf) -> Ports:
    """Return the ports that are wanted: arguments before local.conf before the default."""
    primary = settings.port
    if conf.primary_port is not None and not settings.is_port_given:
        primary = conf.primary_port
    return Ports(primary, settings.next_ports, conf.secondary_port, conf.tertiary_port)


def socket_policy(
    settings: Settings, conf: LocalConf, own_devices: frozenset[str] = frozenset()
) -> SocketPolicy:
    """Return which addresses are used; `own_devices` are those of our networks."""
    return SocketPolicy(
        bind=settings.bind or conf.bind,
        excluded_prefixes=(*EXCLUDED_INTERFACES, *conf.interface_prefixes),
        excluded_devices=own_devices if settings.allow_loopback else EXCLUDED_DEVICES | own_devices,
        allow_loopback=settings.allow_loopback,
        excluded_networks=tuple(one.prefix for one in conf.physical if one.is_blacklisted),
    )
