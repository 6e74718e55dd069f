"""The engine of Python, numpy and the crypto libraries: whole batches at a time."""

from array import array
from typing import Final

import numpy as np

from ztlink.batch import CipherSuite, Gso, PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.armor import armor, armor_one, dearmor
from ztlink.crypto.kdf import PeerCipher
from ztlink.inet.coalesce import coalesce
from ztlink.inet.segment import complete, cut, sizes_of
from ztlink.lane.gather import gather, run_length
from ztlink.lane.layout import (
    SIZE_BEFORE_VERB,
    cut_packet,
    cut_packets_in_half,
    header,
    mark_trusted,
    pieces,
    transmits_of,
)
from ztlink.wire.packet import (
    FLAG_FRAGMENTED,
    OFFSET_FLAGS,
    SIZE_FRAGMENT_HEADER,
    SIZE_HEADER,
)

_WHOLE: Final = Gso.NONE
_TWO: Final = 2
MIN_BATCH: Final = 3
"""Packets from which on numpy is the faster way."""


class PortableEngine:
    """See `Engine`."""

    name = "portable"
    gather = staticmethod(gather)
    run_length = staticmethod(run_length)
    coalesce = staticmethod(coalesce)

    def outbound(
        self, frame: SuperFrame, payload_offset: int, cipher: PeerCipher, plan: Plan
    ) -> list[Transmit]:
        """Cut a super-frame, each byte copied once; seal it in place, and fragment it."""
        if frame.gso is _WHOLE:
            packet = memoryview(header(plan) + frame.buffer[payload_offset:])
            if len(packet) <= plan.path_mtu:
                return self._outbound_alone(packet, frame, payload_offset, cipher, plan)
        payload_sizes = sizes_of(frame, payload_offset)
        overhead = SIZE_BEFORE_VERB + len(plan.prefix)
        counts = [pieces(overhead + size, plan.path_mtu) for size in payload_sizes]
        starts = array("I")
        position = 0
        for size, count in zip(payload_sizes, counts, strict=True):
            starts.append(position)
            position += overhead + size + SIZE_FRAGMENT_HEADER * (count - 1)
        buffer = memoryview(bytearray(position))
        batch = PacketBatch(buffer)
        self._write_headers(batch, payload_sizes, counts, starts, plan)
        cut(frame, buffer, array("I", [start + overhead for start in starts]), payload_offset)
        self._seal(batch, cipher, plan)
        return self._depart(batch, counts, plan)

    def _outbound_alone(
        self,
        packet: memoryview,
        frame: SuperFrame,
        payload_offset: int,
        cipher: PeerCipher,
        plan: Plan,
    ) -> list[Transmit]:
        """Send a frame that is whole as a packet that is one datagram: nothing is to be cut."""
        packet[:8] = plan.packet_ids[:8]
        complete(frame, packet[SIZE_BEFORE_VERB + len(plan.prefix) :], payload_offset)
        if plan.suite is CipherSuite.TRUSTED:
            mark_trusted(packet, plan)
        else:
            armor_one(packet, cipher, plan.suite)
        return [Transmit(packet, len(packet), plan.endpoint, plan.socket)]

    def inbound(self, batch: PacketBatch, cipher: PeerCipher) -> bytearray:
        """Open a batch in place."""
        return dearmor(batch, cipher)

    def _write_headers(
        self,
        batch: PacketBatch,
        payload_sizes: "array[int]",
        counts: list[int],
        starts: "array[int]",
        plan: Plan,
    ) -> None:
        buffer, ids = batch.buffer, plan.packet_ids
        whole = header(plan)
        fragmented = whole[:]
        fragmented[OFFSET_FLAGS] = FLAG_FRAGMENTED
        overhead = len(whole)
        for index, start in enumerate(starts):
            head = whole if counts[index] == 1 else fragmented
            head[:8] = ids[8 * index : 8 * index + 8]
            buffer[start : start + overhead] = head
            batch.append(start, overhead + payload_sizes[index])

    def _seal(self, batch: PacketBatch, cipher: PeerCipher, plan: Plan) -> None:
        if plan.suite is not CipherSuite.TRUSTED:
            armor(batch, cipher, plan.suite)
            return
        for start in batch.starts:
            mark_trusted(batch.buffer[start : start + SIZE_HEADER], plan)

    def _depart(self, batch: PacketBatch, counts: list[int], plan: Plan) -> list[Transmit]:
        """Form trains of the equal packets, and one of the last where it is shorter."""
        transmits: list[Transmit] = []
        equal = sum(
            1
            for index, size in enumerate(batch.sizes)
            if size == batch.sizes[0] and counts[index] == counts[0]
        )
        transmits += self._trains_of(batch, 0, equal, counts[0], plan)
        for index in range(equal, len(batch)):
            transmits += self._trains_of(batch, index, index + 1, counts[index], plan)
        return transmits

    def _trains_of(
        self, batch: PacketBatch, first: int, after: int, count: int, plan: Plan
    ) -> list[Transmit]:
        buffer, size = batch.buffer, batch.sizes[first]
        begin, number = batch.starts[first], after - first
        stride = size + SIZE_FRAGMENT_HEADER * (count - 1)
        if count == _TWO and number >= MIN_BATCH:
            rows = np.frombuffer(buffer[begin : begin + stride * number], np.uint8)
            cut_packets_in_half(rows.reshape(number, stride), size, -(-stride // count))
        elif count > 1:
            for start in batch.starts[first:after]:
                cut_packet(buffer[start : start + size], buffer[start : start + stride], count)
        return transmits_of(buffer, begin, number, size, count, plan)
