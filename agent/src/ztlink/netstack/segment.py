"""TCP segments as the connection machine sees them: headers read, addresses a key, no IP around.

A flow is named by bytes: source and destination address, then source and destination port, as they
lie in a packet that comes in. In a packet without IP options or extension headers they are one
slice. So a connection is found without an address object being made or hashed.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ztlink.ids import Endpoint

_PORTS: Final = struct.Struct(">HH")
_FLOW_V4: Final = struct.Struct(">IIHH")
_FLOW_V6: Final = struct.Struct(">16s16sHH")
SIZE_FLOW_V4: Final = 12


def flow_of(local: Endpoint, remote: Endpoint) -> bytes:
    """Return the name of a flow: addresses and ports as in a packet from `remote` to `local`."""
    ports = _PORTS.pack(remote.port, local.port)
    return remote.ip.packed + local.ip.packed + ports


def endpoints_of(flow: bytes) -> tuple[Endpoint, Endpoint]:
    """Return the local and the remote endpoint of a flow."""
    remote_port, local_port = _PORTS.unpack_from(flow, len(flow) - _PORTS.size)
    if len(flow) == SIZE_FLOW_V4:
        return (
            Endpoint(IPv4Address(flow[4:8]), local_port),
            Endpoint(IPv4Address(flow[:4]), remote_port),
        )
    return (
        Endpoint(IPv6Address(flow[16:32]), local_port),
        Endpoint(IPv6Address(flow[:16]), remote_port),
    )


def numbers_of(flow: bytes) -> tuple[int, int, int, int]:
    """Return the addresses and the ports of a flow, as they lie in it."""
    if len(flow) == SIZE_FLOW_V4:
        return _FLOW_V4.unpack(flow)
    remote, local, remote_port, local_port = _FLOW_V6.unpack(flow)
    return int.from_bytes(remote, "big"), int.from_bytes(local, "big"), remote_port, local_port


@dataclass(slots=True)
class Segment:
    """A segment that came in, or several in a row of one flow, joined; checksums verified."""

    flow: bytes
    """Who sends to whom: see `flow_of`."""
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    """As on the wire, not scaled."""
    options: bytes
    payload: memoryview
    """Borrowed: good until the call returns."""
    segment_size: int = 0
    """Bytes of payload in each joined piece but the last; 0: a single segment."""

    @property
    def local(self) -> Endpoint:
        """Whom it is for; made when asked for."""
        return endpoints_of(self.flow)[0]

    @property
    def remote(self) -> Endpoint:
        """Who sent it; made when asked for."""
        return endpoints_of(self.flow)[1]


@dataclass(slots=True)
class Outgoing:
    """A super-segment that is to be sent: the stack adds the headers below, and the checksum."""

    flow: bytes
    """Names the connection, addresses as in a packet that comes in: see `flow_of`."""
    local: Endpoint
    remote: Endpoint
    sequence: int
    acknowledgement: int
    flags: int
    """FIN and PSH belong to the last of the segments it is cut into."""
    window: int
    options: bytes
    """A multiple of four bytes."""
    payload: tuple[memoryview, ...] = ()
    """Pieces that follow each other; good until the next input."""
    size: int = 0
    """Bytes of payload in all."""
    segment_size: int = 0
    """Bytes of payload in each segment but the last; 0: a single segment."""
