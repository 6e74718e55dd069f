"""The engines of the data lane (portable, plain) give the same datagrams, and open them again."""

import itertools
from ipaddress import ip_address

import pytest

from tests.unit.inet.frames import ACK, PSH, Packet
from tests.unit.lane.engines import ENGINES, NAMES
from ztlink.batch import (
    MAX_TRAIN_DATAGRAMS,
    MAX_TRAIN_SIZE,
    CipherSuite,
    Gso,
    PacketBatch,
    Plan,
    SuperFrame,
    Transmit,
)
from ztlink.clock import Now
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.ids import Address, Endpoint, SocketId
from ztlink.inet.segment import count
from ztlink.lane.engine import Engine
from ztlink.lane.layout import pieces
from ztlink.lane.plain import PlainEngine
from ztlink.vl1.fragments import Reassembler

CIPHER = PeerCipher(derive_session_keys(bytes(range(48))))
SUITES = [CipherSuite.SALSA_POLY, CipherSuite.TRUSTED, CipherSuite.GMAC_SIV]
PREFIX = b"\x06" + bytes(8) + b"\x08\0"
ETHERNET = 14
NOW = Now(1.0, 1)


def plan(frame: SuperFrame, suite: CipherSuite, path_mtu: int) -> Plan:
    ids = b"".join((0xABCD << 48 | number).to_bytes(8, "big") for number in range(count(frame)))
    return Plan(
        destination=Address(0x1111111111),
        source=Address(0x2222222222),
        endpoint=Endpoint(ip_address("192.0.2.1"), 9993),
        socket=SocketId(1),
        path_mtu=path_mtu,
        suite=suite,
        prefix=PREFIX,
        packet_ids=ids,
        trusted_path_id=7,
    )


def lone_frame(size: int) -> SuperFrame:
    frame = bytes(12) + b"\x08\0" + bytes(index & 0xFF for index in range(size))
    return SuperFrame(memoryview(bytearray(frame)))


def super_frame(size: int, segment: int, *, is_v4: bool = True) -> SuperFrame:
    payload = bytes(index * 7 & 0xFF for index in range(size))
    ends = ("10.0.0.1", "10.0.0.2") if is_v4 else ("fd00::1", "fd00::2")
    return Packet(*ends, payload=payload, flags=ACK | PSH).super_frame(segment)


def datagrams(transmits: list[Transmit]) -> list[bytes]:
    """Return what a kernel makes of the trains."""
    return [
        bytes(train.buffer[start : start + train.segment_size])
        for train in transmits
        for start in range(0, len(train.buffer), train.segment_size)
    ]


def outbound(engine: Engine, frame: SuperFrame, suite: CipherSuite, mtu: int) -> list[Transmit]:
    return engine.outbound(frame, ETHERNET, CIPHER, plan(frame, suite, mtu))


def packets_of(transmits: list[Transmit]) -> list[bytes]:
    """Put the pieces of packets together, in the order in which they become whole."""
    reassembler = Reassembler()
    packets = []
    for datagram in datagrams(transmits):
        view = memoryview(datagram)
        if datagram[13] == 0xFF:
            packet = reassembler.add_fragment(view, NOW)
        elif datagram[18] & 0x40:
            packet = reassembler.add_head(view, NOW)
        else:
            packet = bytearray(datagram)
        if packet is not None:
            packets.append(bytes(packet))
    return packets


FRAMES = [
    *(lone_frame(size) for size in (1, 100, 1394, 1395, 1396, 2800, 9800)),
    super_frame(20_000, 1360),
    super_frame(60_000, 2748),
    super_frame(60_000, 2749),
    super_frame(2749, 2748),
    super_frame(30_000, 1440, is_v4=False),
    super_frame(3_000, 100),
]
CASES = list(itertools.product(range(len(FRAMES)), SUITES, (1400, 1432, 4000)))


def fresh(number: int) -> SuperFrame:
    """Return a copy of a frame: an engine may write to what it is given."""
    frame = FRAMES[number]
    return SuperFrame(
        memoryview(bytearray(frame.buffer)),
        frame.gso,
        frame.header_size,
        frame.segment_size,
        frame.needs_checksum,
        frame.checksum_start,
        frame.checksum_offset,
    )


@pytest.mark.parametrize("engine", ENGINES[1:], ids=NAMES[1:])
@pytest.mark.parametrize(("number", "suite", "mtu"), CASES)
def test_the_engines_send_the_same_datagrams(
    engine: Engine, number: int, suite: CipherSuite, mtu: int
) -> None:
    plain, fast = (outbound(one, fresh(number), suite, mtu) for one in (PlainEngine(), engine))
    assert sorted(datagrams(fast)) == sorted(datagrams(plain))
    assert packets_of(fast) == packets_of(plain)


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_no_datagram_is_longer_than_the_path_carries(engine: Engine, number: int) -> None:
    sent = datagrams(outbound(engine, fresh(number), CipherSuite.GMAC_SIV, 1432))
    assert max(map(len, sent)) <= 1432


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_no_train_is_longer_than_a_kernel_takes(engine: Engine, number: int) -> None:
    for train in outbound(engine, fresh(number), CipherSuite.GMAC_SIV, 1432):
        assert len(train.buffer) <= MAX_TRAIN_SIZE
        assert -(-len(train.buffer) // train.segment_size) <= MAX_TRAIN_DATAGRAMS


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
@pytest.mark.parametrize("suite", [CipherSuite.SALSA_POLY, CipherSuite.GMAC_SIV])
@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_what_one_engine_sends_any_engine_opens(
    engine: Engine, suite: CipherSuite, number: int
) -> None:
    packets = packets_of(outbound(PlainEngine(), fresh(number), suite, 1432))
    batch = PacketBatch(memoryview(bytearray(b"".join(packets))))
    position = 0
    for packet in packets:
        batch.append(position, len(packet))
        position += len(packet)
    assert list(engine.inbound(batch, CIPHER)) == [1] * len(packets)
    for start in batch.starts:
        assert batch.buffer[start + 27 : start + 27 + len(PREFIX)] == PREFIX


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_the_frames_of_a_super_frame_carry_all_of_it(engine: Engine) -> None:
    frame = super_frame(20_000, 1360)
    packets = packets_of(outbound(engine, frame, CipherSuite.TRUSTED, 1432))
    carried = b"".join(packet[27 + len(PREFIX) + 40 :] for packet in packets)
    assert carried == bytes(index * 7 & 0xFF for index in range(20_000))
    assert frame.gso is Gso.TCPV4


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_a_changed_packet_is_told_from_its_neighbours(engine: Engine) -> None:
    packets = packets_of(outbound(engine, super_frame(5000, 1000), CipherSuite.GMAC_SIV, 1432))
    batch = PacketBatch(memoryview(bytearray(b"".join(packets))))
    for number, packet in enumerate(packets):
        batch.append(sum(map(len, packets[:number])), len(packet))
    batch.buffer[batch.starts[2] + 40] ^= 1
    assert list(engine.inbound(batch, CIPHER)) == [1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("size", "datagrams_needed"), [(1, 1), (1432, 1), (1433, 2), (2848, 2), (2849, 3), (9928, 7)]
)
def test_packets_are_counted_in_datagrams_as_the_reference_does(
    size: int, datagrams_needed: int
) -> None:
    assert pieces(size, 1432) == datagrams_needed
