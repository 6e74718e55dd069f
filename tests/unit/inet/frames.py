"""Makes packets and super-frames for tests, and the plain twins of what `inet` does in batches."""

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ztlink.batch import Gso, PacketBatch, SuperFrame

ETHERNET_4 = bytes.fromhex("0200000000020200000000010800")
ETHERNET_6 = bytes.fromhex("02000000000202000000000186dd")
FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80
ROOM = 38
"""Bytes in front of each packet in a received buffer."""


def plain_checksum(data: bytes) -> int:
    """The checksum as RFC 1071 tells it, word by word."""
    total = 0
    for index in range(0, len(data), 2):
        total += int.from_bytes(data[index : index + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


@dataclass(frozen=True)
class Packet:
    """An IP packet of TCP or UDP, field by field."""

    source: str = "10.0.0.1"
    destination: str = "10.0.0.2"
    is_tcp: bool = True
    source_port: int = 4000
    destination_port: int = 80
    payload: bytes = b""
    identification: int = 7
    fragment: int = 0x4000
    tos: int = 0
    ttl: int = 64
    sequence: int = 1000
    acknowledgement: int = 2000
    flags: int = ACK
    window: int = 500
    urgent: int = 0
    options: bytes = b""

    @property
    def is_v4(self) -> bool:
        return "." in self.source

    @property
    def ethernet(self) -> bytes:
        return ETHERNET_4 if self.is_v4 else ETHERNET_6

    @property
    def addresses(self) -> bytes:
        return ip_address(self.source).packed + ip_address(self.destination).packed

    def l4(self, checksum: int) -> bytes:
        ports = struct.pack(">HH", self.source_port, self.destination_port)
        if not self.is_tcp:
            return ports + struct.pack(">HH", 8 + len(self.payload), checksum) + self.payload
        size = (20 + len(self.options)) // 4 << 4
        numbers = struct.pack(">II", self.sequence % 2**32, self.acknowledgement)
        rest = struct.pack(">BBHHH", size, self.flags, self.window, checksum, self.urgent)
        return ports + numbers + rest + self.options + self.payload

    def pseudo(self, size: int) -> bytes:
        return self.addresses + struct.pack(">II", size, 6 if self.is_tcp else 17)

    def ip(self, l4: bytes) -> bytes:
        if not self.is_v4:
            first = 6 << 28 | self.tos << 20
            protocol = 6 if self.is_tcp else 17
            return struct.pack(">IHBB", first, len(l4), protocol, self.ttl) + self.addresses + l4
        protocol = 6 if self.is_tcp else 17
        head = struct.pack(
            ">BBHHH", 0x45, self.tos, 20 + len(l4), self.identification, self.fragment
        )
        head += bytes([self.ttl, protocol])
        checksum = plain_checksum(head + b"\0\0" + self.addresses)
        return head + checksum.to_bytes(2, "big") + self.addresses + l4

    def encode(self) -> bytes:
        """Return the packet with all checksums good."""
        bare = self.l4(0)
        checksum = plain_checksum(self.pseudo(len(bare)) + bare)
        if not self.is_tcp and checksum == 0:
            checksum = 0xFFFF
        return self.ip(self.l4(checksum))

    def super_frame(self, segment_size: int) -> SuperFrame:
        """Return the frame that a kernel hands over to be cut, with the pseudo header's sum."""
        size = len(self.l4(0))
        frame = self.ethernet + self.ip(self.l4(0xFFFF - plain_checksum(self.pseudo(size))))
        tcp = Gso.TCPV4 if self.is_v4 else Gso.TCPV6
        return SuperFrame(
            memoryview(bytearray(frame)),
            tcp if self.is_tcp else Gso.UDP_L4,
            header_size=len(frame) - len(self.payload),
            segment_size=segment_size,
            needs_checksum=True,
            checksum_start=len(frame) - size,
            checksum_offset=16 if self.is_tcp else 6,
        )

    def cut(self, segment_size: int) -> list["Packet"]:
        """Return the packets that this one is to be cut into: the plain twin of `segment.cut`."""
        starts = range(0, max(1, len(self.payload)), segment_size)
        return [self._piece(start, segment_size) for start in starts]

    def _piece(self, start: int, size: int) -> "Packet":
        flags = self.flags
        if start > 0:
            flags &= ~CWR
        if start + size < len(self.payload):
            flags &= ~(FIN | PSH)
        return replace(
            self,
            payload=self.payload[start : start + size],
            identification=(self.identification + start // size) % 2**16,
            sequence=self.sequence + start,
            flags=flags,
        )


def received(packets: list[bytes]) -> PacketBatch:
    """Return packets as they lie in a buffer of opened VL1 packets."""
    buffer = bytearray()
    spans = []
    for packet in packets:
        buffer += b"\xee" * ROOM
        spans.append((len(buffer), len(packet)))
        buffer += packet
    batch = PacketBatch(memoryview(buffer))
    for start, size in spans:
        batch.append(start, size)
    return batch
