"""Name servers of networks: what of it a machine or a cluster may be told. Pure decisions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ztlink.ids import IpAddress

if TYPE_CHECKING:
    from ztlink.wire.netconf import NetworkConfig

_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
"""What goes into the configuration of others, and comes from a controller."""


@dataclass(frozen=True, slots=True)
class NameServers:
    """Who answers for a domain."""

    domain: str
    servers: tuple[IpAddress, ...]


def name_servers(config: "NetworkConfig | None") -> NameServers | None:
    """Return what a network says, as far as it can be used; None for nothing.

    Without a domain, or with one that is no name, its servers would be asked for everything.
    """
    if config is None:
        return None
    return usable(config.dns.domain.decode("ascii", errors="replace"), config.dns.servers)


def usable(domain: str, servers: Iterable[IpAddress]) -> NameServers | None:
    """Return what can be used of servers, and of the domain that is said to be theirs."""
    name = domain.lower().rstrip(".")
    found = tuple(ip for ip in servers if _is_usable(ip))
    return NameServers(name, found) if found and _DOMAIN.fullmatch(name) else None


def _is_usable(ip: IpAddress) -> bool:
    return not (ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local)


def coredns_stub(found: NameServers | None) -> str:
    """Return a server block that has CoreDNS ask a network's servers; empty for none."""
    if found is None:
        return ""
    return _BLOCK.format(domain=found.domain, servers=_joined(found.servers))


_BLOCK: Final = """{domain}:53 {{
    errors
    cache 30
    forward . {servers}
}}
"""


def _joined(servers: Iterable[IpAddress]) -> str:
    return " ".join(str(ip) for ip in servers)
