"""The engine that takes one packet after the other: the oracle of all others."""

from array import array

from ztlink.batch import CipherSuite, PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.armor import armor_one, dearmor_one
from ztlink.crypto.kdf import PeerCipher
from ztlink.inet.coalesce import coalesce
from ztlink.inet.segment import cut, sizes_of
from ztlink.lane.gather import gather, run_length
from ztlink.lane.layout import SIZE_BEFORE_VERB, cut_packet, header, mark_trusted, pieces
from ztlink.wire.packet import FLAG_FRAGMENTED, OFFSET_FLAGS, SIZE_FRAGMENT_HEADER


class PlainEngine:
    """See `Engine`."""

    name = "plain"
    gather = staticmethod(gather)
    run_length = staticmethod(run_length)
    coalesce = staticmethod(coalesce)

    def outbound(
        self, frame: SuperFrame, payload_offset: int, cipher: PeerCipher, plan: Plan
    ) -> list[Transmit]:
        """Cut, seal and fragment a super-frame, a packet at a time."""
        sizes = sizes_of(frame, payload_offset)
        overhead = SIZE_BEFORE_VERB + len(plan.prefix)
        spaced = array("I", [sum(sizes[:index]) for index in range(len(sizes))])
        payloads = memoryview(bytearray(sum(sizes)))
        cut(frame, payloads, spaced, payload_offset)
        transmits: list[Transmit] = []
        for index, size in enumerate(sizes):
            count = pieces(overhead + size, plan.path_mtu)
            packet = header(plan)
            packet[OFFSET_FLAGS] = FLAG_FRAGMENTED if count > 1 else 0
            packet[:8] = plan.packet_ids[8 * index : 8 * index + 8]
            packet += payloads[spaced[index] : spaced[index] + size]
            self._seal(packet, cipher, plan)
            room = bytearray(len(packet) + SIZE_FRAGMENT_HEADER * (count - 1))
            room[: len(packet)] = packet
            datagram, _ = cut_packet(memoryview(packet), memoryview(room), count)
            transmits.append(Transmit(room, datagram, plan.endpoint, plan.socket))
        return transmits

    def inbound(self, batch: PacketBatch, cipher: PeerCipher) -> bytearray:
        """Open a batch in place, a packet at a time."""
        return bytearray(
            dearmor_one(batch.buffer[start : start + size], cipher)
            for start, size in zip(batch.starts, batch.sizes, strict=True)
        )

    def _seal(self, packet: bytearray, cipher: PeerCipher, plan: Plan) -> None:
        if plan.suite is CipherSuite.TRUSTED:
            mark_trusted(memoryview(packet), plan)
        else:
            armor_one(packet, cipher, plan.suite)
