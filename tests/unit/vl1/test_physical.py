"""What an operator says of physical networks and of peers changes the paths of a running node."""

from ipaddress import ip_network

from tests.unit.vl1.mesh import Mesh, endpoint
from ztlink.vl1.context import PhysicalNetwork
from ztlink.vl1.path import Path
from ztlink.wire.verbs import Verb

TEN = ip_network("10.0.0.0/8")


def connected() -> Mesh:
    """Return a root and two nodes that talk directly."""
    mesh = Mesh(3)
    mesh.run(1)
    mesh.nodes[1].vl1.egress.send(mesh.nodes[2].address, Verb.ECHO, b"", mesh.now)
    mesh.run(1)
    return mesh


def best(mesh: Mesh, one: int, other: int) -> Path | None:
    return mesh.nodes[one].vl1.topology.peers[mesh.nodes[other].address].best_path()


def tell(mesh: Mesh, node: int, *physical: PhysicalNetwork) -> None:
    mesh.nodes[node].vl1.set_physical(physical, {}, mesh.now)


def test_a_path_takes_the_mtu_of_its_network() -> None:
    mesh = connected()
    tell(mesh, 1, PhysicalNetwork(TEN, mtu=2800))
    path = best(mesh, 1, 2)
    assert path is not None
    assert path.mtu == 2800


def test_a_path_becomes_trusted_with_its_network_and_not_for_ever() -> None:
    mesh = connected()
    path = best(mesh, 1, 2)
    assert path is not None
    tell(mesh, 1, PhysicalNetwork(TEN, trusted_path_id=5))
    trusted = path.trusted_path_id
    tell(mesh, 1)
    assert (trusted, path.trusted_path_id) == (5, 0)


def test_a_path_into_a_network_that_is_banned_goes_at_once() -> None:
    mesh = connected()
    tell(mesh, 1, PhysicalNetwork(ip_network(f"{endpoint(2).ip}/32"), is_blacklisted=True))
    assert best(mesh, 1, 2) is None


def test_a_root_in_a_network_that_is_banned_is_out_of_reach() -> None:
    mesh = connected()
    tell(mesh, 1, PhysicalNetwork(TEN, is_blacklisted=True))
    assert not mesh.nodes[1].vl1.topology.online


def test_a_peer_is_tried_where_the_operator_says_that_it_is() -> None:
    mesh = connected()
    away = endpoint(2, 4000)
    sender = mesh.nodes[1]
    sender.vl1.set_physical((), {mesh.nodes[2].address: (away,)}, mesh.now)
    assert away in {transmit.destination for transmit in sender.ctx.transmits}


def test_a_peer_that_becomes_known_is_tried_where_the_operator_says_that_it_is() -> None:
    mesh = Mesh(3)
    mesh.run(1)
    sender = mesh.nodes[1]
    away = endpoint(2, 4000)
    sender.vl1.set_physical((), {mesh.nodes[2].address: (away,)}, mesh.now)
    sender.vl1.egress.send(mesh.nodes[2].address, Verb.ECHO, b"", mesh.now)
    mesh.run(0.1)
    peer = sender.vl1.topology.peers[mesh.nodes[2].address]
    assert away in {path.endpoint for path in peer.paths.values()}
