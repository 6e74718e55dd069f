"""Choose the way, seal, cut, and hand datagrams to the outbox.

A message goes over the best confirmed path of its destination, else through the best root, which
relays it: the very same packet, sent to the root's address. The way is chosen before sealing,
because the fragmented bit and the cipher suite are under the authentication tag.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from ztlink.batch import CipherSuite, Plan, SuperFrame
from ztlink.clock import Now
from ztlink.crypto.armor import armor_one
from ztlink.ids import Address, Endpoint, PacketId, SocketId
from ztlink.inet.segment import count
from ztlink.lane.layout import SIZE_BEFORE_VERB
from ztlink.stats import Drop, Way
from ztlink.vl1.context import Context
from ztlink.vl1.fragments import longest, split
from ztlink.vl1.path import Path
from ztlink.vl1.peer import MIN_PROTOCOL_SUITE_3, Peer
from ztlink.vl1.requests import Request, Requests
from ztlink.vl1.topology import MAX_PENDING, MAX_PENDING_OF_PATIENT, Topology
from ztlink.vl1.waiting import WaitingRoom
from ztlink.wire.compress import compress as compress_payload
from ztlink.wire.packet import (
    FLAG_FRAGMENTED,
    HEADER,
    OFFSET_AUTH_TAG,
    OFFSET_FLAGS,
    OFFSET_VERB,
    SHIFT_SUITE,
    SIZE_AUTH_TAG,
    SIZE_HEADER,
    VERB_FLAG_COMPRESSED,
    VERB_MASK,
)
from ztlink.wire.verbs import Verb

SUITE_0_VERBS: Final = frozenset(
    {Verb.HELLO, Verb.ACK, Verb.QOS_MEASUREMENT, Verb.PATH_NEGOTIATION_REQUEST}
)
OFFSET_ERROR_CODE: Final = 9
"""In the payload of an ERROR, behind the verb and the id that it answers."""
REQUEST_VERBS: Final = frozenset(
    {
        Verb.HELLO,
        Verb.ECHO,
        Verb.WHOIS,
        Verb.NETWORK_CONFIG_REQUEST,
        Verb.MULTICAST_GATHER,
        Verb.MULTICAST_FRAME,
    }
)
"""Verbs whose OK we listen to."""
# As globals: a member of an enumeration takes longer to find.
_TRUSTED: Final = CipherSuite.TRUSTED
_GMAC_SIV: Final = CipherSuite.GMAC_SIV
_SALSA_POLY: Final = CipherSuite.SALSA_POLY


class Arrival(NamedTuple):
    """Where a packet came from; an answer goes back the same way."""

    socket: SocketId
    endpoint: Endpoint
    hops: int
    """0: directly from its source; else an unauthenticated count of relays."""


class Route(NamedTuple):
    """Where a packet for some peer is to be sent."""

    carrier: Peer
    """The peer itself, or the root that relays."""
    path: Path

    def way(self, peer: Peer) -> Way:
        """Tell how a packet gets to the peer."""
        return self.path.way if self.carrier is peer else Way.RELAY


class Egress:
    """Sends messages and frames."""

    def __init__(self, ctx: Context, topology: Topology) -> None:
        self._ctx = ctx
        self._topology = topology
        self.requests = Requests()
        self.waiting = WaitingRoom(ctx.stats)
        self._address = ctx.address
        self._sender = ctx.address.to_bytes(5, "big")

    def route(self, peer: Peer) -> Route | None:
        """Return the way to a peer: direct, else through a root, else one that was silent lately.

        None where there is none of these.
        """
        path = peer.best_path()
        if path is not None:
            return Route(peer, path)
        root = self._topology.best_root(exclude=peer.address)
        path = root.best_path() if root else None
        if root is not None and path is not None:
            return Route(root, path)
        path = peer.last_resort()
        return Route(peer, path) if path else None

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
        """Send a message; what cannot go now waits until the destination is known, at most 5 s.

        One that is patient waits as long for a way to it, too.
        """
        peer = self._topology.find(destination, now)
        if peer is not None and not (is_patient and self.route(peer) is None):
            return self.send_to(peer, verb, payload, now, compress=compress)

        def resume(later: Now) -> None:
            known = self._topology.peers.get(destination)
            if known is not None:
                self.send_to(known, verb, payload, later, compress=compress)

        if peer is not None:
            waits = self._wait_for_way(peer, resume, now)
        else:
            most = MAX_PENDING_OF_PATIENT if is_patient else MAX_PENDING
            waits = self._topology.when_known(destination, now, resume, most=most)
        if not waits:
            self._ctx.stats.drop(Drop.QUEUE_FULL)
        return None

    def _wait_for_way(self, peer: Peer, resume: Callable[[Now], None], now: Now) -> bool:
        """Keep a message, and look for the peer where it was before the start."""
        is_first = peer.address not in self.waiting
        is_kept = self.waiting.add(peer.address, resume, now)
        if is_kept and is_first:
            self._topology.memory.greet(peer.address, now)
        return is_kept

    def send_to(
        self, peer: Peer, verb: Verb, payload: bytes, now: Now, *, compress: bool = False
    ) -> PacketId | None:
        """Send a message to a known peer by the best way there is."""
        route = self.route(peer)
        if route is None:
            self._ctx.stats.drop(Drop.NO_ROUTE)
            return None
        path = route.path
        suite = _TRUSTED if path.trusted_path_id else self.suite_for(peer)
        packet = self.build(peer, verb, payload, compress=compress)
        if len(packet) > longest(path.mtu):  # nobody could put it together
            self._ctx.stats.drop(Drop.TOO_LONG)
            return None
        packet_id = self.seal(packet, peer, suite, path.mtu, path.trusted_path_id)
        for datagram in split(packet, path.mtu):
            self._ctx.transmit(datagram, path.endpoint, path.socket)
        self._ctx.stats.carried_out.add(route.way(peer), 1, len(packet))
        route.carrier.path_sent(path, now)
        self._note(peer, verb, packet_id, None, now)
        return packet_id

    def send_back(
        self, peer: Peer, arrival: Arrival, verb: Verb, payload: bytes, now: Now, **options: bool
    ) -> PacketId:
        """Answer the way a packet came in, in one datagram."""
        options["is_relayed"] = arrival.hops > 0
        return self.send_at(peer, arrival.socket, arrival.endpoint, verb, payload, now, **options)

    def send_at(
        self,
        peer: Peer,
        socket: SocketId,
        endpoint: Endpoint,
        verb: Verb,
        payload: bytes,
        now: Now,
        *,
        compress: bool = False,
        is_relayed: bool = False,
    ) -> PacketId:
        """Send a message in one datagram to an endpoint of our choice; a relay's, perhaps."""
        packet = self.build(peer, verb, payload, compress=compress)
        packet_id = self.seal(packet, peer, self.suite_for(peer))
        self._ctx.transmit(packet, endpoint, socket)
        way = Way.of(endpoint.ip.version, is_relayed=is_relayed)
        self._ctx.stats.carried_out.add(way, 1, len(packet))
        self._note(peer, verb, packet_id, endpoint, now)
        return packet_id

    def send_frame(
        self, peer: Peer, frame: SuperFrame, prefix: bytes, payload_offset: int, now: Now
    ) -> bool:
        """Send the frames of a super-frame, each behind `prefix`; False where there is no way."""
        ctx = self._ctx
        stats = ctx.stats
        route = self.route(peer)
        if route is None:
            stats.drop(Drop.NO_ROUTE)
            return False
        path = route.path
        frames = count(frame) if frame.gso else 1
        one = len(frame.buffer) if frames == 1 else frame.header_size + frame.segment_size
        size = SIZE_BEFORE_VERB + len(prefix) + one - payload_offset
        if size > path.mtu and size > longest(path.mtu):
            stats.drop(Drop.TOO_LONG, frames)
            return False
        plan = Plan(
            peer.address,
            self._address,
            path.endpoint,
            path.socket,
            path.mtu,
            _TRUSTED if path.trusted_path_id else self.suite_for(peer),
            prefix,
            ctx.random_bytes(8 * frames),
            path.trusted_path_id,
        )
        transmits = ctx.engine.outbound(frame, payload_offset, peer.cipher, plan)
        octets = 0
        for transmit in transmits:
            octets += len(transmit.buffer)
        ctx.transmits += transmits
        stats.carried_out.add(route.way(peer), frames, octets)
        route.carrier.path_used(path, now)
        peer.last_frame = now.mono
        peer.packets_out += frames
        stats.frames_out += frames
        stats.packets_out[prefix[0] & VERB_MASK] += frames
        return True

    def suite_for(self, peer: Peer) -> CipherSuite:
        """Return the suite that a peer understands best (wire.adoc#suites)."""
        if min(peer.protocol, self._ctx.protocol) >= MIN_PROTOCOL_SUITE_3:
            return _GMAC_SIV
        return _SALSA_POLY

    def build(self, peer: Peer, verb: Verb, payload: bytes, *, compress: bool = False) -> bytearray:
        """Return a packet that is yet to be sealed."""
        verb_byte: int = verb
        if compress:
            smaller = compress_payload(payload)
            if smaller is not None:
                verb_byte, payload = verb | VERB_FLAG_COMPRESSED, smaller
        stats = self._ctx.stats
        stats.packets_out[verb] += 1
        peer.packets_out += 1
        if verb == Verb.ERROR:
            stats.errors_out[payload[OFFSET_ERROR_CODE]] += 1
        packet = bytearray(SIZE_HEADER + len(payload))
        HEADER.pack_into(
            packet,
            0,
            self._fresh_id(),
            peer.address.to_bytes(5, "big"),
            self._sender,
            0,
            bytes(SIZE_AUTH_TAG),
            verb_byte,
        )
        packet[SIZE_HEADER:] = payload
        return packet

    def seal(
        self,
        packet: bytearray,
        peer: Peer,
        suite: CipherSuite,
        path_mtu: int = 0,
        trusted_path_id: int = 0,
    ) -> PacketId:
        """Seal a packet in place and return its id as on the wire.

        `path_mtu` 0 means one datagram.
        """
        if path_mtu and len(packet) > path_mtu:
            packet[OFFSET_FLAGS] |= FLAG_FRAGMENTED
        if suite is _TRUSTED:
            packet[OFFSET_FLAGS] |= suite << SHIFT_SUITE
            packet[OFFSET_AUTH_TAG:OFFSET_VERB] = trusted_path_id.to_bytes(8, "big")
        else:
            armor_one(packet, peer.cipher, suite)
        return PacketId(int.from_bytes(packet[:8], "big"))

    def expect(self, packet_id: PacketId, request: Request, now: Now) -> None:
        """Listen for an answer."""
        self.requests.remove_older(now)
        self.requests.add(packet_id, request)

    def _note(
        self, peer: Peer, verb: Verb, packet_id: PacketId, endpoint: Endpoint | None, now: Now
    ) -> None:
        if verb in REQUEST_VERBS:
            self.expect(packet_id, Request(peer.address, verb, endpoint, now.mono), now)

    def _fresh_id(self) -> bytes:
        # An upper half of zero would look like an empty entry in the reference's table of replies.
        while True:
            packet_id = self._ctx.random_bytes(8)
            if packet_id[:4] != b"\0\0\0\0":
                return packet_id
