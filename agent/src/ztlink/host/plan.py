"""The host is compared, then changed: what to do to get from what is to what should be."""

from dataclasses import dataclass

from ztlink.host.desired import Desired, HostRoute
from ztlink.ids import IpInterface


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations on one device, in the order in which they are to be done."""

    mtu: int | None = None
    remove_routes: tuple[HostRoute, ...] = ()
    remove_addresses: tuple[IpInterface, ...] = ()
    add_addresses: tuple[IpInterface, ...] = ()
    add_routes: tuple[HostRoute, ...] = ()


def plan(desired: Desired, applied: Desired) -> Plan:
    """Compare what should be with what we applied; touch nothing that already fits."""
    kept = set(desired.addresses) & set(applied.addresses)
    # The kernel takes routes away with the address that they name as source.
    standing = tuple(r for r in applied.routes if r.source is None or _has(kept, r))
    return Plan(
        mtu=desired.mtu if desired.mtu != applied.mtu else None,
        remove_routes=tuple(r for r in standing if r not in desired.routes),
        remove_addresses=tuple(a for a in applied.addresses if a not in desired.addresses),
        add_addresses=tuple(a for a in desired.addresses if a not in applied.addresses),
        add_routes=tuple(r for r in desired.routes if r not in standing),
    )


def _has(addresses: set[IpInterface], route: HostRoute) -> bool:
    return any(route.source == address.ip for address in addresses)
