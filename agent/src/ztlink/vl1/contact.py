"""Keeping in touch with the roots: HELLO at once, then with back-off, then now and then."""

from typing import Final, Protocol

from ztlink.clock import Now
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, SocketId
from ztlink.vl1.context import Context
from ztlink.vl1.peer import Peer
from ztlink.vl1.topology import Topology

RETRY_INTERVALS: Final = (0.15, 0.25, *(0.4,) * 10, 1.0, 2.0, 3.0)
"""Short for five seconds, so that loss alone keeps nobody waiting; then a HELLO every 3 s, so that
a root that returns has us back soon."""
HELLO_INTERVAL: Final = 224.0
"""Seconds between HELLOs to a root that is in reach; its paths are kept open by ECHOs meanwhile."""


class Greeter(Protocol):
    """Sends HELLO."""

    def send_hello(self, peer: Peer, socket: SocketId, endpoint: Endpoint, now: Now) -> None:
        """Send HELLO to an endpoint, from one socket or from all."""

    def send_hello_relayed(self, peer: Peer, now: Now) -> None:
        """Send HELLO through a root."""


class RootContact:
    """One root that we want to be in touch with, whatever becomes of its `Peer`."""

    def __init__(
        self, address: Address, ctx: Context, topology: Topology, greeter: Greeter
    ) -> None:
        self._address = address
        self._ctx = ctx
        self._topology = topology
        self._greeter = greeter
        self._attempts = 0
        self._next = float("-inf")

    def lost(self, now: Now) -> None:
        """Begin anew: the root has no usable path any more."""
        self._attempts = 0
        self._next = now.mono
        self._ctx.timers.schedule(self, now.mono)

    def handle_timer(self, now: Now) -> None:
        """Greet where it is due."""
        peer = self._topology.root_peer(self._address, now)
        path = peer.best_path() if peer else None
        if now.mono < self._next and path is None:
            self._ctx.timers.schedule(self, self._next)
            return
        if peer is None or path is None:
            if peer is not None:
                self._greet_everywhere(peer, now)
            interval = RETRY_INTERVALS[min(self._attempts, len(RETRY_INTERVALS) - 1)]
            self._attempts += 1
            self._next = now.mono + interval
            self._ctx.timers.schedule(self, self._next)
            return
        self._attempts = 0
        due = peer.last_hello + HELLO_INTERVAL
        if now.mono >= due:
            self._greeter.send_hello(peer, path.socket, path.endpoint, now)
            due = now.mono + HELLO_INTERVAL
        self._ctx.timers.schedule(self, due)

    def _greet_everywhere(self, peer: Peer, now: Now) -> None:
        """Greet one endpoint of each family, another one each time, and the paths there were."""
        endpoints = self._topology.roots[self._address].endpoints
        targets: list[Endpoint] = []
        for version in (4, 6):
            family = [e for e in endpoints if e.ip.version == version]
            if family:
                targets.append(family[self._attempts % len(family)])
        for endpoint in targets:
            self._greeter.send_hello(peer, ALL_SOCKETS, endpoint, now)
        for path in list(peer.paths.values()):
            if path.endpoint not in targets:
                self._greeter.send_hello(peer, path.socket, path.endpoint, now)
        if not targets:
            self._greeter.send_hello_relayed(peer, now)
