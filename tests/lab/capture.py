"""Which VL1 packets pass a host's wire: their sources, destinations and cipher suites."""

import socket
from collections import Counter
from contextlib import closing
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.lab.lab import Place
from tests.lab.rules import OUTSIDE
from ztlink.ids import ADDRESS_SIZE, RESERVED_ADDRESS_PREFIX
from ztlink.wire.packet import OFFSET_DESTINATION, OFFSET_FLAGS, OFFSET_SOURCE, SIZE_HEADER

_ETH_P_ALL: Final = 3
_BUFFER: Final = 8 << 20
_ETHERTYPE_IPV4: Final = b"\x08\x00"
_ETHERTYPE_IPV6: Final = b"\x86\xdd"
_UDP: Final = 17
_UDP_HEADER: Final = 8


class Seen(NamedTuple):
    """What can be read of a packet without keys."""

    source: str
    destination: str
    suite: int


class Capture:
    """A context that records from its start on; heads of packets only, fragments are left out."""

    def __init__(self, place: Place) -> None:
        protocol = socket.htons(_ETH_P_ALL)
        self._socket = place.namespace.open_socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((OUTSIDE, _ETH_P_ALL))
        self._socket.setblocking(False)
        self._seen: Counter[Seen] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with closing(self._socket):
            self._drain()

    def suites(self, source: str, destination: str) -> dict[int, int]:
        """Return how many packets went from one address to the other, by cipher suite."""
        return {
            seen.suite: count
            for seen, count in self._seen.items()
            if (seen.source, seen.destination) == (source, destination)
        }

    def _drain(self) -> None:
        while True:
            try:
                frame = self._socket.recv(65535)
            except BlockingIOError:
                return
            seen = read_packet(udp_payload(frame))
            if seen is not None:
                self._seen[seen] += 1


def udp_payload(frame: bytes) -> bytes:
    """Return the payload of a UDP datagram in an Ethernet frame; nothing for other frames."""
    if frame[12:14] == _ETHERTYPE_IPV4 and frame[23] == _UDP:
        return frame[14 + (frame[14] & 15) * 4 + _UDP_HEADER :]
    if frame[12:14] == _ETHERTYPE_IPV6 and frame[20] == _UDP:
        return frame[14 + 40 + _UDP_HEADER :]
    return b""


def read_packet(datagram: bytes) -> Seen | None:
    """Read the head of a packet; None for fragments and for what is no packet."""
    if len(datagram) < SIZE_HEADER or datagram[OFFSET_SOURCE] == RESERVED_ADDRESS_PREFIX:
        return None
    return Seen(
        source=datagram[OFFSET_SOURCE:][:ADDRESS_SIZE].hex(),
        destination=datagram[OFFSET_DESTINATION:][:ADDRESS_SIZE].hex(),
        suite=datagram[OFFSET_FLAGS] >> 3 & 7,
    )
