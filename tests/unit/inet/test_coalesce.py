from dataclasses import replace

import pytest

from tests.unit.inet.frames import ACK, CWR, FIN, PSH, Packet, received
from ztlink.batch import Gso, SuperFrame
from ztlink.inet.coalesce import coalesce, one_by_one

V4 = Packet(payload=bytes(range(256)) * 8)
V6 = replace(V4, source="fd::1", destination="fd::2")
ANY = pytest.mark.parametrize("packet", [V4, V6], ids=["IPv4", "IPv6"])
FIRST = replace(V4, payload=bytes(100))
NEXT = replace(FIRST, sequence=FIRST.sequence + 100, identification=FIRST.identification + 1)
LAST = replace(NEXT, sequence=NEXT.sequence + 100, identification=NEXT.identification + 1)


def joined(packets: list[bytes], ethernet: bytes = V4.ethernet) -> list[SuperFrame]:
    return coalesce(received(packets), 0, ethernet)


def payload_sizes(*packets: Packet) -> list[int]:
    """The sizes of TCP payload in what becomes of some packets."""
    frames = joined([packet.encode() for packet in packets], packets[0].ethernet)
    return [len(frame.buffer) - 54 - len(packets[0].options) for frame in frames]


@ANY
@pytest.mark.parametrize("size", [1024, 1000, 333, 64])
def test_the_pieces_of_a_super_frame_become_it_again(packet: Packet, size: int) -> None:
    frames = joined([piece.encode() for piece in packet.cut(size)], packet.ethernet)
    assert frames == [packet.super_frame(size)]


def test_flags_of_the_first_and_the_last_are_kept() -> None:
    packet = replace(V4, flags=ACK | CWR | FIN | PSH)
    frames = joined([piece.encode() for piece in packet.cut(500)])
    assert frames == [packet.super_frame(500)]


def test_options_are_kept() -> None:
    packet = replace(V4, options=bytes(range(12)))
    frames = joined([piece.encode() for piece in packet.cut(500)])
    assert frames == [packet.super_frame(500)]


def test_a_frame_that_stays_alone_is_delivered_in_place() -> None:
    batch = received([FIRST.encode()])
    frame = coalesce(batch, 0, FIRST.ethernet)[0]
    assert bytes(frame.buffer) == FIRST.ethernet + FIRST.encode()
    assert frame.buffer.obj is batch.buffer.obj


def test_a_frame_that_stays_alone_needs_nothing_done() -> None:
    frame = joined([FIRST.encode(), FIRST.encode()])[0]
    assert (frame.gso, frame.needs_checksum) == (Gso.NONE, False)


def test_nothing_is_joined_where_frames_are_judged_one_by_one() -> None:
    batch = received([FIRST.encode(), NEXT.encode()])
    assert len(one_by_one(batch, 0, FIRST.ethernet)) == 2


def test_a_shorter_segment_is_the_last() -> None:
    short = replace(NEXT, payload=bytes(50))
    after = replace(short, sequence=short.sequence + 50, identification=9)
    assert payload_sizes(FIRST, short, after) == [150, 50]


def test_a_longer_segment_begins_anew() -> None:
    assert payload_sizes(FIRST, replace(NEXT, payload=bytes(101))) == [100, 101]


@pytest.mark.parametrize("flag", [PSH, FIN])
def test_nothing_follows_a_flag_that_ends(flag: int) -> None:
    assert payload_sizes(FIRST, replace(NEXT, flags=ACK | flag), LAST) == [200, 100]


def test_congestion_window_reduced_begins_anew() -> None:
    assert payload_sizes(FIRST, replace(NEXT, flags=ACK | CWR), LAST) == [100, 200]


@pytest.mark.parametrize(
    "following",
    [
        replace(NEXT, sequence=NEXT.sequence + 1),
        replace(NEXT, acknowledgement=3000),
        replace(NEXT, window=501),
        replace(NEXT, urgent=1),
        replace(NEXT, source_port=4001),
        replace(NEXT, destination_port=81),
        replace(NEXT, source="10.0.0.3"),
        replace(NEXT, destination="10.0.0.3"),
        replace(NEXT, ttl=63),
        replace(NEXT, tos=1),
        replace(NEXT, fragment=0),
        replace(NEXT, identification=5),
        replace(NEXT, flags=ACK | 0x40),
    ],
    ids=[
        "sequence",
        "acknowledgement",
        "window",
        "urgent pointer",
        "source port",
        "destination port",
        "source",
        "destination",
        "TTL",
        "TOS",
        "don't fragment",
        "identification",
        "ECE",
    ],
)
def test_a_difference_keeps_frames_apart(following: Packet) -> None:
    assert payload_sizes(FIRST, following) == [100, 100]


@pytest.mark.parametrize(
    "lone",
    [
        replace(FIRST, flags=ACK | 0x02),
        replace(FIRST, flags=ACK | 0x04),
        replace(FIRST, flags=ACK | 0x20),
        replace(FIRST, flags=0),
        replace(FIRST, fragment=0x2000),
        replace(FIRST, fragment=0x0001),
        replace(FIRST, is_tcp=False),
    ],
    ids=["SYN", "RST", "URG", "no ACK", "more fragments", "fragment", "UDP"],
)
def test_some_frames_are_never_joined(lone: Packet) -> None:
    following = replace(lone, sequence=lone.sequence + 100, identification=8)
    assert len(joined([lone.encode(), following.encode()])) == 2


def test_segments_without_payload_are_never_joined() -> None:
    empty = replace(FIRST, payload=b"")
    assert payload_sizes(empty, replace(empty, identification=8)) == [0, 0]


def test_what_never_fragments_may_keep_its_identification() -> None:
    packets = [replace(packet, identification=0) for packet in (FIRST, NEXT, LAST)]
    assert payload_sizes(*packets) == [300]


def test_what_may_be_fragmented_may_not_keep_its_identification() -> None:
    packets = [replace(packet, identification=0, fragment=0) for packet in (FIRST, NEXT)]
    assert payload_sizes(*packets) == [100, 100]


@pytest.mark.parametrize("packet", [FIRST, NEXT], ids=["first", "second"])
def test_identifications_that_count_do_not_stand_still(packet: Packet) -> None:
    third = replace(LAST, identification=packet.identification)
    assert payload_sizes(FIRST, NEXT, third) == [200, 100]


def test_identifications_that_stay_do_not_begin_to_count() -> None:
    same = replace(NEXT, identification=FIRST.identification)
    counting = replace(LAST, identification=FIRST.identification + 2)
    assert payload_sizes(FIRST, same, counting) == [200, 100]


def test_sequence_and_identification_wrap() -> None:
    packet = replace(V4, sequence=2**32 - 700, identification=0xFFFF)
    assert payload_sizes(*packet.cut(500)) == [2048]


def test_a_joined_packet_stays_within_its_length_field() -> None:
    packet = replace(V4, payload=bytes(64_000))
    pieces = [*packet.cut(1000), *replace(packet, sequence=65_000, identification=71).cut(1000)]
    frames = joined([piece.encode() for piece in pieces])
    assert max(len(frame.buffer) - 14 for frame in frames) == 65_040


def corrupt(packet: Packet, offset: int) -> bytes:
    data = bytearray(packet.encode())
    data[offset] ^= 0x01
    return bytes(data)


@pytest.mark.parametrize("offset", [-1, 36, 25], ids=["payload", "checksum", "sequence"])
def test_a_bad_tcp_checksum_leaves_a_frame_alone(offset: int) -> None:
    last = replace(LAST, sequence=LAST.sequence)
    frames = joined([FIRST.encode(), NEXT.encode(), corrupt(last, offset)])
    assert [len(frame.buffer) - 54 for frame in frames] == [200, 100]


def test_a_bad_frame_in_the_middle_parts_a_run() -> None:
    pieces = [piece.encode() for piece in V4.cut(256)]
    pieces[3] = corrupt(V4.cut(256)[3], -1)
    frames = joined(pieces)
    assert [len(frame.buffer) - 54 for frame in frames] == [768, 256, 1024]
    assert bytes(frames[1].buffer[14:]) == pieces[3]


@pytest.mark.parametrize("offset", [10, 4], ids=["checksum", "identification"])
def test_a_bad_ip_checksum_leaves_a_frame_alone(offset: int) -> None:
    bad = corrupt(NEXT, offset)
    frames = joined([FIRST.encode(), bad])
    assert bytes(frames[1].buffer[14:]) == bad


def test_padding_behind_the_packet_leaves_a_frame_alone() -> None:
    frames = joined([FIRST.encode(), NEXT.encode() + b"\0"])
    assert [len(frame.buffer) - 54 for frame in frames] == [100, 101]


def test_ip_options_leave_a_frame_alone() -> None:
    data = b"\x46" + FIRST.encode()[1:20] + bytes(4) + FIRST.encode()[20:]
    assert len(joined([data, data])) == 2


@pytest.mark.parametrize("size", [1, 19, 20, 39, 40])
@ANY
def test_frames_that_are_cut_short_are_delivered_as_they_are(packet: Packet, size: int) -> None:
    pieces = [packet.encode()[:size]] * 2
    frames = joined(pieces, packet.ethernet)
    assert [bytes(frame.buffer) for frame in frames] == [packet.ethernet + pieces[0]] * 2


def test_another_ethertype_is_delivered_as_it_is() -> None:
    header = FIRST.ethernet[:12] + b"\x88\xb5"
    frames = joined([FIRST.encode(), NEXT.encode()], header)
    assert [bytes(frame.buffer[:14]) for frame in frames] == [header, header]
