"""Where the packets of a super-frame lie in the outgoing buffer, and how they become datagrams.

All packets of a super-frame but the last are equally long, so their datagrams can leave in one
train. A packet that needs two datagrams is split into halves of equal size, since receivers join
pieces by order and not by size: heads and fragments then alternate in one train. Where the sum is
odd the fragment would be one byte shorter, which a train does not allow but at its end; then heads
and fragments go in trains of their own.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ztlink.batch import MAX_TRAIN_DATAGRAMS, MAX_TRAIN_SIZE, Plan, Transmit
from ztlink.ids import ADDRESS_SIZE
from ztlink.wire.packet import (
    FRAGMENT_HEADER,
    FRAGMENT_MARKER,
    OFFSET_AUTH_TAG,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_SOURCE,
    OFFSET_VERB,
    SHIFT_SUITE,
    SIZE_AUTH_TAG,
    SIZE_FRAGMENT_HEADER,
    SIZE_HEADER,
)

SIZE_BEFORE_VERB: Final = SIZE_HEADER - 1
_NO_ID: Final = bytes(OFFSET_DESTINATION)
_NO_FLAGS_NO_TAG: Final = bytes(SIZE_BEFORE_VERB - OFFSET_FLAGS)
Bytes = npt.NDArray[np.uint8]
_SECOND_OF_TWO: Final[Bytes] = np.frombuffer(bytes((FRAGMENT_MARKER, 0x21, 0)), np.uint8)
"""Marker, total and number, hops."""


def pieces(size: int, path_mtu: int) -> int:
    """Return how many datagrams a packet of `size` bytes becomes."""
    if size <= path_mtu:
        return 1
    return 1 + -(-(size - path_mtu) // (path_mtu - SIZE_FRAGMENT_HEADER))


def header(plan: Plan) -> bytearray:
    """Return what precedes every frame of a plan: packet header, verb and prefix.

    The id, the flags and the tag are left zero.
    """
    addresses = plan.destination << 8 * ADDRESS_SIZE | plan.source
    return bytearray().join(
        (_NO_ID, addresses.to_bytes(2 * ADDRESS_SIZE, "big"), _NO_FLAGS_NO_TAG, plan.prefix)
    )


def mark_trusted(packet: memoryview, plan: Plan) -> None:
    """Say in a packet's header that nothing protects it but the path."""
    packet[OFFSET_FLAGS] |= plan.suite << SHIFT_SUITE
    packet[OFFSET_AUTH_TAG:OFFSET_VERB] = plan.trusted_path_id.to_bytes(SIZE_AUTH_TAG, "big")


def cut_packet(packet: memoryview, room: memoryview, count: int) -> tuple[int, list[int]]:
    """Lay a sealed packet out as `count` datagrams in `room`, which begins where the packet does.

    Each gets the same size but the last. Returns that size and the start of each datagram.
    """
    total = len(packet) + SIZE_FRAGMENT_HEADER * (count - 1)
    size = -(-total // count)
    slice_size = size - SIZE_FRAGMENT_HEADER
    starts = [number * size for number in range(count)]
    identity = bytes(packet[:8]), bytes(packet[8:OFFSET_SOURCE])
    for number in range(count - 1, 0, -1):  # from the end, since each moves to a higher place
        source = size + (number - 1) * slice_size
        piece = packet[source : min(source + slice_size, len(packet))]
        start = starts[number] + SIZE_FRAGMENT_HEADER
        room[start : start + len(piece)] = piece
        FRAGMENT_HEADER.pack_into(
            room, starts[number], *identity, FRAGMENT_MARKER, count << 4 | number, 0
        )
    return size, starts


def cut_packets_in_half(rows: Bytes, size: int, datagram: int) -> None:
    """Lay sealed packets of `size` bytes out as two datagrams of `datagram` bytes, a row each."""
    rows[:, datagram + SIZE_FRAGMENT_HEADER :] = rows[:, datagram:size]
    rows[:, datagram : datagram + OFFSET_SOURCE] = rows[:, :OFFSET_SOURCE]
    rows[:, datagram + OFFSET_SOURCE : datagram + SIZE_FRAGMENT_HEADER] = _SECOND_OF_TWO


def trains(
    buffer: memoryview, first: int, end: int, segment_size: int, plan: Plan
) -> list[Transmit]:
    """Return `buffer[first:end]`, datagrams of one size, as transmits that the kernel takes."""
    most = min(MAX_TRAIN_DATAGRAMS, MAX_TRAIN_SIZE // segment_size) * segment_size
    return [
        Transmit(buffer[start : min(start + most, end)], segment_size, plan.endpoint, plan.socket)
        for start in range(first, end, most)
    ]


def transmits_of(
    buffer: memoryview, first: int, number: int, size: int, count: int, plan: Plan
) -> list[Transmit]:
    """Return `number` packets of `size` bytes from `first` on, each cut into `count` datagrams."""
    if number == count == 1:
        return [Transmit(buffer[first : first + size], size, plan.endpoint, plan.socket)]
    stride = size + SIZE_FRAGMENT_HEADER * (count - 1)
    end = first + stride * number
    datagram = -(-stride // count)
    if stride % count == 0:
        return trains(buffer, first, end, datagram, plan)
    return [
        Transmit(buffer[start : start + stride], datagram, plan.endpoint, plan.socket)
        for start in range(first, end, stride)
    ]
