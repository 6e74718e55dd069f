"""Whatever a controller signs, a member lives on: it configures itself, or refuses and counts."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.wire.strategies import rules
from tests.scale import scaled
from tests.unit.vl2.rig import CONTROLLER, NETWORK, OWN, PEER, Member, make_com, make_config
from ztlink.batch import PacketBatch, SuperFrame
from ztlink.crypto.identity import sign
from ztlink.ids import Mac, PacketId, member_mac
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.network import ConfigChunk
from ztlink.wire.packet import OFFSET_PAYLOAD
from ztlink.wire.rules import Rule
from ztlink.wire.verbs import Verb

KEYS = ["v", "ts", "ctmd", "r", "f", "ml", "t", "mtu", "n", "R", "CAP", "TAG", "COO", "RT", "I"]
KEYS += ["S", "DNS", "C", "tt", "tl", "id", "nwid", "sso", "ssoe", "zz"]
NUMBERS = st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
VALUES = (
    NUMBERS.map(lambda n: f"{n:x}".encode())
    | st.binary(max_size=200)
    | st.sampled_from([b"", b"-1", b"x" * 300])
)
CHANGES = st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=6)
FRAME = member_mac(PEER.address, NETWORK) + member_mac(OWN.address, NETWORK) + b"\x08\0" + b"E" * 40
TO_ALL = Mac(b"\xff" * 6) + member_mac(OWN.address, NETWORK) + b"\x08\x06" + bytes(28)


def push(member: Member, text: bytes) -> None:
    """Have the controller push a configuration, and the member be used for a while."""
    chunk = ConfigChunk(NETWORK, text, 0, 7, len(text), 0)
    signed = replace(chunk, signature=sign(CONTROLLER, chunk.signed_bytes()))
    payload = memoryview(signed.to_bytes())
    member.vl2.handle(CONTROLLER.public, Verb.NETWORK_CONFIG, PacketId(1), payload, member.now)
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    for frame in (FRAME, TO_ALL):
        member.vl2.receive_frame(NETWORK, SuperFrame(memoryview(bytearray(frame))), member.now)
    packet = bytearray(OFFSET_PAYLOAD) + NETWORK.to_bytes(8, "big") + FRAME[12:]
    batch = PacketBatch(memoryview(packet))
    batch.append(0, len(packet))
    member.vl2.receive_run(PEER.public, batch, member.now)
    member.later(5.0)


@given(CHANGES)
@settings(max_examples=scaled(1000), deadline=None)
def test_a_configuration_with_any_values_is_survived(changes: list[tuple[str, bytes]]) -> None:
    member = Member()
    entries = Dictionary()
    for key, value in changes:  # of several with one key the first counts
        entries.add_bytes(key, value)
    push(member, entries.encode() + b"\n" + make_config(timestamp=2**62).encode())
    assert member.network.mac == member_mac(OWN.address, NETWORK)


@given(st.lists(rules, max_size=40), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=scaled(1000), deadline=None)
def test_a_configuration_with_any_rules_is_survived(
    table: list[Rule], limit: int, is_public: bool
) -> None:
    member = Member()
    text = make_config(timestamp=2**62, rules=tuple(table), multicast_limit=limit).encode()
    push(member, text)
    assert member.network.config is not None
