"""A machine on the port of a network: ARP, neighbour discovery, ping, UDP; just enough of each.

It asks for a neighbour three times, a second apart, as Linux does (one that it knows it asks itself
before it asks everybody), and holds back what waits for the answer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import Final

from tests.sim.packets import (
    PROTOCOL_ICMP,
    PROTOCOL_ICMPV6,
    PROTOCOL_UDP,
    checksum,
    covered,
    group_of,
    ip_packet,
    solicited_node,
    with_checksum,
)
from tests.sim.schedule import Appointment, Schedule
from ztlink.batch import Gso, SuperFrame
from ztlink.ids import BROADCAST_MAC, IpAddress, IpInterface, Mac, MulticastGroup

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD
NEIGHBOUR_TRIES: Final = 3
NEIGHBOUR_INTERVAL: Final = 1.0
NEIGHBOUR_LIFETIME: Final = 30.0
MAX_WAITING: Final = 16

_ARP: Final = Struct("!HHBBH6s4s6s4s")
_UDP: Final = Struct("!HHHH")
_NEIGHBOUR: Final = Struct("!BBHI16sBB6s")


@dataclass(slots=True)
class Ping:
    """One echo request, and when it was answered."""

    destination: IpAddress
    sent: float
    answered: float | None = None

    @property
    def round_trip(self) -> float | None:
        """Seconds; None while there is no answer."""
        return None if self.answered is None else self.answered - self.sent


@dataclass(slots=True)
class _Neighbour:
    mac: Mac | None = None
    learned: float = float("-inf")
    tries: int = 0
    timer: Appointment | None = None
    waiting: list[tuple[int, bytes]] = field(default_factory=list)


class EthernetHost:
    """What sits behind a port: frames in and out, with `send_frame` as the wire."""

    def __init__(
        self, mac: Mac, schedule: Schedule, send_frame: Callable[[SuperFrame], None]
    ) -> None:
        self.mac = mac
        self.interfaces: tuple[IpInterface, ...] = ()
        self.datagrams: list[tuple[IpAddress, int, bytes]] = []
        """UDP datagrams that came: source, destination port, payload."""
        self.frames_received = 0
        self.bad_frames = 0
        """Frames that no machine should get: a wrong checksum, a length that does not fit."""
        self._schedule = schedule
        self._send_frame = send_frame
        self._neighbours: dict[IpAddress, _Neighbour] = {}
        self._pings: dict[int, Ping] = {}

    def configure(self, interfaces: Iterable[IpInterface]) -> frozenset[MulticastGroup]:
        """Take addresses; return the groups that the machine listens to from now on."""
        self.interfaces = tuple(interfaces)
        groups = {group_of(interface.ip) for interface in self.interfaces}
        groups.add(MulticastGroup(Mac(bytes.fromhex("01005e000001"))))
        groups.add(MulticastGroup(Mac(bytes.fromhex("333300000001"))))
        return frozenset(groups)

    def address(self, version: int) -> IpAddress | None:
        """Return the first address of a family."""
        return next((i.ip for i in self.interfaces if i.version == version), None)

    def forget_neighbours(self) -> None:
        """Empty the tables of neighbours."""
        for neighbour in self._neighbours.values():
            if neighbour.timer is not None:
                neighbour.timer.cancel()
        self._neighbours.clear()

    # -- sending -----------------------------------------------------------------------------

    def ping(self, destination: IpAddress, size: int = 56) -> Ping:
        """Send an echo request."""
        number = len(self._pings)
        ping = self._pings[number] = Ping(destination, self._schedule.time)
        kind = 8 if destination.version == 4 else 128
        self._send_echo(kind, destination, number.to_bytes(4, "big"), bytes(size))
        return ping

    def send_udp(self, destination: IpAddress, port: int, payload: bytes) -> None:
        """Send a UDP datagram."""
        length = _UDP.size + len(payload)
        header = _UDP.pack(40_000, port, length, 0)
        source = self.address(destination.version)
        if source is not None:
            total = checksum(covered(source, destination, PROTOCOL_UDP, header + payload))
            header = _UDP.pack(40_000, port, length, total or 0xFFFF)
            self._send_ip(destination, PROTOCOL_UDP, header + payload)

    def send_udp_burst(
        self, destination: IpAddress, port: int, payload: bytes, segment_size: int
    ) -> bool:
        """Send UDP datagrams as one super-frame to a known neighbour; tell whether it is known."""
        source = self.address(destination.version)
        neighbour = self._neighbours.get(destination)
        if source is None or neighbour is None or neighbour.mac is None:
            return False
        header = _UDP.pack(40_000, port, _UDP.size + len(payload), 0)
        # The kernel leaves the pseudo header's sum, not complemented, in the checksum's place.
        pseudo = covered(source, destination, PROTOCOL_UDP, header + payload)[: -len(payload) - 8]
        header = header[:6] + (~checksum(pseudo) & 0xFFFF).to_bytes(2, "big")
        packet = ip_packet(source, destination, PROTOCOL_UDP, header + payload)
        ethertype = ETHERTYPE_IPV4 if destination.version == 4 else ETHERTYPE_IPV6
        frame = neighbour.mac + self.mac + ethertype.to_bytes(2, "big") + packet
        checksum_start = len(frame) - len(payload) - _UDP.size
        self._send_frame(
            SuperFrame(
                memoryview(bytearray(frame)),
                gso=Gso.UDP_L4,
                header_size=checksum_start + _UDP.size,
                segment_size=segment_size,
                needs_checksum=True,
                checksum_start=checksum_start,
                checksum_offset=6,
            )
        )
        return True

    def _send_echo(self, kind: int, destination: IpAddress, tag: bytes, payload: bytes) -> None:
        identifier, sequence = tag[:2], tag[2:]
        body = bytes([kind, 0, 0, 0]) + identifier + sequence + payload
        protocol = PROTOCOL_ICMP if destination.version == 4 else PROTOCOL_ICMPV6
        source = self.address(destination.version)
        if source is None:
            return
        total = checksum(covered(source, destination, protocol, body))
        self._send_ip(destination, protocol, with_checksum(body, total))

    def _send_ip(self, destination: IpAddress, protocol: int, body: bytes) -> None:
        source = self.address(destination.version)
        if source is None:
            return
        packet = ip_packet(source, destination, protocol, body)
        ethertype = ETHERTYPE_IPV4 if destination.version == 4 else ETHERTYPE_IPV6
        neighbour = self._neighbours.setdefault(destination, _Neighbour())
        if neighbour.mac is not None:
            self._emit(neighbour.mac, ethertype, packet)
            age = self._schedule.time - neighbour.learned
            if age < NEIGHBOUR_LIFETIME or neighbour.timer is not None:
                return
        else:
            del neighbour.waiting[: max(0, len(neighbour.waiting) - MAX_WAITING + 1)]
            neighbour.waiting.append((ethertype, packet))
        if neighbour.timer is None:
            neighbour.tries = 0
            self._solicit(destination, neighbour)

    def _emit(self, destination: Mac, ethertype: int, payload: bytes) -> None:
        frame = destination + self.mac + ethertype.to_bytes(2, "big") + payload
        self._send_frame(SuperFrame(memoryview(bytearray(frame))))

    # -- neighbours --------------------------------------------------------------------------

    def _solicit(self, ip: IpAddress, neighbour: _Neighbour) -> None:
        neighbour.timer = None
        limit = NEIGHBOUR_TRIES if neighbour.mac is None else 2 * NEIGHBOUR_TRIES
        if neighbour.tries >= limit:
            del self._neighbours[ip]
            return
        ask_alone = neighbour.mac if neighbour.tries < NEIGHBOUR_TRIES else None
        neighbour.tries += 1
        neighbour.timer = self._schedule.after(
            NEIGHBOUR_INTERVAL, lambda: self._solicit(ip, neighbour)
        )
        source = self.address(ip.version)
        if source is None:
            return
        if isinstance(ip, IPv4Address):
            request = _ARP.pack(1, 0x800, 6, 4, 1, self.mac, source.packed, bytes(6), ip.packed)
            self._emit(ask_alone or BROADCAST_MAC, ETHERTYPE_ARP, request)
        else:
            target = ip if ask_alone else solicited_node(ip)
            body = _NEIGHBOUR.pack(135, 0, 0, 0, ip.packed, 1, 1, self.mac)
            total = checksum(covered(source, target, PROTOCOL_ICMPV6, body))
            body = with_checksum(body, total)
            packet = ip_packet(source, target, PROTOCOL_ICMPV6, body)
            self._emit(ask_alone or group_of(ip).mac, ETHERTYPE_IPV6, packet)

    def _learn(self, ip: IpAddress, mac: Mac, *, is_new_welcome: bool = False) -> None:
        neighbour = self._neighbours.get(ip)
        if neighbour is None:
            if not is_new_welcome:
                return
            neighbour = self._neighbours[ip] = _Neighbour()
        neighbour.mac, neighbour.learned = mac, self._schedule.time
        if neighbour.timer is not None:
            neighbour.timer.cancel()
            neighbour.timer = None
        waiting, neighbour.waiting = neighbour.waiting, []
        for ethertype, packet in waiting:
            self._emit(mac, ethertype, packet)

    # -- receiving ---------------------------------------------------------------------------

    def receive_frame(self, frame: bytes) -> None:
        """Take a frame from the wire."""
        self.frames_received += 1
        destination, source = frame[:6], Mac(frame[6:12])
        if destination != self.mac and not destination[0] & 1:
            self.bad_frames += 1
            return
        payload = frame[14:]
        match int.from_bytes(frame[12:14], "big"):
            case 0x0806:
                self._receive_arp(payload)
            case 0x0800:
                self._receive_ipv4(payload)
            case 0x86DD:
                self._receive_ipv6(payload, source)

    def _owns(self, ip: IpAddress) -> bool:
        return any(interface.ip == ip for interface in self.interfaces)

    def _receive_arp(self, payload: bytes) -> None:
        if len(payload) < _ARP.size:
            self.bad_frames += 1
            return
        _, _, _, _, operation, mac, sender, _, target = _ARP.unpack_from(payload)
        is_for_us = operation == 1 and self._owns(IPv4Address(target))
        self._learn(IPv4Address(sender), Mac(mac), is_new_welcome=is_for_us)
        if is_for_us:
            answer = _ARP.pack(1, 0x800, 6, 4, 2, self.mac, target, mac, sender)
            self._emit(Mac(mac), ETHERTYPE_ARP, answer)

    def _receive_ipv4(self, packet: bytes) -> None:
        length = int.from_bytes(packet[2:4], "big")
        if len(packet) < length or checksum(packet[:20]) != 0:
            self.bad_frames += 1
            return
        source, destination = ip_address(packet[12:16]), ip_address(packet[16:20])
        if self._owns(destination):
            self._receive_payload(source, destination, packet[9], packet[20:length])

    def _receive_ipv6(self, packet: bytes, mac: Mac) -> None:
        length = 40 + int.from_bytes(packet[4:6], "big")
        if len(packet) < length:
            self.bad_frames += 1
            return
        source, destination = ip_address(packet[8:24]), ip_address(packet[24:40])
        body = packet[40:length]
        if packet[6] == PROTOCOL_ICMPV6 and body[0] in (135, 136):
            self._receive_neighbour(source, destination, body, mac)
        elif self._owns(destination):
            self._receive_payload(source, destination, packet[6], body)

    def _receive_neighbour(
        self, source: IpAddress, destination: IpAddress, body: bytes, mac: Mac
    ) -> None:
        if checksum(covered(source, destination, PROTOCOL_ICMPV6, body)) != 0:
            self.bad_frames += 1
            return
        target = IPv6Address(body[8:24])
        if body[0] == 136:
            self._learn(target, Mac(body[26:32]) if len(body) >= 32 else mac)
            return
        self._learn(source, mac, is_new_welcome=self._owns(target))
        if self._owns(target):
            answer = _NEIGHBOUR.pack(136, 0, 0, 0x6000_0000, target.packed, 2, 1, self.mac)
            total = checksum(covered(target, source, PROTOCOL_ICMPV6, answer))
            packet = ip_packet(target, source, PROTOCOL_ICMPV6, with_checksum(answer, total))
            self._emit(mac, ETHERTYPE_IPV6, packet)

    def _receive_payload(
        self, source: IpAddress, destination: IpAddress, protocol: int, body: bytes
    ) -> None:
        if checksum(covered(source, destination, protocol, body)) != 0:
            self.bad_frames += 1
        elif protocol == PROTOCOL_UDP:
            self.datagrams.append((source, int.from_bytes(body[2:4], "big"), body[_UDP.size :]))
        elif body[0] in (8, 128):
            self._send_echo(0 if body[0] == 8 else 129, source, body[4:8], body[8:])
        elif body[0] in (0, 129):
            ping = self._pings.get(int.from_bytes(body[4:8], "big"))
            if ping is not None and ping.answered is None and ping.destination == source:
                ping.answered = self._schedule.time
