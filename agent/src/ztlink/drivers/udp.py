"""UDP sockets that carry trains: many datagrams a system call, by UDP_SEGMENT and UDP_GRO.

A peer that sends no trains is read datagram by datagram into one buffer, and neighbours of one
source and size become a train here: what follows is paid by the train.
"""

import errno
import logging
import socket
import struct
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from typing import Final

from ztlink.batch import MAX_TRAIN_DATAGRAMS, Train, Transmit
from ztlink.drivers import hello_filter
from ztlink.errors import HostError
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, IpAddress, SocketId
from ztlink.stats import Drop, Stats
from ztlink.vl1.floodgate import OPEN, Gate

logger = logging.getLogger(__name__)

UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
IP_MTU_DISCOVER: Final = 10
IP_PMTUDISC_DONT: Final = 0
IP_UNICAST_IF: Final = 50
SO_BINDTOIFINDEX: Final = 62
IPV6_MTU_DISCOVER: Final = 23
IPV6_PMTUDISC_DONT: Final = 0
SO_RCVBUFFORCE: Final = 33
BUFFER_WANTED: Final = 1 << 20
MAX_RECEIVE: Final = 65_536
FILLING: Final = 32_768
"""Bytes from which on the buffer is full: less than a long train, more than 20 datagrams."""
MAX_UNASKED: Final = 16
"""Datagrams that are taken to be alone after one was.

To ask whether that is so is a system call, and an exception where it is.
"""
MAX_KNOWN_SOURCES: Final = 4096
_CMSG_SPACE: Final = socket.CMSG_SPACE(4)
_STRIDE: Final = struct.Struct("=i")
_SEGMENT: Final = struct.Struct("=H")
_TTL: Final = struct.Struct("=i")
_DEVICE: Final = struct.Struct("!I")
_WOULD_BLOCK: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})
_NO_OFFLOAD: Final = frozenset({errno.EIO, errno.EOPNOTSUPP})
"""The way out cannot cut trains."""
_NO_TRAIN: Final = frozenset({errno.EINVAL, errno.EMSGSIZE})
"""This train does not fit that way, as where the MTU is below its datagrams' size."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Control = tuple[int, int, bytes]


class UdpSocket:
    """One bound socket; non-blocking, never raises to its caller for what the network does."""

    def __init__(
        self, socket_id: SocketId, ip: IpAddress, port: int, *, stats: Stats, has_offload: bool
    ) -> None:
        self.socket_id = socket_id
        self.stats = stats
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        self.version = ip.version
        self.errors = 0
        """Sends that the kernel refused for good."""
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._configure(has_offload=has_offload)
            self._socket.bind(_socket_address(Endpoint(ip, port)))
        except OSError as error:
            self._socket.close()
            raise HostError(
                error.errno, f"cannot bind UDP {ip}{_complaint(error, port)}"
            ) from error
        self.endpoint = Endpoint(ip, self._socket.getsockname()[1])
        self._view = memoryview(bytearray(FILLING + MAX_RECEIVE))
        self._sources: dict[SocketAddress, Endpoint] = {}
        self._addresses: dict[Endpoint, SocketAddress] = {}
        self._last: tuple[Endpoint | None, SocketAddress] = None, ("", 0)
        """Where the last was sent: endpoints are slow to hash."""
        self._unasked = 0
        """How many datagrams are still taken to have come alone."""
        self._is_filtered = False
        self.device = 0
        """The index of the one it keeps to; 0 for any."""
        self._can_segment = has_offload and self._has_option(UDP_SEGMENT)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def filter(self, gate: Gate, me: Address) -> None:
        """Have the kernel keep HELLOs back as the gate says."""
        try:
            if gate is not OPEN:
                hello_filter.attach(self._socket, gate, me, self.version)
                self._is_filtered = True
            elif self._is_filtered:
                hello_filter.detach(self._socket)
                self._is_filtered = False
        except OSError as error:  # all are read, then: dearer, and as right
            logger.warning("no filter socket=%s error=%s", self.endpoint, error)

    def receive(self, budget: int) -> Iterable[Train]:
        """Give the trains of up to `budget` fillings of the buffer, each borrowed until the next.

        A filling is a long train of the kernel's, or some 20 datagrams that came one by one. Where
        one came alone lately, the next is taken to be alone, too: what is behind it is for the next
        call, which whoever waits for the descriptor knows to be due.
        """
        train = None
        if self._unasked:
            train = self._receive_alone()
            if self._unasked:
                return () if train is None else (train,)
        return self._receive_more(train, budget)

    def _receive_more(self, train: Train | None, budget: int) -> Iterator[Train]:
        """Yield what is here, and what up to `budget` fillings of the buffer bring."""
        if train is not None:
            yield train
        for _ in range(budget):
            is_drained = yield from self._receive_filling()
            if is_drained:
                return

    def _receive_alone(self) -> Train | None:
        """Take one datagram for all there is, unless it is time to ask or more came at once."""
        try:
            size, step, address = self._receive_one(0)
        except BlockingIOError:
            return None
        self._unasked = self._unasked - 1 if size == step else 0
        return self._train(0, size, step, address) if size else None

    def _receive_filling(self) -> Generator[Train, None, bool]:
        """Yield what fits into the buffer; return whether nothing is left in the socket."""
        start = end = stride = 0  # of the train that still grows
        is_open = False
        source: SocketAddress | None = None
        is_drained = False
        for number in range(MAX_TRAIN_DATAGRAMS):
            try:
                size, step, address = self._receive_one(end)
            except BlockingIOError:
                is_drained = True
                self._unasked = MAX_UNASKED if number <= 1 else 0
                break
            if size == 0:
                continue
            if is_open and size <= stride and size == step and address == source:
                end += size
                is_open = size == stride
            else:
                if source is not None:
                    yield self._train(start, end, stride, source)
                start, end, stride, source = end, end + size, step, address
                is_open = size == step  # the kernel's own trains are as long as it can make them
            if end >= FILLING:
                break
        if source is not None:
            yield self._train(start, end, stride, source)
        return is_drained

    def _receive_one(self, start: int) -> tuple[int, int, SocketAddress]:
        """Receive into the buffer; return size, stride and source, size 0 where nothing came."""
        try:
            size, controls, _, address = self._socket.recvmsg_into(
                [self._view[start:]], _CMSG_SPACE
            )
        except BlockingIOError:
            raise
        except OSError as error:  # an ICMP error for something sent before
            logger.debug("receive failed socket=%s error=%s", self.endpoint, error)
            return 0, 0, ("", 0)
        for level, kind, data in controls:
            if level == socket.SOL_UDP and kind == UDP_GRO:
                return size, _STRIDE.unpack(data[:4])[0], address
        return size, size, address

    def _train(self, start: int, end: int, stride: int, address: SocketAddress) -> Train:
        return Train(self._view[start:end], stride, self._source(address), self.socket_id)

    def send(self, transmit: Transmit) -> bool:
        """Send datagrams; False where the buffer is full: what is left to send is in `transmit`."""
        address = self._address(transmit.destination)
        size = len(transmit.buffer)
        if size <= transmit.segment_size and not transmit.ttl:
            return self._send_alone(transmit, address)
        if transmit.ttl and self.version == 4:
            ttl = (socket.IPPROTO_IP, socket.IP_TTL, _TTL.pack(transmit.ttl))
            return self._send_piecewise(transmit, address, [ttl])
        if size > transmit.segment_size and self._can_segment:
            control = (socket.SOL_UDP, UDP_SEGMENT, _SEGMENT.pack(transmit.segment_size))
            try:
                self._socket.sendmsg([transmit.buffer], [control], 0, address)
            except OSError as error:
                if error.errno in _WOULD_BLOCK:
                    return False
                if error.errno in _NO_OFFLOAD:
                    logger.info("datagrams go one by one socket=%s error=%s", self.endpoint, error)
                    self._can_segment = False
                elif error.errno not in _NO_TRAIN:
                    return self._refused(error)
            else:
                return True
        return self._send_piecewise(transmit, address, [])

    def _send_alone(self, transmit: Transmit, address: SocketAddress) -> bool:
        """Send a datagram that has no others with it."""
        try:
            self._socket.sendmsg([transmit.buffer], (), 0, address)
        except OSError as error:
            return error.errno not in _WOULD_BLOCK and self._refused(error)
        return True

    def _send_piecewise(
        self, transmit: Transmit, address: SocketAddress, controls: list[Control]
    ) -> bool:
        view, step = memoryview(transmit.buffer), max(transmit.segment_size, 1)
        for start in range(0, len(view), step):
            try:
                self._socket.sendmsg([view[start : start + step]], controls, 0, address)
            except OSError as error:
                if error.errno in _WOULD_BLOCK:
                    transmit.buffer = view[start:]
                    return False
                self._refused(error)
        return True

    def _refused(self, error: OSError) -> bool:
        """Count a datagram that cannot be sent; the peer's path will show it by silence."""
        self.errors += 1
        self.stats.drop(Drop.SEND_REFUSED)
        logger.debug("send failed socket=%s error=%s", self.endpoint, error)
        return True

    def _configure(self, *, has_offload: bool) -> None:
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_WANTED)
        try:  # beyond the machine's limit, which holds few trains
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_WANTED)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_WANTED)
        # What is not cut by us relies on the network's fragmentation.
        if self.version == 6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        if has_offload:
            try:
                self._socket.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
            except OSError as error:
                logger.info("receiving datagrams one by one error=%s", error)

    def keep_to_device(self, index: int) -> None:
        """Send through the device that has our address, whatever else the routing table prefers.

        So a default route into a virtual network does not carry that network's own datagrams.
        For IPv6 only a socket that is bound to a device does without better routes elsewhere.
        """
        try:
            if self.version == 6:
                self._socket.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, index)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, _DEVICE.pack(index))
        except OSError as error:
            logger.info("socket=%s is not kept to its device error=%s", self.endpoint, error)

    def _has_option(self, option: int) -> bool:
        try:
            self._socket.getsockopt(socket.SOL_UDP, option)
        except OSError:
            return False
        return True

    def _source(self, address: SocketAddress) -> Endpoint:
        endpoint = self._sources.get(address)
        if endpoint is None:
            endpoint = _endpoint(address)
            if len(self._sources) >= MAX_KNOWN_SOURCES:
                self._sources.clear()
            self._sources[address] = endpoint
        return endpoint

    def _address(self, endpoint: Endpoint) -> SocketAddress:
        last, address = self._last
        if endpoint is last:
            return address
        known = self._addresses.get(endpoint)
        if known is None:
            known = _socket_address(endpoint)
            if len(self._addresses) >= MAX_KNOWN_SOURCES:
                self._addresses.clear()
            self._addresses[endpoint] = known
        self._last = endpoint, known
        return known


class UdpDriver:
    """All sockets of a node, by their number."""

    def __init__(self, *, has_offload: bool = True) -> None:
        """Start without sockets; without offload they carry datagrams one by one."""
        self.sockets: dict[SocketId, UdpSocket] = {}
        self._stats = Stats()
        self._has_offload = has_offload
        self._next = 1
        self.gate = OPEN
        self._me = Address(0)
        self.device_of: Callable[[IpAddress], int] = lambda ip: 0
        """Returns the index of the device that has an address; 0 for any device."""

    def count_in(self, stats: Stats) -> None:
        """Count what the kernel refuses in a node's counters."""
        self._stats = stats
        for opened in self.sockets.values():
            opened.stats = stats

    def open(self, ip: IpAddress, port: int) -> UdpSocket:
        """Bind a socket; HostError says what is wrong."""
        opened = UdpSocket(
            SocketId(self._next), ip, port, stats=self._stats, has_offload=self._has_offload
        )
        self._next += 1
        self.sockets[opened.socket_id] = opened
        opened.filter(self.gate, self._me)
        opened.device = self.device_of(opened.endpoint.ip)
        if opened.device:
            opened.keep_to_device(opened.device)
        return opened

    def filter(self, gate: Gate, me: Address) -> None:
        """Have the kernel keep back HELLOs to us on all sockets, later ones too."""
        self.gate, self._me = gate, me
        for opened in self.sockets.values():
            opened.filter(gate, me)

    def bind(self, ips: Collection[IpAddress], ports: Sequence[int]) -> dict[Endpoint, HostError]:
        """Bind every port on every address and close all other sockets; what is open stays.

        Unless its address is on another device now.
        Returns what could not be bound: the rest is.
        """
        wanted = {Endpoint(ip, port) for ip in ips for port in ports}
        for socket_id, opened in list(self.sockets.items()):
            if opened.endpoint not in wanted or opened.device != self.device_of(opened.endpoint.ip):
                self.close(socket_id)
        missing = wanted - {opened.endpoint for opened in self.sockets.values()}
        failures: dict[Endpoint, HostError] = {}
        order = {port: number for number, port in enumerate(ports)}
        for one in sorted(missing, key=lambda e: (order[e.port], e.ip.version, int(e.ip))):
            try:
                self.open(one.ip, one.port)
            except HostError as error:
                failures[one] = error
        return failures

    def close(self, socket_id: SocketId) -> None:
        """Close one socket."""
        self.sockets.pop(socket_id).close()

    def close_all(self) -> None:
        """Close all sockets."""
        for socket_id in list(self.sockets):
            self.close(socket_id)

    def endpoints(self) -> Mapping[SocketId, Endpoint]:
        """Return what is bound, for `Core.set_sockets`."""
        return {number: opened.endpoint for number, opened in self.sockets.items()}

    def send(self, transmit: Transmit) -> bool:
        """Send from the socket that is named, or from all of the destination's family."""
        if transmit.socket != ALL_SOCKETS:
            named = self.sockets.get(transmit.socket)
            return named is None or named.send(transmit)
        version = transmit.destination.ip.version
        for opened in self.sockets.values():
            if opened.version == version:
                opened.send(replace(transmit))  # a copy: none may shorten it for the others
        return True


def _complaint(error: OSError, port: int) -> str:
    """Say what keeps from binding, and what would help; the port only where it is to blame."""
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            ": this machine has no such address; it is bound as soon as it is there, "
            "else correct --bind, or settings.bind of local.conf"
        )
    return f"/{port}: {error.strerror}{port_advice(error)}"


def port_advice(error: OSError) -> str:
    """Say what helps where a port cannot be had."""
    where = "by --port or in the configuration file"
    if error.errno == errno.EADDRINUSE:
        return f"; is another node running? Choose another port, {where}"
    if error.errno == errno.EACCES:
        return f"; choose a port above 1023, {where}, or give CAP_NET_BIND_SERVICE"
    return ""


def _endpoint(address: SocketAddress) -> Endpoint:
    """Return where a datagram came from; an address of one link names its device."""
    scope = address[3] if len(address) == 4 else 0
    text = address[0].partition("%")[0]
    return Endpoint(ip_address(f"{text}%{scope}" if scope else text), address[1])


def _socket_address(endpoint: Endpoint) -> SocketAddress:
    ip = endpoint.ip
    if not isinstance(ip, IPv6Address) or ip.scope_id is None:
        return str(ip), endpoint.port
    scope = ip.scope_id
    number = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
    return str(IPv6Address(int(ip))), endpoint.port, 0, number
