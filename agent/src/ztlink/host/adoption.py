"""Devices that a process before us has left: found by what is written on them, and taken over.

A device of ours carries its network's id as alias, and the MAC of the member that it is for: so
each node of a machine knows its own, whoever made it and however that ended.
"""

import contextlib
import errno
from collections.abc import Collection
from typing import TYPE_CHECKING

from ztlink.drivers.tap import Tap
from ztlink.errors import HostError
from ztlink.host.desired import Desired
from ztlink.host.routes.others import MARK
from ztlink.ids import Address, Mac, NetworkId, format_network_id, member_mac, parse_network_id

if TYPE_CHECKING:  # pyroute2 is loaded when the first device is made
    from ztlink.host.netlink import Netlink


class HeldError(HostError):
    """A device of ours has another process still, which is about to end."""


def mark_of(network_id: NetworkId) -> str:
    """Return the alias of a network's device."""
    return f"{MARK}{format_network_id(network_id)}"


def find_kept(netlink: "Netlink", network_id: NetworkId, mac: Mac) -> str | None:
    """Return the device that was left for a member of a network."""
    mark = mark_of(network_id)
    for found, name, its_mac in netlink.marked(mark):
        if (found, its_mac) == (mark, mac):
            return name
    return None


def orphans(netlink: "Netlink", node: Address, joined: Collection[NetworkId]) -> list[str]:
    """Return the devices that were left for networks that a node is in no more."""
    names = []
    for mark, name, mac in netlink.marked(MARK):
        with contextlib.suppress(ValueError):
            network_id = parse_network_id(mark.removeprefix(MARK))
            if network_id not in joined and member_mac(node, network_id) == mac:
                names.append(name)
    return names


def adopt(netlink: "Netlink", name: str, mac: Mac, *, keeps: bool) -> tuple[Tap, Desired]:
    """Take a device over as it is, and say what is on it: connections rely on that.

    HeldError where the process before us has not let go of it yet.
    """
    try:
        tap = Tap(name)
    except HostError as error:
        if error.errno != errno.EBUSY:
            raise
        raise HeldError(errno.EBUSY, f"device {name} is held by another process") from error
    try:
        tap.persist(keeps)
        netlink.take_up(name)
        return tap, netlink.found(name, mac)
    except HostError:
        tap.close()
        raise
