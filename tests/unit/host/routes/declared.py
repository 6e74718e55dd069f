"""Networks and declared routes for tests."""

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Final

from ztlink.host.overlay import Overlay
from ztlink.host.routes.wanted import DeclaredRoute, RoutingSettings
from ztlink.ids import Address, NetworkId

NETWORK: Final = NetworkId(0x8056C2E21C000001)
OTHER: Final = NetworkId(0x8056C2E21C000002)
OWN: Final = Address(0x35DA09F211)
MEMBER: Final = Address(0x89E92CEEE5)
GATEWAY: Final = ip_address("10.1.2.9")


def overlay(**changed: Any) -> Overlay:  # noqa: ANN401 - fields of an overlay
    """Return a network with one address of each family and one other member."""
    fields: dict[str, Any] = {
        "network_id": NETWORK,
        "own": OWN,
        "device": "zttest0",
        "index": 7,
        "mtu": 2800,
        "addresses": (ip_interface("10.1.2.3/24"), ip_interface("fd12::3/64")),
        "members": frozenset({MEMBER}),
    }
    return Overlay(**fields | changed)


def other_overlay(**changed: Any) -> Overlay:  # noqa: ANN401 - fields of an overlay
    """Return another network."""
    fields = {"network_id": OTHER, "index": 8, "addresses": (ip_interface("10.5.0.3/16"),)}
    return overlay(**fields | changed)


def declare(target: str = "10.20.0.0/16", **fields: Any) -> DeclaredRoute:  # noqa: ANN401
    """Return a route through a gateway in the network, unless it is said otherwise."""
    ways = {"via": GATEWAY} if "member" not in fields else {}
    return DeclaredRoute(ip_network(target), **{"network_id": NETWORK, **ways, **fields})


def settings(*routes: DeclaredRoute, **fields: Any) -> RoutingSettings:  # noqa: ANN401
    """Return settings with these routes."""
    return RoutingSettings(tuple(routes), **{"node_name": "worker-1", **fields})
