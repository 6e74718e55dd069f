"""The face that every engine of the data lane has."""

from typing import Protocol

from ztlink.batch import PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.kdf import PeerCipher


class Engine(Protocol):
    """Batch kernels: they know frames, packets and keys, but no peers and no networks."""

    def outbound(
        self, frame: SuperFrame, payload_offset: int, cipher: PeerCipher, plan: Plan
    ) -> list[Transmit]:
        """Cut a super-frame, put each piece behind header and prefix, seal and fragment it.

        `payload_offset` is where in the Ethernet frame the part begins that travels in the packet.
        The transmits own their buffers.
        """

    def inbound(self, batch: PacketBatch, cipher: PeerCipher) -> bytearray:
        """Open whole packets of one peer in place; one byte each, 1 where it is authentic."""
