"""Which sockets a node has: every port on every address that is worth one (wire.adoc#ip-scope)."""

import errno
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NamedTuple

from ztlink.drivers.udp import UdpDriver
from ztlink.errors import HostError
from ztlink.ids import Address, IpAddress
from ztlink.wire.inet_address import IpScope, ip_scope

MIN_RANDOM_PORT: Final = 20_000
RANDOM_PORTS: Final = 45_500
MAX_TRIES: Final = 256
MAX_TOLD: Final = 4
"""Addresses that a message names."""
_BINDABLE: Final = frozenset(
    {IpScope.PRIVATE, IpScope.SHARED, IpScope.PSEUDO_PRIVATE, IpScope.GLOBAL}
)


class LocalAddress(NamedTuple):
    """An address of a device of this machine that is up."""

    device: str
    ip: IpAddress
    way_out: int = 0
    """The index of the device; 0 where any may be the way out, as from the machine's own."""
    is_tentative: bool = False
    """IPv6: whether somebody else has it is still being found out, or somebody has."""
    is_deprecated: bool = False
    """IPv6: good for what uses it already, and for nothing new."""


@dataclass(frozen=True, slots=True)
class SocketPolicy:
    """Which addresses of the machine the node uses."""

    bind: tuple[IpAddress, ...] = ()
    """These and no others; empty for all that the rest of the policy lets pass."""
    excluded_prefixes: tuple[str, ...] = ()
    """Devices whose names begin so."""
    excluded_devices: frozenset[str] = frozenset()
    """Devices of these names: our own, however the operator calls them."""
    excluded_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Deafness:
    """Why a node has no socket, and what would help."""

    message: str
    remedy: str


def eligible(
    addresses: Iterable[LocalAddress],
    policy: SocketPolicy,
    bound: Collection[IpAddress] = frozenset(),
) -> tuple[IpAddress, ...]:
    """Return the addresses to bind of those that the machine has on its devices, in order.

    A tentative address is for later, when the kernel tells that it is good. A deprecated one stays
    as long as it is there if it is `bound`; a new one counts only where its device has no better.
    """
    if policy.bind:
        return tuple(dict.fromkeys(policy.bind))
    usable = [one for one in addresses if not one.is_tentative and _is_eligible(one, policy)]
    fresh = {(one.device, one.ip.version) for one in usable if not one.is_deprecated}
    found = {
        one.ip
        for one in usable
        if not one.is_deprecated or one.ip in bound or (one.device, one.ip.version) not in fresh
    }
    return tuple(sorted(found, key=lambda ip: (ip.version, int(ip))))


def _is_eligible(one: LocalAddress, policy: SocketPolicy) -> bool:
    scope = ip_scope(one.ip)
    if any(one.ip in network for network in policy.excluded_networks):
        return False
    if scope is IpScope.LOOPBACK:
        return policy.allow_loopback
    return (
        scope in _BINDABLE
        and one.device not in policy.excluded_devices
        and not one.device.startswith(policy.excluded_prefixes)
    )


def why_deaf(addresses: Sequence[LocalAddress], policy: SocketPolicy) -> Deafness:
    """Say why none of the addresses that the machine has is one to bind."""
    if policy.bind:
        wanted = ", ".join(str(ip) for ip in policy.bind)
        return Deafness(
            f"this machine has none of the addresses that are to be bound: {wanted}",
            "give it one of them, or name another by --bind or settings.bind of local.conf",
        )
    refused = [text for one in addresses if (text := _refusal(one, policy))]
    if not refused:
        return Deafness(
            "this machine has no address but those of itself and of its links",
            "give it an address that others can reach",
        )
    more = f" and {len(refused) - MAX_TOLD} more" if len(refused) > MAX_TOLD else ""
    return Deafness(
        f"no address of this machine may be used: {', '.join(refused[:MAX_TOLD])}{more}",
        "name an address by --bind or settings.bind of local.conf, or let one pass there "
        "(settings.interfacePrefixBlacklist, physical)",
    )


def _refusal(one: LocalAddress, policy: SocketPolicy) -> str:
    """Say what keeps us off an address; empty where it is of the machine or a link alone."""
    if ip_scope(one.ip) not in _BINDABLE:
        return ""
    reason = "is not ready yet"
    if one.device in policy.excluded_devices:
        reason = "is on a device of ours or of this machine alone"
    elif prefixes := [text for text in policy.excluded_prefixes if one.device.startswith(text)]:
        reason = f"is on a device whose name begins with {prefixes[0]}"
    elif networks := [network for network in policy.excluded_networks if one.ip in network]:
        reason = f"is in {networks[0]}, which local.conf excludes"
    return f"{one.ip} ({one.device}) {reason}"


def random_port(random_bytes: Callable[[int], bytes]) -> int:
    """Return a port for those that nobody needs to know beforehand."""
    return MIN_RANDOM_PORT + int.from_bytes(random_bytes(4), "big") % RANDOM_PORTS


def usual_ports(address: Address) -> tuple[int, int]:
    """Return the ports that a node tries before random ones, two, the same at every start.

    Whoever spoke with it before it was started anew goes on sending to where it was; nodes of the
    original do for 15 to 20 s, and take no other path meanwhile.
    """
    quotient, first = divmod(address, RANDOM_PORTS)
    second = (first + 1 + quotient % (RANDOM_PORTS - 1)) % RANDOM_PORTS
    return MIN_RANDOM_PORT + first, MIN_RANDOM_PORT + second


def draw_ports(random_bytes: Callable[[int], bytes], usual: int | None) -> Iterator[int]:
    """Yield ports to try: the usual one where there is one, then random ones."""
    if usual is not None:
        yield usual
    for _ in range(MAX_TRIES):
        yield random_port(random_bytes)


def bind_with_random_port(
    udp: UdpDriver,
    ips: Collection[IpAddress],
    ports: Sequence[int],
    random_bytes: Callable[[int], bytes],
    usual: int | None = None,
) -> int:
    """Bind the ports and one more that is free on every address, and return that."""
    in_use: list[HostError] = []
    for port in draw_ports(random_bytes, usual):
        failures = udp.bind(ips, (*ports, port))
        in_use = [
            error
            for endpoint, error in failures.items()
            if endpoint.port == port and error.errno == errno.EADDRINUSE
        ]
        if not in_use:
            return port
    raise in_use[0]
