"""Which of our addresses a packet is sent from (RFC 6724 5).

Of the rules, those that can tell addresses of one device with no other properties apart: the same
address, scope, label, longest common prefix.
"""

from collections.abc import Iterable
from ipaddress import IPv6Network
from typing import Final

from ztlink.ids import IpAddress, IpInterface

SCOPE_LINK: Final = 2
SCOPE_SITE: Final = 5
SCOPE_GLOBAL: Final = 14

_LABELS: Final = tuple(
    (IPv6Network(prefix), label)
    for prefix, label in (
        ("::1/128", 0),
        ("::ffff:0:0/96", 4),
        ("::/96", 3),
        ("2001::/32", 5),
        ("2002::/16", 2),
        ("3ffe::/16", 12),
        ("fec0::/10", 11),
        ("fc00::/7", 13),
        ("::/0", 1),
    )
)
"""The default policy table (RFC 6724 2.1), the longest prefix that counts first."""


def scope_of(ip: IpAddress) -> int:
    """Return the scope of an address as a number that grows with its reach (RFC 6724 3.1, 3.2)."""
    if ip.version == 6 and ip.is_multicast:
        return ip.packed[1] & 0x0F
    if ip.is_link_local or ip.is_loopback:
        return SCOPE_LINK
    if ip.version == 6 and ip.is_site_local:
        return SCOPE_SITE
    return SCOPE_GLOBAL


def label_of(ip: IpAddress) -> int:
    """Return the label of the policy table; IPv4 has the one of its mapped form."""
    if ip.version == 4:
        return 4
    return next(label for network, label in _LABELS if ip in network)


def choose_source(destination: IpAddress, own: Iterable[IpInterface]) -> IpAddress | None:
    """Return the best of our addresses to reach a destination from; None where there is none."""
    candidates = [one for one in own if one.version == destination.version]
    if not candidates:
        return None
    scope, label = scope_of(destination), label_of(destination)

    def rank(one: IpInterface) -> tuple[bool, bool, int, bool, int]:
        reach = scope_of(one.ip)
        is_enough = reach >= scope
        return (
            one.ip == destination,
            is_enough,
            -reach if is_enough else reach,
            label_of(one.ip) == label,
            common_bits(one, destination),
        )

    return max(candidates, key=rank).ip


def common_bits(one: IpInterface, destination: IpAddress) -> int:
    """Return how many leading bits are the same, within the prefix of our address."""
    differing = (int(one.ip) ^ int(destination)).bit_length()
    return min(one.max_prefixlen - differing, one.network.prefixlen)
