"""The API of a node for another machine, ours and the original's: the same local.conf, the same."""

import subprocess

import pytest

from tests.lab.lab import Host, Lab
from tests.lab.mesh import Layout, Mesh, Side, Workshop, build_mesh
from tests.lab.node import LabNode

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]


@pytest.fixture(params=list(Side), ids=lambda side: side.value)
def mesh(request: pytest.FixtureRequest, lab: Lab, workshop: Workshop) -> Mesh:
    """A member that the controller's host, and nobody else, may manage."""
    side = request.param
    mesh = build_mesh(lab, Layout(side, side, (side,)), workshop)
    friends = [f"{ip}/{ip.max_prefixlen}" for ip in mesh.controller.host.ips]
    (member,) = mesh.members
    member.conf = {"settings": {"allowManagementFrom": friends}}
    for node in (mesh.root, member):
        node.prepare(mesh.planet())
    mesh.root.start()
    member.start()
    return mesh


def status(client: Host, node: LabNode, path: str, *, version: int = 4, token: bool = True) -> str:
    """Return the status that a client on another host gets; 000 where there is no answer."""
    ip = next(str(ip) for ip in node.host.ips if ip.version == version)
    url = f"http://{f'[{ip}]' if version == 6 else ip}:{node.port}{path}"
    shown = (node.home / "authtoken.secret").read_text() if token else ""
    command = ["curl", "-s", "-m5", "-o/dev/null", "-w%{http_code}", f"-HX-ZT1-Auth: {shown}", url]
    entry = client.namespace.entry
    return subprocess.run([*entry, *command], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("version", [4, 6])
def test_a_named_machine_is_answered_where_it_shows_the_token(mesh: Mesh, version: int) -> None:
    friend, (node,) = mesh.controller.host, mesh.members
    assert status(friend, node, "/status", version=version) == "200"
    assert status(friend, node, "/status", version=version, token=False) == "401"


@pytest.mark.parametrize("path", ["/status", "/health", "/sso"])
def test_another_machine_gets_nothing_whatever_it_shows(mesh: Mesh, path: str) -> None:
    stranger, (node,) = mesh.root.host, mesh.members
    assert status(stranger, node, path) in ("000", "401")


def test_nobody_logs_in_at_a_node_without_single_sign_on(mesh: Mesh) -> None:
    friend, (node,) = mesh.controller.host, mesh.members
    assert status(friend, node, "/sso?code=a&state=b", token=False) == "404"
