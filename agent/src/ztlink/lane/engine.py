"""The face that every engine of the data lane has."""

from typing import Protocol

from ztlink.batch import PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.kdf import PeerCipher
from ztlink.lane.gather import Gathered


class Engine(Protocol):
    """Batch kernels: they know frames, packets and keys, but no peers and no networks."""

    name: str
    """What operators call it."""

    def outbound(
        self, frame: SuperFrame, payload_offset: int, cipher: PeerCipher, plan: Plan
    ) -> list[Transmit]:
        """Cut a super-frame, put each piece behind header and prefix, seal and fragment it.

        `payload_offset` is where in the Ethernet frame the part begins that travels in the packet.
        The transmits own their buffers.
        """

    def inbound(self, batch: PacketBatch, cipher: PeerCipher) -> bytearray:
        """Open whole packets of one peer in place; one byte each, 1 where it is authentic."""

    def gather(self, buffer: memoryview, stride: int, start: int, me: bytes) -> Gathered:
        """Return the packets of one sender at `start` of a train; see `lane.gather`."""

    def run_length(self, batch: PacketBatch, verdicts: bytearray, first: int) -> int:
        """Return how many packets from one on are frames of a kind; see `lane.gather`."""

    def coalesce(self, batch: PacketBatch, offset: int, header: bytes) -> list[SuperFrame]:
        """Return the frames that begin `offset` bytes into packets, joined; see `inet.coalesce`.

        `offset` is more than the 14 bytes of `header`, the Ethernet header of all of them. What is
        returned lies in the batch's buffer or in one of its own.
        """
