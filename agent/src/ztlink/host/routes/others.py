"""Several agents on one machine: what another one has made is not ours to remove.

All of them use the same protocol number. A device tells whose it is by its mark and the MAC of the
member that it is for; a route and a next hop are its device's. A rule has no device: where there is
another agent, one to a table that is none of ours is left alone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from ztlink.host.routes.kernel import Observed, Rule
from ztlink.host.routes.plan import Desired
from ztlink.ids import Address, Mac, member_mac, parse_network_id

MARK: Final = "ztlink "
"""How the aliases of our devices begin."""


@dataclass(frozen=True, slots=True)
class MarkedDevice:
    """A device that something is written on."""

    index: int
    mark: str
    mac: Mac
    is_held: bool
    """By a process."""


def is_of_another(device: MarkedDevice, own: Address) -> bool:
    """Tell whether a device is one of another agent than that of the node `own`."""
    if not device.mark.startswith(MARK):
        return False
    try:
        network_id = parse_network_id(device.mark.removeprefix(MARK))
    except ValueError:
        return False
    return member_mac(own, network_id) != device.mac


def needs_a_look(observed: Observed, indexes: Collection[int], rules: Collection[Rule]) -> bool:
    """Tell whether something is there that our devices and rules do not explain."""
    return not (
        {route.index for route in observed.routes} <= {*indexes}
        and {one.index for one in observed.neighbours} <= {*indexes}
        and {*observed.rules} <= {*rules}
    )


def without_others(
    observed: Observed, others: Iterable[MarkedDevice], desired: Desired
) -> Observed:
    """Leave out what belongs to devices of others.

    What stands in our way and leads to a device that nobody holds is replaced all the same: such is
    left where an agent has lost its identity.
    """
    held = {device.index: device.is_held for device in others}
    if not held:
        return observed
    wanted = {route.key for route in desired.routes}
    routes = tuple(
        route
        for route in observed.routes
        if route.index not in held or (not held[route.index] and route.key in wanted)
    )
    tables = {rule.table for rule in desired.rules} | {route.table for route in routes}
    return Observed(
        routes,
        tuple(rule for rule in observed.rules if rule.table in tables),
        tuple(one for one in observed.neighbours if one.index not in held),
    )
