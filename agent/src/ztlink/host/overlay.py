"""A joined network as the machine has it: what routes and firewall are made for."""

from dataclasses import dataclass

from ztlink.host.desired import HostRoute, IpNetwork
from ztlink.ids import Address, IpInterface, NetworkId


@dataclass(frozen=True, slots=True)
class Overlay:
    """A network's device at one moment."""

    network_id: NetworkId
    own: Address
    """This member."""
    device: str
    index: int
    """The device's, by which the kernel knows it; another one after it was made again."""
    mtu: int
    addresses: tuple[IpInterface, ...] = ()
    """Those that were applied."""
    routes: tuple[HostRoute, ...] = ()
    """The managed routes that were applied."""
    members: frozenset[Address] = frozenset()
    """Of the members that routes are to lead through: those that the node knows."""
    behind: tuple[IpNetwork, ...] = ()
    """Networks that the controller has led through this member: all others know that way."""
    refusal: str = ""
    """Why the controller lets this member in no more, a sentence; empty where it does."""
