"""Keeps the sockets of a node on the addresses that the machine has and on the ports that it wants.

There are up to three ports, the same on every address. The primary is the one that others may know
beforehand. The secondary is drawn at random, for NATs that fail when two machines behind them use
one port: at the start by lot of the node's address, so that peers find it where it was, and by
chance when the node was offline for long. The tertiary is for an operator who
has a router forward it.
"""

import errno
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ztlink.drivers.sockets import (
    Deafness,
    LocalAddress,
    SocketPolicy,
    bind_with_random_port,
    draw_ports,
    eligible,
    usual_ports,
    why_deaf,
)
from ztlink.drivers.udp import UdpDriver, port_advice
from ztlink.errors import HostError
from ztlink.ids import Address, IpAddress

logger = logging.getLogger(__name__)

API_ADDRESS: Final = "127.0.0.1"
MAX_PORT: Final = 65_535
_NOT_TO_BE_HAD: Final = frozenset({errno.EADDRINUSE, errno.EACCES})
"""What is wrong with a port, not with an address."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Which ports are wanted."""

    primary: int
    """0 for a random one."""
    next_ports: int = 0
    """How many ports after the primary may be taken where it is in use."""
    secondary: int | None = 0
    """None for none; 0 for a random one."""
    tertiary: int | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """The ports in use, 0 for those that there are not."""

    primary: int = 0
    secondary: int = 0
    tertiary: int = 0
    deafness: Deafness | None = None
    """Why no socket is open; None where one is."""


class Binder:
    """Chooses the ports once and follows the addresses; for whoever owns the driver's sockets."""

    def __init__(
        self,
        ports: Ports,
        policy: SocketPolicy,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._ports = ports
        self.policy = policy
        """May be replaced; `follow` then acts on it."""
        self.addresses: Sequence[LocalAddress] = ()
        """Of the machine, as last looked at; may be replaced."""
        self._random_bytes = random_bytes
        self._told: set[str] = set()
        self._open: frozenset[int] = frozenset()
        """The ports that a socket has."""
        self._deafness: Deafness | None = None
        self.primary = 0
        """In use; 0 before `start`."""
        self.secondary = 0
        """In use; 0 where there is none."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports in use, the primary first."""
        found = (self.primary, self.secondary, self._ports.tertiary or 0)
        return tuple(dict.fromkeys(port for port in found if port))

    @property
    def bound(self) -> Bound:
        """What is in use; to be read from any thread."""
        others = (self.secondary, self._ports.tertiary or 0)
        secondary, tertiary = (port if port in self._open else 0 for port in others)
        return Bound(self.primary, secondary, tertiary, self._deafness)

    @property
    def has_random_secondary(self) -> bool:
        """Whether `draw_secondary` may help."""
        return self._ports.secondary == 0

    def start(self, udp: UdpDriver, address: Address | None = None) -> None:
        """Bind for the first time; HostError where no wanted primary port is free.

        A node that says its address has the ports that it had last time where it may choose.
        """
        usual, usual_secondary = (None, None) if address is None else usual_ports(address)
        udp.device_of = self._way_out
        ips = self._eligible(udp)
        self._start_primary(udp, ips, usual)
        if self._ports.secondary:
            self.secondary = self._ports.secondary
            self._bind(udp, ips)
        elif self.has_random_secondary:
            self._draw(udp, ips, usual_secondary)
        else:
            self._bind(udp, ips)

    def follow(self, udp: UdpDriver) -> None:
        """Bind what is new and close what is gone; what cannot be bound is said once."""
        self._bind(udp, self._eligible(udp))

    def draw_secondary(self, udp: UdpDriver) -> None:
        """Take another random secondary port: the NAT may have stuck to the former one."""
        if self.has_random_secondary:
            self._draw(udp, self._eligible(udp))

    # -- ports -------------------------------------------------------------------------------

    def _start_primary(self, udp: UdpDriver, ips: Sequence[IpAddress], usual: int | None) -> None:
        first: HostError | None = None
        for port in self._candidates(usual):
            failure = _in_use(udp, ips, port)
            if failure is None:
                if first is not None:
                    logger.warning("%s; taking port %d", first.strerror, port)
                self.primary = port
                return
            first = first or failure
        assert first is not None, "there is at least one candidate"
        raise first

    def _candidates(self, usual: int | None) -> Iterator[int]:
        primary = self._ports.primary
        if primary == 0:
            yield from draw_ports(self._random_bytes, usual)
        else:
            yield from range(primary, min(primary + self._ports.next_ports, MAX_PORT) + 1)

    def _draw(self, udp: UdpDriver, ips: Sequence[IpAddress], usual: int | None = None) -> None:
        tertiary = (self._ports.tertiary,) if self._ports.tertiary else ()
        fixed = (self.primary, *tertiary)
        try:
            self.secondary = bind_with_random_port(udp, ips, fixed, self._random_bytes, usual)
        except HostError as error:  # of hundreds: the machine has run out of ports
            logger.warning("no secondary port error=%s", error.strerror)
            self.secondary = 0
        self._bind(udp, ips)

    # -- addresses ---------------------------------------------------------------------------

    def _eligible(self, udp: UdpDriver) -> tuple[IpAddress, ...]:
        bound = frozenset(opened.endpoint.ip for opened in udp.sockets.values())
        return eligible(self.addresses, self.policy, bound)

    def _way_out(self, ip: IpAddress) -> int:
        return next((one.way_out for one in self.addresses if one.ip == ip), 0)

    def _bind(self, udp: UdpDriver, ips: Sequence[IpAddress]) -> None:
        failures = udp.bind(ips, self.ports).values()
        messages = {str(error.strerror): None for error in failures}
        for message in messages:
            if message not in self._told:
                logger.warning("%s", message)
        self._told = set(messages)
        self._open = frozenset(opened.endpoint.port for opened in udp.sockets.values())
        self._tell_deafness(None if udp.sockets else self._why_deaf(tuple(failures)))

    def _why_deaf(self, failures: Sequence[HostError]) -> Deafness:
        for error in failures:
            if error.errno != errno.EADDRNOTAVAIL:  # the address is there
                return Deafness(str(error.strerror), "free the port, or choose another")
        return why_deaf(self.addresses, self.policy)

    def _tell_deafness(self, deafness: Deafness | None) -> None:
        """Say why there is no socket, once, and when there is one again."""
        if deafness is None and self._deafness is not None:
            logger.info("there are UDP sockets again")
        elif deafness is not None and deafness != self._deafness:
            logger.warning(
                "no UDP socket is open, so nobody is reached: %s; %s",
                deafness.message,
                deafness.remedy,
            )
        self._deafness = deafness


def _in_use(udp: UdpDriver, ips: Sequence[IpAddress], port: int) -> HostError | None:
    """Bind a primary port, and return the error if it cannot be had, by UDP or by TCP."""
    failures = udp.bind(ips, (port,)).values()
    taken = [error for error in failures if error.errno in _NOT_TO_BE_HAD]
    return taken[0] if taken else _tcp_in_use(port)


def _tcp_in_use(port: int) -> HostError | None:
    """Return the error if the local API could not have a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((API_ADDRESS, port))
            trial.listen(1)  # only now is it known that nobody else listens
        except OSError as error:
            return HostError(
                error.errno,
                f"cannot bind TCP {API_ADDRESS}:{port} for the local API: {error.strerror}"
                f"{port_advice(error)}",
            )
    return None
