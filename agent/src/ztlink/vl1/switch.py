"""Trains in: sort by peer, relay what is not for us, open, hand up by verb.

What a fast stream consists of, packets for us of one sender, the engine finds in one go, and opens
as a batch, in place; all else goes datagram by datagram. What then carries frames stays a span in a
buffer; everything else becomes a `Message`. Nothing of a packet is used before its authentication
tag was checked, but for its addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, Protocol

from ztlink.batch import CipherSuite, PacketBatch, Train, Verdict
from ztlink.clock import Now
from ztlink.errors import WireError
from ztlink.ids import Address, Endpoint, PacketId, SocketId
from ztlink.stats import Drop, Way
from ztlink.vl1.context import Context
from ztlink.vl1.egress import SUITE_0_VERBS, Arrival
from ztlink.vl1.fragments import Reassembler
from ztlink.vl1.hello import Introductions
from ztlink.vl1.peer import Peer
from ztlink.vl1.relay import Relay
from ztlink.vl1.topology import MAX_PENDING_OF_STRANGERS, Topology
from ztlink.wire.compress import decompress
from ztlink.wire.packet import (
    FLAG_FRAGMENTED,
    FRAGMENT_MARKER,
    MASK_HOPS,
    MASK_SUITE,
    MAX_PACKET_SIZE,
    OFFSET_AUTH_TAG,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_FRAGMENT_MARKER,
    OFFSET_PAYLOAD,
    OFFSET_SOURCE,
    OFFSET_VERB,
    SHIFT_SUITE,
    SIZE_FRAGMENT_HEADER,
    SIZE_HEADER,
    VERB_FLAG_COMPRESSED,
    VERB_MASK,
)
from ztlink.wire.verbs import Verb

MAX_HELD: Final = 256
MAX_HELD_PER_PEER: Final = 32
HELD_LIFETIME: Final = 5.0
ONE_FRAGMENT: Final = 0x21
"""Two pieces in all, this is number 1."""
FRAME_PREFIX_SIZE: Final = 10
"""Network id and ethertype of a FRAME: packets that share them form a run."""
PUNCH_SIZE: Final = 4
_OPENED_BY_ENGINES: Final = frozenset(
    {CipherSuite.SALSA_POLY << SHIFT_SUITE, CipherSuite.GMAC_SIV << SHIFT_SUITE}
)


@dataclass(slots=True)
class Message:
    """One authentic control message; `payload` is borrowed."""

    peer: Peer
    arrival: Arrival
    verb: int
    packet_id: PacketId
    payload: memoryview


@dataclass(slots=True)
class FrameRun:
    """Authentic FRAME packets of one peer, network id and ethertype; spans name whole packets."""

    peer: Peer
    arrival: Arrival
    batch: PacketBatch


class Upper(Protocol):
    """Who handles what was opened."""

    def handle_message(self, message: Message, now: Now) -> Verdict:
        """Handle a control message."""

    def handle_frames(self, run: FrameRun, now: Now) -> None:
        """Handle a run of frames."""


@dataclass(slots=True)
class _Held:
    packet: bytearray
    is_open: bool
    arrival: Arrival
    deadline: float


class Switch:
    """The way of a datagram in."""

    def __init__(
        self,
        ctx: Context,
        topology: Topology,
        introductions: Introductions,
        relay: Relay,
        upper: Upper,
    ) -> None:
        self._ctx = ctx
        self._topology = topology
        self._introductions = introductions
        self._relay = relay
        self._upper = upper
        self._me = ctx.address.to_bytes(5, "big")
        self._fragments = Reassembler(ctx.stats)
        self._held: dict[Address, list[_Held]] = {}
        self._held_count = 0
        self._retried_until: float | None = None
        """The deadline of the packet that is being tried again; it may have to wait on."""

    # -- the walk over a train ---------------------------------------------------------------

    def receive(self, train: Train, now: Now) -> None:
        """Take the datagrams of a train; `train.buffer` is borrowed and is written to."""
        buffer, stride, size = train.buffer, train.segment_size, len(train.buffer)
        stats = self._ctx.stats
        stats.bytes_in += size
        at = (train.socket, train.source)
        hellos: PacketBatch | None = None
        start = 0
        while start < size:
            run = self._ctx.engine.gather(buffer, stride, start, self._me)
            if run.batch:
                stats.datagrams_in += run.datagrams
                source = buffer[start + OFFSET_SOURCE : start + OFFSET_FLAGS]
                self._open(bytes(source), run.batch, at, now)
                start = run.end
                continue
            end = min(start + stride, size)
            stats.datagrams_in += 1
            if self._is_hello(buffer, start, end):
                hellos = hellos or PacketBatch(buffer)
                hellos.append(start, end - start)
            else:
                self._receive_one(buffer[start:end], at, now)
            start = end
        if hellos is not None:
            self._hellos(hellos, at, now)

    def _is_hello(self, buffer: memoryview, start: int, end: int) -> bool:
        """Tell whether a datagram is a whole HELLO to us, in clear; of whomever."""
        return (
            SIZE_HEADER <= end - start <= MAX_PACKET_SIZE
            and buffer[start + OFFSET_VERB] & VERB_MASK == Verb.HELLO
            and not buffer[start + OFFSET_FLAGS] & (MASK_SUITE | FLAG_FRAGMENTED)
            and buffer[start + OFFSET_FRAGMENT_MARKER] != FRAGMENT_MARKER
            and buffer[start + OFFSET_DESTINATION : start + OFFSET_SOURCE] == self._me
        )

    def _receive_one(self, datagram: memoryview, at: tuple[SocketId, Endpoint], now: Now) -> None:
        """Take a datagram that is not part of a run."""
        size = len(datagram)
        stats = self._ctx.stats
        if size < SIZE_HEADER and not (
            size > SIZE_FRAGMENT_HEADER and datagram[OFFSET_FRAGMENT_MARKER] == FRAGMENT_MARKER
        ):
            if size != PUNCH_SIZE:
                stats.drop(Drop.TOO_SHORT)
        elif datagram[OFFSET_DESTINATION:OFFSET_SOURCE] != self._me:
            self._relay.forward(datagram, now)
        elif size > MAX_PACKET_SIZE:
            stats.drop(Drop.TOO_LONG)
        elif datagram[OFFSET_FRAGMENT_MARKER] == FRAGMENT_MARKER:
            self._piece(self._fragments.add_fragment(datagram, now), at, now)
        elif datagram[OFFSET_FLAGS] & FLAG_FRAGMENTED:
            self._piece(self._fragments.add_head(datagram, now), at, now)
        else:
            self._whole(datagram, at, now)

    def _whole(self, packet: memoryview, at: tuple[SocketId, Endpoint], now: Now) -> None:
        """Take a packet that is complete."""
        suite = (packet[OFFSET_FLAGS] & MASK_SUITE) >> SHIFT_SUITE
        batch = PacketBatch(packet)
        batch.append(0, len(packet))
        if suite == CipherSuite.TRUSTED:
            self._trusted(bytearray(packet), at, now)
        elif suite == CipherSuite.POLY_NONE and packet[OFFSET_VERB] & VERB_MASK == Verb.HELLO:
            self._hellos(batch, at, now)
        else:
            self._open(bytes(packet[OFFSET_SOURCE:OFFSET_FLAGS]), batch, at, now)

    def _piece(self, packet: bytearray | None, at: tuple[SocketId, Endpoint], now: Now) -> None:
        """Take a packet that was put together, if it is complete."""
        if packet is None:
            return
        if len(packet) < SIZE_HEADER:
            self._ctx.stats.drop(Drop.TOO_SHORT)
        else:
            self._whole(memoryview(packet), at, now)

    # -- opening -----------------------------------------------------------------------------

    def _hellos(self, batch: PacketBatch, at: tuple[SocketId, Endpoint], now: Now) -> None:
        for peer, arrival in self._introductions.receive_hellos(batch, at, now):
            peer.packets_in += 1
            self._received(peer, arrival, now)

    def _trusted(self, packet: bytearray, at: tuple[SocketId, Endpoint], now: Now) -> None:
        """Take a packet without protection, if its source is in a network configured so."""
        _, trusted_path_id = self._ctx.path_mtu(at[1].ip)
        claimed = int.from_bytes(packet[OFFSET_AUTH_TAG:OFFSET_VERB], "big")
        if not trusted_path_id or claimed != trusted_path_id:
            self._ctx.stats.drop(Drop.BAD_SUITE)
            return
        address = Address(int.from_bytes(packet[13:18], "big"))
        arrival = Arrival(*at, packet[OFFSET_FLAGS] & MASK_HOPS)
        peer = self._topology.find(address, now)
        if peer is None:
            self._hold(address, packet, arrival, now, is_open=True)
        else:
            self._dispatch_one(peer, packet, arrival, now)
            self._count(arrival, (len(packet),))
            self._received(peer, arrival, now)

    def _open(
        self, source: bytes, batch: PacketBatch, at: tuple[SocketId, Endpoint], now: Now
    ) -> None:
        address = Address(int.from_bytes(source, "big"))
        if source == self._me:
            self._ctx.stats.drop(Drop.OWN_SOURCE, len(batch))
            return
        peer = self._topology.find(address, now)
        if peer is None:
            for start, size in zip(batch.starts, batch.sizes, strict=True):
                packet = bytearray(batch.buffer[start : start + size])
                arrival = Arrival(*at, packet[OFFSET_FLAGS] & MASK_HOPS)
                self._hold(address, packet, arrival, now, is_open=False)
            return
        authentic = self._ctx.engine.inbound(batch, peer.cipher)
        self._dispatch(peer, batch, authentic, at, now)

    def _dispatch(
        self,
        peer: Peer,
        batch: PacketBatch,
        authentic: bytearray,
        at: tuple[SocketId, Endpoint],
        now: Now,
    ) -> None:
        """Hand up opened packets in order: runs of frames as spans, all else as messages."""
        buffer, starts, sizes = batch.buffer, batch.starts, batch.sizes
        bad = authentic.count(0)
        peer.packets_in += len(starts) - bad
        peer.packet_errors += bad
        if not bad and self._ctx.engine.run_length(batch, authentic, 0) == len(starts):
            self._dispatch_run(peer, batch, at, now)
            return
        stats = self._ctx.stats
        arrival: Arrival | None = None
        index = 0
        while index < len(starts):
            start = starts[index]
            if not authentic[index]:
                stats.drop(Drop.BAD_AUTH_TAG)
                index += 1
                continue
            hops = buffer[start + OFFSET_FLAGS] & MASK_HOPS
            if arrival is None:
                arrival = Arrival(*at, hops)
            elif hops != arrival.hops:
                self._received(peer, arrival, now)
                arrival = Arrival(*at, hops)
            count = self._ctx.engine.run_length(batch, authentic, index)
            if count:
                run = batch if count == len(starts) else batch.part(index, index + count)
                self._frames(peer, arrival, run, now)
            else:
                count = 1
                self._dispatch_one(peer, buffer[start : start + sizes[index]], arrival, now)
            index += count
        if arrival is not None:
            self._count(arrival, list(compress(sizes, authentic)) if bad else sizes)
            self._received(peer, arrival, now)  # last, since an answer may have confirmed the path

    def _dispatch_run(
        self, peer: Peer, run: PacketBatch, at: tuple[SocketId, Endpoint], now: Now
    ) -> None:
        """Hand up packets that are one run of frames, as most are."""
        arrival = Arrival(*at, run.buffer[run.starts[0] + OFFSET_FLAGS] & MASK_HOPS)
        self._frames(peer, arrival, run, now)
        self._count(arrival, run.sizes)
        self._received(peer, arrival, now)

    def _count(self, arrival: Arrival, sizes: Sequence[int]) -> None:
        """Count what came; of a batch that came two ways at once, all as its last packet."""
        way = Way.of(arrival.endpoint.ip.version, is_relayed=arrival.hops > 0)
        self._ctx.stats.carried_in.add(way, len(sizes), sum(sizes))

    def _frames(self, peer: Peer, arrival: Arrival, run: PacketBatch, now: Now) -> None:
        self._ctx.stats.packets_in[Verb.FRAME] += len(run)
        self._upper.handle_frames(FrameRun(peer, arrival, run), now)

    def _dispatch_one(
        self, peer: Peer, packet: bytearray | memoryview, arrival: Arrival, now: Now
    ) -> Verdict:
        """Hand up one opened packet."""
        stats = self._ctx.stats
        verb_byte = packet[OFFSET_VERB]
        verb = verb_byte & VERB_MASK
        suite = (packet[OFFSET_FLAGS] & MASK_SUITE) >> SHIFT_SUITE
        if suite == CipherSuite.POLY_NONE and verb not in SUITE_0_VERBS:
            stats.drop(Drop.BAD_SUITE)
            return Verdict.DROPPED
        payload = memoryview(packet)[OFFSET_PAYLOAD:]
        try:
            if verb_byte & VERB_FLAG_COMPRESSED:
                payload = memoryview(decompress(bytes(payload)))
        except WireError:
            stats.drop(Drop.BAD_COMPRESSION)
            return Verdict.DROPPED
        packet_id = PacketId(int.from_bytes(packet[:8], "big"))
        if verb == Verb.FRAME:
            self._lone_frame(peer, packet, payload, arrival, now)
            return Verdict.ACCEPTED
        if verb == Verb.HELLO:
            whole = bytearray(packet[:OFFSET_PAYLOAD]) + payload
            return self._introductions.receive_sealed_hello(peer, whole, arrival, now)
        message = Message(peer, arrival, verb, packet_id, payload)
        try:
            verdict = self._upper.handle_message(message, now)
        except WireError:
            stats.drop(Drop.MALFORMED)
            return Verdict.DROPPED
        if verdict is Verdict.RETRY:
            self._hold(peer.address, bytearray(packet), arrival, now, is_open=True)
        elif verdict is not Verdict.DROPPED:
            stats.packets_in[verb] += 1
        return verdict

    def _lone_frame(
        self,
        peer: Peer,
        packet: bytearray | memoryview,
        payload: memoryview,
        arrival: Arrival,
        now: Now,
    ) -> None:
        """Hand up a FRAME that cannot stay where it lies, as a run of one: it was compressed, say.

        Releases before 1.4.8 compress frames.
        """
        whole = bytearray(packet[:OFFSET_PAYLOAD]) + payload
        whole[OFFSET_VERB] = Verb.FRAME
        batch = PacketBatch(memoryview(whole))
        batch.append(0, len(whole))
        self._frames(peer, arrival, batch, now)

    def _received(self, peer: Peer, arrival: Arrival, now: Now) -> None:
        """Note that an authentic packet came.

        One from an unknown endpoint has that endpoint probed.
        """
        peer.last_receive = now.mono
        if arrival.hops:
            peer.heard_through_relay(now)
            return
        path = peer.path_at(arrival.socket, arrival.endpoint)
        if path is not None and path.is_confirmed:
            path.received(now)
        else:
            self._introductions.confirm(peer, arrival, now)

    # -- packets that wait -------------------------------------------------------------------

    def hold_frames(self, run: FrameRun, now: Now) -> None:
        """Keep frames whose sender has yet to show its membership."""
        buffer = run.batch.buffer
        for start, size in zip(run.batch.starts, run.batch.sizes, strict=True):
            packet = bytearray(buffer[start : start + size])
            self._hold(run.peer.address, packet, run.arrival, now, is_open=True)

    def _hold(
        self, address: Address, packet: bytearray, arrival: Arrival, now: Now, *, is_open: bool
    ) -> None:
        """Keep a packet for a few seconds; ask for its sender where that is unknown."""
        if address not in self._topology.peers and not self._topology.when_known(
            address, now, most=MAX_PENDING_OF_STRANGERS
        ):
            self._ctx.stats.drop(Drop.UNKNOWN_SOURCE)
            return
        waiting = self._held.setdefault(address, [])
        if len(waiting) >= MAX_HELD_PER_PEER:
            del waiting[0]
            self._held_count -= 1
            self._ctx.stats.drop(Drop.QUEUE_FULL)
        if self._held_count >= MAX_HELD:
            self._drop_oldest_held()
            waiting = self._held.setdefault(address, [])
        deadline = self._retried_until or now.mono + HELD_LIFETIME
        waiting.append(_Held(packet, is_open, arrival, deadline))
        self._held_count += 1

    def _drop_oldest_held(self) -> None:
        address = next(iter(self._held))
        self._held_count -= len(self._held[address])
        self._ctx.stats.drop(Drop.QUEUE_FULL, len(self._held.pop(address)))

    def retry_held(self, address: Address, now: Now) -> None:
        """Try again what waited for this peer: its identity or a credential of it has arrived."""
        waiting = self._held.pop(address, None)
        if waiting is None:
            return
        self._held_count -= len(waiting)
        peer = self._topology.peers.get(address)
        if peer is None:
            return
        outer = self._retried_until
        for held in waiting:
            if held.deadline < now.mono:
                self._ctx.stats.drop(Drop.EXPIRED)
                continue
            self._retried_until = held.deadline
            self._retry(peer, held, now)
        self._retried_until = outer

    def _retry(self, peer: Peer, held: _Held, now: Now) -> None:
        if not held.is_open:
            batch = PacketBatch(memoryview(held.packet))
            batch.append(0, len(held.packet))
            authentic = self._ctx.engine.inbound(batch, peer.cipher)
            at = (held.arrival.socket, held.arrival.endpoint)
            self._dispatch(peer, batch, authentic, at, now)
        elif held.packet[OFFSET_VERB] == Verb.FRAME:
            batch = PacketBatch(memoryview(held.packet))
            batch.append(0, len(held.packet))
            self._upper.handle_frames(FrameRun(peer, held.arrival, batch), now)
        else:
            self._dispatch_one(peer, held.packet, held.arrival, now)
