"""Forwarding for others, as a root does; nothing but the hop count is looked at or changed."""

from typing import Final

from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.stats import Drop
from ztlink.vl1.context import Context
from ztlink.vl1.discovery import Discovery
from ztlink.vl1.path import Path
from ztlink.vl1.peer import Peer
from ztlink.vl1.topology import Topology
from ztlink.wire.packet import (
    FRAGMENT_MARKER,
    MASK_HOPS,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_FRAGMENT_HOPS,
    OFFSET_FRAGMENT_MARKER,
    OFFSET_SOURCE,
)

MAX_HOPS: Final = 3
"""The field could count to 7; a packet that needs more than two roots is in a loop."""


class Relay:
    """The relaying half of a root."""

    def __init__(self, ctx: Context, topology: Topology, discovery: Discovery) -> None:
        self._ctx = ctx
        self._topology = topology
        self._discovery = discovery

    def forward(self, datagram: memoryview, now: Now) -> None:
        """Send a datagram on to its destination, or to another root that may know it."""
        stats = self._ctx.stats
        if not self._topology.is_root:
            stats.drop(Drop.RELAY_REFUSED)
            return
        is_fragment = datagram[OFFSET_FRAGMENT_MARKER] == FRAGMENT_MARKER
        hop_offset = OFFSET_FRAGMENT_HOPS if is_fragment else OFFSET_FLAGS
        if datagram[hop_offset] & MASK_HOPS >= MAX_HOPS:
            stats.drop(Drop.HOP_LIMIT)
            return
        destination = Address(
            int.from_bytes(datagram[OFFSET_DESTINATION : OFFSET_DESTINATION + 5], "big")
        )
        source: Address | None = None
        if not is_fragment:
            source = Address(int.from_bytes(datagram[OFFSET_SOURCE : OFFSET_SOURCE + 5], "big"))
        carrier, path = self._way_to(destination, source, now)
        if carrier is None or path is None:
            stats.drop(Drop.NO_ROUTE)
            return
        copy = bytearray(datagram)
        copy[hop_offset] += 1
        self._ctx.transmit(copy, path.endpoint, path.socket)
        carrier.path_used(path, now)
        stats.relayed += 1
        origin = self._topology.peers.get(source) if source is not None else None
        if origin is not None and carrier.address == destination:
            self._discovery.introduce(origin, carrier, now)

    def _way_to(
        self, destination: Address, source: Address | None, now: Now
    ) -> tuple[Peer | None, Path | None]:
        peer = self._topology.find(destination, now)
        path = peer.best_path() if peer else None
        if peer is not None and path is not None:
            return peer, path
        root = self._topology.best_root(exclude=source)
        if root is not None:
            return root, root.best_path()
        return peer, peer.last_resort() if peer else None
