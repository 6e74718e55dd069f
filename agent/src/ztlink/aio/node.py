"""A node in a program: no root, no TAP, nothing installed; its networks are used from asyncio."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ztlink.aio.held import can_bind, socket_path
from ztlink.aio.joining import Standing, failed
from ztlink.aio.network import Network
from ztlink.clock import Now
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.in_asyncio import PumpInLoop
from ztlink.drivers.kernels import first_engine
from ztlink.drivers.loop import Pump
from ztlink.drivers.stack_port import StackPort
from ztlink.drivers.store import Store
from ztlink.drivers.udp import UdpDriver
from ztlink.drivers.validator import Validator
from ztlink.drivers.writer import StateWriter
from ztlink.errors import ConfigError, UnavailableError
from ztlink.ids import NetworkId, format_address, member_mac, parse_network_id
from ztlink.netstack.stack import Stack
from ztlink.node.core import Core
from ztlink.node.events import (
    Event,
    IdentityCollided,
    NetworkConfigured,
    NetworkStatusChanged,
    NodeOnline,
    StateChanged,
)
from ztlink.node.status import NodeView, PeerView
from ztlink.opening import (
    choose_engine,
    failure_of,
    join,
    make_core,
    open_identity,
    open_planet,
    prove,
)
from ztlink.settings import Settings
from ztlink.underlay import Underlay
from ztlink.wire.netconf import DEFAULT_MTU, NetworkConfig

logger = logging.getLogger(__name__)

DEFAULT_HOME: Final = "~/.ztlink"
JOIN_TIMEOUT: Final = 60.0
CLOSING_TIME: Final = 2.0
"""Seconds that the end of a node waits for what was written to arrive."""
MAX_UNREAD: Final = 1024
"""Events that a reader may be behind by; the oldest go first."""


class Node:
    """One ZeroTier node; an asynchronous context manager."""

    def __init__(
        self,
        home: str | Path = DEFAULT_HOME,
        *,
        planet: str | Path | None = None,
        secret: str | Path | None = None,
        port: int = 0,
        bind: tuple[str, ...] = (),
        hosts: Mapping[str, str] | None = None,
        engine: str = "auto",
        allow_loopback: bool = False,
    ) -> None:
        """Make it; nothing happens before it is entered.

        `home` is the directory of its identity and of what it learns, held by one process at a
        time. `planet` is a world file in place of ZeroTier's public roots, `secret` an identity
        kept elsewhere. `port` 0 takes a UDP port by lot, the same
        at every start where it is free. `hosts` are names of the program's own.
        `engine` is what cuts and seals packets: `auto` the fastest that is here, `jit` the one that
        is compiled first, beside the work, where its kernels are not in the home yet.
        `allow_loopback`, for tests and demonstrations, takes 127.0.0.1 for a way to peers.
        """
        self._settings = Settings(
            home=Path(home).expanduser(),
            port=port,
            is_port_given=True,
            planet=None if planet is None else Path(planet),
            identity=None if secret is None else Path(secret),
            bind=tuple(ip_address(text) for text in bind),
            has_taps=False,
            engine=engine,
            allow_loopback=allow_loopback,
        )
        self._hosts = {name: ip_address(text) for name, text in (hosts or {}).items()}
        self._store = Store(self._settings.home)
        self._writer = StateWriter(self._store)
        self._exit = contextlib.AsyncExitStack()
        self._networks: dict[NetworkId, Network] = {}
        self._readers: set[asyncio.Queue[Event | None]] = set()
        self._is_online = False
        self._failure: BaseException | None = None
        """Why it joins nothing any more."""

    # -- life --------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the home and start; ConfigError or HostError say what is wrong."""
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End: connections are closed, what was written is given a moment to arrive."""
        await self._exit.aclose()

    async def _start(self) -> None:
        settings = self._settings
        self._store.open()
        self._exit.callback(self._store.close)
        self._writer.start()
        self._exit.push_async_callback(asyncio.to_thread, self._writer.stop)
        underlay = Underlay(settings, self._store)
        planet = open_planet(settings, self._store)
        self._identity = await asyncio.to_thread(open_identity, settings, self._store, logger.info)
        self._underlay = underlay
        self._core = make_core(settings, self._store, self._identity, planet, underlay)
        udp = UdpDriver()
        underlay.open(udp, self._identity.address)
        self._exit.callback(udp.close_all)
        validator = Validator()
        self._pump = Pump(self._core, udp, self._take, validator)
        self._in_loop = PumpInLoop(self._pump)
        self._in_loop.start()
        self._exit.callback(self._in_loop.stop)
        tasks = _Background(self._fail)
        self._exit.push_async_callback(tasks.stop)
        tasks.start(underlay.follow_addresses(self._pump, frozenset, _let_others))
        tasks.start(underlay.follow_online(self._pump))
        tasks.start(prove(self._identity, settings, validator))
        tasks.start(failure_of(self._pump))
        self._core.engine = first_engine(settings.engine, settings.home)
        if settings.engine == "jit":
            tasks.start(choose_engine(settings, self._pump))
        self._exit.push_async_callback(self._close_networks)

    def _fail(self, error: BaseException) -> None:
        """End what is open: the node cannot go on."""
        logger.error("the node failed", exc_info=error)
        self._failure = error
        for network in self._networks.values():
            network.close(f"the node failed: {error}")
            network.standing.fail(error)

    async def _close_networks(self) -> None:
        self._failure = self._failure or UnavailableError("its context has ended")
        for network in self._networks.values():
            network.close("the node has ended")
        deadline = asyncio.get_running_loop().time() + CLOSING_TIME
        while any(network.flows.is_lingering for network in self._networks.values()):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.01)
        for queue in self._readers:
            queue.put_nowait(None)

    # -- what it is --------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The node's address, 10 hex digits: what the owner of a network authorises."""
        return format_address(self._identity.address)

    @property
    def online(self) -> bool:
        """Whether a root answers."""
        return self._is_online

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that are joined."""
        return tuple(self._networks.values())

    def view(self) -> NodeView:
        """Describe the node."""
        return self._core.node_view(read_clock())

    def peers(self) -> list[PeerView]:
        """Describe the peers: versions, latencies, paths."""
        return self._core.peer_views(read_clock())

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on, until the node ends."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(MAX_UNREAD + 1)
        self._readers.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)

    # -- networks ----------------------------------------------------------------------------

    async def join(
        self,
        network_id: str,
        *,
        timeout: float | None = JOIN_TIMEOUT,
        on_waiting: Callable[[str], None] | None = None,
    ) -> Network:
        """Join a network and wait until it serves: admitted, and with an address.

        `on_waiting` is called with a sentence for each thing that is waited for. In the end a
        JoinError names what was missing: NotAuthorized, NetworkNotFound, ControllerUnreachable,
        RootsUnreachable, AuthenticationRequired or JoinTimeout; the network stays joined then, and
        another `join` waits again. NodeFailed says that the node itself has come to its end. A
        configuration kept from last time serves at once, while the certificate in it is good;
        `Network.config_time` says how old it is.
        """
        number = parse_network_id(network_id)
        if self._failure is not None:
            raise failed(number, self._identity.address, self._failure)
        network = self._networks.get(number)
        if network is None:
            network = self._open_network(number)
            await self._serve_others(network)
        say = on_waiting or partial(logger.info, "network=%s %s", network.id)
        await network.standing.wait(timeout, say)
        return network

    def _open_network(self, network_id: NetworkId) -> Network:
        cached = usable(self._store.load_network(network_id), read_clock())
        mac = member_mac(self._identity.address, network_id)
        stack = Stack(mac, mtu=DEFAULT_MTU, random_bytes=random_bytes)
        standing = Standing(network_id, self._identity.address)
        standing.is_online = self._is_online
        network = Network(
            network_id,
            stack,
            self._in_loop,
            standing,
            partial(self._leave, network_id),
            self._hosts,
            cached,
        )
        self._networks[network_id] = network
        self._pump.add_stack(network_id, StackPort(stack, network.flows.take))
        self._writer.keep_network(network_id, cached)
        # Submitted, as the stack is: the configuration must not come before it.
        self._pump.submit(partial(join, network_id, cached))
        return network

    async def _serve_others(self, network: Network) -> None:
        """Let other processes of this home reach the network, where a socket can have the name."""
        path = socket_path(self._settings.home, parse_network_id(network.id))
        if not can_bind(path):
            logger.info("no socket for other processes: the name is too long path=%s", path)
            return
        with umask(0o077):
            await network.proxy(path=str(path))
        self._exit.callback(path.unlink, missing_ok=True)

    async def _leave(self, network_id: NetworkId) -> None:
        network = self._networks.pop(network_id, None)
        if network is None:
            return
        network.close(f"the network {network.id} was left")
        self._in_loop.carry()  # the ends of its connections go out first
        self._pump.remove_stack(network_id)
        self._pump.call(partial(_leave, network_id))
        self._writer.forget_network(network_id)

    # -- events ------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        match event:
            case NodeOnline():
                self._is_online = event.online
                self._underlay.told_online(event.online)
                for network in self._networks.values():
                    network.standing.is_online = event.online
                    network.standing.tell()
            case NetworkConfigured():
                self._configured(event)
            case NetworkStatusChanged() if event.network_id in self._networks:
                standing = self._networks[event.network_id].standing
                standing.status, standing.reason = event.status, event.reason
                standing.tell()
            case StateChanged():
                self._writer.put(event.key, event.value)
            case IdentityCollided():
                raise ConfigError(
                    f"root {format_address(event.reporter)} knows another node by our address: "
                    f"move {self._settings.home / 'identity.secret'} away to get a new one"
                )
            case _:
                pass  # for readers
        for queue in self._readers:
            while queue.qsize() >= MAX_UNREAD:
                queue.get_nowait()
            queue.put_nowait(event)

    def _configured(self, event: NetworkConfigured) -> None:
        self._writer.keep_network(event.network_id, event.config)
        network = self._networks.get(event.network_id)
        if network is not None:
            network.configure(event.config)


class _Background:
    """Tasks that live as long as the node: one that fails ends it."""

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def stop(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def usable(config: NetworkConfig | None, now: Now) -> NetworkConfig | None:
    """Return a kept configuration while its certificate is good; peers take no older one."""
    if config is None or config.com is None:
        return config
    age = now.unix_ms - config.com.timestamp
    return config if age <= config.com.max_delta else None


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """Let what is made meanwhile have no more rights than this leaves."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


async def _let_others() -> None:
    """Nobody else looks at the machine's addresses here."""
    await asyncio.sleep(0)


def _leave(network_id: NetworkId, core: Core, now: Now) -> None:
    core.leave(network_id, now)
