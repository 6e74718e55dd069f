"""User-space stacks as ports of networks, where other networks have a TAP."""

from collections.abc import Callable
from typing import Final

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.ids import MulticastGroup, NetworkId
from ztlink.netstack.events import Event
from ztlink.netstack.route import Route
from ztlink.netstack.stack import Stack
from ztlink.node.core import Core
from ztlink.node.events import Event as NodeEvent
from ztlink.node.events import NetworkConfigured, NetworkJoined, NetworkLeft
from ztlink.wire.netconf import NetworkConfig

QUANTUM: Final = 60_000
"""Bytes that a stack is asked for at a time: one super-segment of TCP's, whole, and no second."""
MAX_FRAME_PAYLOAD: Final = 9965
"""What one packet of the network carries of a frame, however large its MTU is said to be."""


class StackPort:
    """A stack, and what is done with it; for the thread that runs the pump."""

    def __init__(self, stack: Stack, on_event: Callable[[Event], None]) -> None:
        """Make it; `on_event` is called in the pump's thread and may use the stack at once."""
        self.stack = stack
        self._on_event = on_event
        self._groups: frozenset[MulticastGroup] = frozenset()

    def joined(self, config: NetworkConfig | None, now: Now) -> None:
        """Begin anew: the core knows no groups of ours, and perhaps a configuration."""
        self._groups = frozenset()
        if config is not None:
            self.configure(config, now)

    def left(self, now: Now) -> None:
        """Give up all that the network gave."""
        self.stack.set_addresses((), (), now)

    def configure(self, config: NetworkConfig, now: Now) -> None:
        """Take addresses, routes and MTU of the network.

        All of them: a stack has nothing of the machine's that they could do harm to.
        """
        self.stack.set_mtu(min(config.mtu, MAX_FRAME_PAYLOAD))
        routes = [Route(one.target.network, one.via, one.metric) for one in config.routes]
        self.stack.set_addresses(config.addresses, routes, now)

    def tell(self) -> None:
        """Hand the stack's events on."""
        while (event := self.stack.next_event()) is not None:
            self._on_event(event)

    def announce_groups(self, core: Core, network_id: NetworkId, now: Now) -> bool:
        """Tell the core which groups the stack listens to; False where they are the same."""
        groups = self.stack.groups()
        if groups is self._groups:
            return False
        self._groups = groups
        core.set_groups(network_id, groups, now)
        return True


class StackPorts:
    """The stacks at one pump, by network."""

    def __init__(self) -> None:
        self._ports: dict[NetworkId, StackPort] = {}

    def __bool__(self) -> bool:
        return bool(self._ports)

    def add(self, core: Core, network_id: NetworkId, port: StackPort, now: Now) -> None:
        """Connect a stack; it takes the configuration that is here."""
        self._ports[network_id] = port
        for view in core.network_views(now):
            if view.network_id == network_id:
                port.joined(view.config, now)

    def remove(self, core: Core, network_id: NetworkId, now: Now) -> StackPort | None:
        """Disconnect a stack."""
        port = self._ports.pop(network_id, None)
        if port is not None:
            core.set_groups(network_id, frozenset(), now)
        return port

    def deliver(self, network_id: NetworkId, frame: SuperFrame, now: Now) -> None:
        """Give a frame to the stack of a network, if it has one."""
        port = self._ports.get(network_id)
        if port is not None:
            port.stack.receive_frame(frame, now)

    def note(self, event: NodeEvent, now: Now) -> None:
        """Let a stack follow its network."""
        if not isinstance(event, NetworkJoined | NetworkConfigured | NetworkLeft):
            return
        port = self._ports.get(event.network_id)
        if port is None:
            return
        match event:
            case NetworkJoined():
                port.joined(None, now)
            case NetworkConfigured():
                port.configure(event.config, now)
            case NetworkLeft():
                port.left(now)

    def tell(self) -> None:
        """Hand on the events of all stacks."""
        for port in list(self._ports.values()):
            port.tell()

    def turn(self, core: Core, now: Now, *, take: Callable[[Now], bool]) -> bool:
        """Give each stack its turn; False where none had anything for the core.

        `take` drains the core; it returns whether more may be sent.
        """
        has_fed = False
        for network_id, port in list(self._ports.items()):
            port.tell()
            if port.announce_groups(core, network_id, now):
                has_fed = True
            if not take(now):  # the network is slower than the stack: what waits, waits there
                continue
            for frame in port.stack.transmits(QUANTUM, now):
                has_fed = True
                core.receive_frames(network_id, frame, now)
                take(now)
        return has_fed

    def handle_timer(self, now: Now) -> None:
        """Do what is due in any stack."""
        for port in self._ports.values():
            deadline = port.stack.get_timer()
            if deadline is not None and deadline <= now.mono:
                port.stack.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due."""
        timers = (port.stack.get_timer() for port in self._ports.values())
        return min((timer for timer in timers if timer is not None), default=None)
