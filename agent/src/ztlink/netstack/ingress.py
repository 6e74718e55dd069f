"""The way of a frame in: Ethernet, IP, fragments, and whose protocol it is.

Strangers' bytes raise nothing here: what cannot be is counted, and its sender is told where the
RFCs say so.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ztlink.batch import Gso, SuperFrame
from ztlink.clock import Now
from ztlink.ids import IpAddress, Mac, is_multicast
from ztlink.inet.ether import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    SIZE_ETHERNET,
    ethertype_of,
)
from ztlink.inet.icmp import ICMPV6_NEIGHBOR_ADVERTISEMENT
from ztlink.inet.ip import PROTOCOL_ICMPV6, SIZE_IPV6
from ztlink.inet.ndp import HOP_LIMIT
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.groups import GroupSet
from ztlink.netstack.icmp import PROTOCOL_OF, Icmp
from ztlink.netstack.ipv4 import RefusedError, read_ipv4
from ztlink.netstack.ipv6 import (
    PROTOCOL_NONE,
    Ipv6Packet,
    ParameterProblemError,
    find_upper,
    fragment_key,
    read_ipv6,
)
from ztlink.netstack.packet import Packet
from ztlink.netstack.reassembly import Expired, FragmentKey, Reassembly
from ztlink.netstack.resolver import Resolver
from ztlink.netstack.route import RouteTable
from ztlink.netstack.settings import StackSettings

_ADVERTISEMENT: Final = bytes([ICMPV6_NEIGHBOR_ADVERTISEMENT])
_NO_MAC: Final = Mac(bytes(6))
_GSO_OF_TCP: Final = frozenset((Gso.TCPV4, Gso.TCPV6))

_MAX_KNOWN: Final = 1024

Receiver = Callable[[Packet, int, Now], None]
"""Takes a packet, and the segment size of a super-frame (0 for one frame)."""


class Ingress:
    """Takes the frames of one stack."""

    def __init__(
        self,
        mac: Mac,
        routes: RouteTable,
        groups: GroupSet,
        resolver: Resolver,
        icmp: Icmp,
        settings: StackSettings,
        counters: Counters,
    ) -> None:
        self._mac = mac
        self._routes = routes
        self._groups = groups
        self._resolver = resolver
        self._icmp = icmp
        self._counters = counters
        self._known: dict[bytes, tuple[IpAddress, IpAddress]] = {}
        """Pairs of another's address and ours that have been found good, while we have the same."""
        self._known_with = routes.own
        self.receivers: dict[int, Receiver] = {}
        """What takes packets, by protocol; set by the stack."""
        limits = settings.fragments_size, settings.fragments_timeout
        self.reassembly = Reassembly(*limits, counters)

    def receive(self, frame: SuperFrame, now: Now) -> None:
        """Take a frame or a super-frame; its buffer is borrowed."""
        buffer = frame.buffer
        self._counters.frames_in += 1
        if len(buffer) < SIZE_ETHERNET:
            self._counters.discard(Discard.MALFORMED)
            return
        destination, source = bytes(buffer[:6]), Mac(bytes(buffer[6:12]))
        is_to_group = destination != self._mac
        if is_to_group and destination not in self._groups.macs:
            self._counters.discard(Discard.NOT_OURS)
            return
        if is_multicast(source):
            self._counters.discard(Discard.SPOOFED)
            return
        ethertype = ethertype_of(buffer)
        try:
            if ethertype == ETHERTYPE_IPV4:
                self._receive_ipv4(frame, source, is_to_group=is_to_group, now=now)
            elif ethertype == ETHERTYPE_IPV6:
                self._receive_ipv6(frame, source, is_to_group=is_to_group, now=now)
            elif ethertype == ETHERTYPE_ARP:
                self._resolver.receive_arp(buffer, now)
            else:
                self._counters.discard(Discard.UNKNOWN_ETHERTYPE)
        except RefusedError as refusal:
            self._counters.discard(refusal.reason)

    # -- IPv4 --------------------------------------------------------------------------------

    def _receive_ipv4(
        self, frame: SuperFrame, link_source: Mac, *, is_to_group: bool, now: Now
    ) -> None:
        is_own_work = frame.needs_checksum
        header = read_ipv4(frame.buffer[SIZE_ETHERNET:], is_verified=is_own_work)
        source, destination, is_group = self._addresses(
            IPv4Address, header.source, header.destination, link_source, is_to_group=is_to_group
        )
        payload, protocol, quote = header.payload, header.protocol, header.quote
        if header.is_fragment:
            whole = self.reassembly.add(*header.fragment(), now)
            if whole is None:
                return
            payload, protocol, quote = whole.payload, whole.protocol, whole.quote
        packet = Packet(
            source,
            destination,
            protocol,
            header.ttl,
            payload,
            quote,
            link_source,
            is_group,
            is_own_work,
        )
        self._hand_up(packet, frame, now)

    # -- IPv6 --------------------------------------------------------------------------------

    def _receive_ipv6(
        self, frame: SuperFrame, link_source: Mac, *, is_to_group: bool, now: Now
    ) -> None:
        header = read_ipv6(frame.buffer[SIZE_ETHERNET:])
        source, destination, is_group = self._addresses(
            IPv6Address,
            header.source,
            header.destination,
            link_source,
            is_to_group=is_to_group,
            may_be_ours=_is_advertisement(header),  # it may tell that another has our address
        )
        packet = Packet(
            source,
            destination,
            header.next_header,
            header.hop_limit,
            header.whole[SIZE_IPV6:],
            header.whole,
            link_source,
            is_group,
            frame.needs_checksum,
        )
        try:
            if self._find_payload(packet, header, now):
                self._hand_up(packet, frame, now)
        except ParameterProblemError as problem:
            self._counters.discard(problem.reason)
            self._icmp.parameter_problem(
                packet,
                problem.code,
                problem.pointer,
                now,
                answers_groups=problem.answers_groups,
            )

    def _find_payload(self, packet: Packet, header: Ipv6Packet, now: Now) -> bool:
        """Pass over extension headers; False where fragments are missing."""
        upper = find_upper(header.whole, header.next_header, SIZE_IPV6)
        packet.protocol, packet.payload = upper.protocol, header.whole[upper.offset :]
        if upper.fragment is None:
            return True
        key = fragment_key(header, upper.identification)
        whole = self.reassembly.add(key, upper.fragment, now)
        if whole is None:
            return False
        inner = find_upper(whole.payload, whole.protocol, 0)
        if inner.fragment is not None:
            raise RefusedError(Discard.BAD_FRAGMENT)
        packet.protocol, packet.payload = inner.protocol, whole.payload[inner.offset :]
        packet.quote = whole.quote
        return True

    # -- both --------------------------------------------------------------------------------

    def _addresses(
        self,
        kind: type[IPv4Address] | type[IPv6Address],
        source: bytes,
        destination: bytes,
        link_source: Mac,
        *,
        is_to_group: bool,
        may_be_ours: bool = False,
    ) -> tuple[IpAddress, IpAddress, bool]:
        """Return source and destination, and whether that is a group of ours; or refuse them."""
        if self._known_with is not self._routes.own:
            self._known.clear()
            self._known_with = self._routes.own
        pair = None if is_to_group else self._known.get(source + destination)
        if pair is not None:
            return (*pair, False)
        sender, receiver = kind(source), kind(destination)
        if not may_be_ours:
            self._check_source(sender, source, link_source)
        is_group = self._is_group(receiver, destination, is_to_group=is_to_group)
        if not (is_group or may_be_ours or source in self._routes.own):
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[source + destination] = sender, receiver
        return sender, receiver, is_group

    def _check_source(self, source: IpAddress, packed: bytes, link_source: Mac) -> None:
        """Refuse what nobody can have sent: groups, all, and ourselves but from our own MAC."""
        is_ours = packed in self._routes.own and link_source != self._mac
        if is_ours or source.is_multicast or source.is_loopback:
            raise RefusedError(Discard.SPOOFED)
        if self._routes.is_broadcast(source) or (source.version == 4 and source.is_unspecified):
            raise RefusedError(Discard.SPOOFED)

    def _is_group(self, destination: IpAddress, packed: bytes, *, is_to_group: bool) -> bool:
        """Tell whether a packet is for a group that we listen to; refuse what is not for us."""
        if packed in self._routes.own:
            if is_to_group:  # a group's MAC makes no group of one address (RFC 1122 3.3.6)
                raise RefusedError(Discard.NOT_OURS)
            return False
        if destination in self._groups.ips or self._routes.is_broadcast(destination):
            return True
        raise RefusedError(Discard.NOT_OURS)

    def _hand_up(self, packet: Packet, frame: SuperFrame, now: Now) -> None:
        receiver = self.receivers.get(packet.protocol)
        if receiver is None and packet.protocol == PROTOCOL_OF[packet.source.version]:
            self._icmp.receive(packet, now)
        elif packet.source.is_unspecified:
            self._counters.discard(Discard.SPOOFED)
        elif receiver is not None:
            is_joined = frame.gso and frame.gso in _GSO_OF_TCP
            receiver(packet, frame.segment_size if is_joined else 0, now)
        elif packet.protocol != PROTOCOL_NONE:
            self._counters.discard(Discard.UNKNOWN_PROTOCOL)
            self._icmp.unknown_protocol(packet, now)

    # -- time --------------------------------------------------------------------------------

    def handle_timer(self, now: Now) -> None:
        """Give up on fragments, and tell their senders."""
        for expired in self.reassembly.expire(now):
            self._icmp.reassembly_timeout(self._as_packet(expired.key, expired), now)

    def _as_packet(self, key: FragmentKey, expired: Expired) -> Packet:
        source: IpAddress
        destination: IpAddress
        if len(key.source) == 4:
            source, destination = IPv4Address(key.source), IPv4Address(key.destination)
        else:
            source, destination = IPv6Address(key.source), IPv6Address(key.destination)
        is_group = key.destination not in self._routes.own
        empty = memoryview(b"")
        return Packet(
            source, destination, PROTOCOL_NONE, 0, empty, expired.quote, _NO_MAC, is_group
        )


def _is_advertisement(header: Ipv6Packet) -> bool:
    """Tell whether a packet is a neighbour advertisement that passed no router."""
    if header.next_header != PROTOCOL_ICMPV6 or header.hop_limit != HOP_LIMIT:
        return False
    return header.whole[SIZE_IPV6 : SIZE_IPV6 + 1] == _ADVERTISEMENT
