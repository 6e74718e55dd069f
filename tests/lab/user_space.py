"""A node of ours with a user-space stack instead of a TAP, in this process.

Its UDP sockets are in a host's namespace; all else is here, so that a test can look at the stack.
"""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from tests.lab.errors import WaitTimeoutError
from tests.lab.lab import Host, Lab
from tests.lab.node import DEFAULT_PORT, fresh_identity
from ztlink.clock import Now
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.stack_port import StackPort
from ztlink.drivers.udp import UdpDriver
from ztlink.ids import Address, IpAddress, NetworkId, member_mac
from ztlink.netstack.events import Event as StackEvent
from ztlink.netstack.stack import Stack
from ztlink.node.core import Core
from ztlink.node.events import Event, NetworkConfigured
from ztlink.wire.buffer import Reader
from ztlink.wire.netconf import DEFAULT_MTU
from ztlink.wire.world import World

PATIENCE: Final = 40.0
T = TypeVar("T")
E = TypeVar("E", bound=StackEvent)


class UserSpaceNode:
    """A member of one network; a context, which stops it."""

    def __init__(self, lab: Lab, host: Host, planet: bytes, network_id: str) -> None:
        self._host = host
        self.network_id = NetworkId(int(network_id, 16))
        identity = fresh_identity(lab)
        self.address: Address = identity.address
        self._core = Core(
            identity, World.decode(Reader(planet)), random_bytes=random_bytes, now=read_clock()
        )
        self._udp = UdpDriver()
        self.pump = Pump(self._core, self._udp, self._noted)
        mac = member_mac(self.address, self.network_id)
        self.stack = Stack(mac, mtu=DEFAULT_MTU, random_bytes=random_bytes)
        self.port = StackPort(self.stack, self._told)
        self._events: queue.SimpleQueue[StackEvent] = queue.SimpleQueue()
        self._configured = threading.Event()
        self.takers: list[Callable[[StackEvent, Now], None]] = []
        """Told of every event, in the pump's thread."""

    def __enter__(self) -> Self:
        for ip in self._host.ips:
            self._host.namespace.within(partial(self._udp.open, ip, DEFAULT_PORT))
        self.pump.start()
        self.pump.add_stack(self.network_id, self.port)
        self.pump.submit(lambda core, now: core.join(self.network_id, now))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pump.stop()
        self._udp.close_all()
        self.pump.finished.result(PATIENCE)

    def _noted(self, event: Event) -> None:
        if isinstance(event, NetworkConfigured):
            self._configured.set()

    def _told(self, event: StackEvent) -> None:
        self._events.put(event)
        for taker in self.takers:
            taker(event, read_clock())

    def wait_configured(self) -> None:
        """Wait until the network's configuration is here."""
        if not self._configured.wait(PATIENCE):
            raise WaitTimeoutError(f"no configuration within {PATIENCE:g} s")

    def do(self, verb: Callable[[Stack, Now], T]) -> T:
        """Use the stack, in the pump's thread."""
        return self.pump.submit(lambda core, now: verb(self.stack, now)).result(PATIENCE)

    def wait_for(self, kind: type[E], timeout: float = PATIENCE) -> E:
        """Return the next event of a kind; others before it are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self._events.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise WaitTimeoutError(f"no {kind.__name__} within {timeout:g} s") from None
            if isinstance(event, kind):
                return event

    def ip(self, version: int) -> IpAddress:
        """Return the first managed address of a version."""
        addresses = self.do(lambda stack, now: stack.addresses)
        return next(one.ip for one in addresses if one.version == version)
