"""The groups that a stack listens to: what resolves its addresses, and what sockets have joined.

They are told to the node, which announces them to the network; so no IGMP and no MLD is spoken.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ztlink.ids import BROADCAST_MAC, IpAddress, Mac, MulticastGroup
from ztlink.inet.ether import group_mac
from ztlink.inet.ndp import ALL_NODES, solicited_node
from ztlink.netstack.route import RouteTable

ALL_HOSTS: Final = IPv4Address("224.0.0.1")
INTERFACE_NODES: Final = IPv6Address("ff01::1")


class GroupSet:
    """What is listened to, by IP address, by MAC, and as the network knows it."""

    def __init__(self) -> None:
        self.ips: frozenset[IpAddress] = frozenset()
        self.macs: frozenset[bytes] = frozenset()
        self.announced: frozenset[MulticastGroup] = frozenset()
        """The same object until it changes."""

    def update(self, routes: RouteTable, joined: Iterable[IpAddress]) -> None:
        """Find out anew what is listened to."""
        v6 = routes.ipv6_addresses()
        ips: set[IpAddress] = {ALL_HOSTS, ALL_NODES, INTERFACE_NODES, *joined}
        ips.update(solicited_node(ip) for ip in v6)
        macs: set[Mac] = {group_mac(ip) for ip in ips}
        announced = {MulticastGroup(mac) for mac in macs}
        # An IPv4 address is looked for in the group of broadcast and itself.
        announced.update(MulticastGroup(BROADCAST_MAC, int(ip)) for ip in routes.ipv4_addresses())
        self.ips = frozenset(ips)
        self.macs = frozenset(macs) | {BROADCAST_MAC}
        if announced != self.announced:
            self.announced = frozenset(announced)
