"""ARP (RFC 826) and neighbour discovery (RFC 4861) in words; the cache decides what they mean.

On a ZeroTier network a question travels as multicast to the group of the address asked for: the
node makes that group of what an ARP request or a solicitation says, and answers solicitations for
derived IPv6 addresses itself. So the frames here are those that a kernel would send.

A message must say by whom it was sent: the MAC in it is that of its frame, which the node has
checked against the member that sent it.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ztlink.clock import Now
from ztlink.errors import WireError
from ztlink.ids import BROADCAST_MAC, IpAddress, Mac, is_multicast
from ztlink.inet.arp import ARP_REPLY, ARP_REQUEST, Arp
from ztlink.inet.ether import ETHERTYPE_ARP, ETHERTYPE_IPV6, SIZE_ETHERNET, group_mac
from ztlink.inet.ndp import (
    ALL_NODES,
    HOP_LIMIT,
    UNSPECIFIED,
    Advertisement,
    Solicitation,
    neighbor_advertisement,
    neighbor_solicitation,
    solicited_node,
)
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.events import AddressConflict
from ztlink.netstack.neighbor import NeighborCache, Parcel
from ztlink.netstack.packet import Packet
from ztlink.netstack.route import RouteTable
from ztlink.netstack.settings import StackSettings

CONFLICT_INTERVAL: Final = 10.0
"""Between two reports of one conflict, and between two defences (RFC 5227 2.4)."""
NO_IP: Final = IPv4Address(0)
NO_MAC: Final = Mac(bytes(6))


class Resolver:
    """Finds neighbours, and lets neighbours find us."""

    def __init__(
        self,
        mac: Mac,
        routes: RouteTable,
        settings: StackSettings,
        counters: Counters,
        *,
        send: Callable[[bytes], None],
        release: Callable[[list[Parcel], Mac], None],
        emit: Callable[[AddressConflict], None],
    ) -> None:
        """Make it; `send` takes whole frames, `release` what waited for a MAC."""
        self._mac = mac
        self._routes = routes
        self._counters = counters
        self._send = send
        self._release = release
        self._emit = emit
        self._conflicts: dict[IpAddress, float] = {}
        """When each was last reported."""
        self.cache = NeighborCache(self._solicit, settings, counters)

    # -- ours --------------------------------------------------------------------------------

    def probe(self, ip: IpAddress) -> None:
        """Ask whether somebody else has an address of ours (RFC 5227 2.1.1, RFC 4862 5.4.2)."""
        if isinstance(ip, IPv4Address):
            self._send_arp(Arp(ARP_REQUEST, self._mac, NO_IP, NO_MAC, ip), BROADCAST_MAC)
        else:
            group = solicited_node(ip)
            packet = neighbor_solicitation(ip, UNSPECIFIED, group, None)
            self._send_ndp(packet, group_mac(group))

    def _solicit(self, ip: IpAddress, mac: Mac | None, now: Now) -> None:
        source = self._routes.source_for(ip)
        if isinstance(ip, IPv4Address) and isinstance(source, IPv4Address):
            question = Arp(ARP_REQUEST, self._mac, source, NO_MAC, ip)
            self._send_arp(question, mac or BROADCAST_MAC)
        elif isinstance(ip, IPv6Address) and isinstance(source, IPv6Address):
            destination = ip if mac else solicited_node(ip)
            packet = neighbor_solicitation(ip, source, destination, self._mac)
            self._send_ndp(packet, mac or group_mac(destination))

    def _send_arp(self, arp: Arp, to: Mac) -> None:
        self._send(to + self._mac + ETHERTYPE_ARP.to_bytes(2, "big") + arp.encode())

    def _send_ndp(self, packet: bytes, to: Mac) -> None:
        self._send(to + self._mac + ETHERTYPE_IPV6.to_bytes(2, "big") + packet)

    # -- ARP ---------------------------------------------------------------------------------

    def receive_arp(self, frame: memoryview, now: Now) -> None:
        """Take a frame with an ARP packet."""
        try:
            arp = Arp.decode(frame[SIZE_ETHERNET:])
        except WireError:
            self._counters.discard(Discard.BAD_NEIGHBOR)
            return
        if arp.sender_mac != bytes(frame[6:12]) or not self._is_neighbor(
            arp.sender_ip, arp.sender_mac
        ):
            self._counters.discard(Discard.BAD_NEIGHBOR)
            return
        if self._routes.is_own(arp.sender_ip):
            self._conflict(arp.sender_ip, arp.sender_mac, now)
            return
        is_for_us = self._routes.is_own(arp.target_ip)
        if arp.operation == ARP_REQUEST and is_for_us:
            self._send_arp(
                Arp(ARP_REPLY, self._mac, arp.target_ip, arp.sender_mac, arp.sender_ip),
                arp.sender_mac,
            )
            if arp.sender_ip == NO_IP:
                self._conflict(arp.target_ip, arp.sender_mac, now)
            else:
                self._asked_us(arp.sender_ip, arp.sender_mac, now)
        elif arp.operation == ARP_REPLY and is_for_us and arp.target_mac == self._mac:
            answered = self.cache.answered(arp.sender_ip, arp.sender_mac, now)
            self._release(answered, arp.sender_mac)
        else:
            self.cache.claimed(arp.sender_ip, arp.sender_mac, now)

    def _is_neighbor(self, ip: IPv4Address | IPv6Address, mac: Mac) -> bool:
        """Tell whether this address may be said to be at this MAC."""
        if is_multicast(mac) or mac == self._mac or mac == NO_MAC:
            return False
        return not (ip.is_multicast or ip.is_loopback or self._routes.is_broadcast(ip))

    def _asked_us(self, ip: IpAddress, mac: Mac, now: Now) -> None:
        if self._routes.is_on_link(ip):
            self._release(self.cache.asked_us(ip, mac, now), mac)

    # -- neighbour discovery -----------------------------------------------------------------

    def receive_solicitation(self, packet: Packet, now: Now) -> None:
        """Take a neighbour solicitation; its checksum is good."""
        source, destination = packet.source, packet.destination
        assert isinstance(source, IPv6Address)
        try:
            question = Solicitation.decode(packet.payload)
        except WireError:
            self._counters.discard(Discard.BAD_NEIGHBOR)
            return
        is_probe = source.is_unspecified
        if (
            packet.hop_limit != HOP_LIMIT
            or not self._is_neighbor(source, packet.link_source)
            or (is_probe and question.mac is not None)
            or (is_probe and destination != solicited_node(question.target))
            or (question.mac is not None and question.mac != packet.link_source)
        ):
            self._counters.discard(Discard.BAD_NEIGHBOR)
            return
        if not self._routes.is_own(question.target):
            self._counters.discard(Discard.NOT_OURS)
            return
        if is_probe:
            self._conflict(question.target, packet.link_source, now)
            return
        answer = neighbor_advertisement(question.target, source, self._mac)
        self._send_ndp(answer, packet.link_source)
        if question.mac is not None:
            self._asked_us(source, question.mac, now)

    def receive_advertisement(self, packet: Packet, now: Now) -> None:
        """Take a neighbour advertisement; its checksum is good."""
        try:
            statement = Advertisement.decode(packet.payload)
        except WireError:
            self._counters.discard(Discard.BAD_NEIGHBOR)
            return
        mac = statement.mac or packet.link_source
        if (
            packet.hop_limit != HOP_LIMIT
            or mac != packet.link_source
            or packet.source.is_unspecified
            or not self._is_neighbor(statement.target, mac)
            or (packet.is_to_group and statement.is_solicited)
        ):
            self._counters.discard(Discard.BAD_NEIGHBOR)
            return
        if self._routes.is_own(statement.target):
            self._conflict(statement.target, mac, now)
        elif statement.is_solicited:
            self._release(self.cache.answered(statement.target, mac, now), mac)
        else:
            self.cache.claimed(statement.target, mac, now)

    # -- conflicts ---------------------------------------------------------------------------

    def _conflict(self, ip: IpAddress, mac: Mac, now: Now) -> None:
        """Report that somebody uses an address of ours, and say that it is ours."""
        if now.mono - self._conflicts.get(ip, float("-inf")) < CONFLICT_INTERVAL:
            return
        self._conflicts[ip] = now.mono
        self._emit(AddressConflict(ip, mac))
        if isinstance(ip, IPv4Address):
            self._send_arp(Arp(ARP_REQUEST, self._mac, ip, NO_MAC, ip), BROADCAST_MAC)
        else:
            answer = neighbor_advertisement(ip, ALL_NODES, self._mac, is_solicited=False)
            self._send_ndp(answer, group_mac(ALL_NODES))

    def addresses_changed(self) -> None:
        """Forget what was known of neighbours and conflicts."""
        self.cache.clear()
        self._conflicts.clear()
