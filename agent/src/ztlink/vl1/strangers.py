"""Who is not known yet: keys agreed with it, a peer made of it, its proof of work checked.

What costs nothing is looked at first. A proof of work is checked elsewhere, one address per key at
a time; until then the peer is provisional, or, where a root told of it, taken for good.
"""

from typing import Final

from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.crypto.identity import agree
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.errors import CryptoError
from ztlink.ids import IpAddress, is_reserved
from ztlink.stats import Drop
from ztlink.vl1.admission import MAX_PROVISIONAL, Provisional
from ztlink.vl1.context import Context
from ztlink.vl1.memory import Memory
from ztlink.vl1.peer import Peer
from ztlink.vl1.topology import Topology
from ztlink.wire.identity import Identity

NEWCOMERS_PER_SECOND: Final = 500.0
NEWCOMERS_BURST: Final = 1000.0
"""A key agreement costs some 0.1 ms: a twentieth of the CPU at the most goes into what strangers
claim."""


class Strangers:
    """Makes peers of strangers, and takes the verdicts on their proofs of work."""

    def __init__(self, ctx: Context, topology: Topology, memory: Memory) -> None:
        self._ctx = ctx
        self._topology = topology
        self._memory = memory
        self._newcomers = Budget(NEWCOMERS_PER_SECOND, NEWCOMERS_BURST)
        self._provisional = Provisional()
        self._rejected: dict[bytes, None] = {}
        """Public keys whose proof of work was found bad, the oldest first."""
        self.validations: list[Identity] = []
        """Those whose proof of work is to be checked."""

    def is_in_crowd(self, peer: Peer) -> bool:
        """Tell whether a peer is one of so many unproven ones that it is worth little yet."""
        return peer.is_provisional and self._provisional.is_in_crowd(peer.identity)

    def agree(self, identity: Identity, ip: IpAddress, now: Now) -> PeerCipher | None:
        """Agree keys with who claims an identity, if that is worth its cost."""
        if is_reserved(identity.address) or identity.address == self._ctx.address:
            self._ctx.stats.drop(Drop.MALFORMED)
            return None
        if identity.public_key in self._rejected:
            self._ctx.stats.drop(Drop.INVALID_IDENTITY)
            return None
        if not self._provisional.welcomes(ip, now) or not self._newcomers.spend(now):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return None
        try:
            return PeerCipher(derive_session_keys(agree(self._ctx.identity, identity)))
        except CryptoError:
            self._ctx.stats.drop(Drop.INVALID_IDENTITY)
            return None

    def admit(self, identity: Identity, cipher: PeerCipher, ip: IpAddress, now: Now) -> Peer | None:
        """Make a peer of a stranger whose HELLO is authentic."""
        if not self._provisional.add(identity, ip):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return None
        self.validations.append(identity)
        return self._topology.admit(identity, cipher, now, is_provisional=True)

    def admit_unchecked(self, identity: Identity, now: Now) -> Peer | None:
        """Make a peer of an identity that is known from before, but was not checked then."""
        if not self._provisional.add(identity):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return None
        self.validations.append(identity)
        return self._topology.add_peer(identity, now, is_provisional=True)

    def told(self, identity: Identity, now: Now) -> None:
        """Make a peer of an identity that a root told us when we asked for it."""
        if identity.public_key in self._rejected or not self._provisional.add(identity):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return
        self.validations.append(identity)
        self._topology.add_peer(identity, now)

    def doubt(self, peer: Peer) -> None:
        """Have the proof of work of a peer checked that is known from its file alone.

        Its true owner may be the one that greets us; it greets again.
        """
        self._ctx.stats.drop(Drop.IDENTITY_COLLISION)
        if self._memory.doubt(peer):
            self.validations.append(peer.identity)

    def validated(self, identity: Identity, ok: bool, now: Now) -> None:
        """Take the verdict on a proof of work; a peer that failed goes."""
        self._provisional.judged(identity, ok, now)
        if not ok:
            if len(self._rejected) >= MAX_PROVISIONAL:
                del self._rejected[next(iter(self._rejected))]
            self._rejected[identity.public_key] = None
        peer = self._topology.peers.get(identity.address)
        if peer is None or peer.identity != identity:
            return
        peer.is_provisional = False
        self._memory.judged(peer.address, ok)
        if ok:
            self._memory.note(peer)
        else:
            self._ctx.stats.drop(Drop.INVALID_IDENTITY)
            self._topology.remove_peer(peer, now)
