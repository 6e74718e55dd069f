"""One parse of a frame, or of a super-frame, which has the headers of a frame.

What rules, caches and group reports look at is read here once. Nothing is raised on hostile frames:
a part that is not there has the value NONE, and `is_malformed` tells that headers contradict the
frame. What can be read is read all the same, since others judge by less than the RFCs do.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from ztlink.batch import SuperFrame
from ztlink.inet.ether import ETHERTYPE_IPV4, ETHERTYPE_IPV6, SIZE_ETHERNET, ethertype_of
from ztlink.inet.ip import (
    IPV4_FRAGMENT_OFFSET,
    IPV4_HEADER,
    IPV6_HEADER,
    PROTOCOL_FRAGMENT,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    PROTOCOLS_WITH_PORTS,
    SIZE_IPV4,
    SIZE_IPV6,
    VERSION_4,
    VERSION_6,
    ipv6_payload,
)
from ztlink.inet.tcp import OFFSET_DATA_OFFSET, SIZE_TCP
from ztlink.inet.udp import SIZE_UDP

NONE: Final = -1
"""Stands for what a frame does not have."""
_SIZE_PORTS: Final = 4


class FlowKey(NamedTuple):
    """What the frames of one flow have in common, in one direction."""

    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int


@dataclass(slots=True)
class Flow:
    """Where the parts of a frame are, and what its headers say; offsets include Ethernet's."""

    ethertype: int = NONE
    l3_offset: int = SIZE_ETHERNET
    version: int = 0
    """4 or 6 where the ethertype says so and the header is whole; else 0."""
    tos: int = 0
    """Type of service or traffic class."""
    source: int = 0
    """IP address as a number."""
    destination: int = 0
    protocol: int = NONE
    l4_offset: int = NONE
    payload_offset: int = NONE
    """What follows a whole TCP or UDP header; NONE for all else."""
    source_port: int = NONE
    destination_port: int = NONE
    tcp_flags: int = 0
    """The low 12 bits of the data offset's word (RFC 9293 3.1), where the TCP header is whole."""
    is_fragment: bool = False
    """A fragment but the first: what stands where ports would be is payload."""
    is_malformed: bool = False

    @property
    def key(self) -> FlowKey | None:
        """What tells this flow from others; None for fragments and what is not IP."""
        if self.version == 0 or self.is_fragment or self.is_malformed:
            return None
        return FlowKey(
            self.protocol,
            self.source,
            self.destination,
            self.source_port,
            self.destination_port,
        )


def parse(frame: SuperFrame) -> Flow:
    """Read the headers of a super-frame."""
    return parse_frame(frame.buffer)


def parse_frame(frame: memoryview) -> Flow:
    """Read the headers of an Ethernet frame."""
    flow = Flow()
    if len(frame) < SIZE_ETHERNET:
        flow.is_malformed = True
        return flow
    flow.ethertype = ethertype_of(frame)
    if flow.ethertype == ETHERTYPE_IPV4:
        _read_ipv4(frame, flow)
    elif flow.ethertype == ETHERTYPE_IPV6:
        _read_ipv6(frame, flow)
    return flow


def _read_ipv4(frame: memoryview, flow: Flow) -> None:
    if len(frame) < SIZE_ETHERNET + SIZE_IPV4:
        flow.is_malformed = True
        return
    first, flow.tos, _, _, fragment, _, flow.protocol, _, flow.source, flow.destination = (
        IPV4_HEADER.unpack_from(frame, SIZE_ETHERNET)
    )
    flow.version = VERSION_4
    size = (first & 0x0F) * 4
    flow.l4_offset = SIZE_ETHERNET + size
    flow.is_fragment = fragment & IPV4_FRAGMENT_OFFSET != 0
    if first >> 4 != VERSION_4 or size < SIZE_IPV4 or flow.l4_offset > len(frame):
        flow.is_malformed = True
    _read_l4(frame, flow)


def _read_ipv6(frame: memoryview, flow: Flow) -> None:
    if len(frame) < SIZE_ETHERNET + SIZE_IPV6:
        flow.is_malformed = True
        return
    first, _, _, _, source, source_low, destination, destination_low = IPV6_HEADER.unpack_from(
        frame, SIZE_ETHERNET
    )
    flow.version = VERSION_6
    flow.tos = first >> 20 & 0xFF
    flow.source = source << 64 | source_low
    flow.destination = destination << 64 | destination_low
    flow.protocol, flow.l4_offset = ipv6_payload(frame, SIZE_ETHERNET)
    if first >> 28 != VERSION_6 or flow.protocol == NONE:
        flow.is_malformed = True
    if flow.protocol == NONE:
        flow.l4_offset = NONE
        return
    flow.is_fragment = flow.protocol == PROTOCOL_FRAGMENT
    _read_l4(frame, flow)


def _read_l4(frame: memoryview, flow: Flow) -> None:
    protocol, offset, end = flow.protocol, flow.l4_offset, len(frame)
    if protocol not in PROTOCOLS_WITH_PORTS or flow.is_fragment:
        return
    if offset + _SIZE_PORTS > end:
        flow.is_malformed = True
        return
    flow.source_port = frame[offset] << 8 | frame[offset + 1]
    flow.destination_port = frame[offset + 2] << 8 | frame[offset + 3]
    if protocol == PROTOCOL_TCP:
        _read_tcp(frame, flow)
    elif protocol == PROTOCOL_UDP:
        if offset + SIZE_UDP <= end:
            flow.payload_offset = offset + SIZE_UDP
        else:
            flow.is_malformed = True


def _read_tcp(frame: memoryview, flow: Flow) -> None:
    offset = flow.l4_offset
    if offset + SIZE_TCP > len(frame):
        flow.is_malformed = True
        return
    first = frame[offset + OFFSET_DATA_OFFSET]
    flow.tcp_flags = (first & 0x0F) << 8 | frame[offset + OFFSET_DATA_OFFSET + 1]
    after = offset + (first >> 4) * 4
    if after < offset + SIZE_TCP or after > len(frame):
        flow.is_malformed = True
    else:
        flow.payload_offset = after
