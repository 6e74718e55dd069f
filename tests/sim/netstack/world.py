"""Two hosts with a TCP layer each, a link between them, applications, and virtual time."""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from math import inf

from tests.sim.netstack.wire import Path, Wire, join
from ztlink.clock import Now
from ztlink.ids import Endpoint
from ztlink.netstack.events import (
    Accepted,
    Connected,
    ConnectionId,
    ConnectionReset,
    PeerFinished,
    Readable,
    TcpEvent,
    Writable,
)
from ztlink.netstack.segment import Segment
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp.settings import ConnectionOptions, TcpSettings

MTU = 1400
PORT = 80
CLIENT_IP, SERVER_IP = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
PATTERN = random.Random(9).randbytes(1 << 18)  # noqa: S311 - only bytes that differ
_TWICE = PATTERN + PATTERN


def pattern(offset: int, size: int) -> memoryview:
    """Return what an application sends at an offset; up to the length of the pattern."""
    start = offset % len(PATTERN)
    return memoryview(_TWICE)[start : start + size]


@dataclass
class Host:
    """One end: the layer, and what it told."""

    settings: TcpSettings
    seed: int
    mtu: int = MTU
    events: deque[TcpEvent] = field(default_factory=deque)
    arriving: list[Segment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layer = TcpLayer(
            self.events.append,
            lambda _remote: self.mtu,
            random_bytes=random.Random(self.seed).randbytes,  # noqa: S311
            settings=self.settings,
        )


@dataclass
class Transfer:
    """Bytes from one side of a connection to the other, checked as they arrive."""

    size: int
    """Bytes to send; then, FIN."""
    written: int = 0
    received: int = 0
    started_at: float = 0.0
    finished_at: float = -1.0
    longest_gap: float = 0.0
    """Between two reads that got something, or from the start."""
    last_at: float = 0.0
    first_at: float = -1.0
    """When the first bytes were read, and how many these were."""
    first_size: int = 0

    def take(self, data: bytes | memoryview, now: float) -> None:
        """Check bytes that arrived."""
        assert data == pattern(self.received, len(data)), f"bytes differ at {self.received}"
        self.received += len(data)
        self.longest_gap = max(self.longest_gap, now - self.last_at)
        if self.first_at < 0:
            self.first_at, self.first_size = now, len(data)
        self.last_at = now


class World:
    """Both hosts, and what happens next."""

    def __init__(
        self,
        path: Path,
        *,
        settings: TcpSettings | None = None,
        seed: int = 1,
        back: Path | None = None,
        mtu: int = MTU,
        options: ConnectionOptions | None = None,
        wire: type[Wire] = Wire,
    ) -> None:
        self.now = 1000.0
        settings = settings or TcpSettings()
        self.client = Host(settings, seed, mtu)
        self.server = Host(settings, seed + 1, mtu)
        self.options = options
        self._heap: list[tuple[float, int, Host, Segment]] = []
        self._number = 0
        self.gather = path.gather
        self.up = wire(path, seed + 2, self._arrival_at(self.server))
        self.down = wire(back or path, seed + 3, self._arrival_at(self.client))
        self.uploads: dict[ConnectionId, Transfer] = {}
        self.accepted: dict[ConnectionId, Transfer] = {}
        self._by_port: dict[int, Transfer] = {}
        self.server.layer.listen(Endpoint(SERVER_IP, PORT), 256, self.clock())

    def _arrival_at(self, host: Host) -> Callable[[float, Segment], None]:
        def arrive(at: float, segment: Segment) -> None:
            self._number += 1
            heapq.heappush(self._heap, (at, self._number, host, segment))

        return arrive

    def clock(self) -> Now:
        """Return the present."""
        return Now(self.now, int(self.now * 1000))

    def upload(self, size: int) -> Transfer:
        """Start a connection that sends `size` bytes to the server."""
        remote = Endpoint(SERVER_IP, PORT)
        connection = self.client.layer.connect(Endpoint(CLIENT_IP, 0), remote, self.clock())
        if self.options is not None:
            self.client.layer.set_options(connection, self.options, self.clock())
        transfer = Transfer(size, started_at=self.now, last_at=self.now)
        self.uploads[connection] = transfer
        local, _ = self.client.layer.endpoints(connection)
        self._by_port[local.port] = transfer
        return transfer

    def run(self, until: Callable[[], bool], limit: float) -> None:
        """Let time pass until something is so; fail after `limit` seconds of virtual time."""
        end = self.now + limit
        self._drain()
        while not until():
            at = self._next_time()
            assert at < end, f"not within {limit} s: {list(self.uploads.values())}"
            self._step(at)

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        self._drain()
        while (at := self._next_time()) <= end:
            self._step(at)
        self.now = end

    def _step(self, at: float) -> None:
        """Let happen what happens next."""
        self.now = max(self.now, at)
        self._deliver()
        for host in (self.client, self.server):
            timer = host.layer.get_timer()
            if timer is not None and timer <= self.now:
                host.layer.handle_timer(self.clock())
        self._drain()

    def _next_time(self) -> float:
        times = [self._heap[0][0] + self.gather] if self._heap else []
        for host in (self.client, self.server):
            timer = host.layer.get_timer()
            if timer is not None:
                times.append(timer)
        return min(times, default=inf)

    def _deliver(self) -> None:
        clock = self.clock()
        while self._heap and self._heap[0][0] <= self.now:
            _, _, host, segment = heapq.heappop(self._heap)
            host.arriving.append(segment)
        for host in (self.client, self.server):
            if host.arriving:
                for segment in join(host.arriving):
                    host.layer.receive(segment, clock)
                host.arriving.clear()

    def _drain(self) -> None:
        """Let applications act and both hosts send, until there is nothing left at this moment."""
        for host, wire in ((self.client, self.up), (self.server, self.down)):
            self._act(host)
            while host.layer.has_output():
                for outgoing in host.layer.transmits(1 << 20, self.clock()):
                    wire.send(outgoing, self.now)
                self._act(host)

    def _act(self, host: Host) -> None:
        while host.events:
            event = host.events.popleft()
            match event:
                case ConnectionReset():
                    raise AssertionError(f"{event} at {self.now}")
                case Connected(id=connection) | Writable(id=connection):
                    self._write(connection)
                case Accepted(listener=listener):
                    self._accept(listener)
                case Readable(id=connection) if connection in self.accepted:
                    self._read(connection)
                case PeerFinished(id=connection) if connection in self.accepted:
                    self._read(connection)
                    self.accepted[connection].finished_at = self.now
                    self.server.layer.close(connection, self.clock())

    def _accept(self, listener: int) -> None:
        layer = self.server.layer
        connection = layer.accept(listener)  # type: ignore[arg-type] # as the event says
        assert connection is not None
        if self.options is not None:
            layer.set_options(connection, self.options, self.clock())
        self.accepted[connection] = self._by_port[layer.endpoints(connection)[1].port]
        self._read(connection)

    def _write(self, connection: ConnectionId) -> None:
        transfer = self.uploads[connection]
        layer = self.client.layer
        while transfer.written < transfer.size:
            size = min(len(PATTERN), transfer.size - transfer.written)
            taken = layer.write(connection, pattern(transfer.written, size), self.clock())
            transfer.written += taken
            if taken < size:
                return
        layer.close(connection, self.clock())

    def _read(self, connection: ConnectionId) -> None:
        transfer = self.accepted[connection]
        while data := self.server.layer.read(connection, 1 << 16, self.clock()):
            transfer.take(data, self.now)


def transfer(world: World, size: int, limit: float = 3600.0) -> Transfer:
    """Run one upload to its end."""
    upload = world.upload(size)
    world.run(lambda: upload.finished_at >= 0, limit)
    assert upload.received == size
    return upload


def addresses() -> Iterator[tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]]:
    """Yield a pair of each family."""
    yield CLIENT_IP, SERVER_IP
    yield IPv6Address("fd00::1"), IPv6Address("fd00::2")
