"""UDP (RFC 768): sockets bound and connected, groups, errors, and queues that are bounded.

What an application sends waits in its socket until it is pulled: a socket that is full says so
instead of dropping. What comes in is told at once; what the application does not take is dropped
beyond a limit, as a kernel does.
"""

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ztlink.clock import Now
from ztlink.errors import LocalProtocolError, StackError
from ztlink.ids import Endpoint, IpAddress, SocketId
from ztlink.inet.checksum import MODULUS, fold, ones_sum
from ztlink.inet.ip import PROTOCOL_UDP, VERSION_4
from ztlink.inet.udp import SIZE_UDP, UDP_HEADER, udp_packet
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.egress import Egress
from ztlink.netstack.events import (
    DatagramFailed,
    DatagramReceived,
    DatagramsWritable,
    Reason,
)
from ztlink.netstack.packet import Packet
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.quoted import Quoted
from ztlink.netstack.route import RouteTable, Way
from ztlink.netstack.settings import StackSettings

MAX_DATA: Final = 65_507
"""What IPv4 can carry in fragments; IPv6 gets no more."""
FIRST_PORT: Final = 49_152
PORTS: Final = 65_536 - FIRST_PORT
DATAGRAM_OVERHEAD: Final = 128
"""What an event costs besides its data, in bytes."""
GROUP_HOP_LIMIT: Final = 1

UdpEvent = DatagramReceived | DatagramFailed | DatagramsWritable


@dataclass(slots=True, eq=False)
class UdpSocket:
    """One socket."""

    id: SocketId
    local: Endpoint
    """An unspecified address stands for all of its version."""
    is_dual: bool = False
    """Takes both versions of IP; bound to `::`."""
    remote: Endpoint | None = None
    groups: set[IpAddress] = field(default_factory=set)
    queue: deque[tuple[bytes, Endpoint]] = field(default_factory=deque)
    queued: int = 0
    """Bytes that wait to be pulled."""
    received: int = 0
    """Bytes told that the application has not taken."""
    wants_room: bool = False

    def speaks(self, version: int) -> bool:
        """Tell whether it is for a version of IP."""
        return self.is_dual or self.local.ip.version == version

    def fits(self, packet: Packet, remote: Endpoint) -> int:
        """Return how well a datagram fits; 0: not at all."""
        if not self.speaks(remote.ip.version):
            return 0
        is_wild = self.local.ip.is_unspecified
        if not is_wild and self.local.ip != packet.destination:
            return 0
        if self.remote is not None:
            return 3 if self.remote == remote else 0
        return 1 if is_wild else 2

    def collides(self, local: Endpoint, *, is_dual: bool) -> bool:
        """Tell whether another socket cannot have `local` beside this one."""
        if self.local.port != local.port:
            return False
        if self.local.ip.version != local.ip.version:
            return self.is_dual or is_dual
        ips = (self.local.ip, local.ip)
        return ips[0] == ips[1] or ips[0].is_unspecified or ips[1].is_unspecified


class Udp:
    """The UDP of one stack."""

    def __init__(
        self,
        routes: RouteTable,
        egress: Egress,
        mtus: PathMtus,
        settings: StackSettings,
        counters: Counters,
        emit: Callable[[UdpEvent], None],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._routes = routes
        self._egress = egress
        self._mtus = mtus
        self._settings = settings
        self._counters = counters
        self._emit = emit
        self._random_bytes = random_bytes
        self._sockets: dict[SocketId, UdpSocket] = {}
        self._ports: dict[int, list[UdpSocket]] = {}
        self.sending: deque[UdpSocket] = deque()
        """Sockets with datagrams that wait, in turn."""
        self._last_id = 0

    no_socket: Callable[[Packet, Now], None]
    """Told of a datagram that is for nobody; set by the stack."""

    # -- verbs -------------------------------------------------------------------------------

    def bind(self, local: Endpoint, *, is_dual: bool = False) -> SocketId:
        """Open a socket; port 0 draws a free one. Raises StackError where it cannot be."""
        if not local.ip.is_unspecified and not local.ip.is_multicast:
            self._require_own(local.ip)
        if is_dual and (local.ip.version == VERSION_4 or not local.ip.is_unspecified):
            raise StackError(errno.EINVAL, f"{local}: only :: can stand for both versions of IP")
        if local.port == 0:
            local = Endpoint(local.ip, self._free_port(local.ip, is_dual=is_dual))
        elif not self._is_free(local, is_dual=is_dual):
            raise StackError(errno.EADDRINUSE, f"{local} is in use")
        self._last_id += 1
        opened = UdpSocket(SocketId(self._last_id), local, is_dual)
        self._sockets[opened.id] = opened
        self._ports.setdefault(local.port, []).append(opened)
        return opened.id

    def connect(self, socket: SocketId, remote: Endpoint) -> None:
        """Talk to one remote alone; its errors are told, too, and others are not heard."""
        opened = self._get(socket)
        way = self._way(opened, remote)
        if opened.local.ip.is_unspecified:
            opened.local = Endpoint(way.source, opened.local.port)
        opened.remote = remote

    def send(self, socket: SocketId, data: bytes, remote: Endpoint | None, now: Now) -> bool:
        """Take a datagram; False where it is to be tried again after `DatagramsWritable`."""
        opened = self._get(socket)
        to = remote or opened.remote
        if to is None:
            raise StackError(errno.EDESTADDRREQ, "the socket is not connected: name a destination")
        if len(data) > MAX_DATA:
            raise StackError(
                errno.EMSGSIZE, f"{len(data)} bytes do not fit into a datagram of {MAX_DATA}"
            )
        self._way(opened, to)
        if opened.queue and opened.queued + len(data) > self._settings.udp_send_buffer:
            opened.wants_room = True
            return False
        if not opened.queue:
            self.sending.append(opened)
        opened.queue.append((bytes(data), to))
        opened.queued += len(data) + DATAGRAM_OVERHEAD
        return True

    def join(self, socket: SocketId, group: IpAddress) -> None:
        """Receive what is sent to a group."""
        if not group.is_multicast:
            raise StackError(errno.EINVAL, f"{group} is no multicast address")
        self._get(socket).groups.add(group)

    def leave(self, socket: SocketId, group: IpAddress) -> None:
        """Receive no more of a group."""
        self._get(socket).groups.discard(group)

    def close(self, socket: SocketId) -> None:
        """Close a socket; what it has sent is still sent."""
        opened = self._sockets.pop(socket, None)
        if opened is None:
            return
        same_port = self._ports[opened.local.port]
        same_port.remove(opened)
        if not same_port:
            del self._ports[opened.local.port]
        opened.groups.clear()

    def endpoints(self, socket: SocketId) -> tuple[Endpoint, Endpoint | None]:
        """Return the local endpoint, and the remote one of a connected socket."""
        opened = self._get(socket)
        return opened.local, opened.remote

    def queued(self, socket: SocketId) -> int:
        """Return the bytes that wait to be sent."""
        return self._get(socket).queued

    def groups(self) -> set[IpAddress]:
        """Return the groups that sockets have joined."""
        return {group for opened in self._sockets.values() for group in opened.groups}

    def _get(self, socket: SocketId) -> UdpSocket:
        opened = self._sockets.get(socket)
        if opened is None:
            raise LocalProtocolError(f"UDP socket {socket} is closed")
        return opened

    def _require_own(self, ip: IpAddress) -> None:
        if not self._routes.is_own(ip):
            raise StackError(errno.EADDRNOTAVAIL, f"{ip} is no address of ours on the network")

    def _way(self, opened: UdpSocket, remote: Endpoint) -> Way:
        if not opened.speaks(remote.ip.version):
            raise StackError(errno.EAFNOSUPPORT, f"{remote} is of the other version of IP")
        ip = opened.local.ip
        source = None if ip.is_unspecified or ip.is_multicast else ip
        if source is not None:
            self._require_own(source)
        way = self._routes.way(remote.ip, source)
        if way is None:
            raise StackError(errno.ENETUNREACH, f"no route of the network leads to {remote.ip}")
        return way

    def _is_free(self, local: Endpoint, *, is_dual: bool) -> bool:
        others = self._ports.get(local.port, ())
        return not any(other.collides(local, is_dual=is_dual) for other in others)

    def _free_port(self, ip: IpAddress, *, is_dual: bool) -> int:
        """Return a port that others cannot guess (RFC 6056 3.3.2)."""
        first = int.from_bytes(self._random_bytes(4), "big")
        for number in range(PORTS):
            port = FIRST_PORT + (first + number) % PORTS
            if self._is_free(Endpoint(ip, port), is_dual=is_dual):
                return port
        raise StackError(errno.EADDRINUSE, "all ports for sockets without one are in use")

    # -- out ---------------------------------------------------------------------------------

    def pull(self, limit: int, now: Now) -> None:
        """Hand datagrams of about `limit` bytes on, the sockets in turn."""
        while limit > 0 and self.sending:
            opened = self.sending.popleft()
            data, remote = opened.queue.popleft()
            opened.queued -= len(data) + DATAGRAM_OVERHEAD
            limit -= len(data) + DATAGRAM_OVERHEAD
            if opened.queue:
                self.sending.append(opened)
            self._transmit(opened, data, remote, now)
            if opened.wants_room and opened.queued <= self._settings.udp_send_buffer // 2:
                opened.wants_room = False
                self._emit(DatagramsWritable(opened.id))

    def _transmit(self, opened: UdpSocket, data: bytes, remote: Endpoint, now: Now) -> None:
        try:
            way = self._way(opened, remote)
        except StackError:  # addresses or routes have changed since
            self._counters.discard(Discard.NO_ROUTE)
            self._tell(opened, remote, Reason.NETWORK_UNREACHABLE)
            return
        packed = way.source.packed, remote.ip.packed
        payload = udp_packet(*packed, opened.local.port, remote.port, data)
        self._egress.send(
            way,
            remote.ip,
            PROTOCOL_UDP,
            payload,
            now,
            hop_limit=GROUP_HOP_LIMIT if remote.ip.is_multicast else None,
            on_failure=lambda now: self._tell(opened, remote, Reason.HOST_UNREACHABLE),
        )

    # -- in ----------------------------------------------------------------------------------

    def receive(self, packet: Packet, now: Now) -> None:
        """Take a datagram."""
        payload = packet.payload
        if len(payload) < SIZE_UDP:
            self._counters.discard(Discard.MALFORMED)
            return
        source_port, port, size, checksum = UDP_HEADER.unpack_from(payload)
        if not SIZE_UDP <= size <= len(payload):
            self._counters.discard(Discard.MALFORMED)
            return
        payload = payload[:size]
        if not packet.is_verified and not _is_good(packet, payload, checksum):
            self._counters.discard(Discard.BAD_CHECKSUM)
            return
        remote = Endpoint(packet.source, source_port)
        if packet.is_to_group:
            self._receive_for_all(packet, payload, port, remote)
            return
        best = max(
            self._ports.get(port, ()), key=lambda one: one.fits(packet, remote), default=None
        )
        if best is None or not best.fits(packet, remote):
            self._counters.discard(Discard.NO_SOCKET)
            self.no_socket(packet, now)
            return
        self._deliver(best, payload, remote)

    def _receive_for_all(
        self, packet: Packet, payload: memoryview, port: int, remote: Endpoint
    ) -> None:
        """Give a datagram for a group or for all to each socket that wants it."""
        group = packet.destination
        for opened in self._ports.get(port, ()):
            is_wanted = group in opened.groups if group.is_multicast else True
            is_bound = opened.local.ip.is_unspecified or opened.local.ip == group
            is_heard = opened.remote in (None, remote)
            if is_wanted and is_bound and is_heard and opened.speaks(group.version):
                self._deliver(opened, payload, remote)

    def _deliver(self, opened: UdpSocket, payload: memoryview, remote: Endpoint) -> None:
        cost = len(payload) + DATAGRAM_OVERHEAD
        if opened.received + cost > self._settings.udp_receive_buffer:
            self._counters.discard(Discard.SOCKET_FULL)
            return
        opened.received += cost
        self._emit(DatagramReceived(opened.id, bytes(payload[SIZE_UDP:]), remote))

    def taken(self, event: DatagramReceived) -> None:
        """Note that the application has a datagram."""
        opened = self._sockets.get(event.socket)
        if opened is not None:
            opened.received -= len(event.data) + SIZE_UDP + DATAGRAM_OVERHEAD

    # -- errors ------------------------------------------------------------------------------

    def failed(self, quoted: Quoted, reason: Reason, now: Now) -> bool:
        """Take an error about a datagram."""
        opened, remote = self._sender(quoted)
        if opened is None:
            return False
        self._tell(opened, remote, reason)
        return True

    def too_big(self, quoted: Quoted, mtu: int, now: Now) -> bool:
        """Take what the way carries; the next datagrams go in smaller fragments."""
        opened, remote = self._sender(quoted)
        if opened is None:
            return False
        self._mtus.lower(quoted.remote, mtu, now)
        self._tell(opened, remote, Reason.TOO_BIG)
        return True

    def _sender(self, quoted: Quoted) -> tuple[UdpSocket | None, Endpoint]:
        """Return the socket that may have sent a datagram, and to whom."""
        source_port, port, _, _ = UDP_HEADER.unpack_from(quoted.l4)
        remote = Endpoint(quoted.remote, port)
        for opened in self._ports.get(source_port, ()):
            is_bound = opened.local.ip.is_unspecified or opened.local.ip == quoted.local
            if is_bound and opened.remote in (None, remote):
                return opened, remote
        return None, remote

    def _tell(self, opened: UdpSocket, remote: Endpoint, reason: Reason) -> None:
        if opened.id in self._sockets:
            self._emit(DatagramFailed(opened.id, remote, reason))


def _is_good(packet: Packet, payload: memoryview, checksum: int) -> bool:
    """Tell whether the checksum fits; without one, only IPv4 may come (RFC 8200 8.1)."""
    if checksum == 0:
        return packet.source.version == VERSION_4
    pseudo = ones_sum(packet.source.packed + packet.destination.packed)
    return fold(ones_sum(payload) + pseudo + PROTOCOL_UDP + len(payload)) == MODULUS
