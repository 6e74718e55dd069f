"""A user-space stack as the port of a network, where another network has a TAP."""

from collections.abc import Callable
from typing import Final

from ztlink.clock import Now
from ztlink.ids import MulticastGroup, NetworkId
from ztlink.netstack.events import Event
from ztlink.netstack.route import Route
from ztlink.netstack.stack import Stack
from ztlink.node.core import Core
from ztlink.wire.netconf import NetworkConfig

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
