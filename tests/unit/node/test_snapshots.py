"""Snapshots describe what is so at the time, in values."""

import dataclasses

import pytest

from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity
from tests.unit.vl1.packets import after
from tests.unit.vl2.rig import NETWORK, OWN, START, Member, make_config
from ztlink.ids import BROADCAST_MAC, Mac, MulticastGroup, member_mac
from ztlink.node.status import NodeView, PeerRole, PeerView
from ztlink.node.views import network_view, node_view, peer_view
from ztlink.vl2.events import NetworkStatus
from ztlink.wire.netconf import ConfigFlag
from ztlink.wire.verbs import Verb
from ztlink.wire.world import Root, World, WorldType

GROUP = MulticastGroup(Mac(bytes.fromhex("333300000001")), 0)


@pytest.fixture
def mesh() -> Mesh:
    """A root and two nodes with a direct path to each other."""
    made = Mesh(3)
    made.run(1.0)
    made.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", made.now)
    made.run(2.0)
    return made


def node(mesh: Mesh, number: int) -> NodeView:
    return node_view(mesh.nodes[number].ctx, mesh.nodes[number].vl1, mesh.now)


def peer(mesh: Mesh, number: int, other: int) -> PeerView:
    vl1 = mesh.nodes[number].vl1
    return peer_view(vl1, vl1.topology.peers[identity(other).address], mesh.now)


# -- the node --------------------------------------------------------------------------------


def test_a_node_is_described_by_who_it_is_and_what_it_belongs_to(mesh: Mesh) -> None:
    view = node(mesh, 1)
    assert (view.identity, view.online, view.is_root) == (identity(1).public, True, False)
    assert (view.planet_id, view.planet_timestamp) == (mesh.world.world_id, mesh.world.timestamp)
    assert view.roots == (identity(0).address,)
    assert view.surface == (endpoint(1),)


def test_a_root_is_described_as_one(mesh: Mesh) -> None:
    assert node(mesh, 0).is_root
    assert node(mesh, 0).online


def test_a_node_that_reaches_no_root_is_not_online() -> None:
    assert not node(Mesh(2), 1).online


def test_a_snapshot_does_not_change_afterwards(mesh: Mesh) -> None:
    before = node(mesh, 1)
    copy = dataclasses.replace(before)
    mesh.blocked = {(0, 1), (1, 0)}
    mesh.run(700.0)
    assert before == copy
    assert node(mesh, 1) != before


# -- peers -----------------------------------------------------------------------------------


def test_a_peer_is_described_with_its_version_and_latency(mesh: Mesh) -> None:
    view = peer(mesh, 1, 2)
    assert (view.identity, view.role) == (identity(2).public, PeerRole.LEAF)
    assert (view.protocol, view.version) == (12, mesh_version(mesh))
    assert view.latency_ms == 0
    assert view.last_receive_unix_ms <= mesh.now.unix_ms


def mesh_version(mesh: Mesh) -> tuple[int, int, int] | None:
    return mesh.nodes[0].vl1.topology.peers[identity(1).address].version


def test_a_root_of_the_planet_has_that_role(mesh: Mesh) -> None:
    assert peer(mesh, 1, 0).role is PeerRole.PLANET


def test_a_root_of_a_moon_has_that_role(mesh: Mesh) -> None:
    signer = identity(2).public
    moon = World(WorldType.MOON, 99, 1, signer.public_key, bytes(96), (Root(signer, ()),))
    topology = mesh.nodes[1].vl1.topology
    topology.moons[moon.world_id] = moon
    topology.update_roots(mesh.now)
    assert peer(mesh, 1, 2).role is PeerRole.MOON


def test_the_path_in_use_is_marked(mesh: Mesh) -> None:
    view = peer(mesh, 1, 2)
    (path,) = view.paths
    assert (path.endpoint, path.socket, path.trusted_path_id) == (endpoint(2), SOCKET, 0)
    assert (path.active, path.expired, path.preferred) == (True, False, True)
    assert path.last_receive_unix_ms <= mesh.now.unix_ms


def test_a_path_that_fell_silent_is_expired_and_not_preferred(mesh: Mesh) -> None:
    mesh.blocked = {(1, 2), (2, 1)}
    mesh.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", mesh.now)
    mesh.run(20.0)
    (path,) = peer(mesh, 1, 2).paths
    assert (path.active, path.expired, path.preferred) == (False, True, False)
    assert peer(mesh, 1, 2).latency_ms == -1


def test_an_endpoint_that_never_answered_is_no_path(mesh: Mesh) -> None:
    vl1 = mesh.nodes[1].vl1
    other = vl1.topology.peers[identity(2).address]
    vl1.discovery.try_endpoint(other, SOCKET, endpoint(77), mesh.now)
    assert endpoint(77) not in [path.endpoint for path in peer(mesh, 1, 2).paths]


def test_a_peer_that_nothing_is_known_of_is_described_by_unknowns() -> None:
    mesh = Mesh(2)
    vl1 = mesh.nodes[1].vl1
    stranger = vl1.topology.add_peer(identity(5).public, mesh.now)
    assert stranger is not None
    view = peer_view(vl1, stranger, after(mesh.now, 1.0))
    assert (view.version, view.protocol, view.latency_ms, view.paths) == (None, 0, -1, ())


# -- networks --------------------------------------------------------------------------------


def test_a_membership_is_described_with_its_configuration() -> None:
    config = make_config(flags=ConfigFlag.BROADCAST)
    member = Member(config)
    member.vl2.set_groups(NETWORK, frozenset({GROUP}), START)
    view = network_view(member.network)
    assert (view.network_id, view.mac) == (NETWORK, member_mac(OWN.address, NETWORK))
    assert (view.status, view.reason) == (NetworkStatus.OK, "joined")
    assert (view.config, view.config_unix_ms) == (config, START.unix_ms)
    assert set(view.groups) == {GROUP, MulticastGroup(BROADCAST_MAC, 0)}


def test_a_membership_without_a_configuration_says_what_it_waits_for() -> None:
    member = Member()
    member.vl2.leave(NETWORK, START)
    member.vl2.join(NETWORK, START, None)
    view = network_view(member.vl2.networks[NETWORK])
    assert (view.status, view.config) == (NetworkStatus.REQUESTING_CONFIGURATION, None)
    assert view.config_unix_ms == 0
    assert view.reason.startswith("waiting for the controller")
