"""Routes, rules and neighbours as the kernel knows them."""

from dataclasses import dataclass
from typing import Final

from ztlink.host.desired import IpNetwork
from ztlink.ids import IpAddress, Mac

MANAGED_PROTOCOL: Final = 0x5A
"""`rtm_protocol` of the routes that networks' controllers ask for."""
DECLARED_PROTOCOL: Final = 0x5B
"""`rtm_protocol` of what is made for routes that the operator declares: two hands, and each finds
its own work again after a crash."""
MAIN_TABLE: Final = 254

Key = tuple[IpNetwork, int, int]


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A route of ours."""

    target: IpNetwork
    index: int
    """The device's."""
    gateway: IpAddress | None
    metric: int
    table: int = MAIN_TABLE
    source: IpAddress | None = None
    mtu: int = 0
    """0 for the device's."""

    @property
    def key(self) -> Key:
        """What there is one of in the kernel."""
        return self.target, self.table, self.metric


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The MAC of a next hop, said once and for all: a member's follows from its address."""

    index: int
    ip: IpAddress
    mac: Mac


@dataclass(frozen=True, slots=True)
class Rule:
    """Has the kernel look into a table."""

    version: int
    table: int
    priority: int


@dataclass(frozen=True, slots=True)
class Observed:
    """All that is there under our number."""

    routes: tuple[KernelRoute, ...] = ()
    rules: tuple[Rule, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignRoute:
    """A route that others made."""

    target: IpNetwork
    index: int
    """0 where it leads through several devices, or none."""
    protocol: int
    is_on_link: bool
    gateway: IpAddress | None = None
