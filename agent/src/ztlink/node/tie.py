"""Where the two layers meet: VL2's sending and asking, carried out by VL1."""

from collections.abc import Callable, Sequence

from ztlink.batch import PacketBatch, SuperFrame
from ztlink.clock import Now
from ztlink.deadlines import Timed
from ztlink.ids import Address, PacketId
from ztlink.stats import Drop, Stats
from ztlink.vl1.context import Context
from ztlink.vl1.layer import Vl1
from ztlink.vl1.peer import Peer
from ztlink.vl2.layer import Vl2
from ztlink.wire.identity import Identity
from ztlink.wire.verbs import Verb


class Tie:
    """VL2's `Underlay`, made of VL1."""

    _vl1: Vl1
    _vl2: Vl2

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.identity: Identity = ctx.identity.public
        self.stats: Stats = ctx.stats
        self.random_bytes: Callable[[int], bytes] = ctx.random_bytes

    def connect(self, vl1: Vl1, vl2: Vl2) -> None:
        """Name the two layers, and have VL1's news reach VL2."""
        self._vl1 = vl1
        self._vl2 = vl2
        vl1.on_peer_known = self._peer_known
        vl1.on_online = vl2.online
        vl1.on_root_found = vl2.root_found

    def _peer_known(self, peer: Peer, now: Now) -> None:
        self._vl2.identity_known(peer.address, now)

    def schedule(self, owner: Timed, deadline: float | None) -> None:
        """Have `owner` called at a deadline."""
        self._ctx.timers.schedule(owner, deadline)

    def send(
        self,
        destination: Address,
        verb: Verb,
        payload: bytes,
        now: Now,
        *,
        compress: bool = False,
        is_patient: bool = False,
    ) -> PacketId | None:
        """Send a message; None where it waits for the destination, or for a way to it."""
        return self._vl1.egress.send(
            destination, verb, payload, now, compress=compress, is_patient=is_patient
        )

    def send_frame(
        self,
        destination: Address,
        frame: SuperFrame,
        prefix: bytes,
        payload_offset: int,
        now: Now,
    ) -> None:
        """Send a frame; one for an unknown peer is copied and waits for its identity."""
        peer = self._vl1.topology.find(destination, now)
        if peer is not None:
            self._vl1.egress.send_frame(peer, frame, prefix, payload_offset, now)
            return
        kept = SuperFrame(
            memoryview(bytearray(frame.buffer)),
            frame.gso,
            frame.header_size,
            frame.segment_size,
            frame.needs_checksum,
            frame.checksum_start,
            frame.checksum_offset,
        )

        def resume(later: Now) -> None:
            known = self._vl1.topology.peers.get(destination)
            if known is not None:
                self._vl1.egress.send_frame(known, kept, prefix, payload_offset, later)

        if not self._vl1.topology.when_known(destination, now, resume):
            self.stats.drop(Drop.QUEUE_FULL)

    def coalesce(self, batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
        """Return the frames in packets, neighbours of one TCP flow joined."""
        return self._ctx.engine.coalesce(batch, offset, header)

    def identity_of(self, address: Address) -> Identity | None:
        """Return the identity of a peer that is known, be it from before the start."""
        peer = self._vl1.topology.peers.get(address)
        return peer.identity if peer else self._vl1.memory.identity_of(address)

    def ask_identity(self, address: Address, now: Now) -> None:
        """Have the roots asked who this is."""
        self._vl1.topology.when_known(address, now)

    def roots(self) -> Sequence[Address]:
        """Return the roots of our planet and moons, ascending."""
        return sorted(self._vl1.topology.roots)

    def is_root(self) -> bool:
        """Tell whether we are a root ourselves."""
        return self._vl1.topology.is_root

    def is_online(self) -> bool:
        """Tell whether a root is in reach."""
        return self._vl1.topology.online

    def retry_held(self, address: Address, now: Now) -> None:
        """Take up what waited for this peer's credentials."""
        self._vl1.switch.retry_held(address, now)
