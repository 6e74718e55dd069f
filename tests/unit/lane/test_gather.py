"""Runs of packets at the beginning of a train, and runs of frames among them."""

import pytest

from tests.unit.lane.engines import ENGINES, NAMES
from ztlink.batch import CipherSuite, PacketBatch
from ztlink.lane.engine import Engine
from ztlink.vl1.fragments import split
from ztlink.wire.packet import HEADER, MAX_PACKET_SIZE
from ztlink.wire.verbs import Verb

ME, SENDER, OTHER = b"\x11" * 5, b"\x22" * 5, b"\x33" * 5
FRAME = bytes(8) + b"\x08\0"
SIV, SALSA, NONE = (
    CipherSuite.GMAC_SIV << 3,
    CipherSuite.SALSA_POLY << 3,
    CipherSuite.POLY_NONE << 3,
)
ANY = pytest.mark.parametrize("engine", ENGINES, ids=NAMES)


def packet(
    number: int = 1,
    *,
    size: int = 100,
    to: bytes = ME,
    source: bytes = SENDER,
    flags: int = SIV,
    verb: int = Verb.FRAME,
    begin: bytes = FRAME,
) -> bytes:
    head = HEADER.pack(number.to_bytes(8, "big"), to, source, flags, bytes(8), verb)
    return (head + begin + bytes(index * 5 & 0xFF for index in range(size)))[:size]


def in_two(number: int = 1, size: int = 2000, to: bytes = ME) -> list[bytes]:
    """Return a packet as two datagrams."""
    return split(packet(number, size=size, flags=SIV | 0x40, to=to), 1432)


def gathered(
    engine: Engine, datagrams: list[bytes], start: int = 0
) -> tuple[list[bytes], int, int]:
    """Return the packets of the run, where it ends and how many datagrams it was."""
    buffer = memoryview(bytearray(b"".join(datagrams)))
    run = engine.gather(buffer, len(datagrams[0]), start, ME)
    spans = zip(run.batch.starts, run.batch.sizes, strict=True)
    return [bytes(buffer[s : s + n]) for s, n in spans], run.end, run.datagrams


@ANY
def test_packets_of_one_sender_are_one_run(engine: Engine) -> None:
    packets = [packet(1), packet(2, flags=SALSA), packet(3, size=50)]
    assert gathered(engine, packets) == (packets, 250, 3)


@ANY
@pytest.mark.parametrize("size", [1433, 1999, 2000, 2848])
def test_a_packet_of_two_datagrams_is_joined(engine: Engine, size: int) -> None:
    whole = packet(7, size=size, flags=SIV | 0x40)
    assert gathered(engine, split(whole, 1432)) == ([whole], size + 16, 2)


@ANY
def test_many_packets_of_two_equal_datagrams_are_joined(engine: Engine) -> None:
    packets = [packet(number, size=2000, flags=SIV | 0x40) for number in range(20)]
    datagrams = [piece for whole in packets for piece in split(whole, 1008)]
    assert {len(piece) for piece in datagrams} == {1008}
    assert gathered(engine, datagrams) == (packets, 40 * 1008, 40)


@ANY
def test_a_run_may_begin_within_a_train(engine: Engine) -> None:
    packets = [packet(1, to=OTHER), packet(2), packet(3)]
    assert gathered(engine, packets, 100) == (packets[1:], 300, 2)


@ANY
@pytest.mark.parametrize(
    "stranger",
    [
        packet(2, to=OTHER),
        packet(2, flags=NONE),
        packet(2, flags=CipherSuite.TRUSTED << 3),
        packet(2, flags=5 << 3),
        packet(2, flags=SIV | 0x40),
        packet(2, source=b"\xff\x21\0\0\0"),
        bytes(4),
        packet(2)[:27],
    ],
    ids=[
        "for another",
        "in clear",
        "trusted",
        "unknown suite",
        "a head alone",
        "a fragment",
        "a punch",
        "too short",
    ],
)
def test_all_else_ends_a_run(engine: Engine, stranger: bytes) -> None:
    assert gathered(engine, [packet(1), stranger]) == ([packet(1)], 100, 1)
    assert gathered(engine, [stranger])[0] == []


@ANY
def test_another_sender_begins_another_run(engine: Engine) -> None:
    packets = [packet(1), packet(2, source=OTHER)]
    assert gathered(engine, packets) == (packets[:1], 100, 1)
    assert gathered(engine, packets, 100) == (packets[1:], 200, 1)


@ANY
def test_a_fragment_of_another_packet_is_not_joined(engine: Engine) -> None:
    head, _ = in_two(1)
    _, fragment = in_two(2)
    assert gathered(engine, [head, fragment]) == ([], 0, 0)


@ANY
def test_a_first_of_three_is_not_joined(engine: Engine) -> None:
    pieces = split(packet(1, size=3000, flags=SIV | 0x40), 1432)
    assert gathered(engine, pieces) == ([], 0, 0)


@ANY
def test_what_would_be_longer_than_any_packet_is_not_joined(engine: Engine) -> None:
    half = MAX_PACKET_SIZE // 2 + 16
    pieces = split(packet(1, size=2 * half - 15, flags=SIV | 0x40), half)
    assert gathered(engine, pieces) == ([], 0, 0)
    longest = packet(1, size=MAX_PACKET_SIZE, flags=SIV | 0x40)
    assert gathered(engine, split(longest, half))[0] == [longest]


def batch_of(*packets: bytes) -> PacketBatch:
    batch = PacketBatch(memoryview(bytearray(b"".join(packets))))
    for number, one in enumerate(packets):
        batch.append(sum(map(len, packets[:number])), len(one))
    return batch


@ANY
def test_frames_of_one_kind_are_one_run(engine: Engine) -> None:
    batch = batch_of(packet(1), packet(2, size=50), packet(3))
    assert engine.run_length(batch, bytearray(b"\1\1\1"), 0) == 3
    assert engine.run_length(batch, bytearray(b"\1\1\1"), 2) == 1


@ANY
@pytest.mark.parametrize(
    "other",
    [
        packet(2, verb=Verb.EXT_FRAME),
        packet(2, verb=Verb.FRAME | 0x80),
        packet(2, begin=bytes(7) + b"\1\x08\0"),
        packet(2, begin=bytes(8) + b"\x86\xdd"),
        packet(2, flags=SIV | 1),
        packet(2, flags=NONE),
        packet(2, size=30),
    ],
    ids=["verb", "compressed", "network", "ethertype", "hops", "in clear", "too short"],
)
def test_another_kind_ends_a_run_of_frames(engine: Engine, other: bytes) -> None:
    assert engine.run_length(batch_of(packet(1), other), bytearray(b"\1\1"), 0) == 1


@ANY
def test_a_packet_that_is_not_authentic_ends_a_run_of_frames(engine: Engine) -> None:
    assert engine.run_length(batch_of(packet(1), packet(2)), bytearray(b"\1\0"), 0) == 1


@ANY
@pytest.mark.parametrize("verb", [Verb.EXT_FRAME, Verb.HELLO, Verb.FRAME | 0x80])
def test_other_verbs_begin_no_run_of_frames(engine: Engine, verb: int) -> None:
    assert engine.run_length(batch_of(packet(1, verb=verb)), bytearray(b"\1"), 0) == 0


@ANY
def test_a_frame_in_clear_begins_no_run(engine: Engine) -> None:
    assert engine.run_length(batch_of(packet(1, flags=NONE)), bytearray(b"\1"), 0) == 0
