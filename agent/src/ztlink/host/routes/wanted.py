"""What the operator declares of routes, and what of the cluster they must not harm."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from ztlink.host.desired import IpNetwork
from ztlink.ids import Address, IpAddress, NetworkId, format_address

DEFAULT_METRIC: Final = 100
DEFAULT_RULE_PRIORITY: Final = 9000
"""Before the table `main`, which is at 32766, and behind `local` at 0."""
CNI_DIRECTORY: Final = Path("/etc/cni/net.d")


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """A route through a network, in the operator's words."""

    target: IpNetwork
    network_id: NetworkId | None = None
    """None for the only one there is."""
    via: IpAddress | None = None
    member: Address | None = None
    """In place of `via`: the member itself, whatever its addresses are. Neither: on the link."""
    metric: int = DEFAULT_METRIC
    table: int | None = None
    """None for that of all routes."""
    source: IpAddress | None = None
    mtu: int | None = None
    nodes: tuple[str, ...] = ()
    """Patterns of the names of nodes that are to have it; empty for all."""
    allow_overlap: bool = False

    @property
    def way(self) -> str:
        """Where it leads, for people."""
        if self.member is not None:
            return format_address(self.member)
        return str(self.via) if self.via is not None else ""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The ranges of the cluster that the machine is a node of."""

    pods: tuple[IpNetwork, ...] = ()
    services: tuple[IpNetwork, ...] = ()
    nodes: tuple[IpNetwork, ...] = ()
    detect: bool = True
    """Those that are not given are looked for."""
    cni_directory: Path = CNI_DIRECTORY
    service_ip: IpAddress | None = None
    """The address of the cluster's API, which is one of the services'."""


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """All that is declared of routes."""

    routes: tuple[DeclaredRoute, ...] = ()
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    table: int | None = None
    """A table of our own, to which rules lead; None for `main`."""
    rule_priority: int = DEFAULT_RULE_PRIORITY
    node_name: str = ""
    required: frozenset[NetworkId] = frozenset()
    """Networks without whose routes the node is not ready."""

    @property
    def targets(self) -> tuple[IpNetwork, ...]:
        """Where this node's routes lead to."""
        return tuple(one.target for one in self.routes if is_for(one.nodes, self.node_name))


def is_for(patterns: Iterable[str], node_name: str) -> bool:
    """Tell whether a node is among those that patterns name; no pattern names all."""
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(node_name, pattern) for pattern in patterns)
