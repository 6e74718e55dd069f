"""HELLO and its answer, ECHO, WHOIS: how nodes come to know each other."""

from collections.abc import Callable
from typing import Final

from ztlink.batch import CipherSuite, PacketBatch, Verdict
from ztlink.clock import Now
from ztlink.crypto.armor import check_hellos, crypt_hello_tail
from ztlink.crypto.kdf import PeerCipher
from ztlink.errors import WireError
from ztlink.ids import Address, Endpoint, IpAddress, PacketId, SocketId
from ztlink.stats import Drop
from ztlink.vl1.context import Context
from ztlink.vl1.discovery import Discovery
from ztlink.vl1.egress import Arrival, Egress
from ztlink.vl1.floodgate import Floodgate
from ztlink.vl1.memory import Memory
from ztlink.vl1.path import Path
from ztlink.vl1.peer import MIN_PROTOCOL_ECHO, Peer
from ztlink.vl1.requests import Request
from ztlink.vl1.strangers import Strangers
from ztlink.vl1.topology import MAX_PENDING_OF_STRANGERS, Topology
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.control import Error, Hello, HelloMoon, OkHello, OkWhois, Whois
from ztlink.wire.identity import IDENTITY_SIZE, PUBLIC_KEY_SIZE, Identity
from ztlink.wire.packet import (
    MASK_HOPS,
    OFFSET_FLAGS,
    OFFSET_PAYLOAD,
    OFFSET_SOURCE,
    SIZE_ADDRESS,
    SIZE_PACKET_ID,
)
from ztlink.wire.verbs import (
    MIN_PROTOCOL_VERSION,
    SOFTWARE_VERSION,
    ErrorCode,
    Verb,
)
from ztlink.wire.world import World

OFFSET_ADDRESS: Final = OFFSET_PAYLOAD + 13
"""Of the identity in a HELLO: behind protocol, version and clock."""
OFFSET_KIND: Final = OFFSET_ADDRESS + SIZE_ADDRESS
OFFSET_PUBLIC_KEY: Final = OFFSET_KIND + 1
END_PUBLIC_KEY: Final = OFFSET_PUBLIC_KEY + PUBLIC_KEY_SIZE
MIN_HELLO_SIZE: Final = OFFSET_ADDRESS + IDENTITY_SIZE
ECHO_INTERVAL: Final = 1 / 6
WHOIS_SERVED_INTERVAL: Final = 0.1
MAX_ECHO_PAYLOAD: Final = 1400


class Introductions:
    """Greets and is greeted; the `Prober` of all peers and the `Greeter` of root contacts."""

    paths_changed: Callable[[Peer, Now], None]
    """Called when a peer's confirmed paths may have changed."""
    root_greeted: Callable[[Address, Now], None]
    """Called when a root greets us."""

    def __init__(
        self,
        ctx: Context,
        topology: Topology,
        egress: Egress,
        discovery: Discovery,
        memory: Memory,
        strangers: Strangers,
    ) -> None:
        self._ctx = ctx
        self._memory = memory
        self._strangers = strangers
        self._topology = topology
        self._egress = egress
        self._discovery = discovery
        self.floodgate = Floodgate(ctx.timers)

    # -- sending -----------------------------------------------------------------------------

    def probe(self, peer: Peer, path: Path, now: Now) -> None:
        """Test a path: by ECHO, or by HELLO where the peer may not know that, or us."""
        if peer.protocol >= MIN_PROTOCOL_ECHO and not (peer.is_upstream and path.probes > 1):
            self._egress.send_at(peer, path.socket, path.endpoint, Verb.ECHO, b"", now)
        else:
            self.send_hello(peer, path.socket, path.endpoint, now)
        path.last_out = now.mono

    def retire(self, peer: Peer, now: Now) -> None:
        """Forget a peer after long silence."""
        self._memory.silenced(peer)
        self._topology.remove_peer(peer, now)

    def path_lost(self, peer: Peer, now: Now) -> None:
        """Tell the others that a peer's paths changed."""
        self.paths_changed(peer, now)

    def confirm(self, peer: Peer, arrival: Arrival, now: Now) -> None:
        """Have an endpoint probed that a peer's packet came from."""
        if self._strangers.is_in_crowd(peer):
            return
        self._discovery.confirm(peer, arrival, now)

    def send_hello(self, peer: Peer, socket: SocketId, endpoint: Endpoint, now: Now) -> None:
        """Send HELLO to an endpoint, from one socket or from all."""
        packet = self._build_hello(peer, endpoint, now)
        self._ctx.transmit(packet, endpoint, socket)
        self._expect(peer, packet, endpoint, now)

    def send_hello_relayed(self, peer: Peer, now: Now) -> None:
        """Send HELLO through a root: the peer learns who we are without asking anybody."""
        root = self._topology.best_root(exclude=peer.address)
        path = root.best_path() if root else None
        if root is None or path is None:
            return
        packet = self._build_hello(peer, None, now)
        self._ctx.transmit(packet, path.endpoint, path.socket)
        root.path_sent(path, now)
        self._expect(peer, packet, None, now)

    def _expect(self, peer: Peer, packet: bytearray, endpoint: Endpoint | None, now: Now) -> None:
        peer.last_hello = now.mono
        request = Request(peer.address, Verb.HELLO, endpoint, now.mono)
        self._egress.expect(_packet_id(packet), request, now)

    def _build_hello(self, peer: Peer, endpoint: Endpoint | None, now: Now) -> bytearray:
        moons = [HelloMoon(m.world_id, m.timestamp) for m in self._topology.moons.values()]
        moons += [HelloMoon(world_id, 0) for world_id in self._topology.wanted_moons]
        hello = Hello(
            protocol=self._ctx.protocol,
            version=SOFTWARE_VERSION,
            timestamp=now.unix_ms,
            identity=self._ctx.identity.public,
            destination=endpoint,
            planet_id=self._topology.planet.world_id,
            planet_timestamp=self._topology.planet.timestamp,
        )
        writer = Writer()
        hello.encode(writer)
        tail_offset = OFFSET_PAYLOAD + len(writer)
        Hello.encode_tail(moons, writer)
        packet = self._egress.build(peer, Verb.HELLO, writer.getvalue())
        crypt_hello_tail(packet, tail_offset, peer.cipher)
        self._egress.seal(packet, peer, CipherSuite.POLY_NONE)
        return packet

    # -- HELLO -------------------------------------------------------------------------------

    def receive_hellos(
        self, batch: PacketBatch, arrival_at: tuple[SocketId, Endpoint], now: Now
    ) -> list[tuple[Peer, Arrival]]:
        """Handle HELLOs in clear; return the senders of those that are who they say.

        What costs nothing is looked at first, then the budget for strangers, then the tags of all
        at once; only what is authentic is decoded.
        """
        agreed: dict[bytes, PeerCipher] = {}
        packets: list[memoryview] = []
        ciphers: list[PeerCipher] = []
        for start, size in zip(batch.starts, batch.sizes, strict=True):
            packet = batch.buffer[start : start + size]
            cipher = self._cipher_of(packet, agreed, arrival_at[1].ip, now)
            if cipher is not None:
                packets.append(packet)
                ciphers.append(cipher)
        welcomed: list[tuple[Peer, Arrival]] = []
        for packet, cipher, is_authentic in zip(
            packets, ciphers, check_hellos(packets, ciphers), strict=True
        ):
            if not is_authentic:
                self._ctx.stats.drop(Drop.BAD_AUTH_TAG)
                continue
            arrival = Arrival(*arrival_at, packet[OFFSET_FLAGS] & MASK_HOPS)
            peer = self._receive_authentic(bytearray(packet), cipher, arrival, now)
            if peer is not None:
                welcomed.append((peer, arrival))
        for _ in range(len(batch) - len(welcomed)):
            self.floodgate.refused(arrival_at[1].ip, now)
        return welcomed

    def _cipher_of(
        self, packet: memoryview, agreed: dict[bytes, PeerCipher], ip: IpAddress, now: Now
    ) -> PeerCipher | None:
        """Return the keys that a HELLO must be sealed with, None where it is not worth a look.

        Looks at fixed offsets only. `agreed` holds the keys agreed with strangers for this train.
        """
        if (
            len(packet) < MIN_HELLO_SIZE
            or packet[OFFSET_SOURCE:OFFSET_FLAGS] != packet[OFFSET_ADDRESS:OFFSET_KIND]
            or packet[OFFSET_PAYLOAD] < MIN_PROTOCOL_VERSION
        ):
            self._ctx.stats.drop(Drop.MALFORMED)
            return None
        address = Address(int.from_bytes(packet[OFFSET_SOURCE:OFFSET_FLAGS], "big"))
        public_key = bytes(packet[OFFSET_PUBLIC_KEY:END_PUBLIC_KEY])
        peer = self._topology.find(address, now)
        if peer is not None and peer.identity.public_key == public_key:
            return peer.cipher
        cipher = agreed.get(public_key)
        if cipher is None:
            cipher = self._strangers.agree(Identity(address, public_key), ip, now)
            if cipher is not None:
                agreed[public_key] = cipher
        return cipher

    def _receive_authentic(
        self, packet: bytearray, cipher: PeerCipher, arrival: Arrival, now: Now
    ) -> Peer | None:
        """Handle a HELLO whose sender has the keys of the identity in it."""
        try:
            hello, tail_offset = Hello.decode_packet(packet)
        except WireError:
            self._ctx.stats.drop(Drop.MALFORMED)
            return None
        peer = self._topology.find(hello.identity.address, now)
        if peer is not None and peer.identity != hello.identity:
            if self._memory.is_unproven(peer):
                self._strangers.doubt(peer)
                return None
            self._answer_collision(packet, hello.identity, cipher, arrival, now)
            return None
        if peer is None:
            peer = self._strangers.admit(hello.identity, cipher, arrival.endpoint.ip, now)
        if peer is None:
            return None
        if not peer.hellos.spend(now):  # a replay, over and over
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return None
        self.welcome(peer, hello, packet, tail_offset, arrival, now)
        return peer

    def receive_sealed_hello(
        self, peer: Peer, packet: bytearray, arrival: Arrival, now: Now
    ) -> Verdict:
        """Handle a HELLO that came under another suite than 0; raises nothing."""
        try:
            hello, tail_offset = Hello.decode_packet(packet)
        except WireError:
            self._ctx.stats.drop(Drop.MALFORMED)
            return Verdict.DROPPED
        if hello.protocol < MIN_PROTOCOL_VERSION or hello.identity != peer.identity:
            self._ctx.stats.drop(Drop.MALFORMED)
            return Verdict.DROPPED
        if not peer.hellos.spend(now):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return Verdict.DROPPED
        self.welcome(peer, hello, packet, tail_offset, arrival, now)
        return Verdict.ACCEPTED

    def welcome(
        self,
        peer: Peer,
        hello: Hello,
        packet: bytearray,
        tail_offset: int,
        arrival: Arrival,
        now: Now,
    ) -> None:
        """Answer an authentic HELLO on the way that it came."""
        crypt_hello_tail(packet, tail_offset, peer.cipher)
        try:
            moons = Hello.decode_tail(Reader(memoryview(packet)[tail_offset:]))
        except WireError:
            self._ctx.stats.drop(Drop.MALFORMED)
            return
        if hello.destination is not None and arrival.hops == 0:
            self._discovery.report_surface(peer, arrival, hello.destination, now)
        packet_id = _packet_id(packet)
        writer = Writer()
        OkHello(
            in_re_packet_id=packet_id,
            timestamp=hello.timestamp,
            protocol=self._ctx.protocol,
            version=SOFTWARE_VERSION,
            source=arrival.endpoint,
            worlds=self._newer_worlds(hello, moons),
        ).encode(writer)
        # The suite follows from the version known before this HELLO: the peer accepts either.
        self._egress.send_back(peer, arrival, Verb.OK, writer.getvalue(), now)
        peer.protocol, peer.version = hello.protocol, hello.version
        self._ctx.stats.packets_in[Verb.HELLO] += 1
        if peer.is_upstream:
            self.root_greeted(peer.address, now)

    def _newer_worlds(self, hello: Hello, moons: list[HelloMoon]) -> tuple[World, ...]:
        planet = self._topology.planet
        worlds: list[World] = []
        if hello.planet_id == planet.world_id and hello.planet_timestamp < planet.timestamp:
            worlds.append(planet)
        for moon in moons:
            ours = self._topology.moons.get(moon.world_id)
            if ours is not None and ours.timestamp > moon.timestamp:
                worlds.append(ours)
        return tuple(worlds)

    def _answer_collision(
        self,
        packet: bytearray,
        identity: Identity,
        cipher: PeerCipher,
        arrival: Arrival,
        now: Now,
    ) -> None:
        """Tell a node that its address is taken: sealed with the keys of its own identity."""
        self._ctx.stats.drop(Drop.IDENTITY_COLLISION)
        stranger = Peer(identity, cipher, self._ctx, self)
        writer = Writer()
        packet_id = _packet_id(packet)
        Error(Verb.HELLO, packet_id, ErrorCode.IDENTITY_COLLISION, b"").encode(writer)
        self._egress.send_back(stranger, arrival, Verb.ERROR, writer.getvalue(), now)

    # -- answers -----------------------------------------------------------------------------

    def handle_ok_hello(
        self, peer: Peer, arrival: Arrival, request: Request, payload: memoryview, now: Now
    ) -> None:
        """Learn a peer's version, our own address and the path; take newer worlds from a root."""
        ok = OkHello.decode(Reader(payload))
        if ok.protocol < MIN_PROTOCOL_VERSION:
            return
        peer.protocol, peer.version = ok.protocol, ok.version
        if arrival.hops == 0 and ok.source is not None:
            self._discovery.report_surface(peer, arrival, ok.source, now)
        if ok.worlds and self._topology.is_trusted_source_of_worlds(peer.address):
            for world in ok.worlds:
                self._topology.offer_world(world, peer.address, now)

    def learn_path(self, peer: Peer, arrival: Arrival, request: Request, now: Now) -> None:
        """Confirm a path by an answer: only if it came from where we had asked, and only once."""
        if arrival.hops or arrival.socket in request.answered_at:
            return
        if arrival.endpoint != request.endpoint:
            path = peer.paths.get((arrival.socket, arrival.endpoint))
            if path is None or not path.is_confirmed:
                self._discovery.confirm(peer, arrival, now)
            return
        if not self._ctx.may_be_path(arrival.endpoint):
            return
        request.answered_at += (arrival.socket,)
        path = peer.add_path(arrival.socket, arrival.endpoint, now)
        if path is not None:
            was_confirmed = path.is_confirmed
            peer.path_replied(path, now.mono - request.sent, now)
            if not was_confirmed:
                self.paths_changed(peer, now)

    def answer_echo(
        self, peer: Peer, arrival: Arrival, packet_id: int, payload: memoryview, now: Now
    ) -> bool:
        """Answer an ECHO where it came from, a few times a second at most."""
        path = peer.paths.get((arrival.socket, arrival.endpoint))
        gate = path or peer
        if now.mono - gate.last_echo_served < ECHO_INTERVAL:
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return False
        gate.last_echo_served = now.mono
        if path is not None:
            peer.path_asked(path, now)
        if len(payload) > MAX_ECHO_PAYLOAD:
            self._ctx.stats.drop(Drop.MALFORMED)
            return False
        body = bytes([Verb.ECHO]) + packet_id.to_bytes(8, "big") + bytes(payload)
        self._egress.send_back(peer, arrival, Verb.OK, body, now)
        return True

    def ask_whois(self, address: Address, now: Now) -> bool:
        """Ask the best root who an address is."""
        root = self._topology.best_root(exclude=address)
        if root is None:
            return False
        writer = Writer()
        Whois((address,)).encode(writer)
        self._egress.send_to(root, Verb.WHOIS, writer.getvalue(), now)
        return True

    def answer_whois(
        self, peer: Peer, arrival: Arrival, packet_id: int, payload: memoryview, now: Now
    ) -> bool:
        """Answer with the identities that we know; ask our own roots for those that we don't."""
        if not self._topology.is_root:
            if now.mono - peer.last_whois_served < WHOIS_SERVED_INTERVAL:
                self._ctx.stats.drop(Drop.RATE_LIMITED)
                return False
            peer.last_whois_served = now.mono
        known: list[Identity] = []
        for address in Whois.decode(Reader(payload)).addresses[:64]:
            if address == self._ctx.address:
                known.append(self._ctx.identity.public)
            elif (other := self._topology.find(address, now)) is not None:
                known.append(other.identity)
            elif address != peer.address and self._topology.roots and peer.unknown_asked.spend(now):
                self._topology.when_known(address, now, most=MAX_PENDING_OF_STRANGERS)
        if known:
            writer = Writer()
            OkWhois(PacketId(packet_id), tuple(known)).encode(writer)
            self._egress.send_back(peer, arrival, Verb.OK, writer.getvalue(), now)
        return True

    def handle_ok_whois(self, peer: Peer, payload: memoryview, now: Now) -> None:
        """Take an identity from a root: bindings stay, the proof of work is checked."""
        if not peer.is_upstream:
            self._ctx.stats.drop(Drop.NOT_AN_UPSTREAM)
            return
        for identity in OkWhois.decode(Reader(payload)).identities[:1]:
            if not self._topology.is_asking(identity.address):
                self._ctx.stats.drop(Drop.UNEXPECTED_REPLY)
            else:
                self._strangers.told(identity, now)


def _packet_id(packet: bytearray) -> PacketId:
    return PacketId(int.from_bytes(packet[:SIZE_PACKET_ID], "big"))
