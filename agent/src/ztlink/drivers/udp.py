"""UDP sockets that carry trains: many datagrams a system call, by UDP_SEGMENT and UDP_GRO."""

import errno
import logging
import socket
import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from ztlink.batch import Train, Transmit
from ztlink.errors import HostError
from ztlink.ids import ALL_SOCKETS, Endpoint, IpAddress, SocketId

logger = logging.getLogger(__name__)

UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
IP_MTU_DISCOVER: Final = 10
IP_PMTUDISC_DONT: Final = 0
IPV6_MTU_DISCOVER: Final = 23
IPV6_PMTUDISC_DONT: Final = 0
BUFFER_WANTED: Final = 4 << 20
MAX_RECEIVE: Final = 65_536
DEFAULT_TTL: Final = 64
MAX_KNOWN_SOURCES: Final = 4096
_CMSG_SPACE: Final = socket.CMSG_SPACE(4)
_STRIDE: Final = struct.Struct("=i")
_SEGMENT: Final = struct.Struct("=H")
_WOULD_BLOCK: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})
_NO_OFFLOAD: Final = frozenset({errno.EIO, errno.EOPNOTSUPP})
"""The way out cannot cut trains."""
_NO_TRAIN: Final = frozenset({errno.EINVAL, errno.EMSGSIZE})
"""This train does not fit that way, as where the MTU is below its datagrams' size."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class UdpSocket:
    """One bound socket; non-blocking, never raises to its caller for what the network does."""

    def __init__(self, socket_id: SocketId, ip: IpAddress, port: int) -> None:
        self.socket_id = socket_id
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        self.version = ip.version
        self.errors = 0
        """Sends that the kernel refused for good."""
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._configure()
            self._socket.bind((str(ip), port))
        except OSError as error:
            self._socket.close()
            raise HostError(
                error.errno,
                f"cannot bind UDP {ip}/{port}: {error.strerror}; "
                "is another node running? Choose another port with --port",
            ) from error
        self.endpoint = Endpoint(ip, self._socket.getsockname()[1])
        self._buffer = bytearray(MAX_RECEIVE)
        self._view = memoryview(self._buffer)
        self._sources: dict[SocketAddress, Endpoint] = {}
        self._addresses: dict[Endpoint, SocketAddress] = {}
        self._segments = True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def receive(self, budget: int) -> Iterator[Train]:
        """Yield up to `budget` trains; each is borrowed until the next is taken."""
        for _ in range(budget):
            try:
                size, controls, _, address = self._socket.recvmsg_into([self._buffer], _CMSG_SPACE)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error for something sent before
                logger.debug("receive failed socket=%s error=%s", self.endpoint, error)
                continue
            if size == 0:
                continue
            stride = size
            for level, kind, data in controls:
                if level == socket.SOL_UDP and kind == UDP_GRO:
                    stride = _STRIDE.unpack(data[:4])[0]
            yield Train(self._view[:size], stride, self._source(address), self.socket_id)

    def send(self, transmit: Transmit) -> bool:
        """Send datagrams; False where the socket's buffer is full and nothing was sent."""
        address = self._address(transmit.destination)
        if transmit.ttl and self.version == 4:
            return self._send_with_ttl(transmit, address)
        size = len(transmit.buffer)
        if size <= transmit.segment_size:
            return self._send_one(transmit.buffer, address)
        if self._segments:
            control = (socket.SOL_UDP, UDP_SEGMENT, _SEGMENT.pack(transmit.segment_size))
            try:
                self._socket.sendmsg([transmit.buffer], [control], 0, address)
            except OSError as error:
                if error.errno in _WOULD_BLOCK:
                    return False
                if error.errno in _NO_OFFLOAD:
                    logger.info("datagrams go one by one socket=%s error=%s", self.endpoint, error)
                    self._segments = False
                elif error.errno not in _NO_TRAIN:
                    return self._refused(error)
            else:
                return True
        return self._send_piecewise(transmit, address)

    def _send_piecewise(self, transmit: Transmit, address: SocketAddress) -> bool:
        view, step = memoryview(transmit.buffer), transmit.segment_size
        for start in range(0, len(view), step):
            if not self._send_one(view[start : start + step], address) and start == 0:
                return False  # later ones are lost, as the network loses datagrams
        return True

    def _send_one(self, data: bytes | bytearray | memoryview, address: SocketAddress) -> bool:
        try:
            self._socket.sendto(data, address)
        except OSError as error:
            return error.errno not in _WOULD_BLOCK and self._refused(error)
        return True

    def _send_with_ttl(self, transmit: Transmit, address: SocketAddress) -> bool:
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, transmit.ttl)
        try:
            return self._send_one(transmit.buffer, address)
        finally:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, DEFAULT_TTL)

    def _refused(self, error: OSError) -> bool:
        """Count a datagram that cannot be sent; the peer's path will show it by silence."""
        self.errors += 1
        logger.debug("send failed socket=%s error=%s", self.endpoint, error)
        return True

    def _configure(self) -> None:
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_WANTED)
        if self.version == 6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
        else:
            # Replies that are not cut by us rely on the network's fragmentation.
            self._socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        try:
            self._socket.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
        except OSError as error:
            logger.info("receiving datagrams one by one error=%s", error)

    def _source(self, address: SocketAddress) -> Endpoint:
        endpoint = self._sources.get(address)
        if endpoint is None:
            endpoint = Endpoint(_parse_ip(address[0]), address[1])
            if len(self._sources) >= MAX_KNOWN_SOURCES:
                self._sources.clear()
            self._sources[address] = endpoint
        return endpoint

    def _address(self, endpoint: Endpoint) -> SocketAddress:
        address = self._addresses.get(endpoint)
        if address is None:
            address = (str(endpoint.ip), endpoint.port)
            if len(self._addresses) >= MAX_KNOWN_SOURCES:
                self._addresses.clear()
            self._addresses[endpoint] = address
        return address


class UdpDriver:
    """All sockets of a node, by their number."""

    def __init__(self) -> None:
        self.sockets: dict[SocketId, UdpSocket] = {}
        self._next = 1

    def open(self, ip: IpAddress, port: int) -> UdpSocket:
        """Bind a socket; HostError says what is wrong."""
        opened = UdpSocket(SocketId(self._next), ip, port)
        self._next += 1
        self.sockets[opened.socket_id] = opened
        return opened

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
                opened.send(transmit)
        return True


def _parse_ip(text: str) -> IpAddress:
    parsed: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    return parsed
