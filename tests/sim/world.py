"""The world of a simulation: one virtual time, one source of chance, the Internet and its hosts.

Everything follows from the seed. All datagrams that hosts send are hashed into one digest, so that
two runs can be compared byte for byte.
"""

import hashlib
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from random import Random
from typing import Final

from tests.sim.internet import Gateway, Host, Segment
from tests.sim.link import Datagram, Link
from tests.sim.nat import Nat, NatKind
from tests.sim.schedule import Schedule
from tests.vectors.loading import load
from ztlink.clock import Now
from ztlink.ids import IpAddress
from ztlink.wire.identity import SecretIdentity

EPOCH_UNIX_MS: Final = 1_750_000_000_000
"""What every wall clock shows when a world begins."""
INTERNET_ROUTERS: Final = 4
_PUBLIC_IPV4: Final = int(IPv4Address("77.20.0.1"))
_PUBLIC_IPV6: Final = int(IPv6Address("2a03:4500::1"))


class World:
    """Time, chance and the network; nodes are put into it by others."""

    def __init__(self, seed: int, *, delay: float = 0.010, loss: float = 0.0) -> None:
        self.seed = seed
        self.schedule = Schedule()
        self.internet = Segment(
            self.schedule,
            self.chance("internet"),
            backbone=Link(delay=delay, loss=loss),
            routers=INTERNET_ROUTERS,
        )
        self.datagrams = 0
        """Datagrams that hosts sent so far."""
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._watchers: list[Callable[[Datagram], None]] = []
        self._identities = iter(load("identities-many.json")["identities"])
        self._public_ipv4 = _PUBLIC_IPV4
        self._public_ipv6 = _PUBLIC_IPV6
        self._local: dict[Segment, int] = {}

    # -- time and chance ---------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds since the world began."""
        return self.schedule.time

    def chance(self, purpose: str) -> Random:
        """Return a source of chance of its own for a purpose."""
        return Random(f"{self.seed}/{purpose}")  # noqa: S311 - it is to be repeatable

    def run(self, seconds: float) -> None:
        """Let time go on."""
        self.schedule.run_until(self.time + seconds)

    def run_until(self, condition: Callable[[], bool], *, limit: float) -> bool:
        """Let time go on until something is so, `limit` seconds at most; tell whether it is."""
        return self.schedule.run_while(lambda: not condition(), limit=limit)

    # -- what there is -----------------------------------------------------------------------

    def next_identity(self) -> SecretIdentity:
        """Return an identity that nobody in this world has yet."""
        return SecretIdentity.from_text(next(self._identities))

    def add_host(self, name: str, *, ipv4: bool = True, ipv6: bool = False) -> Host:
        """Put a machine with public addresses on the Internet."""
        host = self._make_host(name)
        if ipv4:
            host.attach(self.internet, self.next_ipv4())
        if ipv6:
            host.attach(self.internet, self.next_ipv6())
        return host

    def add_nat(
        self,
        name: str,
        kind: NatKind,
        *,
        lifetime: float = 30.0,
        has_hairpin: bool = False,
        outside: Segment | None = None,
        outside_ip: str | None = None,
    ) -> Gateway:
        """Put a NAT box on the Internet, or on the LAN of another box, with a LAN behind it."""
        ip = ip_address(outside_ip) if outside_ip else self.next_ipv4()
        chance = self.chance(f"nat/{name}")
        nat = Nat(kind, ip, chance, lifetime=lifetime, has_hairpin=has_hairpin)
        lan = Segment(self.schedule, self.chance(f"lan/{name}"), backbone=Link(delay=0.0002))
        return Gateway(name, nat, lan, outside or self.internet, self.schedule)

    def add_host_behind(
        self, gateway: Gateway, name: str, *, network: str = "192.168.1.0/24"
    ) -> Host:
        """Put a machine on a LAN; the LANs of all boxes may well use the same addresses."""
        host = self._make_host(name)
        number = self._local.get(gateway.inside, 9) + 1
        self._local[gateway.inside] = number
        host.attach(gateway.inside, IPv4Network(network)[number])
        return host

    def next_ipv4(self) -> IpAddress:
        """Return a public address, each in a /24 of its own."""
        self._public_ipv4 += 256
        return IPv4Address(self._public_ipv4)

    def next_ipv6(self) -> IpAddress:
        """Return a public IPv6 address, each in a /64 of its own."""
        self._public_ipv6 += 1 << 64
        return IPv6Address(self._public_ipv6)

    def _make_host(self, name: str) -> Host:
        return Host(name, self.schedule, self._record)

    # -- what happened -----------------------------------------------------------------------

    def watch(self, watcher: Callable[[Datagram], None]) -> None:
        """Have every datagram that a host sends shown to somebody."""
        self._watchers.append(watcher)

    def digest(self) -> str:
        """Return the hash of all datagrams so far: when, from where, to where, what."""
        return self._digest.hexdigest()

    def _record(self, datagram: Datagram) -> None:
        self.datagrams += 1
        self.bytes += len(datagram.payload)
        head = f"{self.time!r} {datagram.source} {datagram.destination} {datagram.ttl} "
        self._digest.update(head.encode())
        self._digest.update(len(datagram.payload).to_bytes(4, "big") + datagram.payload)
        for watcher in self._watchers:
            watcher(datagram)


class Clock:
    """The two clocks of one machine: one since its start, and one on the wall that may be set."""

    def __init__(self, schedule: Schedule, uptime: float) -> None:
        self._schedule = schedule
        self._uptime = uptime
        self._step = 0.0
        self._last_mono = 0.0

    def now(self) -> Now:
        """Read both clocks."""
        unix_ms = EPOCH_UNIX_MS + int((self._schedule.time + self._step) * 1000)
        self._last_mono = max(self._last_mono, self._schedule.time + self._uptime)
        return Now(self._last_mono, unix_ms)

    def at(self, mono: float) -> Now:
        """Read both clocks, not before a monotonic time that is due by now."""
        self._last_mono = max(self._last_mono, mono)
        return self.now()

    def world_time(self, mono: float) -> float:
        """Convert a monotonic time to the world's."""
        return mono - self._uptime

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back; the monotonic clock goes on as before."""
        self._step += seconds
