"""Takes away what agents left on this machine: found by numbers and marks, no agent is needed."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass

from ztlink.drivers.tap import Tap
from ztlink.errors import HostError
from ztlink.host.dns.ways import remove_all as remove_name_servers
from ztlink.host.firewall.cleanup import remove_all as remove_tables
from ztlink.host.firewall.cleanup import require_no_holder, tables_of_agents
from ztlink.host.netlink import Netlink
from ztlink.host.netlink_routes import RouteSocket
from ztlink.host.nft import Nft
from ztlink.host.routes.kernel import DECLARED_PROTOCOL, MANAGED_PROTOCOL
from ztlink.host.routes.others import MARK
from ztlink.host.routes.plan import Desired, plan_routes


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken away."""

    devices: tuple[str, ...] = ()
    routes: int = 0
    rules: int = 0
    next_hops: int = 0
    tables: tuple[str, ...] = ()
    """Of nftables."""
    name_servers: tuple[str, ...] = ()
    """What had servers of networks."""


def remove_all() -> Removed:
    """Remove all; HostError where an agent runs.

    Nothing is done while a process holds a device or a table of ours: it would make all of them
    again.
    """
    require_no_holder(tables_of_agents(Nft()))
    taps = _take_over(_marked_devices())
    try:
        counts = _remove_routes()
        for tap in taps:
            tap.persist(False)  # and so it goes when it is closed
    finally:
        for tap in taps:
            tap.close()
    # Last: the firewall guards devices while there are any.
    return Removed(tuple(tap.name for tap in taps), *counts, remove_tables(), remove_name_servers())


def _marked_devices() -> list[str]:
    netlink = Netlink()
    try:
        return sorted(name for _, name, _ in netlink.marked(MARK))
    finally:
        netlink.close()


def _take_over(names: Iterable[str]) -> list[Tap]:
    """Hold devices; while that is so, no agent can begin to use them."""
    taps: list[Tap] = []
    try:
        for name in names:
            taps.append(Tap(name))
    except HostError as error:
        for tap in taps:
            tap.close()
        if error.errno != errno.EBUSY:
            raise
        raise HostError(
            errno.EBUSY, f"an agent is running and holds the device {name}: stop it first"
        ) from error
    return taps


def _remove_routes() -> tuple[int, int, int]:
    opened = RouteSocket()
    try:
        routes = rules = next_hops = 0
        for protocol in (DECLARED_PROTOCOL, MANAGED_PROTOCOL):
            there = opened.observe(protocol)
            opened.apply(plan_routes(Desired(), there), protocol)
            routes += len(there.routes)
            rules += len(there.rules)
            next_hops += len(there.neighbours)
        return routes, rules, next_hops
    finally:
        opened.close()
