"""What a fast stream looks like on the way in, found at the beginning of what is left of a train.

That is packets for us of one sender, under a suite that engines open, each in one datagram, or in
two that follow each other; and then frames of one network and ethertype. Whoever walks a train
takes such a run at once, and sees to all else datagram by datagram.
"""

from typing import Final, NamedTuple

from ztlink.batch import CipherSuite, PacketBatch
from ztlink.wire.packet import (
    FLAG_FRAGMENTED,
    FRAGMENT_MARKER,
    MASK_HOPS,
    MASK_SUITE,
    MAX_PACKET_SIZE,
    OFFSET_DESTINATION,
    OFFSET_FLAGS,
    OFFSET_FRAGMENT_COUNTS,
    OFFSET_FRAGMENT_MARKER,
    OFFSET_PAYLOAD,
    OFFSET_SOURCE,
    OFFSET_VERB,
    SHIFT_SUITE,
    SIZE_FRAGMENT_HEADER,
    SIZE_HEADER,
)
from ztlink.wire.verbs import Verb

_FRAME: Final = int(Verb.FRAME)
SECOND_OF_TWO: Final = 0x21
"""Two pieces in all, this is number 1."""
FRAME_PREFIX_SIZE: Final = 10
"""Network id and ethertype of a FRAME: packets that share them form a run."""
_OPENED: Final = frozenset(
    {CipherSuite.SALSA_POLY << SHIFT_SUITE, CipherSuite.GMAC_SIV << SHIFT_SUITE}
)


class Gathered(NamedTuple):
    """Packets of one sender, and how far into the train they reach."""

    batch: PacketBatch
    end: int
    datagrams: int


def gather(buffer: memoryview, stride: int, start: int, me: bytes) -> Gathered:
    """Return the run of packets at `start`; those of two datagrams are joined where they lie."""
    batch = PacketBatch(buffer)
    total = len(buffer)
    addresses = buffer[start + OFFSET_DESTINATION : start + OFFSET_FLAGS]
    if addresses[: OFFSET_SOURCE - OFFSET_DESTINATION] != me:
        return Gathered(batch, start, 0)
    first, datagrams = start, 0
    while start < total:
        end = min(start + stride, total)
        size = end - start
        if (
            not SIZE_HEADER <= size <= MAX_PACKET_SIZE
            or buffer[start + OFFSET_FRAGMENT_MARKER] == FRAGMENT_MARKER
            or buffer[start + OFFSET_FLAGS] & MASK_SUITE not in _OPENED
            or (
                start > first
                and buffer[start + OFFSET_DESTINATION : start + OFFSET_FLAGS] != addresses
            )
        ):
            break
        datagrams += 1
        if buffer[start + OFFSET_FLAGS] & FLAG_FRAGMENTED:
            after = min(end + stride, total)
            size += after - end - SIZE_FRAGMENT_HEADER
            if (
                after - end <= SIZE_FRAGMENT_HEADER
                or size > MAX_PACKET_SIZE
                or buffer[end + OFFSET_FRAGMENT_MARKER] != FRAGMENT_MARKER
                or buffer[end + OFFSET_FRAGMENT_COUNTS] != SECOND_OF_TWO
                or buffer[end : end + OFFSET_SOURCE] != buffer[start : start + OFFSET_SOURCE]
            ):
                datagrams -= 1
                break
            buffer[end : start + size] = buffer[end + SIZE_FRAGMENT_HEADER : after]
            datagrams += 1
            end = after
        batch.append(start, size)
        start = end
    return Gathered(batch, start, datagrams)


def run_length(batch: PacketBatch, verdicts: bytearray, first: int) -> int:
    """Return how many packets, from one on, are authentic FRAMEs that may be handled together.

    They share the count of hops, network and ethertype.
    """
    buffer, starts = batch.buffer, batch.starts
    at = starts[first]
    flags = buffer[at + OFFSET_FLAGS]
    if buffer[at + OFFSET_VERB] != _FRAME or not flags & MASK_SUITE or not verdicts[first]:
        return 0
    index = first + 1
    if index == len(starts):
        return 1
    prefix = buffer[at + OFFSET_VERB : at + OFFSET_PAYLOAD + FRAME_PREFIX_SIZE]
    hops = flags & MASK_HOPS
    while index < len(starts) and verdicts[index]:
        at = starts[index]
        if (
            buffer[at + OFFSET_FLAGS] & MASK_HOPS != hops
            or not buffer[at + OFFSET_FLAGS] & MASK_SUITE
            or buffer[at + OFFSET_VERB : at + OFFSET_PAYLOAD + FRAME_PREFIX_SIZE] != prefix
        ):
            break
        index += 1
    return index - first
