"""The older cipher suite, Salsa20/12 with Poly1305, which a node of ours can ask its peers for."""

import pytest

from tests.lab.capture import Capture
from tests.lab.measure import first_answer, iperf, ping
from tests.lab.mesh import Mesh
from tests.lab.node import LabNode
from ztlink.batch import CipherSuite

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

PINGS = 200
FIRST_ANSWER_TIMEOUT = 20.0


@pytest.fixture(params=["there", "back"])
def direction(request: pytest.FixtureRequest, salsa_pair: Mesh) -> tuple[LabNode, LabNode]:
    """The two members, in either order, when they can reach each other."""
    members = salsa_pair.members
    one, other = members if request.param == "there" else members[::-1]
    first_answer(one.host, salsa_pair.ip(other), timeout=FIRST_ANSWER_TIMEOUT)
    return one, other


@pytest.mark.parametrize("size", [56, 2700])
def test_no_ping_is_lost(salsa_pair: Mesh, direction: tuple[LabNode, LabNode], size: int) -> None:
    one, other = direction
    pings = ping(one.host, salsa_pair.ip(other), count=PINGS, size=size, interval=0.01, wait=2)
    assert (pings.sent, pings.lost) == (PINGS, 0)


def test_tcp_flows(salsa_pair: Mesh, direction: tuple[LabNode, LabNode]) -> None:
    one, other = direction
    result = iperf(salsa_pair.lab, one.host, other.host, salsa_pair.ip(other), seconds=4)
    assert result.bits_per_second > 10e6


def test_frames_are_sealed_with_salsa_both_ways(
    salsa_pair: Mesh, direction: tuple[LabNode, LabNode]
) -> None:
    one, other = direction
    with Capture(one.host) as capture:
        ping(one.host, salsa_pair.ip(other), count=20, interval=0.02)
    assert capture.suites(one.address, other.address)[CipherSuite.SALSA_POLY] >= 20
    assert capture.suites(other.address, one.address)[CipherSuite.SALSA_POLY] >= 20
