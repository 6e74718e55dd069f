"""What the operator wants of the firewall, and what it guards: values alone."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ztlink.host.desired import IpNetwork
from ztlink.ids import NetworkId

TABLE: Final = "ztlink"
"""The name of our nftables table, of family `inet`; several agents have a suffix each."""


class Protocol(StrEnum):
    """What a service speaks."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"
    """Echo requests of both families."""
    ANY = "any"
    """With ports: TCP and UDP; without: all there is."""


class Forwarding(StrEnum):
    """Whether packets of others pass through this machine."""

    DENY = "deny"
    DECLARED = "declared"
    """Only those to, or from, the networks that were named to be behind this machine."""
    ALLOW = "allow"


class Masquerade(StrEnum):
    """Whose packets leave into the overlay under this machine's overlay address."""

    NONE = "none"
    OUTSIDE_DECLARED = "outsideDeclared"
    """Those for which nobody told the other side a way back."""
    ALL = "all"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports from the first to the last, which may be one."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Service:
    """What members of the overlay may reach on this machine."""

    protocol: Protocol
    ports: tuple[PortRange, ...] = ()
    """Empty for all of the protocol."""
    name: str = ""
    sources: tuple[IpNetwork, ...] = ()
    """Empty for all."""
    networks: tuple[NetworkId, ...] = ()
    """Empty for all."""


@dataclass(frozen=True, slots=True)
class HttpGuard:
    """Who, outside of the overlay, may reach the agent's own HTTP port."""

    port: int
    sources: tuple[IpNetwork, ...]
    """Beside loopback; empty for nobody."""


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """How the firewall is to be."""

    is_enabled: bool = True
    services: tuple[Service, ...] = ()
    exclusive: tuple[Service, ...] = ()
    """Ports of this machine that are open on the overlay, and on no other device."""
    from_overlay: Forwarding = Forwarding.DENY
    to_overlay: Forwarding = Forwarding.ALLOW
    inside: tuple[IpNetwork, ...] = ()
    """What is behind this machine: pods, services. `Forwarding.DECLARED` is about these."""
    masquerade: Masquerade = Masquerade.NONE
    outside: tuple[IpNetwork, ...] = ()
    """What is behind other members that know the way back to `inside`."""
    clamp_mss: bool = True
    http: HttpGuard | None = None
    """None where that port is guarded by nobody, outside of the overlay."""
    table: str = TABLE

    @property
    def wants_forwarding(self) -> bool:
        """Tell whether the kernel has to forward for what was asked."""
        return self.from_overlay is not Forwarding.DENY or self.masquerade is not Masquerade.NONE


@dataclass(frozen=True, slots=True)
class Guarded:
    """A device of the overlay, as the rules see it."""

    network_id: NetworkId
    name: str
    behind: tuple[IpNetwork, ...] = ()
    """Networks behind this machine to which all members have a route."""
