"""Nodes with user-space stacks on the loopback device, on a network without a controller."""

import queue
from collections.abc import Callable
from typing import Final, TypeVar

from tests.host.cores import Runner
from tests.host.machine import PATIENCE
from ztlink.clock import Now
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.stack_port import StackPort
from ztlink.ids import IpAddress, NetworkId, member_mac
from ztlink.netstack.events import Event
from ztlink.netstack.stack import Stack

NETWORK: Final = NetworkId(0xFF0A000000000001)
"""Ad-hoc: everybody is a member, with an address in 10.0.0.0/8."""

T = TypeVar("T")
E = TypeVar("E", bound=Event)


class Member:
    """A stack on the network of a pump."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        mac = member_mac(runner.core.identity.address, NETWORK)
        self.stack = Stack(mac, mtu=2800, random_bytes=random_bytes)
        self.port = StackPort(self.stack, self._told)
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.takers: list[Callable[[Event, Now], None]] = []
        """Told of every event, by whoever runs the pump."""

    def join(self) -> None:
        """Connect the stack, and join."""
        self.runner.pump.add_stack(NETWORK, self.port)
        self.runner.pump.submit(lambda core, now: core.join(NETWORK, now))

    def do(self, verb: Callable[[Stack, Now], T]) -> T:
        """Use the stack, in the pump's thread."""
        pump = self.runner.pump
        return pump.submit(lambda core, now: verb(self.stack, now)).result(PATIENCE)

    def _told(self, event: Event) -> None:
        self.events.put(event)
        for taker in self.takers:
            taker(event, read_clock())

    def wait_for(self, kind: type[E]) -> E:
        """Return the next event of a kind."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if isinstance(event, kind):
                return event

    @property
    def ip(self) -> IpAddress:
        """The address on the network, of IPv4."""
        return next(one.ip for one in self.stack.addresses if one.version == 4)
