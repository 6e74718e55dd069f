"""From a port to the network: where a frame goes, if the rules let it, and who gets copies."""

from collections.abc import Sequence
from typing import Final

from ztlink.batch import Delivery, Gso, SuperFrame
from ztlink.clock import Now
from ztlink.ids import (
    BROADCAST_MAC,
    Address,
    Mac,
    MulticastGroup,
    is_multicast,
    mac_member,
)
from ztlink.inet.ether import ETHERTYPE_ARP, ETHERTYPE_IPV6
from ztlink.inet.flow import Flow, parse
from ztlink.stats import Drop
from ztlink.vl2.announce import Groups
from ztlink.vl2.credentials import Credentials
from ztlink.vl2.filter import Filter, cut_frames, send_copies
from ztlink.vl2.multicast import QUEUED_LIFETIME, QueuedFrame, sample
from ztlink.vl2.network import Network
from ztlink.vl2.resolver import answer_solicitation, arp_target, port_groups
from ztlink.vl2.rules import ACCEPTED
from ztlink.vl2.underlay import Underlay
from ztlink.wire.buffer import Writer
from ztlink.wire.network import MulticastGather
from ztlink.wire.verbs import Verb

SIZE_ETHERNET: Final = 14
MAX_BRIDGES: Final = 32
MAX_GATHER_TARGETS: Final = 16
MAX_GATHER_LIMIT: Final = 0xFFFF_FFFF
"""What the field of 32 bits can say, whatever the configuration does."""
_FRAME: Final = bytes([Verb.FRAME])
_EXT_FRAME_FLAGS: Final = b"\0"
_FLAG_GATHER: Final = 0x02
_FLAG_SOURCE_MAC: Final = 0x04


class Outbound:
    """The way of a frame out, as far as VL2 has a say in it."""

    def __init__(self, underlay: Underlay, credentials: Credentials, groups: Groups) -> None:
        self._underlay = underlay
        self._credentials = credentials
        self._groups = groups
        self._filter = Filter(underlay)

    def receive_frame(self, network: Network, frame: SuperFrame, now: Now) -> None:
        """Take a frame from the port of a network; its buffer is borrowed."""
        config = network.config
        stats = self._underlay.stats
        if config is None:
            stats.drop(Drop.NO_CONFIG)
            return
        if len(frame.buffer) < SIZE_ETHERNET + 1:
            stats.drop(Drop.BAD_FRAME)
            return
        destination, source = bytes(frame.buffer[0:6]), bytes(frame.buffer[6:12])
        is_bridged = source != network.mac
        if is_bridged and not network.is_bridge(network.own):
            stats.drop(Drop.NOT_A_BRIDGE)
            return
        if is_multicast(destination):
            flow = parse(frame)
            self._multicast(network, frame, flow, Mac(source), is_bridged=is_bridged, now=now)
        elif destination == network.mac:
            kept = memoryview(bytearray(frame.buffer))
            network.deliveries.append(Delivery(network.network_id, _with_buffer(frame, kept)))
        elif destination[0] == network.mac[0]:  # a member's, as ours is
            target = mac_member(destination, network.network_id)
            self._unicast(network, frame, target, is_bridged=is_bridged, now=now)
        else:
            self._foreign(network, frame, parse(frame), Mac(destination), now)

    # -- unicast -----------------------------------------------------------------------------

    def _unicast(
        self,
        network: Network,
        frame: SuperFrame,
        target: Address,
        *,
        is_bridged: bool,
        now: Now,
    ) -> None:
        if frame.gso and self._filter.is_per_segment(network):
            for piece in cut_frames(frame):
                self._unicast(network, piece, target, is_bridged=is_bridged, now=now)
            return
        decision = self._filter.outbound(network, frame, None, target, no_tee=False)
        if decision is not ACCEPTED:
            send_copies(self._underlay, network, frame, decision.copies, now)
            if not decision.accepted:
                self._underlay.stats.drop(Drop.FILTERED)
                return
        self._credentials.push_if_due(network, target, now)
        if is_bridged:
            self._send_ext(network, frame, target, now)
        else:
            prefix = b"".join(
                (_FRAME, network.network_id.to_bytes(8, "big"), frame.buffer[12:SIZE_ETHERNET])
            )
            self._underlay.send_frame(target, frame, prefix, SIZE_ETHERNET, now)

    def _send_ext(self, network: Network, frame: SuperFrame, target: Address, now: Now) -> None:
        prefix = (
            bytes([Verb.EXT_FRAME])
            + network.network_id.to_bytes(8, "big")
            + _EXT_FRAME_FLAGS
            + bytes(frame.buffer[0:SIZE_ETHERNET])
        )
        self._underlay.send_frame(target, frame, prefix, SIZE_ETHERNET, now)

    def _foreign(
        self, network: Network, frame: SuperFrame, flow: Flow, destination: Mac, now: Now
    ) -> None:
        """Send to the bridge that the host is behind, or to all bridges."""
        config = network.config
        assert config is not None
        decision = self._filter.outbound(network, frame, flow, None, no_tee=False)
        send_copies(self._underlay, network, frame, decision.copies, now)
        if not decision.accepted:
            self._underlay.stats.drop(Drop.FILTERED)
            return
        known = network.bridges.bridge_for(destination)
        if known is not None and known != network.own and network.is_bridge(known):
            bridges: Sequence[Address] = [known]
        else:
            others = [b for b in config.active_bridges if b != network.own]
            bridges = sample(others, MAX_BRIDGES, self._underlay.random_bytes)
        for bridge in bridges:
            again = self._filter.outbound(network, frame, flow, bridge, no_tee=True)
            send_copies(self._underlay, network, frame, again.copies, now)
            if again.accepted:
                self._send_ext(network, frame, bridge, now)

    # -- multicast ---------------------------------------------------------------------------

    def _multicast(
        self,
        network: Network,
        frame: SuperFrame,
        flow: Flow,
        source: Mac,
        *,
        is_bridged: bool,
        now: Now,
    ) -> None:
        config = network.config
        assert config is not None
        destination = Mac(bytes(frame.buffer[0:6]))
        ethertype = int.from_bytes(frame.buffer[12:14], "big")
        self._learn_groups(network, frame, flow, now)
        group = MulticastGroup(destination, 0)
        if destination == BROADCAST_MAC:
            target = arp_target(frame.buffer) if ethertype == ETHERTYPE_ARP else None
            if target is not None:
                group = MulticastGroup(destination, target)
            elif not config.allows_broadcast:
                self._underlay.stats.drop(Drop.FILTERED)
                return
        elif ethertype == ETHERTYPE_IPV6 and config.emulates_ndp:
            answer = answer_solicitation(frame.buffer, network.network_id, network.own, config)
            if answer is not None:
                network.deliveries.append(
                    Delivery(network.network_id, SuperFrame(memoryview(answer)))
                )
                return
        if is_bridged:
            network.learn_bridged_group(group, now)
        if config.multicast_limit == 0:
            self._underlay.stats.drop(Drop.FILTERED)
            return
        decision = self._filter.outbound(network, frame, flow, None, no_tee=False)
        send_copies(self._underlay, network, frame, decision.copies, now)
        if not decision.accepted:
            self._underlay.stats.drop(Drop.FILTERED)
            return
        for piece in [frame] if frame.gso is Gso.NONE else cut_frames(frame):
            self._spread(network, bytes(piece.buffer), group, now)

    def _spread(self, network: Network, frame: bytes, group: MulticastGroup, now: Now) -> None:
        """Send a frame to those who listen, and look for more of them where there are few."""
        config = network.config
        assert config is not None
        limit = config.multicast_limit
        known = network.groups.members(group, now)
        bridges = [b for b in config.active_bridges if b != network.own]
        # Who has shown its papers comes before whom somebody told of: else one member that names
        # listeners that do not exist keeps frames from all that do.
        shown = [m for m in known if m in network.members and m not in bridges]
        told = [m for m in known if m not in network.members and m not in bridges]
        gather = 1 if len(known) >= limit else min(limit - len(known) + 1, MAX_GATHER_LIMIT)
        queued = QueuedFrame(frame, group.adi, limit, now.mono + QUEUED_LIFETIME)
        random_bytes = self._underlay.random_bytes
        others = [*sample(shown, limit, random_bytes), *sample(told, limit, random_bytes)]
        chosen = [*bridges, *others][:limit]
        for member in chosen:
            queued.sent_to.add(member)
            self._send_multicast(network, queued, member, gather, now)
        if len(known) < limit:
            network.groups.queue(group, queued)
            if network.groups.gather_is_due(group, now, is_urgent=not known):
                self._gather(network, group, gather, now)
                network.wake()

    def gather_again(self, network: Network, now: Now) -> None:
        """Ask again for groups to which a frame waits to be sent."""
        for group in network.groups.due_gathers(now):
            if network.config is not None:
                limit = min(network.config.multicast_limit + 1, MAX_GATHER_LIMIT)
                self._gather(network, group, limit, now)

    def _gather(self, network: Network, group: MulticastGroup, limit: int, now: Now) -> None:
        """Ask the roots and the controller who listens."""
        config = network.config
        assert config is not None
        targets = dict.fromkeys([*self._underlay.roots(), network.controller, *config.informed])
        targets.pop(network.own, None)
        writer = Writer()
        MulticastGather(network.network_id, group, limit, config.com).encode(writer)
        for target in list(targets)[:MAX_GATHER_TARGETS]:
            self._underlay.send(
                target, Verb.MULTICAST_GATHER, writer.getvalue(), now, compress=True
            )

    def members_found(
        self,
        network: Network,
        group: MulticastGroup,
        members: Sequence[Address],
        now: Now,
    ) -> None:
        """Note listeners that somebody told us of, no more than asked for; give them what waits."""
        most = network.config.multicast_limit + 1 if network.config is not None else 0
        for member in members[:most]:
            for queued in network.groups.add(group, member, now):
                self.late_member(network, queued, member, now)

    def late_member(self, network: Network, queued: QueuedFrame, member: Address, now: Now) -> None:
        """Send a waiting frame to a listener that turned up."""
        self._send_multicast(network, queued, member, 1, now)

    def _send_multicast(
        self, network: Network, queued: QueuedFrame, member: Address, gather: int, now: Now
    ) -> None:
        config = network.config
        if config is None:
            return
        frame = SuperFrame(memoryview(bytearray(queued.frame)))
        decision = self._filter.outbound(network, frame, parse(frame), member, no_tee=True)
        send_copies(self._underlay, network, frame, decision.copies, now)
        if not decision.accepted:
            self._underlay.stats.drop(Drop.FILTERED)
            return
        self._credentials.push_if_due(network, member, now)
        source = queued.frame[6:12]
        is_bridged = source != network.mac
        writer = Writer()
        writer.push_uint(network.network_id, 8)
        writer.push_uint(_FLAG_GATHER | (_FLAG_SOURCE_MAC if is_bridged else 0), 1)
        writer.push_uint(gather, 4)
        if is_bridged:
            writer.push_bytes(source)
        writer.push_bytes(queued.frame[0:6])
        writer.push_uint(queued.adi, 4)
        writer.push_bytes(queued.frame[12:])
        self._underlay.send(
            member,
            Verb.MULTICAST_FRAME,
            writer.getvalue(),
            now,
            compress=config.compresses_frames,
        )

    def _learn_groups(self, network: Network, frame: SuperFrame, flow: Flow, now: Now) -> None:
        """Take up subscriptions at once from the reports with which a host makes them known."""
        joined, left = port_groups(frame.buffer, flow)
        if joined or left:
            groups = (network.subscriptions | joined) - left
            self._groups.subscribe(network, frozenset(groups), now)


def _with_buffer(frame: SuperFrame, buffer: memoryview) -> SuperFrame:
    return SuperFrame(
        buffer,
        frame.gso,
        frame.header_size,
        frame.segment_size,
        frame.needs_checksum,
        frame.checksum_start,
        frame.checksum_offset,
    )
