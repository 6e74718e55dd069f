"""Passing on what a controller signed, from member to member (wire.adoc#propagation).

It is signed, so it may go from hand to hand, and reaches those whom the controller does not. Each
member passes on what is new to it, to a few others drawn by lot: with thirty of each, the chance
that somebody is left out is one in 10^13, however large the network is.
"""

from collections.abc import Container
from typing import Final

from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.stats import Drop
from ztlink.vl2.multicast import sample
from ztlink.vl2.network import Network
from ztlink.vl2.underlay import Underlay
from ztlink.wire.network import ConfigChunk
from ztlink.wire.verbs import Verb

FAN_OUT: Final = 32
PASSED_PER_SECOND: Final = 20.0
"""Messages of all networks; each becomes `FAN_OUT` packets."""
PASSED_BURST: Final = 100.0
"""Two of the largest configurations."""
MAX_SEEN: Final = 256


class Propagation:
    """Passes on, once."""

    def __init__(self, underlay: Underlay) -> None:
        self._underlay = underlay
        self._budget = Budget(PASSED_PER_SECOND, PASSED_BURST)
        self._seen: dict[bytes, None] = {}
        """Signatures of chunks that were passed on, the oldest first."""

    def pass_chunk(self, network: Network, chunk: ConfigChunk, bringer: Address, now: Now) -> None:
        """Pass on a piece of a configuration whose signature is good, where it asks for that."""
        if not chunk.is_fast_propagate or chunk.signature in self._seen:
            return
        if len(self._seen) >= MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[chunk.signature] = None
        but = (bringer, network.controller)
        self.pass_on(network, Verb.NETWORK_CONFIG, chunk.to_bytes(), but, now)

    def pass_on(
        self, network: Network, verb: Verb, payload: bytes, but: Container[Address], now: Now
    ) -> None:
        """Send a message to some members, `but` these."""
        if not self._budget.spend(now):
            self._underlay.stats.drop(Drop.RATE_LIMITED)
            return
        others = [m for m in sorted(network.members) if m not in but and m != network.own]
        for member in sample(others, FAN_OUT, self._underlay.random_bytes):
            self._underlay.send(member, verb, payload, now, compress=True)
