"""The whole face of a stack: TCP/IP on one network, in user space, without I/O.

Frames and time go in; frames and events come out. After any input the outputs may have changed:
`next_event`, `transmits`, `get_timer`, `groups`. What is to be sent is made when it is pulled, so
that whoever has no room for it pulls nothing and nothing is lost. Buffers are borrowed: what goes
in is good until the call returns; what comes out is the taker's own.

One stack has one MAC, as the port of a network has. Verbs raise `StackError` with the number that a
kernel's socket would give, and `LocalProtocolError` for what is closed.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.deadlines import earliest, sooner
from ztlink.errors import StackError
from ztlink.ids import Endpoint, IpAddress, IpInterface, Mac, MulticastGroup, SocketId
from ztlink.inet.ip import PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP
from ztlink.netstack.counters import Counters
from ztlink.netstack.egress import Egress
from ztlink.netstack.events import ConnectionId, DatagramReceived, EchoId, Event, ListenerId
from ztlink.netstack.groups import GroupSet
from ztlink.netstack.icmp import Icmp
from ztlink.netstack.ingress import Ingress
from ztlink.netstack.ipv6 import MIN_MTU
from ztlink.netstack.neighbor import NeighborState
from ztlink.netstack.ping import MAX_DATA, Pinger
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.resolver import Resolver
from ztlink.netstack.route import Route, RouteTable, Way
from ztlink.netstack.settings import StackSettings
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp_link import TcpLink
from ztlink.netstack.udp import Udp


class Stack:
    """TCP/IP on one network."""

    def __init__(
        self,
        mac: Mac,
        *,
        mtu: int,
        random_bytes: Callable[[int], bytes],
        settings: StackSettings | None = None,
    ) -> None:
        settings = settings or StackSettings()
        self.mac = mac
        self.counters = Counters()
        self._events: deque[Event] = deque()
        self._routes = RouteTable(mac)
        self._given: tuple[object, object] = ((), ())
        """Addresses and routes as they were last set."""
        self._mtus = PathMtus(mtu)
        emit = self._events.append
        self._egress = Egress(mac, self._routes, self._mtus, settings, self.counters, random_bytes)
        self._resolver = Resolver(
            mac,
            self._routes,
            settings,
            self.counters,
            send=self._egress.send_frame,
            release=self._egress.release,
            emit=emit,
        )
        self._egress.cache = self._resolver.cache
        self._groups = GroupSet()
        self._groups.update(self._routes, ())
        self._icmp = Icmp(self._routes, self._egress, self._resolver, settings, self.counters)
        self._ingress = Ingress(
            mac, self._routes, self._groups, self._resolver, self._icmp, settings, self.counters
        )
        self._pinger = Pinger(self._egress, self._mtus, settings, self.counters, emit, random_bytes)
        self._udp = Udp(
            self._routes, self._egress, self._mtus, settings, self.counters, emit, random_bytes
        )
        self._tcp = TcpLink(
            self._routes, self._egress, self._mtus, settings, self.counters, emit, random_bytes
        )
        self._outputs = (*self._tcp.layer.outputs, self._egress.ready, self._udp.sending)
        """If all are empty, there is nothing to send."""
        self._ageing = (
            self._ingress.reassembly.datagrams,
            self._pinger.pending,
            self._mtus.paths,
        )
        """If all are empty, as they mostly are, nothing of theirs is ever due."""
        self._connect_parts()

    def _connect_parts(self) -> None:
        self._icmp.echo_answered = self._pinger.answered
        self._icmp.reports = {
            PROTOCOL_ICMP: self._pinger,
            PROTOCOL_ICMPV6: self._pinger,
            PROTOCOL_UDP: self._udp,
            PROTOCOL_TCP: self._tcp,
        }
        self._udp.no_socket = self._icmp.port_unreachable
        self._ingress.receivers = {
            PROTOCOL_UDP: lambda packet, segment_size, now: self._udp.receive(packet, now),
            PROTOCOL_TCP: self._tcp.receive,
        }

    # -- inputs ------------------------------------------------------------------------------

    def receive_frame(self, frame: SuperFrame, now: Now) -> None:
        """Take a frame or a super-frame from the network."""
        self._ingress.receive(frame, now)

    def handle_timer(self, now: Now) -> None:
        """Do what is due; late is fine, early is harmless."""
        self._resolver.cache.handle_timer(now)
        self._ingress.handle_timer(now)
        self._pinger.handle_timer(now)
        self._mtus.handle_timer(now)
        self._tcp.layer.handle_timer(now)

    def set_addresses(
        self, addresses: Iterable[IpInterface], routes: Sequence[Route], now: Now
    ) -> None:
        """Take addresses and routes in place of those that were here; the link's own stays.

        Addresses serve at once; the network is asked whether somebody else has one, which would be
        told as `AddressConflict`.
        """
        given = (tuple(addresses), tuple(routes))
        if given == self._given:
            return
        self._given = given
        former = self._routes.own
        self._routes.set(*given)
        self._groups.update(self._routes, self._udp.groups())
        if self._routes.own != former:
            self._resolver.addresses_changed()
        for one in given[0]:
            if one.ip.packed not in former:
                self._resolver.probe(one.ip)

    def set_mtu(self, mtu: int) -> None:
        """Take the MTU of the network."""
        self._mtus.link_mtu = max(mtu, MIN_MTU)

    # -- outputs -----------------------------------------------------------------------------

    def has_output(self) -> bool:
        """Tell whether `transmits` may have something."""
        return any(self._outputs)

    def transmits(self, limit: int, now: Now) -> list[SuperFrame]:
        """Make and take about `limit` bytes of frames; at least one, if there is any."""
        frames: list[SuperFrame] = []
        left = limit
        if self._egress.ready:
            frames, left = self._egress.take_ready(limit)
        has_tcp = self._tcp.layer.has_output()
        if left > 0 and self._udp.sending:
            self._udp.pull(left // 2 if has_tcp else left, now)
            more, left = self._egress.take_ready(left)
            frames += more
        if left > 0 and has_tcp:
            frames += self._tcp.pull(left, now)
            if not frames:  # a neighbour is being asked for
                frames, _ = self._egress.take_ready(limit)
        self.counters.frames_out += len(frames)
        return frames

    def has_event(self) -> bool:
        """Tell whether `next_event` has something."""
        return bool(self._events)

    def next_event(self) -> Event | None:
        """Take what happened, one at a time."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, DatagramReceived):
            self._udp.taken(event)
        return event

    def get_timer(self) -> float | None:
        """Return the monotonic time at which `handle_timer` is due."""
        first = sooner(self._tcp.layer.get_timer(), self._resolver.cache.get_timer())
        if any(self._ageing):
            parts = self._ingress.reassembly, self._pinger, self._mtus
            first = earliest((first, *(part.get_timer() for part in parts)))
        return first

    def groups(self) -> frozenset[MulticastGroup]:
        """Return the groups that the network is to carry to us; one object until they change."""
        return self._groups.announced

    # -- addresses ---------------------------------------------------------------------------

    @property
    def addresses(self) -> tuple[IpInterface, ...]:
        """Our addresses, the link's own last."""
        return self._routes.interfaces

    @property
    def mtu(self) -> int:
        """The MTU of the network."""
        return self._mtus.link_mtu

    def source_for(self, remote: IpAddress) -> IpAddress | None:
        """Return the address that we would send from; None where no route leads there."""
        way = self._routes.way(remote)
        return None if way is None else way.source

    def neighbor_state(self, ip: IpAddress) -> NeighborState | None:
        """Return what is known of a neighbour; None for nothing."""
        return self._resolver.cache.state_of(ip)

    def _way(self, remote: IpAddress) -> Way:
        way = self._routes.way(remote)
        if way is None:
            raise StackError(errno.ENETUNREACH, f"no route of the network leads to {remote}")
        return way

    # -- TCP ---------------------------------------------------------------------------------

    @property
    def tcp(self) -> TcpLayer:
        """Connections and listeners; `connect` and `listen` are to be had here."""
        return self._tcp.layer

    def connect(self, remote: Endpoint, now: Now, local: Endpoint | None = None) -> ConnectionId:
        """Begin to connect, from `local` if given, else as RFC 6724 and RFC 6056 choose."""
        return self._tcp.connect(remote, local, now)

    def listen(self, local: Endpoint, backlog: int, now: Now) -> ListenerId:
        """Begin to accept; an unspecified address stands for all of its version."""
        return self._tcp.listen(local, backlog, now)

    # -- UDP ---------------------------------------------------------------------------------

    def bind_udp(self, local: Endpoint, *, is_dual: bool = False) -> SocketId:
        """Open a UDP socket; port 0 draws one.

        An unspecified address stands for all of its version, `::` with `is_dual` for both.
        """
        return self._udp.bind(local, is_dual=is_dual)

    def connect_udp(self, socket: SocketId, remote: Endpoint) -> None:
        """Fix whom a socket talks to."""
        self._udp.connect(socket, remote)

    def send_datagram(
        self, socket: SocketId, data: bytes, remote: Endpoint | None, now: Now
    ) -> bool:
        """Send up to 65,507 bytes; False where it is to be tried again after `DatagramsWritable`.

        `remote` may be None for a connected socket.
        """
        return self._udp.send(socket, data, remote, now)

    def udp_endpoints(self, socket: SocketId) -> tuple[Endpoint, Endpoint | None]:
        """Return the local endpoint of a socket, and the remote one if it is connected."""
        return self._udp.endpoints(socket)

    def udp_queued(self, socket: SocketId) -> int:
        """Return the bytes of a socket that wait to be sent."""
        return self._udp.queued(socket)

    def join_group(self, socket: SocketId, group: IpAddress) -> None:
        """Receive what is sent to a group."""
        self._udp.join(socket, group)
        self._groups.update(self._routes, self._udp.groups())

    def leave_group(self, socket: SocketId, group: IpAddress) -> None:
        """Receive no more of a group."""
        self._udp.leave(socket, group)
        self._groups.update(self._routes, self._udp.groups())

    def close_udp(self, socket: SocketId) -> None:
        """Close a socket; what it has sent is still sent. Closing twice does no harm."""
        self._udp.close(socket)
        self._groups.update(self._routes, self._udp.groups())

    # -- echo --------------------------------------------------------------------------------

    def ping(self, remote: IpAddress, size: int, now: Now) -> EchoId:
        """Send an echo request with `size` bytes of data; an event tells what became of it."""
        if not 0 <= size <= MAX_DATA:
            raise StackError(errno.EMSGSIZE, f"{size} bytes do not fit into an echo request")
        return self._pinger.send(self._way(remote), remote, size, now)
