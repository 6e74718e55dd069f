"""A trial of compiled kernels, on the machine that is to run them: they must do as Python does."""

from ipaddress import IPv4Address
from typing import Final

from ztlink.batch import CipherSuite, PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.ids import Address, Endpoint, SocketId
from ztlink.lane.engine import Engine
from ztlink.lane.portable import PortableEngine

_SUITES: Final = (CipherSuite.SALSA_POLY, CipherSuite.GMAC_SIV)
_SIZES: Final = (1, 600)
_ETHERNET: Final = 14


def agrees(engine: Engine) -> bool:
    """Tell whether an engine seals as the portable one does, and opens what it sealed."""
    cipher = PeerCipher(derive_session_keys(bytes(range(48))))
    for suite in _SUITES:
        for size in _SIZES:
            sent, expected = (_send(one, cipher, suite, size) for one in (engine, PortableEngine()))
            if sent != expected:
                return False
            batch = PacketBatch(memoryview(bytearray(expected)))
            batch.append(0, len(expected))
            if engine.inbound(batch, cipher) != b"\1":
                return False
    return True


def _send(engine: Engine, cipher: PeerCipher, suite: CipherSuite, size: int) -> bytes:
    plan = Plan(
        destination=Address(1),
        source=Address(2),
        endpoint=Endpoint(IPv4Address("192.0.2.1"), 1),
        socket=SocketId(0),
        path_mtu=1432,
        suite=suite,
        prefix=bytes(11),
        packet_ids=bytes(range(8)),
    )
    frame = SuperFrame(memoryview(bytearray(index & 0xFF for index in range(_ETHERNET + size))))
    transmits: list[Transmit] = engine.outbound(frame, _ETHERNET, cipher, plan)
    return b"".join(transmit.buffer for transmit in transmits)
