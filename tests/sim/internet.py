"""Hosts, the segments that they are on, NAT boxes between segments, and firewalls.

A datagram leaves by its host's uplink, crosses the segment, and arrives by the receiver's
downlink. What a LAN does not know goes to its gateway: a NAT box, which is itself attached to
another segment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from tests.sim.link import DEFAULT_TTL, Datagram, Link
from tests.sim.nat import Nat
from tests.sim.schedule import Schedule
from ztlink.batch import MAX_TRAIN_DATAGRAMS, MAX_TRAIN_SIZE, Train, Transmit
from ztlink.ids import ALL_SOCKETS, Endpoint, IpAddress, SocketId

Receiver = Callable[[Train], None]


class Station(Protocol):
    """Whatever may be attached to a segment."""

    name: str
    up: Link
    down: Link

    def arrive(self, datagram: Datagram) -> None:
        """Take a datagram from the segment."""


class Segment:
    """A LAN, or the Internet: stations that reach each other by IP address."""

    def __init__(
        self, schedule: Schedule, chance: Random, *, backbone: Link, routers: int = 0
    ) -> None:
        self.backbone = backbone
        self.routers = routers
        """Routers between any two stations: what the time to live counts."""
        self.gateway: Station | None = None
        self.unroutable = 0
        self.expired = 0
        """Datagrams whose time to live ended here."""
        self._schedule = schedule
        self._chance = chance
        self._stations: dict[IpAddress, Station] = {}
        self._holes: dict[tuple[str, str], None] = {}

    def attach(self, station: Station, ip: IpAddress) -> None:
        """Have an address belong to a station."""
        assert ip not in self._stations, f"{ip} is taken"
        self._stations[ip] = station

    def detach(self, ip: IpAddress) -> None:
        """Have an address belong to nobody."""
        del self._stations[ip]

    def break_path(self, a: str, b: str, *, one_way: bool = False) -> None:
        """Make a black hole between two stations, from the first to the second or both ways."""
        self._holes[a, b] = None
        if not one_way:
            self._holes[b, a] = None

    def mend_path(self, a: str, b: str) -> None:
        """Let two stations reach each other again."""
        self._holes.pop((a, b), None)
        self._holes.pop((b, a), None)

    def send(self, sender: Station, datagram: Datagram) -> None:
        """Carry a datagram from one station to another, through all that may happen to it."""
        station = self._stations.get(datagram.destination.ip, self.gateway)
        if station is None or station is sender:
            self.unroutable += 1
            return
        if (sender.name, station.name) in self._holes:
            self.backbone.lost += 1
            return
        survivor = datagram.after_routers(self.routers)
        if survivor is None:
            self.expired += 1
            return
        receiver, schedule = station, self._schedule
        for departed in sender.up.arrivals(survivor, schedule.time, self._chance):
            for crossed in self.backbone.arrivals(survivor, departed, self._chance):
                schedule.at(crossed, lambda: self._hand_over(receiver, survivor))

    def _hand_over(self, receiver: Station, datagram: Datagram) -> None:
        now = self._schedule.time
        for arrival in receiver.down.arrivals(datagram, now, self._chance):
            if arrival > now:
                self._schedule.at(arrival, lambda: receiver.arrive(datagram))
            else:
                receiver.arrive(datagram)


class Gateway:
    """A NAT box: the gateway of one segment, a station of another."""

    def __init__(
        self, name: str, nat: Nat, inside: Segment, outside: Segment, schedule: Schedule
    ) -> None:
        self.name = name
        self.nat = nat
        self.up = Link()
        self.down = Link()
        self.inside = inside
        self.outside = outside
        self._schedule = schedule
        self._inner = _InnerSide(self)
        inside.gateway = self._inner
        outside.attach(self, nat.outside)

    def arrive(self, datagram: Datagram) -> None:
        """Take a datagram from outside."""
        survivor = datagram.after_routers(1)
        inward = self.nat.inward(survivor, self._schedule.time) if survivor else None
        if inward is not None:
            self.inside.send(self._inner, inward)

    def leave(self, datagram: Datagram) -> None:
        """Take a datagram from inside."""
        survivor = datagram.after_routers(1)
        if survivor is None:
            return
        outward = self.nat.outward(survivor, self._schedule.time)
        if outward.destination.ip != self.nat.outside:
            self.outside.send(self, outward)
        elif self.nat.has_hairpin:
            inward = self.nat.inward(outward, self._schedule.time)
            if inward is not None:
                self.inside.send(self._inner, inward)

    def renumber(self, ip: IpAddress) -> None:
        """Get another address outside, as a provider gives one every night."""
        self.outside.detach(self.nat.outside)
        self.nat.renumber(ip)
        self.outside.attach(self, ip)


class _InnerSide:
    """How the stations inside see their gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.name = gateway.name
        self.up = Link()
        self.down = Link()
        self._gateway = gateway

    def arrive(self, datagram: Datagram) -> None:
        """Take a datagram that the segment has nobody for."""
        self._gateway.leave(datagram)


@dataclass(slots=True)
class Firewall:
    """What a host lets in."""

    is_stateful: bool = False
    """Only those may send to us to whom we sent before."""
    lifetime: float = 60.0
    blocked: dict[IpAddress, None] = field(default_factory=dict)
    """Addresses with which nothing is exchanged."""
    refused: int = 0
    _contacts: dict[tuple[Endpoint, Endpoint], float] = field(default_factory=dict)

    def lets_out(self, datagram: Datagram, time: float) -> bool:
        """Judge, and remember whom we sent to."""
        if datagram.destination.ip in self.blocked:
            self.refused += 1
            return False
        self._contacts[datagram.source, datagram.destination] = time
        return True

    def lets_in(self, datagram: Datagram, time: float) -> bool:
        """Judge what comes from outside."""
        contact = self._contacts.get((datagram.destination, datagram.source), float("-inf"))
        known = not self.is_stateful or time - contact <= self.lifetime
        if known and datagram.source.ip not in self.blocked:
            return True
        self.refused += 1
        return False


class Host:
    """A machine with addresses on segments and UDP sockets bound to them."""

    def __init__(self, name: str, schedule: Schedule, record: Callable[[Datagram], None]) -> None:
        self.name = name
        self.up = Link()
        self.down = Link()
        self.firewall = Firewall()
        self.receiver: Receiver | None = None
        """Who takes what arrives; nobody while the machine is off."""
        self.coalescing = 0.0
        """Seconds for which arriving datagrams are gathered into trains; 0 hands each up alone."""
        self._schedule = schedule
        self._record = record
        self._segments: dict[IpAddress, Segment] = {}
        self._sockets: dict[SocketId, Endpoint] = {}
        self._bursts = 0
        self._waiting: list[tuple[SocketId, Datagram]] = []

    def attach(self, segment: Segment, ip: IpAddress) -> None:
        """Get an address on a segment."""
        segment.attach(self, ip)
        self._segments[ip] = segment

    def detach(self, ip: IpAddress) -> None:
        """Lose an address, and the sockets bound to it."""
        self._segments.pop(ip).detach(ip)
        self._sockets = {s: e for s, e in self._sockets.items() if e.ip != ip}

    def bind(self, port: int) -> Mapping[SocketId, Endpoint]:
        """Bind a socket to each address that has none; return all sockets."""
        bound = {endpoint.ip for endpoint in self._sockets.values()}
        number = max(self._sockets, default=-1) + 1
        for ip in self._segments:
            if ip not in bound:
                self._sockets[SocketId(number)] = Endpoint(ip, port)
                number += 1
        return dict(self._sockets)

    def send(self, transmit: Transmit) -> None:
        """Send datagrams, cut at the segment size."""
        buffer, size = bytes(transmit.buffer), transmit.segment_size
        assert size > 0, "a train needs a segment size"
        if transmit.socket == ALL_SOCKETS:
            version = transmit.destination.ip.version
            sources = [e for e in self._sockets.values() if e.ip.version == version]
        else:
            sources = [self._sockets[transmit.socket]]
        uses_ttl = bool(transmit.ttl) and transmit.destination.ip.version == 4
        ttl = transmit.ttl if uses_ttl else DEFAULT_TTL
        for source in sources:
            self._bursts += 1
            for start in range(0, len(buffer), size):
                piece = buffer[start : start + size]
                self._emit(Datagram(source, transmit.destination, piece, ttl, self._bursts))

    def _emit(self, datagram: Datagram) -> None:
        self._record(datagram)
        if self.firewall.lets_out(datagram, self._schedule.time):
            self._segments[datagram.source.ip].send(self, datagram)

    def arrive(self, datagram: Datagram) -> None:
        """Take a datagram from a segment, if there is a socket for it."""
        socket = next((s for s, e in self._sockets.items() if e == datagram.destination), None)
        if socket is None or self.receiver is None:
            return
        if not self.firewall.lets_in(datagram, self._schedule.time):
            return
        if not self._waiting:
            self._schedule.after(self.coalescing, self._wake_up)
        self._waiting.append((socket, datagram))

    def _wake_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for train in join_trains(waiting) if self.coalescing else map(_single, waiting):
            if self.receiver is not None:
                self.receiver(train)


def join_trains(datagrams: list[tuple[SocketId, Datagram]]) -> list[Train]:
    """Join neighbours of one flow and size into trains, as the kernel's GRO does."""
    trains: list[Train] = []
    pieces: list[bytes] = []
    for index, (socket, datagram) in enumerate(datagrams):
        pieces.append(datagram.payload)
        following = datagrams[index + 1] if index + 1 < len(datagrams) else None
        if following is None or not _continues(pieces, datagram, socket, following):
            buffer = memoryview(bytearray(b"".join(pieces)))
            trains.append(Train(buffer, len(pieces[0]), datagram.source, socket))
            pieces = []
    return trains


def _continues(
    pieces: list[bytes], last: Datagram, socket: SocketId, following: tuple[SocketId, Datagram]
) -> bool:
    next_socket, next_datagram = following
    size = len(pieces[0])
    return (
        len(last.payload) == size > 0
        and 0 < len(next_datagram.payload) <= size
        and (next_socket, next_datagram.source) == (socket, last.source)
        and len(pieces) < MAX_TRAIN_DATAGRAMS
        and size * (len(pieces) + 1) <= MAX_TRAIN_SIZE
    )


def _single(item: tuple[SocketId, Datagram]) -> Train:
    socket, datagram = item
    buffer = memoryview(bytearray(datagram.payload))
    return Train(buffer, max(len(datagram.payload), 1), datagram.source, socket)
