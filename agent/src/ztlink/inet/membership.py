"""Reports that make groups known: IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810).

Reports that leave a port are the quickest way to learn what it listens to. Their checksums are not
looked at: they may still be left to the network card.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ztlink.ids import IpAddress
from ztlink.inet.flow import Flow
from ztlink.inet.icmp import (
    ICMPV6_MULTICAST_LISTENER_DONE,
    ICMPV6_MULTICAST_LISTENER_REPORT,
    ICMPV6_MULTICAST_LISTENER_REPORT_2,
)
from ztlink.inet.ip import PROTOCOL_ICMPV6, PROTOCOL_IGMP, VERSION_4, VERSION_6

IGMP_REPORT_1: Final = 0x12
IGMP_REPORT_2: Final = 0x16
IGMP_LEAVE: Final = 0x17
IGMP_REPORT_3: Final = 0x22
_SIZE_HEADER: Final = 8
_OFFSET_MLD_GROUP: Final = 8

_IS_INCLUDE: Final = 1
_IS_EXCLUDE: Final = 2
_TO_INCLUDE: Final = 3
_TO_EXCLUDE: Final = 4
_ALLOW_NEW_SOURCES: Final = 5


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What a host has begun and ceased to listen to, in the order of the report.

    The MAC of each is found by `ether.group_mac`.
    """

    joined: tuple[IpAddress, ...] = ()
    left: tuple[IpAddress, ...] = ()


NOTHING: Final = GroupReport()


def group_report(frame: memoryview, flow: Flow) -> GroupReport:
    """Return what an Ethernet frame reports; NOTHING where it is no report, or is cut short."""
    if flow.is_fragment:
        return NOTHING
    if flow.protocol == PROTOCOL_IGMP and flow.version == VERSION_4:
        return _igmp(frame[flow.l4_offset :])
    if flow.protocol == PROTOCOL_ICMPV6 and flow.version == VERSION_6:
        return _mld(frame[flow.l4_offset :])
    return NOTHING


def _igmp(message: memoryview) -> GroupReport:
    if len(message) < _SIZE_HEADER:
        return NOTHING
    kind = message[0]
    if kind == IGMP_REPORT_3:
        return _records(message, 4)
    group = _group(message[4:8])
    if group is None:
        return NOTHING
    if kind in (IGMP_REPORT_1, IGMP_REPORT_2):
        return GroupReport(joined=(group,))
    return GroupReport(left=(group,)) if kind == IGMP_LEAVE else NOTHING


def _mld(message: memoryview) -> GroupReport:
    if len(message) < _SIZE_HEADER:
        return NOTHING
    kind = message[0]
    if kind == ICMPV6_MULTICAST_LISTENER_REPORT_2:
        return _records(message, 16)
    if kind not in (ICMPV6_MULTICAST_LISTENER_REPORT, ICMPV6_MULTICAST_LISTENER_DONE):
        return NOTHING
    group = _group(message[_OFFSET_MLD_GROUP : _OFFSET_MLD_GROUP + 16])
    if group is None:
        return NOTHING
    if kind == ICMPV6_MULTICAST_LISTENER_REPORT:
        return GroupReport(joined=(group,))
    return GroupReport(left=(group,))


def _records(message: memoryview, ip_size: int) -> GroupReport:
    """Read group records: type, words of data after the sources, count of sources, group."""
    joined: list[IpAddress] = []
    left: list[IpAddress] = []
    position = _SIZE_HEADER
    for _ in range(message[6] << 8 | message[7]):
        after = position + 4 + ip_size
        if after > len(message):
            break
        kind, extra = message[position], message[position + 1] * 4
        sources = message[position + 2] << 8 | message[position + 3]
        group = _group(message[position + 4 : after])
        if group is not None:
            _judge(kind, sources, group, joined, left)
        position = after + sources * ip_size + extra
    return GroupReport(tuple(joined), tuple(left))


def _judge(
    kind: int, sources: int, group: IpAddress, joined: list[IpAddress], left: list[IpAddress]
) -> None:
    """Take an include list for membership: which senders are heard is the host's own matter."""
    if kind in (_IS_EXCLUDE, _TO_EXCLUDE) or (
        kind in (_IS_INCLUDE, _TO_INCLUDE, _ALLOW_NEW_SOURCES) and sources
    ):
        joined.append(group)
    elif kind in (_IS_INCLUDE, _TO_INCLUDE):
        left.append(group)


def _group(packed: memoryview) -> IpAddress | None:
    """Return a multicast address; None where it is cut short or none."""
    ip: IpAddress
    if len(packed) == 4:
        ip = IPv4Address(bytes(packed))
    elif len(packed) == 16:
        ip = IPv6Address(bytes(packed))
    else:
        return None
    return ip if ip.is_multicast else None
