"""A home changes programs, and changes back: the node stays who it was and where it was."""

import json
from collections.abc import Callable

import pytest

from tests.lab.lab import Lab
from tests.lab.measure import first_answer
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import ONLINE_TIMEOUT, LabNode
from tests.lab.ours import ZtlinkNode
from tests.lab.reference import ReferenceNode
from tests.lab.wait import wait_until
from ztlink.wire.known_peer import KnownPeer

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

OURS, REFERENCE = Side.OURS, Side.REFERENCE
FIRST_ANSWER = 30.0
Successor = Callable[[LabNode], LabNode]


def start_mesh(lab: Lab, workshop: Workshop, first: Side) -> Mesh:
    mesh = build_mesh(lab, Layout(REFERENCE, REFERENCE, (first, REFERENCE)), workshop)
    mesh.begin()
    first_answer(mesh.members[0].host, mesh.ip(mesh.members[1]), timeout=FIRST_ANSWER)
    return mesh


def change(mesh: Mesh, workshop: Workshop, *, kill: bool = False) -> LabNode:
    """Have the other program go on with the first member's home."""
    former = mesh.members[0]
    if kill:
        former.kill()
    else:
        status = former.stop()  # the original aborts now and then, when all is written
        assert status == 0 or isinstance(former, ReferenceNode)
    if isinstance(former, ZtlinkNode):
        assert workshop.zerotier_one is not None
        node: LabNode = ReferenceNode(
            former.lab, former.host, "node", former.identity, zerotier_one=workshop.zerotier_one
        )
    else:
        node = ZtlinkNode(former.lab, former.host, "node", former.identity)
    assert node.home == former.home
    mesh.members[0] = node
    node.start()
    return node


def facts(mesh: Mesh) -> dict[str, object]:
    """Return what stays the same of the first member, whoever plays it."""
    node = mesh.members[0]
    network = node.network(mesh.network_id)
    names = ("allowDNS", "allowDefault", "allowGlobal", "allowManaged", "mac", "portDeviceName")
    return {
        "identity": node.status()["publicIdentity"],
        "addresses": sorted(network["assignedAddresses"]),
        "routes": network["routes"],
        **{name: network[name] for name in names},
    }


def check_works(mesh: Mesh) -> None:
    node, other = mesh.members
    node.wait_online(ONLINE_TIMEOUT)
    mesh.wait_configured(node)
    first_answer(node.host, mesh.ip(other), timeout=FIRST_ANSWER)
    first_answer(other.host, mesh.ip(node), timeout=FIRST_ANSWER)


@pytest.mark.parametrize("first", [REFERENCE, OURS], ids=["theirs", "ours"])
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_home_is_taken_over_and_given_back(
    lab: Lab, workshop: Workshop, first: Side, kill: bool
) -> None:
    mesh = start_mesh(lab, workshop, first)
    mesh.members[0].join(mesh.network_id, allowGlobal=True, allowDNS=True)
    secret = (mesh.members[0].home / "identity.secret").read_bytes()
    token = (mesh.members[0].home / "authtoken.secret").read_bytes()
    before = facts(mesh)
    for _ in range(2):
        change(mesh, workshop, kill=kill)
        check_works(mesh)
        assert facts(mesh) == before
    home = mesh.members[0].home
    assert (home / "identity.secret").read_bytes() == secret
    assert (home / "authtoken.secret").read_bytes() == token


def test_a_network_that_was_left_stays_left(lab: Lab, workshop: Workshop) -> None:
    mesh = start_mesh(lab, workshop, OURS)
    mesh.members[0].leave(mesh.network_id)
    node = change(mesh, workshop)
    assert node.network(mesh.network_id) == {}


def test_local_conf_goes_with_the_home(lab: Lab, workshop: Workshop) -> None:
    mesh = start_mesh(lab, workshop, REFERENCE)
    conf = mesh.members[0].home / "local.conf"
    before = json.loads(conf.read_text())
    node = change(mesh, workshop)
    assert (json.loads(conf.read_text()), node.api.get("/config")) == (before, before)


def test_both_programs_read_each_others_peers(lab: Lab, workshop: Workshop) -> None:
    mesh = start_mesh(lab, workshop, REFERENCE)
    other = mesh.members[1]
    change(mesh, workshop)
    file = mesh.members[0].home / "peers.d" / f"{other.address}.peer"
    theirs = KnownPeer.from_bytes(file.read_bytes())  # the original wrote it when it stopped
    assert theirs.identity == other.identity.public
    check_works(mesh)
    wait_until(
        lambda: KnownPeer.from_bytes(file.read_bytes()).endpoints != (),
        timeout=10,
        what="our record of the peer",
    )
    change(mesh, workshop)
    check_works(mesh)


def test_the_original_and_we_do_not_run_on_one_home(lab: Lab, workshop: Workshop) -> None:
    mesh = start_mesh(lab, workshop, REFERENCE)
    former = mesh.members[0]
    twin = ZtlinkNode(former.lab, former.host, "node", former.identity, port=9994)
    process = twin.launch()
    assert process.wait(30) != 0
    assert f"in use by zerotier-one (process {former.running.pid})" in process.output
    assert former.answers()


def test_a_cached_configuration_serves_while_the_controller_is_away(
    lab: Lab, workshop: Workshop
) -> None:
    mesh = start_mesh(lab, workshop, REFERENCE)
    mesh.controller.stop()
    node = change(mesh, workshop)
    node.wait_status(mesh.network_id, "OK", timeout=5)
    assert mesh.ip(node)
    first_answer(node.host, mesh.ip(mesh.members[1]), timeout=FIRST_ANSWER)
