"""Whether our address belongs to another identity: the word of one root ends no node.

A node whose address is taken can only stop, so that has to be sure. A root may be wrong, or not be
what it was; so two roots have to say it, or one has to say it again after a while in which no other
was in reach. A root that then answers our HELLO after all has taken back what it said.
"""

from typing import Final

from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.vl1.context import Context
from ztlink.vl1.events import IdentityCollided
from ztlink.vl1.peer import Peer
from ztlink.vl1.topology import Topology

SURE_AFTER: Final = 10.0
"""Seconds after which one root's word counts by its repetition; it is greeted all the time."""


class Collisions:
    """What roots say of our address."""

    def __init__(self, ctx: Context, topology: Topology) -> None:
        self._ctx = ctx
        self._topology = topology
        self._told: dict[Address, float] = {}
        """Roots that know another by our address: since when."""

    def told(self, peer: Peer, now: Now) -> None:
        """Take a peer's answer to our HELLO, that our address is another's."""
        if not peer.is_upstream:
            return
        first = self._told.setdefault(peer.address, now.mono)
        others = [root for root in self._topology.roots if root != peer.address]
        is_repeated = now.mono - first >= SURE_AFTER
        if any(root in self._told for root in others) or (
            is_repeated and not any(self._is_in_reach(root) for root in others)
        ):
            self._ctx.events.append(IdentityCollided(peer.address))

    def taken_back(self, peer: Peer) -> None:
        """Note that a peer knows us by our identity."""
        self._told.pop(peer.address, None)

    def _is_in_reach(self, root: Address) -> bool:
        peer = self._topology.peers.get(root)
        return peer is not None and peer.best_path() is not None
