"""What VL2 sees in a port's own ARP, NDP, IGMP and MLD."""

from ipaddress import IPv6Address, IPv6Interface
from typing import Final

from ztlink.derive import derived_member
from ztlink.ids import Address, MulticastGroup, NetworkId, member_mac
from ztlink.inet.checksum import checksum, ones_sum
from ztlink.inet.ether import ETHERTYPE_IPV6, SIZE_ETHERNET
from ztlink.inet.flow import PROTOCOL_ICMPV6, Flow
from ztlink.wire.netconf import NetworkConfig

_SOLICITATION: Final = 135


def arp_target(frame: memoryview) -> int | None:
    """Return the IPv4 address that a broadcast ARP request asks for (wire.adoc#groups)."""
    arp = frame[SIZE_ETHERNET:]
    if len(arp) < 28 or bytes(arp[2:4]) != b"\x08\0" or arp[4] != 6 or arp[5] != 4 or arp[7] != 1:
        return None
    return int.from_bytes(arp[24:28], "big")


def answer_solicitation(
    frame: memoryview, network_id: NetworkId, own: Address, config: NetworkConfig
) -> bytearray | None:
    """Answer a neighbour solicitation for a derived address ourselves: its MAC can be computed."""
    packet = frame[SIZE_ETHERNET:]
    if len(packet) < 64 or packet[6] != PROTOCOL_ICMPV6 or packet[40] != _SOLICITATION:
        return None
    target = IPv6Address(bytes(packet[48:64]))
    for address in config.addresses:
        if not isinstance(address, IPv6Interface):
            continue
        node = derived_member(address, target)
        if node and node != own:
            mac = member_mac(node, network_id)
            return _advertisement(bytes(frame[6:12]), mac, target, address.ip)
    return None


def _advertisement(to: bytes, mac: bytes, target: IPv6Address, asker: IPv6Address) -> bytearray:
    body = b"\x88\0\0\0\x60\0\0\0" + target.packed + b"\x02\x01" + mac
    addresses = target.packed + asker.packed
    total = checksum(body, ones_sum(addresses) + len(body) + PROTOCOL_ICMPV6)
    body = body[:2] + total.to_bytes(2, "big") + body[4:]
    header = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes((PROTOCOL_ICMPV6, 255))
    ethernet = to + mac + ETHERTYPE_IPV6.to_bytes(2, "big")
    return bytearray(ethernet + header + addresses + body)


def port_groups(
    frame: memoryview, flow: Flow
) -> tuple[frozenset[MulticastGroup], frozenset[MulticastGroup]]:
    """Return the groups that a report leaving the port joins and leaves."""
    return frozenset(), frozenset()
