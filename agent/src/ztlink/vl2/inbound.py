"""From the network to a port: the gate, the rules, then the frames joined to super-frames."""

from typing import Final

from ztlink.batch import Delivery, PacketBatch, SuperFrame, Verdict
from ztlink.clock import Now
from ztlink.ids import Address, Mac, NetworkId, PacketId, is_multicast, member_mac
from ztlink.inet.coalesce import one_by_one
from ztlink.recent import Recent
from ztlink.stats import Drop
from ztlink.vl2.announce import Groups
from ztlink.vl2.credentials import Credentials
from ztlink.vl2.filter import Filter, send_copies
from ztlink.vl2.network import Network
from ztlink.vl2.rules import ACCEPTED, Acceptance
from ztlink.vl2.underlay import Underlay
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.control import Error
from ztlink.wire.identity import Identity
from ztlink.wire.network import ExtFrame, GatherResults, MulticastFrame, OkMulticastFrame
from ztlink.wire.packet import OFFSET_PAYLOAD
from ztlink.wire.verbs import ErrorCode, Verb

SIZE_FRAME_HEADER: Final = 10
SIZE_ETHERNET: Final = 14
MAX_PAYLOAD: Final = 10_000
MIN_ERROR_INTERVAL: Final = 0.25
MAX_REFUSED: Final = 65_536
"""Seconds between our requests for one peer's credentials."""


class Inbound:
    """The way of a frame in, as far as VL2 has a say in it."""

    def __init__(
        self,
        underlay: Underlay,
        networks: dict[NetworkId, Network],
        credentials: Credentials,
        groups: Groups,
    ) -> None:
        self._underlay = underlay
        self._networks = networks
        self._credentials = credentials
        self._groups = groups
        self._filter = Filter(underlay)
        self._last_error: Recent[tuple[NetworkId, Address]] = Recent(
            MIN_ERROR_INTERVAL, MAX_REFUSED
        )

    def gate(
        self, network: Network, peer: Identity, verb: Verb, packet_id: PacketId, now: Now
    ) -> bool:
        """Tell whether the peer may talk here; ask for its credentials where it may not yet."""
        if self._admits(network, peer, now):
            return True
        self._refuse(network, peer, verb, packet_id, now)
        return False

    def _admits(self, network: Network, peer: Identity, now: Now) -> bool:
        is_allowed = network.allows(peer)
        if is_allowed:
            self._groups.announce_to(network, peer.address, now)
        return is_allowed

    def _refuse(
        self, network: Network, peer: Identity, verb: Verb, packet_id: PacketId, now: Now
    ) -> None:
        self._underlay.stats.drop(Drop.NOT_A_MEMBER)
        key = (network.network_id, peer.address)
        if now.mono - self._last_error.last(key) >= MIN_ERROR_INTERVAL:
            self._last_error.note(key, now)
            writer = Writer()
            code = ErrorCode.NEED_MEMBERSHIP_CERTIFICATE
            Error(verb, packet_id, code, network.network_id.to_bytes(8, "big")).encode(writer)
            self._underlay.send(peer.address, Verb.ERROR, writer.getvalue(), now)

    # -- FRAME -------------------------------------------------------------------------------

    def receive_run(self, peer: Identity, batch: PacketBatch, now: Now) -> Verdict:
        """Take FRAME packets of one peer with one network id and ethertype."""
        buffer = batch.buffer
        first = batch.starts[0] + OFFSET_PAYLOAD
        stats = self._underlay.stats
        if batch.sizes[0] < OFFSET_PAYLOAD + SIZE_FRAME_HEADER:
            stats.drop(Drop.MALFORMED, len(batch))
            return Verdict.DROPPED
        network = self._networks.get(NetworkId(int.from_bytes(buffer[first : first + 8], "big")))
        if network is None:
            stats.drop(Drop.UNKNOWN_NETWORK, len(batch))
            return Verdict.DROPPED
        if not self._admits(network, peer, now):
            start = batch.starts[0]
            packet_id = PacketId(int.from_bytes(buffer[start : start + 8], "big"))
            self._refuse(network, peer, Verb.FRAME, packet_id, now)
            return Verdict.RETRY
        ethertype = buffer[first + 8 : first + SIZE_FRAME_HEADER]
        header = b"".join((network.mac, member_mac(peer.address, network.network_id), ethertype))
        join = self._underlay.coalesce
        if len(batch.starts) == 1 or self._filter.is_per_segment(network, peer.address):
            join = one_by_one
        for frame in join(batch, OFFSET_PAYLOAD + SIZE_FRAME_HEADER, header):
            self._judge(network, peer, frame, now)
        return Verdict.TRUSTED

    def _judge(self, network: Network, peer: Identity, frame: SuperFrame, now: Now) -> None:
        decision = self._filter.inbound(network, peer.address, frame)
        if decision is not ACCEPTED:
            send_copies(self._underlay, network, frame, decision.copies, now)
            if not decision.accepted:
                self._underlay.stats.drop(Drop.FILTERED)
                return
        self._deliver(network, frame)

    def _deliver(self, network: Network, frame: SuperFrame) -> None:
        self._underlay.stats.frames_in += 1
        network.deliveries.append(Delivery(network.network_id, frame))

    # -- EXT_FRAME ---------------------------------------------------------------------------

    def receive_ext_frame(
        self, peer: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        """Take a frame that carries both its MACs."""
        ext = ExtFrame.decode(Reader(payload))
        network = self._networks.get(ext.network_id)
        if network is None:
            self._underlay.stats.drop(Drop.UNKNOWN_NETWORK)
            return Verdict.DROPPED
        if ext.com is not None:
            self._credentials.add(ext.com, peer.address, now)
        if not self.gate(network, peer, Verb.EXT_FRAME, packet_id, now):
            return Verdict.RETRY
        if ext.source == bytes(6) or ext.source == network.mac:
            self._underlay.stats.drop(Drop.BAD_FRAME)
            return Verdict.TRUSTED
        header = ext.destination + ext.source + ext.ethertype.to_bytes(2, "big")
        frame = SuperFrame(memoryview(bytearray(header + ext.payload)))
        decision = self._filter.inbound(network, peer.address, frame)
        send_copies(self._underlay, network, frame, decision.copies, now)
        if decision.acceptance is Acceptance.DROP:
            self._underlay.stats.drop(Drop.FILTERED)
        elif decision.acceptance is Acceptance.SUPER_ACCEPT or self._may_bridge(
            network, peer, ext.source, ext.destination
        ):
            self._deliver(network, frame)
        else:
            self._underlay.stats.drop(Drop.NOT_A_BRIDGE)
            return Verdict.TRUSTED
        if ext.wants_ack:
            body = bytes([Verb.EXT_FRAME]) + packet_id.to_bytes(8, "big")
            body += network.network_id.to_bytes(8, "big")
            self._underlay.send(peer.address, Verb.OK, body, now)
        return Verdict.TRUSTED

    def _may_bridge(self, network: Network, peer: Identity, source: Mac, destination: Mac) -> bool:
        """Tell whether a frame may come from or go to somebody behind a bridge."""
        config = network.config
        assert config is not None
        if source != member_mac(peer.address, network.network_id):
            if not network.is_bridge(peer.address):
                return False
            network.bridges.learn(source, peer.address)
            return True
        if destination == network.mac:
            return True
        if is_multicast(destination):
            return config.multicast_limit > 0
        return network.is_bridge(network.own)

    # -- MULTICAST_FRAME ---------------------------------------------------------------------

    def receive_multicast(
        self, peer: Identity, packet_id: PacketId, payload: memoryview, now: Now
    ) -> Verdict:
        """Take a frame for a group, and tell the sender of other listeners where it asks."""
        multicast = MulticastFrame.decode(Reader(payload))
        network = self._networks.get(multicast.network_id)
        if network is None:
            self._underlay.stats.drop(Drop.UNKNOWN_NETWORK)
            return Verdict.DROPPED
        if multicast.com is not None:
            self._credentials.add(multicast.com, peer.address, now)
        if not self.gate(network, peer, Verb.MULTICAST_FRAME, packet_id, now):
            return Verdict.RETRY
        config = network.config
        assert config is not None
        if config.multicast_limit == 0:
            self._underlay.stats.drop(Drop.FILTERED)
            return Verdict.TRUSTED
        if 0 < len(multicast.payload) <= MAX_PAYLOAD and not self._take(
            network, peer, multicast, now
        ):
            return Verdict.TRUSTED
        if multicast.gather_limit:
            self._answer_gather(network, peer, packet_id, multicast, now)
        return Verdict.TRUSTED

    def _take(self, network: Network, peer: Identity, multicast: MulticastFrame, now: Now) -> bool:
        """Deliver a multicast frame if it may be; False where it ends all processing."""
        own_source = member_mac(peer.address, network.network_id)
        source = multicast.source or own_source
        group = multicast.group
        if not is_multicast(group.mac) or source == bytes(6) or is_multicast(source):
            self._underlay.stats.drop(Drop.BAD_FRAME)
            return False
        if source == network.mac:
            self._underlay.stats.drop(Drop.BAD_FRAME)
            return False
        if source != own_source:
            if not network.is_bridge(peer.address):
                self._underlay.stats.drop(Drop.NOT_A_BRIDGE)
                return False
            network.bridges.learn(source, peer.address)
        header = group.mac + source + multicast.ethertype.to_bytes(2, "big")
        frame = SuperFrame(memoryview(bytearray(header + multicast.payload)))
        self._judge(network, peer, frame, now)
        return True

    def _answer_gather(
        self,
        network: Network,
        peer: Identity,
        packet_id: PacketId,
        multicast: MulticastFrame,
        now: Now,
    ) -> None:
        members, total = self._groups.listeners(
            network.network_id,
            network.groups,
            multicast.group,
            peer.address,
            multicast.gather_limit or 0,
            now,
        )
        if not members:
            return
        writer = Writer()
        writer.push_uint(Verb.MULTICAST_FRAME, 1)
        writer.push_uint(packet_id, 8)
        OkMulticastFrame(
            network_id=multicast.network_id,
            group=multicast.group,
            results=GatherResults(total, tuple(members)),
        ).encode(writer)
        self._underlay.send(peer.address, Verb.OK, writer.getvalue(), now)
