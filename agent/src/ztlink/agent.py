"""The composition root: builds a node of its parts, runs it, and takes it down in order."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVarTuple

from ztlink import logs
from ztlink.drivers.clock import read_clock
from ztlink.drivers.home import PID, HeldError
from ztlink.drivers.loop import Pump
from ztlink.drivers.store import (
    PORT,
    Store,
)
from ztlink.drivers.udp import UdpDriver
from ztlink.drivers.validator import Validator
from ztlink.drivers.writer import StateWriter
from ztlink.errors import ConfigError, HostError
from ztlink.ids import NetworkId, format_address
from ztlink.memberships import declare, settle
from ztlink.node.events import (
    Event,
    NetworkConfigured,
    NetworkJoined,
    NetworkLeft,
    NodeOnline,
    StateChanged,
)
from ztlink.opening import (
    choose_engine,
    failure_of,
    join,
    leave,
    make_core,
    open_identity,
    open_planet,
    prove,
)
from ztlink.settings import Settings
from ztlink.underlay import Underlay
from ztlink.wire.identity import SecretIdentity

if TYPE_CHECKING:
    from ztlink.config.follow import Follower
    from ztlink.services import Services

logger = logging.getLogger(__name__)

HOME_PATIENCE: Final = 30.0
"""Seconds that an agent waits for the one before it to let go of the home."""
HOME_INTERVAL: Final = 0.05

Ts = TypeVarTuple("Ts")


class Agent:
    """One running node."""

    def __init__(
        self, settings: Settings, say: Callable[[str], None], follower: "Follower | None" = None
    ) -> None:
        """Make it; `say` tells a person what is going on, `follower` what the file says later."""
        self._settings = settings
        self._follower = follower
        self._say = say
        self._started = read_clock().mono
        self._store = Store(settings.home)
        self._writer = StateWriter(self._store)
        self._validator = Validator()
        self._kept: set[NetworkId] = set()
        """Networks whose files were there at the start."""
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run until told to stop; raises ConfigError or HostError where it cannot."""
        await self._open_home()
        try:
            self._writer.start()
            await self._run()
        finally:
            self._keep_rest()
            self._writer.stop()
            self._store.close()

    async def _open_home(self) -> None:
        """Take the home; one that follows a file follows another process, too, and waits for it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (HOME_PATIENCE if self._follower is not None else 0)
        while True:
            try:
                return self._store.open()
            except HeldError:
                if loop.time() >= deadline:
                    raise
            await asyncio.sleep(HOME_INTERVAL)

    async def _run(self) -> None:
        underlay = Underlay(self._settings, self._store)
        # The planet first: without it, an identity would be made for nothing.
        planet = open_planet(self._settings, self._store)
        identity = open_identity(self._settings, self._store, self._say)
        core = make_core(self._settings, self._store, identity, planet, underlay)
        udp = UdpDriver()
        loop = asyncio.get_running_loop()
        pump = Pump(core, udp, partial(self._post, loop), self._validator)
        await asyncio.to_thread(underlay.open, udp, identity.address)
        port = underlay.bound.primary
        self._settings = replace(self._settings, port=port)
        # Neither says anything after a loss of power: they need not wait for the disk.
        self._store.write(PORT, str(port).encode(), 0o644, is_flushed=False)
        self._store.write(PID, str(os.getpid()).encode(), 0o644, is_flushed=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        services: Services | None = None
        pump.start()
        try:
            joined = self._join(pump)
            services = self._services(pump, underlay, identity)
            await services.start(joined)
            # Devices first: what was kept for us carries nothing yet.
            await self._take_waiting(underlay, services)
            await services.serve()
            # What was loaded stays: the collector, off until now, need never look through it.
            gc.freeze()
            gc.enable()
            self._say(f"{self._settings.role.value} {format_address(identity.address)} is running")
            await self._serve(pump, underlay, services, identity)
        finally:
            if services is not None:
                await services.stop()
            await asyncio.to_thread(pump.stop)
            udp.close_all()
            if services is not None:
                services.close()
            self._store.write(PID, None)

    def _join(self, pump: Pump) -> Collection[NetworkId]:
        """Join what was joined before, and what the configuration names."""
        networks = settle(self._store, self._settings)
        self._kept = set(self._store.load_networks())
        for network_id, cached in networks.items():
            pump.submit(partial(join, network_id, cached))
        return networks.keys()

    def _services(self, pump: Pump, underlay: Underlay, identity: SecretIdentity) -> "Services":
        """Make what the roots need not wait for: its modules are loaded while the pump runs."""
        from ztlink.services import Services

        return Services(
            self._settings,
            self._store,
            self._writer,
            pump,
            identity,
            bound=lambda: underlay.bound,
            started=self._started,
            say=self._say,
            reloads=self._follower.book if self._follower is not None else None,
        )

    async def _serve(
        self, pump: Pump, underlay: Underlay, services: "Services", identity: SecretIdentity
    ) -> None:
        """Run the tasks of a node; the first that ends unexpectedly ends it."""
        follow_addresses = underlay.follow_addresses(
            pump, services.own_devices, services.scan_groups
        )
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._follow_events(underlay, services), name="events"),
                tasks.create_task(prove(identity, self._settings, self._validator), name="proof"),
                tasks.create_task(follow_addresses, name="addresses"),
                tasks.create_task(underlay.follow_conf(pump, services.use_conf), name="conf"),
                tasks.create_task(underlay.follow_online(pump), name="online"),
                tasks.create_task(services.follow_machine(), name="machine"),
                tasks.create_task(services.follow_health(), name="health"),
                tasks.create_task(choose_engine(self._settings, pump), name="engine"),
                tasks.create_task(failure_of(pump), name="pump"),
            ]
            if self._follower is not None:
                use = partial(self._use, pump=pump, services=services)
                running.append(tasks.create_task(self._follower.follow(use), name="config"))
            await self._stopping.wait()
            for task in running:
                task.cancel()

    def _post(self, loop: asyncio.AbstractEventLoop, event: Event) -> None:
        """Take an event in the pump's thread; the state in it need not wait for our loop."""
        if isinstance(event, StateChanged):
            self._writer.put(event.key, event.value)
        else:
            _call(loop, self._events.put_nowait, event)

    # -- tasks -------------------------------------------------------------------------------

    async def _use(self, wanted: Settings, *, pump: Pump, services: "Services") -> None:
        """Put other settings into force: the log, networks, what services see to.

        HostError where something of it cannot be, when all else is done.
        """
        former, self._settings = self._settings, replace(wanted, port=self._settings.port)
        if former.log != wanted.log:
            logs.configure(wanted.log)
        await services.use_networks(wanted)
        before = {one.network_id for one in former.memberships}
        now = {one.network_id: None for one in wanted.memberships}
        if before != now.keys():
            declare(self._store, now)
        for network_id in sorted(before - now.keys()):
            await asyncio.wrap_future(pump.submit(partial(leave, network_id)))
        for network_id in (one for one in now if one not in before):
            await asyncio.wrap_future(pump.submit(partial(join, network_id, None)))
        await services.use(self._settings)

    async def _follow_events(self, underlay: Underlay, services: "Services") -> None:
        while True:
            await self._take(await self._events.get(), underlay, services)

    async def _take_waiting(self, underlay: Underlay, services: "Services") -> None:
        while not self._events.empty():
            await self._take(self._events.get_nowait(), underlay, services)

    async def _take(self, event: Event, underlay: Underlay, services: "Services") -> None:
        if isinstance(event, NodeOnline):
            underlay.told_online(event.online)
        self._keep(event)
        await services.take(event)

    def _keep(self, event: Event) -> None:
        """Keep what must outlive the process."""
        match event:
            case NetworkJoined() if event.network_id not in self._kept:
                self._writer.keep_network(event.network_id, None)
            case NetworkConfigured():
                self._writer.keep_network(event.network_id, event.config)
            case NetworkLeft():
                self._kept.discard(event.network_id)
                self._writer.forget_network(event.network_id)

    def _keep_rest(self) -> None:
        """Keep what the core told last, when nobody followed its events any more."""
        while not self._events.empty():
            self._keep(self._events.get_nowait())


def _call(
    loop: asyncio.AbstractEventLoop, function: Callable[[*Ts], object], *arguments: *Ts
) -> None:
    """Call a function in the loop's thread, from another."""
    with contextlib.suppress(RuntimeError):  # the loop has ended before that thread
        loop.call_soon_threadsafe(function, *arguments)


def run(settings: Settings, say: Callable[[str], None], follower: "Follower | None" = None) -> None:
    """Run a node until it is told to stop; with a follower, its file may change meanwhile."""
    logs.configure(settings.log)
    try:
        asyncio.run(Agent(settings, say, follower).run())
    except* (ConfigError, HostError) as group:
        raise group.exceptions[0] from None
