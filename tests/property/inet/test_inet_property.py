"""Random bytes raise nothing; joining and cutting undo each other; batches equal their twins."""

from array import array
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.inet.frames import Packet, plain_checksum, received
from ztlink.batch import Gso, SuperFrame
from ztlink.inet.checksum import checksum
from ztlink.inet.coalesce import coalesce
from ztlink.inet.flow import parse_frame
from ztlink.inet.membership import group_report
from ztlink.inet.segment import cut, sizes_of

ETHERTYPES = st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00"])


@st.composite
def hostile_frames(draw: st.DrawFn) -> bytes:
    """A valid packet with some bytes changed and cut off anywhere, or noise."""
    packet = draw(packets())
    data = bytearray(draw(st.sampled_from([packet.encode(), draw(st.binary(max_size=90))])))
    for offset in draw(st.lists(st.integers(0, 100), max_size=4)):
        if offset < len(data):
            data[offset] = draw(st.integers(0, 255))
    return bytes(12) + draw(ETHERTYPES) + bytes(data[: draw(st.integers(0, 400))])


@st.composite
def packets(draw: st.DrawFn, *, is_tcp: bool | None = None) -> Packet:
    is_v4 = draw(st.booleans())
    tcp = draw(st.booleans()) if is_tcp is None else is_tcp
    return Packet(
        "10.0.0.1" if is_v4 else "fd::1",
        "10.0.0.2" if is_v4 else "fd::2",
        is_tcp=tcp,
        payload=draw(st.binary(max_size=300)),
        identification=draw(st.sampled_from([0, 7, 0xFFFE])),
        fragment=draw(st.sampled_from([0, 0x4000])),
        sequence=draw(st.sampled_from([0, 1000, 2**32 - 100])),
        flags=draw(st.sampled_from([0x10, 0x18, 0x11, 0x90, 0x99])),
        options=draw(st.sampled_from([b"", bytes(12)])) if tcp else b"",
    )


def pieces_of(frame: SuperFrame, gap: int) -> list[bytes]:
    sizes = sizes_of(frame, 14)
    stride = max(sizes) + gap
    starts = array("I", range(0, stride * len(sizes), stride))
    out = memoryview(bytearray(stride * len(sizes)))
    cut(frame, out, starts, 14)
    return [bytes(out[at : at + size]) for at, size in zip(starts, sizes, strict=True)]


@given(st.binary(max_size=2000))
def test_a_checksum_is_that_of_the_rfc(data: bytes) -> None:
    assert checksum(data) == plain_checksum(data)


@given(packets(), st.integers(1, 400), st.integers(0, 9))
def test_a_cut_is_that_of_the_plain_twin(packet: Packet, size: int, gap: int) -> None:
    expected = [piece.encode() for piece in packet.cut(size)]
    assert pieces_of(packet.super_frame(size), gap) == expected


@given(packets(is_tcp=True), packets(is_tcp=True), st.integers(1, 300), st.data())
def test_joined_frames_are_cut_into_what_they_were(
    one: Packet, other: Packet, size: int, data: st.DataObject
) -> None:
    other = replace(other, source=one.source, destination=one.destination)
    packets_in = [piece.encode() for piece in [*one.cut(size), *other.cut(size)]]
    shuffled = data.draw(st.permutations(packets_in) | st.just(packets_in))
    frames = coalesce(received(shuffled), 0, one.ethernet)
    assert [piece for frame in frames for piece in pieces_of(frame, 0)] == shuffled


@given(st.lists(hostile_frames(), min_size=1, max_size=4), ETHERTYPES)
def test_hostile_frames_leave_the_joiner_as_they_came(
    frames: list[bytes], ethertype: bytes
) -> None:
    spans = [frame[14:] for frame in frames]
    out = coalesce(received(spans), 0, bytes(12) + ethertype)
    assert sum(sizes_of(frame, 14).buffer_info()[1] for frame in out) == sum(map(bool, spans))


@given(hostile_frames())
def test_hostile_frames_are_parsed_without_raising(frame: bytes) -> None:
    view = memoryview(frame)
    flow = parse_frame(view)
    assert flow.payload_offset <= len(frame)
    group_report(view, flow)


@given(
    hostile_frames(),
    st.sampled_from(Gso),
    st.integers(-1, 60),
    st.booleans(),
    st.integers(0, 100),
    st.sampled_from([6, 16]),
)
def test_whatever_is_to_be_cut_is_cut_or_copied(
    data: bytes, gso: Gso, size: int, needs: bool, start: int, offset: int
) -> None:
    frame = SuperFrame(memoryview(data), gso, 54, size, needs, start, offset)
    assert sum(map(len, pieces_of(frame, 1))) >= len(data) - 14
