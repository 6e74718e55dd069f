import pytest

from tests.unit.inet.frames import ETHERNET_4, ETHERNET_6, Packet
from ztlink.inet.flow import NONE, Flow, FlowKey, parse, parse_frame

V4 = Packet(payload=b"abc", tos=0x10)
V6 = Packet("fd::1", "fd::2", payload=b"abc", tos=0x10)


def flow_of(packet: Packet) -> Flow:
    return parse_frame(memoryview(packet.ethernet + packet.encode()))


@pytest.mark.parametrize(("packet", "l4_offset"), [(V4, 34), (V6, 54)])
def test_offsets_count_from_the_ethernet_header(packet: Packet, l4_offset: int) -> None:
    flow = flow_of(packet)
    assert (flow.l3_offset, flow.l4_offset, flow.payload_offset) == (14, l4_offset, l4_offset + 20)


@pytest.mark.parametrize(("packet", "version"), [(V4, 4), (V6, 6)])
def test_the_headers_are_read(packet: Packet, version: int) -> None:
    flow = flow_of(packet)
    read = (flow.version, flow.tos, flow.protocol, flow.source_port, flow.destination_port)
    assert read == (version, 0x10, 6, 4000, 80)


def test_a_key_is_what_the_frames_of_a_flow_share() -> None:
    assert flow_of(V4).key == FlowKey(6, 0x0A000001, 0x0A000002, 4000, 80)


def test_the_flags_of_tcp_are_read() -> None:
    assert flow_of(Packet(flags=0x12)).tcp_flags == 0x12


def test_options_belong_to_the_tcp_header() -> None:
    assert flow_of(Packet(options=bytes(12))).payload_offset == 34 + 32


def test_the_payload_of_udp_is_behind_eight_bytes() -> None:
    assert flow_of(Packet(is_tcp=False)).payload_offset == 34 + 8


def test_a_super_frame_is_read_like_its_first_frame() -> None:
    whole = parse(Packet(payload=bytes(5000)).super_frame(1000))
    assert whole == flow_of(Packet(payload=bytes(1000)))


def test_a_later_fragment_has_no_ports() -> None:
    flow = flow_of(Packet(fragment=0x2001))
    assert (flow.is_fragment, flow.source_port, flow.key) == (True, NONE, None)


def test_a_first_fragment_has_ports() -> None:
    assert flow_of(Packet(fragment=0x2000)).source_port == 4000


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(13),
        ETHERNET_4 + V4.encode()[:19],
        ETHERNET_4 + b"\x65" + V4.encode()[1:],
        ETHERNET_4 + b"\x44" + V4.encode()[1:],
        ETHERNET_4 + b"\x4f" + V4.encode()[1:],
        ETHERNET_4 + V4.encode()[:23],
        ETHERNET_4 + V4.encode()[:39],
        ETHERNET_4 + V4.encode()[:32] + b"\x40" + V4.encode()[33:],
        ETHERNET_4 + V4.encode()[:32] + b"\xf0" + V4.encode()[33:],
        ETHERNET_4 + Packet(is_tcp=False).encode()[:27],
        ETHERNET_6 + V6.encode()[:39],
        ETHERNET_6 + b"\x40" + V6.encode()[1:],
        ETHERNET_6 + V6.encode()[:6] + b"\0" + V6.encode()[7:40],
    ],
    ids=[
        "empty",
        "half an Ethernet header",
        "half an IPv4 header",
        "version 6 as IPv4",
        "IHL below 5",
        "IHL past the end",
        "no ports",
        "half a TCP header",
        "TCP data offset below 5",
        "TCP data offset past the end",
        "half a UDP header",
        "half an IPv6 header",
        "version 4 as IPv6",
        "extension past the end",
    ],
)
def test_what_contradicts_itself_is_marked(frame: bytes) -> None:
    flow = parse_frame(memoryview(frame))
    assert (flow.is_malformed, flow.key) == (True, None)


def test_what_is_not_ip_has_no_version() -> None:
    flow = parse_frame(memoryview(bytes(12) + b"\x08\x06" + bytes(28)))
    assert (flow.version, flow.protocol, flow.is_malformed) == (0, NONE, False)
