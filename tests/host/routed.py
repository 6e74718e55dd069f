"""A machine with a network's device, on which declared routes are kept."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from socket import if_nametoindex
from typing import Any, Final

from tests.host.machine import ask, bring_up
from ztlink.drivers.tap import Tap
from ztlink.host.overlay import Overlay
from ztlink.host.routes.kernel import DECLARED_PROTOCOL
from ztlink.host.routes.wanted import ClusterSettings, DeclaredRoute, RoutingSettings
from ztlink.ids import Address, NetworkId

NETWORK: Final = NetworkId(0x8056C2E21C000001)
NAME: Final = "zttest0"
OWN: Final = Address(0x35DA09F211)
MEMBER: Final = Address(0x89E92CEEE5)
DECLARED: Final = ("proto", str(DECLARED_PROTOCOL))
ALL_TABLES: Final = ("table", "all", *DECLARED)
NOWHERE: Final = Path("/nonexistent")


@dataclass
class Device:
    """A network's device, and the network as the machine has it."""

    tap: Tap
    overlay: Overlay


@contextlib.contextmanager
def device(name: str = NAME, network_id: NetworkId = NETWORK, host: int = 3) -> Iterator[Device]:
    """Have a network's device with an address of each family."""
    tap = Tap(name)
    try:
        own = (ip_interface(f"10.1.{host}.3/24"), ip_interface(f"fd12:{host}::3/64"))
        bring_up(tap, *map(str, own))
        index = if_nametoindex(name)
        yield Device(tap, Overlay(network_id, OWN, name, index, 2800, own, (), frozenset({MEMBER})))
    finally:
        tap.close()


def declare(target: str = "10.20.0.0/16", **fields: Any) -> DeclaredRoute:  # noqa: ANN401
    """Return a route through a gateway in the network, unless it is said otherwise."""
    declared = DeclaredRoute(ip_network(target), NETWORK, ip_address("10.1.3.9"))
    if "member" in fields:
        declared = replace(declared, via=None)
    return replace(declared, **fields)


def settings(*routes: DeclaredRoute, **fields: Any) -> RoutingSettings:  # noqa: ANN401
    """Return settings with these routes, where no file tells of a cluster."""
    cluster = ClusterSettings(cni_directory=NOWHERE)
    return RoutingSettings(routes, **{"cluster": cluster, "node_name": "worker-1", **fields})


def made() -> list[dict[str, Any]]:
    """Return the routes under our number, of all tables and both families."""
    return [one for family in ("-4", "-6") for one in ask(family, "route", "show", *ALL_TABLES)]


def targets() -> set[str]:
    """Return where they lead to."""
    return {str(one["dst"]) for one in made()}


def rules() -> list[tuple[int, str]]:
    """Return priority and table of the rules under our number, of both families."""
    return [
        (rule["priority"], str(rule["table"]))
        for family in ("-4", "-6")
        for rule in ask(family, "rule", "show")
        if str(rule.get("protocol")) == str(DECLARED_PROTOCOL)
    ]
