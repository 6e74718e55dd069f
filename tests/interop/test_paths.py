"""How two nodes reach each other: directly through NATs, or relayed where they cannot."""

from collections.abc import Iterator

import pytest

from tests.lab.capture import Capture
from tests.lab.fixtures import NewLab
from tests.lab.lab import Lab
from tests.lab.measure import device_bytes, first_answer, ping
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.rules import OUTSIDE, Nat
from tests.lab.wait import wait_until
from ztlink.batch import CipherSuite

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

OURS, REFERENCE = Side.OURS, Side.REFERENCE
FIRST_ANSWER_TIMEOUT = 20.0
DIRECT_TIMEOUT = 60.0
PING_BYTES = 1000

MIXED = [
    pytest.param(Layout(REFERENCE, REFERENCE, (OURS, REFERENCE)), id="their-root-mixed"),
    pytest.param(Layout(OURS, OURS, (REFERENCE, OURS)), id="our-root-mixed"),
]
ALL = [
    *MIXED,
    pytest.param(Layout(REFERENCE, REFERENCE, (OURS, OURS)), id="their-root-ours"),
    pytest.param(Layout(OURS, OURS, (REFERENCE, REFERENCE)), id="our-root-theirs"),
]


@pytest.fixture(scope="module", params=ALL)
def relayed(request: pytest.FixtureRequest, new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """Two members that have never heard each other except through the root."""
    with new_lab() as lab:
        mesh = build_mesh(lab, request.param, workshop)
        one, other = mesh.members
        lab.block_udp(one.host, other.host)
        run(mesh)
        yield mesh


def run(mesh: Mesh) -> None:
    """Start a mesh, join all and let the first ping through, both ways."""
    mesh.begin()
    one, other = mesh.members
    first_answer(one.host, mesh.ip(other), timeout=FIRST_ANSWER_TIMEOUT)
    first_answer(other.host, mesh.ip(one), timeout=FIRST_ANSWER_TIMEOUT)


@pytest.mark.parametrize("layout", ALL)
def test_two_nodes_behind_cone_nats_find_a_direct_path(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    routers = {"a": lab.router("nata", Nat.CONE), "b": lab.router("natb", Nat.CONE)}
    mesh = build_mesh(lab, layout, workshop, routers=routers)
    run(mesh)
    one, other = mesh.members
    expected = f"{other.host.public_ip}/{other.port}"
    wait_until(
        lambda: expected in one.direct_paths(other), timeout=DIRECT_TIMEOUT, what="direct path"
    )
    before = sum(device_bytes(mesh.root.host, OUTSIDE))
    pings = ping(one.host, mesh.ip(other), count=50, size=PING_BYTES, interval=0.02)
    relayed = sum(device_bytes(mesh.root.host, OUTSIDE)) - before
    assert pings.lost == 0
    assert relayed < 50 * PING_BYTES


def test_two_nodes_without_udp_between_them_are_relayed(relayed: Mesh) -> None:
    one, other = relayed.members
    before = sum(device_bytes(relayed.root.host, OUTSIDE))
    pings = ping(one.host, relayed.ip(other), count=200, size=PING_BYTES, interval=0.02)
    through_root = sum(device_bytes(relayed.root.host, OUTSIDE)) - before
    assert pings.lost == 0
    assert through_root > 4 * 200 * PING_BYTES  # there and back, in and out of the root
    assert one.direct_paths(other) == []


def test_relayed_frames_are_sealed_with_aes_where_one_is_ours(relayed: Mesh) -> None:
    # Two of the original never greet each other without UDP between them: neither knows the
    # other's version, and the older suite serves. Ours greets through the root.
    one, other = relayed.members
    are_theirs = one.kind == other.kind == "reference"
    suite = CipherSuite.SALSA_POLY if are_theirs else CipherSuite.GMAC_SIV
    with Capture(one.host) as capture:
        pings = ping(one.host, relayed.ip(other), count=20, interval=0.02)
    assert pings.lost == 0
    assert capture.suites(one.address, other.address)[suite] >= 20
    assert capture.suites(other.address, one.address)[suite] >= 20


@pytest.mark.parametrize("layout", MIXED)
def test_two_nodes_behind_symmetric_nats_are_relayed(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    routers = {"a": lab.router("nata", Nat.SYMMETRIC), "b": lab.router("natb", Nat.SYMMETRIC)}
    mesh = build_mesh(lab, layout, workshop, routers=routers)
    run(mesh)
    one, other = mesh.members
    assert ping(one.host, mesh.ip(other), count=200, interval=0.02).lost == 0


@pytest.mark.parametrize("layout", MIXED)
def test_a_direct_path_takes_over_once_udp_passes_again(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    mesh = build_mesh(lab, layout, workshop)
    one, other = mesh.members
    lab.block_udp(one.host, other.host)
    run(mesh)
    lab.unblock_udp()

    def has_moved() -> bool:
        ping(one.host, mesh.ip(other), count=2)  # paths are only sought for traffic
        return bool(one.direct_paths(other))

    wait_until(has_moved, timeout=DIRECT_TIMEOUT, what="direct path")
    assert ping(one.host, mesh.ip(other), count=50, interval=0.02).lost == 0
