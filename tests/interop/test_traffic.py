"""Frames between a node of ours and the reference: sizes, protocols, directions."""

import pytest

from tests.lab.capture import Capture
from tests.lab.measure import Throughput, first_answer, iperf, ping
from tests.lab.mesh import Mesh
from tests.lab.node import LabNode

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

PINGS = 200
IPERF_SECONDS = 4
UDP_LOAD = ("-b", "10M", "-l", "1400")
FIRST_ANSWER_TIMEOUT = 20.0
AES_GMAC_SIV = 3


@pytest.fixture(params=["there", "back"])
def direction(request: pytest.FixtureRequest, pair: Mesh) -> tuple[LabNode, LabNode]:
    """The two members, in either order, when they can reach each other."""
    one, other = pair.members if request.param == "there" else pair.members[::-1]
    first_answer(one.host, pair.ip(other), timeout=FIRST_ANSWER_TIMEOUT)
    return one, other


def test_both_members_have_addresses_of_every_kind(pair: Mesh) -> None:
    assert [len(member.ips(pair.network_id)) for member in pair.members] == [3, 3]


def test_ipv6_is_answered(pair: Mesh, direction: tuple[LabNode, LabNode]) -> None:
    one, other = direction
    seconds = first_answer(one.host, other.ipv6(pair.network_id), timeout=FIRST_ANSWER_TIMEOUT)
    assert seconds < FIRST_ANSWER_TIMEOUT


@pytest.mark.parametrize("size", [56, 1400, 2700, 9000])
def test_no_ping_is_lost(pair: Mesh, direction: tuple[LabNode, LabNode], size: int) -> None:
    one, other = direction
    pings = ping(one.host, pair.ip(other), count=PINGS, size=size, interval=0.01, wait=2)
    assert (pings.sent, pings.lost) == (PINGS, 0)


def test_tcp_flows(pair: Mesh, direction: tuple[LabNode, LabNode]) -> None:
    result = _iperf_tcp(pair, *direction)
    assert result.bits_per_second > 10e6


def test_udp_arrives(pair: Mesh, direction: tuple[LabNode, LabNode]) -> None:
    one, other = direction
    result = iperf(
        pair.lab,
        one.host,
        other.host,
        pair.ip(other),
        seconds=IPERF_SECONDS,
        protocol="udp",
        options=UDP_LOAD,
    )
    assert result.bits_per_second > 9e6
    assert result.lost_percent < 1


def test_frames_on_a_direct_path_are_sealed_with_aes(
    pair: Mesh, direction: tuple[LabNode, LabNode]
) -> None:
    one, other = direction
    with Capture(one.host) as capture:
        ping(one.host, pair.ip(other), count=20, interval=0.02)
    there = capture.suites(one.address, other.address)
    back = capture.suites(other.address, one.address)
    assert there[AES_GMAC_SIV] >= 20
    assert back[AES_GMAC_SIV] >= 20


def _iperf_tcp(mesh: Mesh, one: LabNode, other: LabNode) -> Throughput:
    return iperf(mesh.lab, one.host, other.host, mesh.ip(other), seconds=IPERF_SECONDS)
