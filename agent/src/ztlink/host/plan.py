"""The host is compared, then changed: what to do to get from what is to what should be."""

from collections.abc import Sequence
from dataclasses import dataclass

from ztlink.errors import HostError
from ztlink.host.desired import Desired, HostRoute
from ztlink.ids import IpInterface

Addition = IpInterface | HostRoute


class RefusedError(HostError):
    """The kernel does not take some of what was to be added; all else is as it should be."""

    def __init__(self, first: HostError, refused: Sequence[Addition]) -> None:
        super().__init__(first.errno, first.strerror)
        self.refused = frozenset(refused)


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations on one device, in the order in which they are to be done."""

    mtu: int | None = None
    remove_routes: tuple[HostRoute, ...] = ()
    remove_addresses: tuple[IpInterface, ...] = ()
    add_addresses: tuple[IpInterface, ...] = ()
    add_routes: tuple[HostRoute, ...] = ()


def plan(desired: Desired, applied: Desired, *, is_sure: bool = True) -> Plan:
    """Compare what should be with what we applied; touch nothing that already fits.

    Where it is not sure that all of it was applied, everything is set.
    """
    removed = tuple(a for a in applied.addresses if a not in desired.addresses)
    # With an address the kernel takes away routes of its family, and with the first IPv4 address
    # of a subnet the others in it: where one goes, all that is to stay is set again.
    shaken = {address.version for address in removed} if is_sure else {4, 6}
    return Plan(
        mtu=desired.mtu if desired.mtu != applied.mtu or not is_sure else None,
        remove_routes=tuple(r for r in applied.routes if r not in desired.routes),
        remove_addresses=removed,
        add_addresses=tuple(
            a
            for a in desired.addresses
            if a not in applied.addresses or (a.version == 4 and 4 in shaken) or not is_sure
        ),
        add_routes=tuple(
            r for r in desired.routes if r not in applied.routes or r.target.version in shaken
        ),
    )
