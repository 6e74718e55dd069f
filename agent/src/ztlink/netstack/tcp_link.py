"""Joins TCP to what is below it: packets become segments, super-segments become frames."""

import errno
from collections.abc import Callable
from functools import partial
from typing import Final

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.errors import StackError
from ztlink.ids import Endpoint, IpAddress, Mac
from ztlink.inet.ip import (
    OFFSET_IPV4_SOURCE,
    OFFSET_IPV6_SOURCE,
    SIZE_IPV4,
    SIZE_IPV6,
    VERSION_4,
)
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.egress import Egress
from ztlink.netstack.events import ConnectionId, ListenerId, Reason, TcpEvent
from ztlink.netstack.neighbor import Parcel
from ztlink.netstack.packet import Packet
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.quoted import Quoted
from ztlink.netstack.route import MAX_WAYS, RouteTable, Way
from ztlink.netstack.segment import SIZE_FLOW_V4, Outgoing
from ztlink.netstack.settings import StackSettings
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp_frames import quoted_segment, read_segment, write_frame

_NO_MAC: Final = Mac(bytes(6))


class TcpLink:
    """The TCP of one stack."""

    def __init__(
        self,
        routes: RouteTable,
        egress: Egress,
        mtus: PathMtus,
        settings: StackSettings,
        counters: Counters,
        emit: Callable[[TcpEvent], None],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._routes = routes
        self._egress = egress
        self._counters = counters
        self._hop_limit = settings.hop_limit
        self._known: dict[bytes, Way] = {}
        """Ways of flows, while we have the same addresses and routes."""
        self._known_with = routes.own
        self.layer = TcpLayer(
            emit,
            lambda remote: mtus.get(remote.ip),
            random_bytes=random_bytes,
            settings=settings.tcp,
        )

    # -- verbs -------------------------------------------------------------------------------

    def connect(self, remote: Endpoint, local: Endpoint | None, now: Now) -> ConnectionId:
        """Begin to connect, from the address that fits if none is given."""
        source = None if local is None or local.ip.is_unspecified else local.ip
        if source is not None:
            self._require_own(source)
        way = self._routes.way(remote.ip, source)
        if way is None:
            raise StackError(errno.ENETUNREACH, f"no route of the network leads to {remote.ip}")
        if way.is_to_group or remote.port == 0:
            raise StackError(errno.EINVAL, f"{remote}: nobody can be connected to there")
        port = 0 if local is None else local.port
        return self.layer.connect(Endpoint(way.source, port), remote, now)

    def listen(self, local: Endpoint, backlog: int, now: Now) -> ListenerId:
        """Begin to listen; an unspecified address stands for all of its version."""
        if not local.ip.is_unspecified:
            self._require_own(local.ip)
        return self.layer.listen(local, backlog, now)

    def _require_own(self, ip: IpAddress) -> None:
        if not self._routes.is_own(ip):
            raise StackError(errno.EADDRNOTAVAIL, f"{ip} is no address of ours on the network")

    # -- in ----------------------------------------------------------------------------------

    def receive(self, packet: Packet, segment_size: int, now: Now) -> None:
        """Take a packet; TCP is spoken between two, never with groups."""
        if packet.is_to_group:
            self._counters.discard(Discard.NOT_OURS)
            return
        header = packet.quote
        is_v4 = header[0] >> 4 == VERSION_4
        addresses = bytes(
            header[OFFSET_IPV4_SOURCE:SIZE_IPV4] if is_v4 else header[OFFSET_IPV6_SOURCE:SIZE_IPV6]
        )
        segment = read_segment(
            addresses, packet.payload, segment_size=segment_size, is_verified=packet.is_verified
        )
        self.layer.receive(segment, now)

    def failed(self, quoted: Quoted, reason: Reason, now: Now) -> bool:
        """Take an error about a segment; whether it is believed is TCP's matter."""
        local, remote, sequence = quoted_segment(quoted)
        self.layer.soft_error(local, remote, reason, sequence, now)
        return True

    def too_big(self, quoted: Quoted, mtu: int, now: Now) -> bool:
        """Take what the way carries of a segment; whether it is believed is TCP's matter."""
        local, remote, sequence = quoted_segment(quoted)
        self.layer.path_mtu(local, remote, mtu, sequence, now)
        return True

    # -- out ---------------------------------------------------------------------------------

    def pull(self, limit: int, now: Now) -> list[SuperFrame]:
        """Make frames of about `limit` bytes; what waits for a neighbour is not among them."""
        frames = []
        for outgoing in self.layer.transmits(limit, now):
            frame = self._frame(outgoing, now)
            if frame is not None:
                frames.append(frame)
        return frames

    def _frame(self, outgoing: Outgoing, now: Now) -> SuperFrame | None:
        remote = outgoing.remote
        way = self._way(outgoing)
        if way is None:
            self._counters.discard(Discard.NO_ROUTE)
            self._lost(outgoing, Reason.NETWORK_UNREACHABLE, now)
            return None
        mac = self._egress.mac_for(way, remote.ip, now)
        ethernet = self._egress.header_for(4 if len(outgoing.flow) == SIZE_FLOW_V4 else 6)
        frame = write_frame(outgoing, mac or _NO_MAC, ethernet, self._hop_limit)
        if mac is not None:
            return frame
        outgoing.payload = ()  # borrowed
        on_failure = partial(self._lost, outgoing, Reason.HOST_UNREACHABLE)
        self._egress.cache.wait(Parcel([frame], way.next_hop, on_failure))
        return None

    def _way(self, outgoing: Outgoing) -> Way | None:
        """Return how a flow is sent from an address that is ours; None where there is no way."""
        routes = self._routes
        if self._known_with is not routes.own:
            self._known.clear()
            self._known_with = routes.own
        way = self._known.get(outgoing.flow)
        if way is None and routes.is_own(outgoing.local.ip):
            way = routes.way(outgoing.remote.ip)
            if way is not None:
                if len(self._known) >= MAX_WAYS:
                    self._known.clear()
                self._known[outgoing.flow] = way
        return way

    def _lost(self, outgoing: Outgoing, reason: Reason, now: Now) -> None:
        self.layer.soft_error(outgoing.local, outgoing.remote, reason, outgoing.sequence, now)
