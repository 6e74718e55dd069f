"""What local.conf says of physical networks, with ours and the original's side by side."""

from collections.abc import Iterator

import pytest

from tests.lab.capture import Capture
from tests.lab.fixtures import NewLab
from tests.lab.measure import ping
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from ztlink.batch import CipherSuite

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

OURS, REFERENCE = Side.OURS, Side.REFERENCE
IPV4, IPV6 = "44.1.0.0/16", "2001:db8:44::"
TRUSTED = {"trustedPathId": 42}


@pytest.fixture(scope="module", params=[REFERENCE, OURS], ids=["their-root", "our-root"])
def trusting(request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """Members that trust the way between them.

    The original gets no configuration where it trusts the way to its root, with its own kind too.
    """
    layout = Layout(request.param, request.param, (OURS, REFERENCE))
    with new_lab() as lab:
        mesh = build_mesh(lab, layout, workshop)
        ways = [f"{ip}/{ip.max_prefixlen}" for member in mesh.members for ip in member.host.ips]
        for member in mesh.members:
            member.conf = {"physical": dict.fromkeys(ways, TRUSTED)}
        mesh.begin_directly()
        yield mesh


def test_frames_over_a_trusted_network_are_not_enciphered(trusting: Mesh) -> None:
    one, other = trusting.members
    with Capture(one.host) as capture:
        ping(one.host, trusting.ip(other), count=20, interval=0.02)
    for source, destination in ((one, other), (other, one)):
        suites = capture.suites(source.address, destination.address)
        assert suites[CipherSuite.TRUSTED] >= 20


def test_frames_of_two_datagrams_over_a_trusted_network_are_not_lost(trusting: Mesh) -> None:
    one, other = trusting.members
    pings = ping(one.host, trusting.ip(other), count=50, size=2700, interval=0.02)
    assert (pings.sent, pings.lost) == (50, 0)


@pytest.mark.parametrize("who", [0, 1], ids=["ours", "theirs"])
def test_a_network_that_is_blacklisted_has_neither_sockets_nor_paths(
    new_lab: NewLab, workshop: Workshop, who: int
) -> None:
    with new_lab() as lab:
        mesh = build_mesh(lab, Layout(REFERENCE, OURS, (OURS, REFERENCE)), workshop)
        node, other = mesh.members[who], mesh.members[1 - who]
        node.conf = {"physical": {IPV4: {"blacklist": True}}}
        mesh.begin_directly()
        bound = node.status()["config"]["settings"]["listeningOn"]
        used = [*bound, *node.direct_paths(mesh.root), *node.direct_paths(other)]
    assert used
    assert [endpoint for endpoint in used if not endpoint.startswith(IPV6)] == []
