"""Getting into a private network, and out of it again."""

import pytest

from tests.lab.lab import Lab
from tests.lab.measure import datagram_arrives, first_answer, ping
from tests.lab.mesh import PRIVATE_NETWORK, Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode
from tests.lab.wait import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

OURS, REFERENCE = Side.OURS, Side.REFERENCE
FIRST_ANSWER_TIMEOUT = 20.0
STOP_TIMEOUT = 15.0
AUTHORISED_WITHIN = {"ztlink": 5.0, "reference": 7.0}  # the reference asks every 5 s and no faster

layouts = pytest.mark.parametrize(
    "layout",
    [
        pytest.param(Layout(REFERENCE, REFERENCE, (OURS, REFERENCE)), id="their-controller"),
        pytest.param(Layout(OURS, OURS, (REFERENCE, OURS)), id="our-controller"),
    ],
)


def run(mesh: Mesh) -> None:
    """Start a mesh with a private network that all ask to join."""
    mesh.start()
    mesh.create_network(PRIVATE_NETWORK)
    for member in mesh.members:
        member.join(mesh.network_id)


@layouts
def test_a_stranger_sees_that_access_is_denied(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    mesh = build_mesh(lab, layout, workshop)
    run(mesh)
    for member in mesh.members:
        member.wait_status(mesh.network_id, "ACCESS_DENIED")
    assert [member.ips(mesh.network_id) for member in mesh.members] == [[], []]


@layouts
def test_a_stranger_is_in_soon_after_being_authorised(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    mesh = build_mesh(lab, layout, workshop)
    run(mesh)
    waited: dict[LabNode, float] = {}
    for member in mesh.members:
        member.wait_status(mesh.network_id, "ACCESS_DENIED")
        mesh.authorise(member)
        waited[member] = member.wait_status(mesh.network_id, "OK")
    one, other = mesh.members
    first_answer(one.host, mesh.ip(other), timeout=FIRST_ANSWER_TIMEOUT)
    assert all(seconds < AUTHORISED_WITHIN[node.kind] for node, seconds in waited.items())


@layouts
@pytest.mark.parametrize("outcast", [0, 1])
def test_traffic_of_a_deauthorised_member_stops_both_ways(
    lab: Lab, workshop: Workshop, layout: Layout, outcast: int
) -> None:
    # What is sent *to* the outcast still arrives where both are the reference: it goes by what it
    # holds and asks for nothing. Nothing comes back, so no conversation outlives this.
    mesh = build_mesh(lab, layout, workshop)
    mesh.start()
    mesh.create_network(PRIVATE_NETWORK)
    for member in mesh.members:
        mesh.authorise(member)
    mesh.join_all()
    out, other = mesh.members[outcast], mesh.members[1 - outcast]
    there, back = mesh.ip(other), mesh.ip(out)
    first_answer(out.host, there, timeout=FIRST_ANSWER_TIMEOUT)
    assert ping(out.host, there, count=10, interval=0.05).lost == 0

    mesh.authorise(out, authorised=False)

    wait_until(
        lambda: not datagram_arrives(out.host, other.host, there, timeout=0.5),
        timeout=STOP_TIMEOUT,
        what="end of traffic",
    )
    assert not datagram_arrives(out.host, other.host, there)
    assert ping(out.host, there, count=10).received == 0
    assert ping(other.host, back, count=10).received == 0
