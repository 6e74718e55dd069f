from ipaddress import IPv4Address, IPv6Address

import pytest

from ztlink.ids import Endpoint
from ztlink.netstack.segment import Segment, endpoints_of, flow_of

V4 = Endpoint(IPv4Address("10.0.0.2"), 80), Endpoint(IPv4Address("10.0.0.1"), 40_000)
V6 = Endpoint(IPv6Address("fd00::2"), 80), Endpoint(IPv6Address("fd00::1"), 40_000)


@pytest.mark.parametrize("pair", [V4, V6])
def test_a_flow_names_its_endpoints(pair: tuple[Endpoint, Endpoint]) -> None:
    assert endpoints_of(flow_of(*pair)) == pair


def test_a_flow_is_what_lies_in_an_incoming_packet() -> None:
    source, destination = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    ports = (40_000).to_bytes(2, "big") + (80).to_bytes(2, "big")
    assert flow_of(*V4) == source + destination + ports


def test_a_segment_knows_whom_it_is_for() -> None:
    segment = Segment(flow_of(*V4), 0, 0, 0, 0, b"", memoryview(b""))
    assert (segment.local, segment.remote) == V4
