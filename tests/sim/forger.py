"""Authentic packets that a node would never send: for tests of those who receive them."""

from collections.abc import Callable

from tests.sim.mesh import endpoint_of
from tests.sim.node import DEFAULT_PORT, SimNode
from ztlink.batch import CipherSuite, Train
from ztlink.crypto.armor import armor_one
from ztlink.crypto.identity import agree
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.ids import Endpoint
from ztlink.wire.packet import MASK_HOPS, OFFSET_FLAGS


class Forger:
    """Has the secret of one node, and sends in its name to another."""

    def __init__(
        self, sender: SimNode, receiver: SimNode, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._sender = sender
        self._receiver = receiver
        self._random_bytes = random_bytes
        self._cipher = PeerCipher(
            derive_session_keys(agree(sender.identity, receiver.identity.public))
        )

    def seal(
        self,
        verb_byte: int,
        payload: bytes,
        *,
        suite: CipherSuite = CipherSuite.GMAC_SIV,
        hops: int = 0,
    ) -> bytes:
        """Return an authentic packet; `verb_byte` with the flags of that byte."""
        packet = bytearray(self._random_bytes(8))
        packet += self._receiver.address.to_bytes(5, "big")
        packet += self._sender.address.to_bytes(5, "big")
        packet += bytes(9) + bytes([verb_byte]) + payload
        armor_one(packet, self._cipher, suite)
        packet[OFFSET_FLAGS] |= hops & MASK_HOPS
        return bytes(packet)

    def deliver(self, data: bytes, source: Endpoint | None = None) -> None:
        """Have a datagram arrive, from the sender's own endpoint if no other is named."""
        socket = next(iter(self._receiver.host.bind(DEFAULT_PORT)))
        buffer = memoryview(bytearray(data))
        train = Train(buffer, len(data), source or endpoint_of(self._sender), socket)
        self._receiver.core.receive_datagrams(train, self._receiver.clock.now())
        self._receiver.drain()

    def send(self, verb_byte: int, payload: bytes, **how: CipherSuite) -> None:
        """Have an authentic packet arrive."""
        self.deliver(self.seal(verb_byte, payload, **how))
