"""Many members in one process: a core and a socket each, on one host of a laboratory."""

import random
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self

from tests.lab.errors import LabError
from tests.lab.lab import Host
from tests.lab.planet import known_identity
from tests.lab.rules import OUTSIDE
from ztlink.batch import Train, Transmit
from ztlink.crypto.work import generate
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.ids import Address, Endpoint, NetworkId, SocketId
from ztlink.node.core import Core
from ztlink.node.events import NetworkConfigured, NodeOnline
from ztlink.wire.buffer import Reader
from ztlink.wire.identity import Identity, SecretIdentity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.world import World

FIRST_IDENTITY: Final = 4
"""Those before are the laboratory's nodes'."""
READY_IDENTITIES: Final = 1000
"""More take seconds each to make."""
_ARRIVAL: Final = 35
"""SO_TIMESTAMPNS: with each datagram the kernel says when it came."""
_TIMESPEC: Final = struct.Struct("@ll")
_SOCKET: Final = SocketId(1)
_BUFFER: Final = 1 << 16
_QUIET: Final = 1.0
_NOTES: Final = 64
"""Bytes of what the kernel says of a datagram."""
_TIMER_STEP: Final = 0.02
_FIRST_SUBNET: Final = 50
_SUBNETS: Final = 200


def _give_addresses(host: Host, count: int) -> list[str]:
    """Give a host an address for each member.

    The original checks few identities from one neighbourhood of addresses: each has its own.
    """
    ips = [f"44.1.{_FIRST_SUBNET + n % _SUBNETS}.{1 + n // _SUBNETS}" for n in range(count)]
    lines = "".join(f"address add {ip}/16 dev {OUTSIDE}\n" for ip in ips)
    host.namespace.run("ip", "-batch", "-", stdin=lines)
    return ips


def _identity(number: int) -> SecretIdentity:
    if number < READY_IDENTITIES:
        return known_identity(number)
    return generate(random.Random(number).randbytes)  # noqa: S311 - keys of nobody


class Member:
    """One member: a core that is fed by hand."""

    def __init__(self, number: int, host: Host, ip: str, planet: World) -> None:
        self.core = Core(
            _identity(FIRST_IDENTITY + number),
            planet,
            random_bytes=random_bytes,
            now=read_clock(),
        )
        self.socket = host.namespace.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, _ARRIVAL, 1)
        self.socket.bind((ip, 0))
        endpoint = Endpoint(ip_address(ip), self.socket.getsockname()[1])
        self.core.set_sockets({_SOCKET: endpoint}, read_clock())
        self.is_online = False
        self.config: NetworkConfig | None = None
        self.reached_at = self.configured_at = 0.0
        """When the last datagram of that configuration came, and when it was applied; Unix time."""
        self._arrived_at = 0.0

    def read(self) -> None:
        """Feed the core what came."""
        try:
            data, notes, _, (ip, port) = self.socket.recvmsg(_BUFFER, _NOTES)
        except BlockingIOError:
            return
        self._arrived_at = _arrival(notes)
        source = Endpoint(ip_address(ip), port)
        train = Train(memoryview(bytearray(data)), len(data), source, _SOCKET)
        self.core.receive_datagrams(train, read_clock())
        self.drain()

    def handle_timer(self, mono: float) -> None:
        """Do what is due."""
        due = self.core.get_timer()
        if due is not None and due <= mono:
            self.core.handle_timer(read_clock())
            self.drain()

    def drain(self) -> None:
        """Send what the core has, and note what it tells."""
        for transmit in self.core.transmits():
            self._send(transmit)
        self.core.deliveries()
        while (event := self.core.next_event()) is not None:
            if isinstance(event, NodeOnline):
                self.is_online = event.online
            elif isinstance(event, NetworkConfigured):
                self.config, self.configured_at = event.config, time.time()
                self.reached_at = self._arrived_at
        for identity in self.core.validations():  # they are the laboratory's: honest
            self.core.identity_validated(identity, True, read_clock())

    def _send(self, transmit: Transmit) -> None:
        if transmit.destination.ip.version != 4:
            return
        where = (str(transmit.destination.ip), transmit.destination.port)
        for start in range(0, len(transmit.buffer), transmit.segment_size):
            datagram = transmit.buffer[start : start + transmit.segment_size]
            try:
                self.socket.sendto(datagram, where)
            except BlockingIOError:
                return  # lost, as on any network


def _arrival(notes: Sequence[tuple[int, int, bytes]]) -> float:
    """Return when a datagram came, as the kernel notes it."""
    for level, kind, value in notes:
        if (level, kind) == (socket.SOL_SOCKET, _ARRIVAL):
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return float(seconds + nanoseconds / 1e9)
    raise LabError("a datagram without the time of its arrival")


class Swarm:
    """A context with members that know each other as little as real ones do."""

    def __init__(self, host: Host, planet: bytes, controller: Identity, count: int) -> None:
        world = World.decode(Reader(planet))
        self.controller: Address = controller.address
        ips = _give_addresses(host, count)
        self.members = [Member(number, host, ip, world) for number, ip in enumerate(ips)]
        self._selector = selectors.DefaultSelector()
        for member in self.members:
            self._selector.register(member.socket, selectors.EVENT_READ, member)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._selector.close()
        for member in self.members:
            member.socket.close()

    def say_hello(self, timeout: float) -> None:
        """Let all become known to the controller, which is their root."""
        for member in self.members:
            member.drain()
        self._run_until(lambda: all(m.is_online for m in self.members), timeout, "all online")

    def join(self, network_id: int, timeout: float) -> None:
        """Let all join a network at one moment, until the last is configured."""
        for member in self.members:
            member.config = None
            member.core.join(NetworkId(network_id), read_clock())
            member.drain()
        self._run_until(
            lambda: all(m.config is not None for m in self.members), timeout, "all configured"
        )

    def check_addresses(self) -> None:
        """Fail unless every member has an address that no other has."""
        seen: set[str] = set()
        for member in self.members:
            assert member.config is not None
            for address in member.config.addresses:
                if address.version == 4:
                    seen.add(str(address.ip))
        if len(seen) != len(self.members):
            raise LabError(f"{len(self.members)} members have {len(seen)} addresses")

    def run_during(self, work: Callable[[], object], timeout: float) -> None:
        """Let the members live on while something is done elsewhere, and for a second more."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(work)
            self._run_until(done.done, timeout, "what was done meanwhile")
            done.result()
        end = time.monotonic() + _QUIET
        self._run_until(lambda: time.monotonic() > end, timeout, "a quiet second")

    def time_push(
        self, change: Callable[[int], object], mtu: int, timeout: float
    ) -> tuple[list[float], list[float]]:
        """Change the MTU; return the seconds until it reached each member, and was applied there.

        Both the shortest first.
        """
        start = time.time()
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(change, mtu)
            self._run_until(
                lambda: all(m.config and m.config.mtu == mtu for m in self.members),
                timeout,
                "all changed",
            )
            done.result()
        reached = sorted(member.reached_at - start for member in self.members)
        return reached, sorted(member.configured_at - start for member in self.members)

    def _run_until(self, is_done: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        next_timers = 0.0
        while not is_done():
            for key, _ in self._selector.select(_TIMER_STEP):
                key.data.read()
            mono = read_clock().mono
            if mono >= next_timers:
                next_timers = mono + _TIMER_STEP
                for member in self.members:
                    member.handle_timer(mono)
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not within {timeout:g} s")
