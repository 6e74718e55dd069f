"""Values that carry many packets at once between the drivers and the lanes.

Buffers are borrowed: what goes into the core is good until the call returns, what comes out until
the next input. Sizes and offsets are bytes.
"""

from array import array
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Final

from ztlink.ids import Address, Endpoint, NetworkId, SocketId

MAX_TRAIN_DATAGRAMS: Final = 44
"""Within the kernel's UDP_MAX_SEGMENTS (64): 22 packets of two datagrams.

The reference node joins 32 packets at once.
"""

MAX_TRAIN_SIZE: Final = 65_000
"""Below the 65,507 bytes of payload that one UDP send may carry."""


class Gso(IntEnum):
    """How a super-frame is still to be cut; values of virtio_net_hdr.gso_type."""

    NONE = 0
    TCPV4 = 1
    TCPV6 = 4
    UDP_L4 = 5


class CipherSuite(IntEnum):
    """How a packet is protected (wire.adoc#suites)."""

    POLY_NONE = 0
    SALSA_POLY = 1
    TRUSTED = 2
    GMAC_SIV = 3


@dataclass(slots=True)
class Train:
    """Datagrams of one source in one buffer, each `segment_size` long but the last."""

    buffer: memoryview
    segment_size: int
    source: Endpoint
    socket: SocketId


@dataclass(slots=True)
class Transmit:
    """Datagrams for one destination in one buffer, each `segment_size` long but the last."""

    buffer: bytes | bytearray | memoryview
    segment_size: int
    destination: Endpoint
    socket: SocketId
    ttl: int = 0
    """IPv4 time to live of these datagrams; 0 means the socket's default."""


@dataclass(slots=True)
class SuperFrame:
    """One Ethernet frame, or several of one flow that are still to be cut."""

    buffer: memoryview
    """Destination MAC, source MAC, ethertype, payload."""
    gso: Gso = Gso.NONE
    header_size: int = 0
    """Bytes before the TCP or UDP payload, where `gso` is set."""
    segment_size: int = 0
    """Bytes of TCP or UDP payload in each frame but the last, where `gso` is set."""
    needs_checksum: bool = False
    """The checksum at `checksum_start + checksum_offset` holds only the pseudo header's sum."""
    checksum_start: int = 0
    checksum_offset: int = 0
    body_offset: int = field(default=-1, compare=False, repr=False)
    """Where the pieces' payload begins, for `inet.segment` alone; -1 while nobody looked."""


@dataclass(slots=True)
class Delivery:
    """A frame for the port of a network: a TAP or a user-space stack."""

    port: NetworkId
    frame: SuperFrame


class PacketBatch:
    """Whole packets of one peer in one buffer, sealed and opened in place.

    Packet `i` is `buffer[starts[i] : starts[i] + sizes[i]]`, header first. Spans are flat integers,
    so that an engine may walk them without an object per packet.
    """

    __slots__ = ("buffer", "sizes", "starts")

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self.starts = array("I")
        self.sizes = array("I")

    def append(self, start: int, size: int) -> None:
        """Name a packet that lies in the buffer."""
        self.starts.append(start)
        self.sizes.append(size)

    def part(self, first: int, end: int) -> "PacketBatch":
        """Return some of the packets, in the same buffer."""
        part = PacketBatch(self.buffer)
        part.starts, part.sizes = self.starts[first:end], self.sizes[first:end]
        return part

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(slots=True)
class Plan:
    """How the frames of a super-frame travel to one peer: decided by vl1, done by a lane engine."""

    destination: Address
    source: Address
    endpoint: Endpoint
    socket: SocketId
    path_mtu: int
    """UDP payload bytes that the path carries in one datagram."""
    suite: CipherSuite
    prefix: bytes
    """The verb byte and what precedes the frame's payload in the packet."""
    packet_ids: bytes
    """Eight random bytes for each frame that the super-frame is cut into."""
    trusted_path_id: int = 0


class Verdict(Enum):
    """What VL2 says of a packet that VL1 opened."""

    ACCEPTED = auto()
    """Handled; counts as received."""
    TRUSTED = auto()
    """Handled, and the sender has shown that it belongs to one of our networks."""
    RETRY = auto()
    """Something is missing (a credential): keep the packet and try again later."""
    DROPPED = auto()
    """Malformed or refused: does not count as received."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """VL2's answer to VL1, and whose identity must be asked for before a retry."""

    verdict: Verdict
    whois: Address | None = None
