"""Which sockets a node has: every port on every address that is worth one (wire.adoc#ip-scope)."""

import errno
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from ztlink.drivers.udp import UdpDriver
from ztlink.errors import HostError
from ztlink.ids import IpAddress
from ztlink.wire.inet_address import IpScope, ip_scope

MIN_RANDOM_PORT: Final = 20_000
RANDOM_PORTS: Final = 45_500
MAX_TRIES: Final = 256
_BINDABLE: Final = frozenset(
    {IpScope.PRIVATE, IpScope.SHARED, IpScope.PSEUDO_PRIVATE, IpScope.GLOBAL}
)


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


def eligible(
    addresses: Iterable[tuple[str, IpAddress]], policy: SocketPolicy
) -> tuple[IpAddress, ...]:
    """Return the addresses to bind of those that the machine has on its devices, in order."""
    if policy.bind:
        return tuple(dict.fromkeys(policy.bind))
    found = {ip for device, ip in addresses if _is_eligible(device, ip, policy)}
    return tuple(sorted(found, key=lambda ip: (ip.version, int(ip))))


def _is_eligible(device: str, ip: IpAddress, policy: SocketPolicy) -> bool:
    if any(ip in network for network in policy.excluded_networks):
        return False
    if ip_scope(ip) is IpScope.LOOPBACK:
        return policy.allow_loopback
    return (
        ip_scope(ip) in _BINDABLE
        and device not in policy.excluded_devices
        and not device.startswith(policy.excluded_prefixes)
    )


def random_port(random_bytes: Callable[[int], bytes]) -> int:
    """Return a port for those that nobody needs to know beforehand."""
    return MIN_RANDOM_PORT + int.from_bytes(random_bytes(4), "big") % RANDOM_PORTS


def bind_with_random_port(
    udp: UdpDriver,
    ips: Collection[IpAddress],
    ports: Sequence[int],
    random_bytes: Callable[[int], bytes],
) -> int:
    """Bind the ports and a random one that is free on every address, and return it."""
    in_use: list[HostError] = []
    for _ in range(MAX_TRIES):
        port = random_port(random_bytes)
        failures = udp.bind(ips, (*ports, port))
        in_use = [
            error
            for endpoint, error in failures.items()
            if endpoint.port == port and error.errno == errno.EADDRINUSE
        ]
        if not in_use:
            return port
    raise in_use[0]
