"""Whatever comes, every engine does as the plain functions do."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.inet.test_inet_property import hostile_frames, packets
from tests.unit.inet.frames import Packet, received
from tests.unit.lane.engines import ENGINES, NAMES
from ztlink.batch import CipherSuite, Gso, PacketBatch, Plan, SuperFrame, Transmit
from ztlink.crypto.armor import armor_one
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.ids import Address, Endpoint, SocketId
from ztlink.inet.coalesce import coalesce
from ztlink.inet.segment import count
from ztlink.lane.engine import Engine
from ztlink.lane.gather import gather, run_length
from ztlink.lane.plain import PlainEngine
from ztlink.wire.packet import HEADER

CIPHER = PeerCipher(derive_session_keys(bytes(range(48))))
FAST = pytest.mark.parametrize("engine", ENGINES[1:], ids=NAMES[1:])
COMPILED = pytest.mark.parametrize("engine", ENGINES[2:], ids=NAMES[2:])
ME = b"\x11" * 5
SUITES = [CipherSuite.SALSA_POLY, CipherSuite.TRUSTED, CipherSuite.GMAC_SIV]


def datagrams(transmits: list[Transmit]) -> list[bytes]:
    return sorted(
        bytes(train.buffer[start : start + train.segment_size])
        for train in transmits
        for start in range(0, len(train.buffer), train.segment_size)
    )


def sent(engine: Engine, frame: SuperFrame, suite: CipherSuite, mtu: int) -> list[bytes]:
    plan = Plan(
        destination=Address(0x1111111111),
        source=Address(0x2222222222),
        endpoint=Endpoint(ip_address("192.0.2.1"), 9993),
        socket=SocketId(1),
        path_mtu=mtu,
        suite=suite,
        prefix=b"\x06" + bytes(10),
        packet_ids=bytes(index * 3 & 0xFF for index in range(8 * count(frame))),
        trusted_path_id=0x1122334455667788,
    )
    fresh = replace(frame, buffer=memoryview(bytearray(frame.buffer)))
    return datagrams(engine.outbound(fresh, 14, CIPHER, plan))


@FAST
@given(packets(), st.integers(20, 400), st.sampled_from(SUITES), st.integers(60, 500))
def test_super_frames_are_sent_as_by_the_plain_engine(
    engine: Engine, packet: Packet, size: int, suite: CipherSuite, mtu: int
) -> None:
    frame = packet.super_frame(size)
    assert sent(engine, frame, suite, mtu) == sent(PlainEngine(), frame, suite, mtu)


@FAST
@given(
    hostile_frames(),
    st.sampled_from(Gso),
    st.integers(0, 60),
    st.booleans(),
    st.integers(0, 100),
    st.sampled_from([6, 16]),
)
def test_whatever_a_port_gives_is_sent_as_by_the_plain_engine(
    engine: Engine, data: bytes, gso: Gso, size: int, needs: bool, start: int, offset: int
) -> None:
    frame = SuperFrame(memoryview(bytearray(data)), gso, 54, size, needs, start, offset)
    suite = CipherSuite.TRUSTED
    assert sent(engine, frame, suite, 1432) == sent(PlainEngine(), frame, suite, 1432)


@FAST
@given(packets(), st.booleans(), st.sampled_from(SUITES), st.integers(60, 500))
def test_a_whole_frame_is_sent_as_by_the_plain_engine(
    engine: Engine, packet: Packet, needs_checksum: bool, suite: CipherSuite, mtu: int
) -> None:
    frame = replace(packet.super_frame(400), gso=Gso.NONE, needs_checksum=needs_checksum)
    assert sent(engine, frame, suite, mtu) == sent(PlainEngine(), frame, suite, mtu)


def content(frames: list[SuperFrame]) -> list[tuple[bytes, SuperFrame]]:
    return [(bytes(frame.buffer), replace(frame, buffer=memoryview(b""))) for frame in frames]


def joined(engine: Engine | None, spans: list[bytes], header: bytes) -> object:
    join = coalesce if engine is None else engine.coalesce
    batch = received(spans)
    for index, start in enumerate(batch.starts):
        batch.starts[index] = start - 20
        batch.sizes[index] += 20
    return content(join(batch, 20, header))


@COMPILED
@given(packets(is_tcp=True), packets(is_tcp=True), st.integers(1, 300), st.data())
def test_frames_are_joined_as_by_the_plain_function(
    engine: Engine, one: Packet, other: Packet, size: int, data: st.DataObject
) -> None:
    other = replace(other, source=one.source, destination=one.destination)
    packets_in = [piece.encode() for piece in [*one.cut(size), *other.cut(size)]]
    spans = data.draw(st.permutations(packets_in) | st.just(packets_in))
    assert joined(engine, spans, one.ethernet) == joined(None, spans, one.ethernet)


@COMPILED
@given(
    packets(is_tcp=True),
    st.integers(20, 300),
    st.integers(0, 8),
    st.integers(0, 400),
    st.integers(),
)
def test_frames_with_a_changed_byte_are_joined_as_by_the_plain_function(
    engine: Engine, packet: Packet, size: int, which: int, offset: int, change: int
) -> None:
    spans = [bytearray(piece.encode()) for piece in packet.cut(size)]
    changed = spans[which % len(spans)]
    changed[offset % len(changed)] ^= change & 0xFF
    data = [bytes(span) for span in spans]
    assert joined(engine, data, packet.ethernet) == joined(None, data, packet.ethernet)


@COMPILED
@given(
    st.lists(hostile_frames(), min_size=1, max_size=4),
    st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"]),
)
def test_hostile_frames_are_joined_as_by_the_plain_function(
    engine: Engine, frames: list[bytes], ethertype: bytes
) -> None:
    spans, header = [frame[14:] for frame in frames], bytes(12) + ethertype
    assert joined(engine, spans, header) == joined(None, spans, header)


@st.composite
def hostile_trains(draw: st.DrawFn) -> tuple[bytes, int]:
    """Datagrams that look like packets for us, more or less."""
    stride = draw(st.integers(1, 90))
    data = bytearray(draw(st.binary(max_size=400)))
    flags = st.sampled_from([0x08, 0x18, 0x48, 0x58, 0x00, 0x10, 0x19])
    for start in range(0, len(data), stride):
        head = HEADER.pack(bytes(8), ME, b"\x22" * 5, draw(flags), bytes(8), 6)
        if draw(st.booleans()):
            head = bytes(8) + ME + b"\xff\x21\0"
        data[start : start + len(head)] = head[: len(data) - start]
    return bytes(data), stride


@COMPILED
@given(hostile_trains())
def test_hostile_trains_are_gathered_as_by_the_plain_function(
    engine: Engine, train: tuple[bytes, int]
) -> None:
    data, stride = train
    for start in range(0, len(data), stride):
        one, other = memoryview(bytearray(data)), memoryview(bytearray(data))
        expected = gather(one, stride, start, ME)
        found = engine.gather(other, stride, start, ME)
        assert (found.end, found.datagrams) == (expected.end, expected.datagrams)
        assert (found.batch.starts, found.batch.sizes) == (
            expected.batch.starts,
            expected.batch.sizes,
        )
        assert other == one
        for first in range(len(found.batch)):
            verdicts = bytearray(index % 5 != 3 for index in range(len(found.batch)))
            if verdicts[first]:
                length = run_length(expected.batch, verdicts, first)
                assert engine.run_length(found.batch, verdicts, first) == length


@FAST
@given(
    st.lists(st.binary(min_size=1, max_size=700), min_size=1, max_size=4),
    st.sampled_from([CipherSuite.SALSA_POLY, CipherSuite.GMAC_SIV, CipherSuite.POLY_NONE]),
    st.integers(0, 5),
    st.integers(8, 700),
)
def test_packets_are_opened_as_by_the_plain_engine(
    engine: Engine, payloads: list[bytes], suite: CipherSuite, which: int, offset: int
) -> None:
    batch = PacketBatch(memoryview(bytearray(sum(27 + len(one) for one in payloads))))
    position = 0
    for number, payload in enumerate(payloads):
        packet = bytearray(number.to_bytes(8, "big") + ME + b"\x22" * 5 + bytes(9) + payload)
        armor_one(packet, CIPHER, suite)
        if number == which:
            packet[offset % len(packet)] ^= 1
        batch.buffer[position : position + len(packet)] = packet
        batch.append(position, len(packet))
        position += len(packet)
    twin = PacketBatch(memoryview(bytearray(batch.buffer)))
    twin.starts, twin.sizes = batch.starts, batch.sizes
    verdicts = engine.inbound(batch, CIPHER)
    assert verdicts == PlainEngine().inbound(twin, CIPHER)
    for verdict, start, size in zip(verdicts, batch.starts, batch.sizes, strict=True):
        if verdict:
            assert batch.buffer[start : start + size] == twin.buffer[start : start + size]
