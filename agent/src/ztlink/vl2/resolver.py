"""What VL2 sees in a port's own ARP, NDP, IGMP and MLD."""

from ipaddress import IPv6Interface

from ztlink.derive import SIXPLANE_PREFIX, derived_member, sixplane_address
from ztlink.ids import Address, Mac, MulticastGroup, NetworkId, member_mac
from ztlink.inet.arp import requested_ip
from ztlink.inet.ether import ETHERTYPE_IPV6, SIZE_ETHERNET, group_mac
from ztlink.inet.flow import Flow
from ztlink.inet.membership import group_report
from ztlink.inet.ndp import neighbor_advertisement, solicitation_target
from ztlink.wire.netconf import NetworkConfig

Groups = frozenset[MulticastGroup]


def arp_target(frame: memoryview) -> int | None:
    """Return the IPv4 address that a broadcast ARP request asks for (wire.adoc#groups)."""
    return requested_ip(frame[SIZE_ETHERNET:])


def answer_solicitation(
    frame: memoryview, network_id: NetworkId, own: Address, config: NetworkConfig
) -> bytearray | None:
    """Answer a neighbour solicitation for a derived address ourselves: its MAC can be computed."""
    target = solicitation_target(frame[SIZE_ETHERNET:])
    if target is None:
        return None
    sixplane = sixplane_address(network_id, own).network
    for address in config.addresses:
        if not isinstance(address, IPv6Interface):
            continue
        if address.network.prefixlen == SIXPLANE_PREFIX and address.network != sixplane:
            continue  # that of another network: nothing says who has what in it
        node = derived_member(address, target)
        if node and node != own:
            mac = member_mac(node, network_id)
            ethernet = bytes(frame[6:12]) + mac + ETHERTYPE_IPV6.to_bytes(2, "big")
            return bytearray(ethernet + neighbor_advertisement(target, address.ip, mac))
    return None


def port_groups(frame: memoryview, flow: Flow) -> tuple[Groups, Groups]:
    """Return the groups that a report leaving the port joins and leaves."""
    report = group_report(frame, flow)
    joined = frozenset(MulticastGroup(Mac(group_mac(ip))) for ip in report.joined)
    return joined, frozenset(MulticastGroup(Mac(group_mac(ip))) for ip in report.left)
