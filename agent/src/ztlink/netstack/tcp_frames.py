"""TCP segments out of frames and into frames: super-frames both ways, no work per segment.

A super-frame that comes in is one that this machine joined itself (`inet.coalesce`), which did so
only after the IP header and the TCP checksum of each of its frames were found good, and wrote the
headers anew; one that our own stack sent to itself never left the machine. Either has
`needs_checksum`, and its checksums are not looked at again. A frame that came alone is verified
here. What goes out has the sum of its pseudo header; the lane, or the kernel's TAP, completes the
checksums while it cuts.
"""

import struct
from typing import Final

from ztlink.batch import Gso, SuperFrame
from ztlink.ids import Endpoint, Mac
from ztlink.inet.checksum import MODULUS, fold, ones_sum
from ztlink.inet.ether import SIZE_ETHERNET
from ztlink.inet.ip import (
    PROTOCOL_TCP,
    SIZE_IPV4,
    SIZE_IPV6,
    ipv4_header,
    ipv6_header,
)
from ztlink.inet.tcp import OFFSET_CHECKSUM, SIZE_TCP, TCP_HEADER
from ztlink.netstack.counters import Discard
from ztlink.netstack.ipv4 import RefusedError
from ztlink.netstack.quoted import Quoted
from ztlink.netstack.segment import SIZE_FLOW_V4, Outgoing, Segment, numbers_of

_FLAGS: Final = 0xFF
_WHOLE: Final = Gso.NONE
_QUOTED: Final = struct.Struct(">HHI")
"""Of a TCP header, what every ICMP error quotes: ports and sequence number."""


def read_segment(
    addresses: bytes, payload: memoryview, *, segment_size: int, is_verified: bool
) -> Segment:
    """Read a segment; `addresses` are source and destination, packed, one after the other."""
    size = len(payload)
    if size < SIZE_TCP:
        raise RefusedError(Discard.MALFORMED)
    _, _, sequence, acknowledgement, bits, window, _, _ = TCP_HEADER.unpack_from(payload)
    header = (bits >> 12) * 4
    if not SIZE_TCP <= header <= size:
        raise RefusedError(Discard.MALFORMED)
    if not is_verified:
        total = ones_sum(payload) + int.from_bytes(addresses, "big") + PROTOCOL_TCP + size
        if fold(total) != MODULUS:
            raise RefusedError(Discard.BAD_CHECKSUM)
    return Segment(
        addresses + payload[:4],
        sequence,
        acknowledgement,
        bits & _FLAGS,
        window,
        bytes(payload[SIZE_TCP:header]),
        payload[header:],
        segment_size if segment_size < size - header else 0,
    )


def quoted_segment(quoted: Quoted) -> tuple[Endpoint, Endpoint, int]:
    """Return the local and the remote endpoint and the sequence number that an error quotes."""
    local_port, remote_port, sequence = _QUOTED.unpack_from(quoted.l4)
    return Endpoint(quoted.local, local_port), Endpoint(quoted.remote, remote_port), sequence


def write_frame(outgoing: Outgoing, mac: Mac, ethernet: bytes, hop_limit: int) -> SuperFrame:
    """Return the frame of a segment: headers and payload, gathered in one copy.

    `ethernet` is what follows the destination MAC in the Ethernet header.
    """
    destination, source, remote_port, local_port = numbers_of(outgoing.flow)
    header_size = SIZE_TCP + len(outgoing.options)
    size = header_size + outgoing.size
    pseudo = fold(source + destination + PROTOCOL_TCP + size)
    tcp = TCP_HEADER.pack(
        local_port,
        remote_port,
        outgoing.sequence,
        outgoing.acknowledgement,
        header_size // 4 << 12 | outgoing.flags,
        outgoing.window,
        pseudo,
        0,
    )
    if len(outgoing.flow) == SIZE_FLOW_V4:
        ip = ipv4_header(source, destination, PROTOCOL_TCP, size, ttl=hop_limit)
        l4, gso = SIZE_ETHERNET + SIZE_IPV4, Gso.TCPV4
    else:
        ip = ipv6_header(source, destination, PROTOCOL_TCP, size, hop_limit=hop_limit)
        l4, gso = SIZE_ETHERNET + SIZE_IPV6, Gso.TCPV6
    headers = (mac, ethernet, ip, tcp, outgoing.options)
    frame = memoryview(bytearray().join((*headers, *outgoing.payload)))
    if not 0 < outgoing.segment_size < outgoing.size:
        return SuperFrame(frame, _WHOLE, 0, 0, True, l4, OFFSET_CHECKSUM)
    return SuperFrame(
        frame,
        gso,
        header_size=l4 + header_size,
        segment_size=outgoing.segment_size,
        needs_checksum=True,
        checksum_start=l4,
        checksum_offset=OFFSET_CHECKSUM,
    )
