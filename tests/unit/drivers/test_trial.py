import pytest

from tests.unit.lane.engines import ENGINES, NAMES
from ztlink.batch import PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.kdf import PeerCipher
from ztlink.drivers.trial import agrees
from ztlink.lane.engine import Engine
from ztlink.lane.portable import PortableEngine


class _SealsOtherwise(PortableEngine):
    def outbound(
        self, frame: SuperFrame, payload_offset: int, cipher: PeerCipher, plan: Plan
    ) -> list[Transmit]:
        transmits = super().outbound(frame, payload_offset, cipher, plan)
        last = bytearray(transmits[-1].buffer)
        last[-1] ^= 1
        transmits[-1].buffer = last
        return transmits


class _OpensNothing(PortableEngine):
    def inbound(self, batch: PacketBatch, cipher: PeerCipher) -> bytearray:
        return bytearray(len(batch))


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_every_engine_passes(engine: Engine) -> None:
    assert agrees(engine)


def test_an_engine_that_seals_otherwise_fails() -> None:
    assert not agrees(_SealsOtherwise())


def test_an_engine_that_does_not_open_fails() -> None:
    assert not agrees(_OpensNothing())
