"""The user-space stacks at one pump; who has none loads nothing of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.deadlines import sooner
from ztlink.ids import NetworkId
from ztlink.node.core import Core
from ztlink.node.events import Event, NetworkConfigured, NetworkJoined, NetworkLeft

if TYPE_CHECKING:  # most nodes have TAPs
    from ztlink.drivers.stack_port import StackPort

QUANTUM: Final = 60_000
"""Bytes that a stack is asked for at a time: about what one super-segment of TCP's takes."""


class StackPorts:
    """The stacks at one pump, by network."""

    def __init__(self) -> None:
        self._ports: dict[NetworkId, StackPort] = {}

    def __bool__(self) -> bool:
        return bool(self._ports)

    def add(self, core: Core, network_id: NetworkId, port: "StackPort", now: Now) -> None:
        """Connect a stack; it takes the configuration that is here."""
        self._ports[network_id] = port
        for view in core.network_views(now):
            if view.network_id == network_id:
                port.joined(view.config, now)

    def remove(self, core: Core, network_id: NetworkId, now: Now) -> "StackPort | None":
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

    def note(self, event: Event, now: Now) -> None:
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

    def turn(self, core: Core, now: Now, *, has_room: bool, take: Callable[[Now], bool]) -> bool:
        """Give each stack its turn; False where none has anything left to tell or to send now.

        `take` drains the core, which is drained when this is called; it returns whether more may
        be sent, as `has_room` says for now. Where the network is slower than a stack, what waits
        stays there.
        """
        has_more = False
        for network_id, port in tuple(self._ports.items()):
            stack = port.stack
            if stack.has_event():
                port.tell()
            if port.announce_groups(core, network_id, now):
                has_room = take(now)
            frames = stack.transmits(QUANTUM, now) if has_room and stack.has_output() else ()
            for frame in frames:
                core.receive_frames(network_id, frame, now)
                has_room = take(now)
            if stack.has_event() or (frames and has_room and stack.has_output()):
                has_more = True
        return has_more

    def send(self, core: Core, now: Now, take: Callable[[Now], bool]) -> bool:
        """Have each stack send once and tell nothing; False where more is left to do.

        See `turn`, which does all there is to be done.
        """
        has_more = False
        for network_id, port in tuple(self._ports.items()):
            stack = port.stack
            for frame in stack.transmits(QUANTUM, now) if stack.has_output() else ():
                core.receive_frames(network_id, frame, now)
                take(now)
            if stack.has_event() or stack.has_output():
                has_more = True
        return not has_more

    def handle_timer(self, now: Now) -> None:
        """Do what is due in any stack."""
        for port in self._ports.values():
            deadline = port.stack.get_timer()
            if deadline is not None and deadline <= now.mono:
                port.stack.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due."""
        first = None
        for port in self._ports.values():
            first = sooner(first, port.stack.get_timer())
        return first
