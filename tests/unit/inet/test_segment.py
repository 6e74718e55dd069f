from array import array
from dataclasses import replace

import pytest

from tests.unit.inet.frames import ACK, CWR, FIN, PSH, Packet
from ztlink.batch import Gso, SuperFrame
from ztlink.inet.segment import count, cut, sizes_of

TCP_4 = Packet(payload=bytes(range(250)) * 4)
TCP_6 = replace(TCP_4, source="fd::1", destination="fd::2")
UDP_4 = replace(TCP_4, is_tcp=False)
UDP_6 = replace(TCP_6, is_tcp=False)
ALL = pytest.mark.parametrize(
    "packet", [TCP_4, TCP_6, UDP_4, UDP_6], ids=["TCP4", "TCP6", "UDP4", "UDP6"]
)


def pieces_of(frame: SuperFrame, gap: int = 10, uneven: int = 0) -> list[bytes]:
    """Cut a super-frame, the pieces `gap` bytes apart, and `uneven` more after the first."""
    sizes = sizes_of(frame, 14)
    stride = max(sizes) + gap
    starts = [5 + index * stride + (uneven if index else 0) for index in range(len(sizes))]
    out = bytearray(starts[-1] + stride)
    written = cut(frame, memoryview(out), array("I", starts), 14)
    assert written == sizes
    return [bytes(out[at : at + size]) for at, size in zip(starts, sizes, strict=True)]


def expected(packet: Packet, segment_size: int) -> list[bytes]:
    return [piece.encode() for piece in packet.cut(segment_size)]


@ALL
@pytest.mark.parametrize("segment_size", [1000, 999, 500, 250, 251, 100, 33, 7])
def test_evenly_spaced_pieces_are_those_of_the_plain_twin(
    packet: Packet, segment_size: int
) -> None:
    frame = packet.super_frame(segment_size)
    assert pieces_of(frame) == expected(packet, segment_size)


@ALL
def test_unevenly_spaced_pieces_are_those_of_the_plain_twin(packet: Packet) -> None:
    assert pieces_of(packet.super_frame(99), uneven=3) == expected(packet, 99)


def test_nothing_is_written_between_the_pieces() -> None:
    frame = TCP_4.super_frame(100)
    stride, size = 150, 140
    out = bytearray(b"\xee" * (stride * 10))
    cut(frame, memoryview(out), array("I", range(0, stride * 10, stride)), 14)
    assert {bytes(out[at + size : at + stride]) for at in range(0, stride * 10, stride)} == {
        b"\xee" * 10
    }


@pytest.mark.parametrize("uneven", [0, 1])
def test_flags_go_where_they_belong(uneven: int) -> None:
    packet = replace(TCP_4, flags=ACK | CWR | FIN | PSH)
    flags = [piece[33] for piece in pieces_of(packet.super_frame(100), uneven=uneven)]
    assert flags == [ACK | CWR, *[ACK] * 8, ACK | FIN | PSH]


@pytest.mark.parametrize("uneven", [0, 1])
def test_sequence_and_identification_wrap(uneven: int) -> None:
    packet = replace(TCP_4, sequence=2**32 - 150, identification=0xFFFE)
    assert pieces_of(packet.super_frame(100), uneven=uneven) == expected(packet, 100)


def test_options_are_in_every_piece() -> None:
    packet = replace(TCP_4, options=bytes(range(12)))
    assert pieces_of(packet.super_frame(100)) == expected(packet, 100)


def test_ethernet_headers_are_kept_where_they_are_wanted() -> None:
    frame = TCP_4.super_frame(500)
    out = bytearray(1108)
    cut(frame, memoryview(out), array("I", [0, 554]), 0)
    assert [bytes(out[:14]), bytes(out[554:568])] == [bytes(frame.buffer[:14])] * 2


def test_a_super_frame_with_a_vlan_tag_is_cut_behind_it() -> None:
    frame = TCP_4.super_frame(100)
    buffer = bytearray(frame.buffer)
    buffer[12:12] = b"\x81\x00\x00\x05"
    tagged = replace(frame, buffer=memoryview(buffer), checksum_start=frame.checksum_start + 4)
    pieces = pieces_of(tagged)
    assert [piece[4:] for piece in pieces] == expected(TCP_4, 100)


@ALL
@pytest.mark.parametrize(("size", "pieces"), [(999, 2), (1000, 1), (250, 4), (249, 5)])
def test_the_pieces_are_counted_beforehand(packet: Packet, size: int, pieces: int) -> None:
    assert count(packet.super_frame(size)) == pieces


def test_the_sizes_count_from_the_offset() -> None:
    assert sizes_of(TCP_4.super_frame(400), 0).tolist() == [454, 454, 254]


@ALL
def test_a_frame_that_is_not_to_be_cut_gets_its_checksum(packet: Packet) -> None:
    frame = replace(packet.super_frame(0), gso=Gso.NONE)
    assert pieces_of(frame) == [packet.encode()]


def test_a_finished_frame_is_copied() -> None:
    frame = SuperFrame(memoryview(TCP_4.ethernet + TCP_4.encode()))
    assert pieces_of(frame) == [TCP_4.encode()]


def udp_with_sum_zero(is_last: bool) -> Packet:
    """A datagram whose checksum comes out as zero: its last word is what is missing."""
    packet = replace(UDP_4, payload=bytes(100))
    sent = int.from_bytes(packet.encode()[26:28], "big")
    return replace(packet, payload=(bytes(98) + sent.to_bytes(2, "big")) * (1 if is_last else 10))


def test_a_udp_checksum_of_zero_is_sent_as_ffff() -> None:
    frame = replace(udp_with_sum_zero(is_last=True).super_frame(0), gso=Gso.NONE)
    assert pieces_of(frame)[0][26:28] == b"\xff\xff"


@pytest.mark.parametrize("uneven", [0, 1])
def test_a_udp_checksum_of_zero_is_sent_as_ffff_in_every_piece(uneven: int) -> None:
    frame = udp_with_sum_zero(is_last=False).super_frame(100)
    assert {piece[26:28] for piece in pieces_of(frame, uneven=uneven)} == {b"\xff\xff"}


WHOLE = TCP_4.super_frame(100)


@pytest.mark.parametrize(
    "frame",
    [
        replace(WHOLE, segment_size=0),
        replace(WHOLE, gso=Gso.TCPV6),
        replace(TCP_6.super_frame(100), gso=Gso.TCPV4),
        replace(WHOLE, checksum_start=20),
        replace(WHOLE, checksum_start=2000),
        replace(WHOLE, buffer=WHOLE.buffer[:40]),
        replace(WHOLE, buffer=WHOLE.buffer[:20]),
        replace(UDP_4.super_frame(100), buffer=UDP_4.super_frame(100).buffer[:38]),
        replace(WHOLE, buffer=memoryview(bytes(WHOLE.buffer[:12]) + b"\x81\0" + bytes(21))),
    ],
    ids=[
        "no segment size",
        "IPv4 as IPv6",
        "IPv6 as IPv4",
        "TCP within IP",
        "TCP past the end",
        "half a TCP header",
        "half an IP header",
        "half a UDP header",
        "half a header behind a VLAN tag",
    ],
)
def test_what_cannot_be_cut_is_one_piece(frame: SuperFrame) -> None:
    assert count(frame) == 1
    assert [len(piece) for piece in pieces_of(frame)] == [len(frame.buffer) - 14]
