"""Segments written into frames and read from them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.netstack.ether import OWN_4, OWN_6, PEER_4, PEER_6, THEM, US, at, cut_frames
from ztlink.batch import Gso
from ztlink.netstack.counters import Discard
from ztlink.netstack.ipv4 import RefusedError
from ztlink.netstack.segment import Outgoing, Segment, flow_of
from ztlink.netstack.tcp_frames import read_segment, write_frame

V4 = at(OWN_4, 4000), at(PEER_4, 80)
V6 = at(OWN_6, 4000), at(PEER_6, 80)
ETHERNET = {4: US + b"\x08\x00", 6: US + b"\x86\xdd"}
IP_SIZE = {4: 20, 6: 40}


def outgoing(version: int = 4, data: bytes = b"hello", **fields: int) -> Outgoing:
    local, remote = V4 if version == 4 else V6
    made = Outgoing(
        flow_of(local, remote), local, remote, 1000, 2000, 0x18, 500, bytes([1, 1, 1, 1])
    )
    made = replace(made, payload=(memoryview(data),), size=len(data))
    return replace(made, **fields)  # type: ignore[arg-type]  # numbers alone


def read(packet: memoryview, version: int, *, is_verified: bool = False) -> Segment:
    """Read a segment as the other side does."""
    at_ip = 14 + IP_SIZE[version]
    addresses = packet[at_ip - (8 if version == 4 else 32) : at_ip]
    return read_segment(bytes(addresses), packet[at_ip:], segment_size=0, is_verified=is_verified)


def written(made: Outgoing, version: int) -> list[memoryview]:
    frame = write_frame(made, THEM, ETHERNET[version], 64)
    return [piece.buffer for piece in cut_frames(frame)]


@pytest.mark.parametrize("version", [4, 6])
@given(
    data=st.binary(max_size=400),
    sequence=st.integers(0, 2**32 - 1),
    acknowledgement=st.integers(0, 2**32 - 1),
    window=st.integers(0, 65_535),
    flags=st.sampled_from([0x10, 0x18, 0x11]),
)
def test_what_is_written_is_read_again(
    version: int, data: bytes, sequence: int, acknowledgement: int, window: int, flags: int
) -> None:
    made = outgoing(
        version,
        data,
        sequence=sequence,
        acknowledgement=acknowledgement,
        window=window,
        flags=flags,
    )
    (frame,) = written(made, version)
    segment = read(frame, version)
    assert bytes(segment.payload) == data
    assert (segment.local, segment.remote) == (made.remote, made.local)
    told = (segment.sequence, segment.acknowledgement, segment.window, segment.flags)
    assert told == (sequence, acknowledgement, window, flags)
    assert segment.options == made.options


@pytest.mark.parametrize("version", [4, 6])
@given(size=st.integers(1, 5000), segment_size=st.integers(100, 1400))
def test_a_super_segment_is_cut_into_segments_that_follow_each_other(
    version: int, size: int, segment_size: int
) -> None:
    data = bytes(range(256)) * 20
    made = outgoing(version, data[:size], segment_size=segment_size)
    segments = [read(frame, version) for frame in written(made, version)]
    assert b"".join(bytes(one.payload) for one in segments) == data[:size]
    assert [one.sequence - 1000 for one in segments] == list(range(0, size, segment_size))


def test_pieces_are_gathered() -> None:
    made = replace(outgoing(), payload=(memoryview(b"hel"), memoryview(b"lo")), size=5)
    (frame,) = written(made, 4)
    assert bytes(read(frame, 4).payload) == b"hello"


@pytest.mark.parametrize(("size", "gso"), [(1000, Gso.NONE), (1001, Gso.TCPV4)])
def test_what_fits_into_one_segment_is_one_frame(size: int, gso: Gso) -> None:
    made = outgoing(4, bytes(size), segment_size=1000)
    assert write_frame(made, THEM, ETHERNET[4], 64).gso is gso


def test_a_joined_segment_tells_the_size_of_its_pieces() -> None:
    (frame,) = written(outgoing(4, bytes(300)), 4)
    segment = read_segment(bytes(frame[26:34]), frame[34:], segment_size=100, is_verified=True)
    assert segment.segment_size == 100


def test_a_bad_checksum_is_refused_unless_it_was_looked_at_before() -> None:
    (frame,) = written(outgoing(), 4)
    frame[-1] ^= 1
    with pytest.raises(RefusedError) as refusal:
        read(frame, 4)
    assert refusal.value.reason is Discard.BAD_CHECKSUM
    assert bytes(read(frame, 4, is_verified=True).payload) == b"helln"
