"""What is well with a node and what is not: `Condition`s made of one look at it.

Decisions only: what is judged was seen by `observe`. Who manages something on the machine (routes,
the firewall, the configuration file) judges that by itself; what it says is put behind ours.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ztlink.api.observe import Membership, Observation
from ztlink.conditions import Condition, Status
from ztlink.host.device import PARTS
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.node.events import NetworkStatus
from ztlink.settings import Settings

MAX_SKEW: Final = 60.0
"""Seconds by which a clock may differ from a controller's: certificates bear a few minutes."""
_MAX_FUTURE: Final = 3600.0
"""Seconds by which the planet may seem to be signed in the future."""

REMEDIES: Final[Mapping[NetworkStatus, str]] = {
    NetworkStatus.REQUESTING_CONFIGURATION: (
        "if it stays so, look whether the controller runs and whether UDP gets to the roots"
    ),
    NetworkStatus.ACCESS_DENIED: (
        "authorise this node at the network's controller: "
        "'ztlink authorize {network} {address}' where the controller is ours"
    ),
    NetworkStatus.NOT_FOUND: "check the network's id: its controller knows no such network",
    NetworkStatus.PORT_ERROR: (
        "where a device cannot be made, give the node /dev/net/tun and CAP_NET_ADMIN; where an "
        "address or a route is refused, correct it at the network's controller"
    ),
    NetworkStatus.CLIENT_TOO_OLD: "run a newer version: the controller takes no older ones",
    NetworkStatus.AUTHENTICATION_REQUIRED: (
        "exempt this node from single sign-on at the controller: a node cannot log in"
    ),
}
_LET_IN: Final = frozenset({NetworkStatus.OK, NetworkStatus.PORT_ERROR})
_REPAIRED: Final = "it is set again within seconds; else the log says why"
_BEFORE: Final = "it comes with the network's configuration, which is not here yet"
_KEEP_TIME: Final = "keep the time of both machines by NTP (chrony, systemd-timesyncd)"

NO_ANSWER: Final = Condition(
    "node",
    Status.FAULT,
    cause="the node does not answer",
    remedy="if it stays so, restart it, and report what its log says last",
)
"""All that can be told of a node that is stuck."""


def conditions_of(seen: Observation, settings: Settings) -> tuple[Condition, ...]:
    """Judge a node; the order is that in which a person looks for what is wrong."""
    joined = {membership.view.network_id: membership for membership in seen.memberships}
    required = [m.network_id for m in settings.memberships if m.is_required]
    missing = [network_id for network_id in required if network_id not in joined]
    address = format_address(seen.node.identity.address)
    return (
        _sockets(seen, settings),
        _online(seen),
        _world(seen),
        _clock(seen),
        *map(_left, missing),
        *(
            condition
            for membership in seen.memberships
            for condition in _network(
                membership, address, is_required=membership.view.network_id in required
            )
        ),
        *(condition for report in seen.reports for condition in report.conditions),
    )


def is_ready(conditions: Iterable[Condition]) -> bool:
    """Tell whether nothing that is required is missed."""
    return all(one.status is Status.OK for one in conditions if one.is_required)


def is_well(conditions: Iterable[Condition]) -> bool:
    """Tell whether nothing is wrong, required or not."""
    found = tuple(conditions)
    return is_ready(found) and all(one.status is not Status.FAULT for one in found)


# -- the node ----------------------------------------------------------------------------------


def _sockets(seen: Observation, settings: Settings) -> Condition:
    if seen.sockets:
        return Condition("sockets", Status.OK)
    cause = f"no UDP socket is open on port {settings.port}"
    remedy = "give the machine an address that others can reach, and free the port"
    if seen.deafness is not None:
        cause, remedy = f"{cause}: {seen.deafness.message}", seen.deafness.remedy
    return Condition("sockets", Status.FAULT, "", cause, remedy)


def _online(seen: Observation) -> Condition:
    if seen.node.online:
        return Condition("online", Status.OK, is_required=False)
    return Condition(
        "online",
        Status.FAULT,
        "",
        "no root answers",
        "let UDP out to the roots and answers back in; where the roots are one's own, look whether "
        "they run and are at the addresses that the planet names ('ztlink peers')",
        is_required=False,
    )


def _world(seen: Observation) -> Condition:
    """Compare the planet that the node follows with the file that it was given."""
    given, node = seen.planet, seen.node
    if given.error:
        remedy = "put the planet there that the roots have; the node goes on with what it has"
        return Condition("world", Status.UNKNOWN, "", given.error, remedy, is_required=False)
    restart = "restart the node: it reads the file when it starts"
    if given.world_id is not None and given.world_id != node.planet_id:
        cause = (
            f"the node follows world {node.planet_id:016x}, "
            f"the file that it was given holds {given.world_id:016x}"
        )
        return Condition("world", Status.FAULT, "", cause, restart, is_required=False)
    if given.world_id is not None and given.timestamp > node.planet_timestamp:
        cause = (
            f"the file holds a later revision of the world ({given.timestamp}) than the node "
            f"follows ({node.planet_timestamp})"
        )
        return Condition("world", Status.FAULT, "", cause, restart, is_required=False)
    return Condition("world", Status.OK, is_required=False)


def _clock(seen: Observation) -> Condition:
    """Compare the wall clock with controllers', with the planet, with what the kernel thinks."""
    ahead = (seen.now.unix_ms - seen.node.planet_timestamp) / 1000
    if ahead < -_MAX_FUTURE:
        cause = "this machine's clock is before the day on which the planet was signed"
        return Condition("clock", Status.FAULT, "", cause, _KEEP_TIME, is_required=False)
    skews = dict(_skews(seen.memberships))
    for network_id, skew in skews.items():
        if abs(skew) > MAX_SKEW:
            side = "ahead of" if skew > 0 else "behind"
            cause = (
                f"this machine's clock is {abs(skew):.0f} s {side} that of the controller of "
                f"network {format_network_id(network_id)}"
            )
            return Condition("clock", Status.FAULT, "", cause, _KEEP_TIME, is_required=False)
    if skews or seen.is_synchronised:
        return Condition("clock", Status.OK, is_required=False)
    cause = "no controller has told the time yet, and the kernel does not know its clock to be kept"
    return Condition("clock", Status.UNKNOWN, "", cause, _KEEP_TIME, is_required=False)


def _skews(memberships: Iterable[Membership]) -> Iterator[tuple[NetworkId, float]]:
    """Yield by how many seconds our clock was ahead when each configuration came."""
    for membership in memberships:
        view = membership.view
        if view.config is not None and view.config_unix_ms:  # else it is from the last run
            yield view.network_id, (view.config_unix_ms - view.config.timestamp) / 1000


# -- networks ----------------------------------------------------------------------------------


def _left(network_id: NetworkId) -> Condition:
    name = format_network_id(network_id)
    cause, remedy = "the network is required and was left", f"run 'ztlink join {name}'"
    return Condition("authorised", Status.FAULT, name, cause, remedy)


def _network(membership: Membership, address: str, *, is_required: bool) -> Iterator[Condition]:
    name = format_network_id(membership.view.network_id)
    parts = (
        ("tunDevice", _device(membership)),
        ("authorised", _authorised(membership, name, address)),
        ("address", _address(membership)),
        ("routes", _routes(membership)),
    )
    for kind, found in parts:
        if found is not None:
            status, cause, remedy = found
            yield Condition(kind, status, name, cause, remedy, is_required)


_Found = tuple[Status, str, str]
_OK: Final[_Found] = (Status.OK, "", "")


def _device(membership: Membership) -> _Found | None:
    view, device = membership.view, membership.device
    if view.status is NetworkStatus.PORT_ERROR:
        return Status.FAULT, view.reason, REMEDIES[view.status]
    if device.fault is not None and not set(device.lacks) & set(PARTS):
        return Status.FAULT, device.fault, device.remedy or _REPAIRED
    return _OK if device.name else None  # where the node makes no devices, none is missed


def _authorised(membership: Membership, name: str, address: str) -> _Found:
    view = membership.view
    if view.status in _LET_IN:
        return _OK
    remedy = REMEDIES[view.status].format(network=name, address=address)
    cause = f"{view.status.name}: {view.reason}"
    if view.status is NetworkStatus.REQUESTING_CONFIGURATION:
        return Status.WAITING, cause, remedy
    return Status.FAULT, cause, remedy


def _address(membership: Membership) -> _Found:
    config = membership.view.config
    if config is None:
        return Status.WAITING, _BEFORE, ""
    if membership.policy.allow_managed and not config.addresses:
        return (
            Status.FAULT,
            "the controller has assigned no address to this node",
            "give the network an assignment pool, or the member an address",
        )
    return _part("addresses", membership)


def _routes(membership: Membership) -> _Found:
    if membership.view.config is None:
        return Status.WAITING, _BEFORE, ""
    return _part("routes", membership)


def _part(part: str, membership: Membership) -> _Found:
    device = membership.device
    if part not in device.lacks:
        return _OK
    return Status.FAULT, f"the device {device.name} lacks {part} that it should have", _REPAIRED
