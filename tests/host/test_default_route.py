"""All traffic through a network: but not the network's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fixtures import NewLab, new_lab, workshop
from tests.lab.lab import Host
from tests.lab.measure import first_answer, ping
from tests.lab.mesh import NETWORK, Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode
from tests.lab.rules import Nat
from tests.lab.wait import wait_until

__all__ = ["new_lab", "workshop"]

pytestmark = pytest.mark.netadmin

OURS = Side.OURS
FAR = "198.18.5.5"
FAR6 = "2001:db8:ffff::5"
FIRST_ANSWER = 30.0


@pytest.fixture
def mesh(new_lab: NewLab, workshop: Workshop) -> Iterator[Mesh]:
    """Two members, the first behind a router: its way to everybody is its default route."""
    with new_lab() as lab:
        router = lab.router("home", Nat.CONE)
        layout = Layout(OURS, OURS, (OURS, OURS))
        mesh = build_mesh(lab, layout, workshop, routers={"a": router})
        mesh.start()
        mesh.create_network(NETWORK)
        mesh.join_all()
        gateway = mesh.ip(mesh.members[1])
        default = {"target": "0.0.0.0/0", "via": gateway}
        mesh.apply({"routes": [*NETWORK["routes"], default]})
        yield mesh


def way_to(host: Host, target: str) -> str:
    """Return the device through which a host sends to an address."""
    found = json.loads(host.namespace.ip("-j", "route", "get", target))
    return str(found[0]["dev"])


def goes_through_network(mesh: Mesh, node: LabNode) -> bool:
    return way_to(node.host, FAR) == mesh.device(node)


def test_default_routes_are_not_taken_without_permission(mesh: Mesh) -> None:
    node = mesh.members[0]
    assert not goes_through_network(mesh, node)
    assert FAR not in node.host.namespace.ip("route")


def test_all_traffic_but_its_own_goes_through_the_network(mesh: Mesh) -> None:
    node, gateway = mesh.members
    assert first_answer(node.host, mesh.ip(gateway), timeout=FIRST_ANSWER)
    node.join(mesh.network_id, allowDefault=True)
    wait_until(lambda: goes_through_network(mesh, node), timeout=10, what="the routes")
    assert way_to(node.host, str(mesh.root.host.v4.ip)) == mesh.device(node)
    assert node.host.namespace.ip("route", "show", "default")  # the machine's own stays

    # its own datagrams go on through the router: nothing is lost, and a restart works, too
    assert ping(node.host, mesh.ip(gateway), count=30, interval=0.05).lost == 0
    node.kill()
    node.start()
    node.wait_online()
    wait_until(lambda: goes_through_network(mesh, node), timeout=20, what="the routes")
    first_answer(node.host, mesh.ip(gateway), timeout=FIRST_ANSWER)

    node.join(mesh.network_id, allowDefault=False)
    wait_until(lambda: not goes_through_network(mesh, node), timeout=10, what="the routes to go")


def test_a_gateway_of_the_network_waits_for_a_root(mesh: Mesh) -> None:
    node = mesh.members[0]
    node.join(mesh.network_id, allowDefault=True)
    wait_until(lambda: goes_through_network(mesh, node), timeout=10, what="the routes")
    mesh.root.stop()
    wait_until(lambda: node.status()["online"] is False, timeout=60, what="offline")
    wait_until(lambda: not goes_through_network(mesh, node), timeout=10, what="the routes to go")
    mesh.root.start()
    wait_until(lambda: goes_through_network(mesh, node), timeout=60, what="the routes again")
    assert Path(node.home / "zerotier-one.pid").exists()
