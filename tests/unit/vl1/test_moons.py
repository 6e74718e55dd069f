"""Moons that are wanted are asked for until they are here."""

import dataclasses

import pytest

from tests.unit.vl1.mesh import Mesh, endpoint, identity
from ztlink.crypto.identity import sign
from ztlink.vl1.events import StateChanged
from ztlink.vl1.moons import INTERVALS
from ztlink.wire.verbs import Verb
from ztlink.wire.world import Root, World, WorldType

MOON_ID = 77


def moon(timestamp: int = 1) -> World:
    """Return a moon whose only root is node 2."""
    signer = identity(2)
    roots = (Root(signer.public, (endpoint(2),)),)
    key = signer.public.public_key
    world = World(WorldType.MOON, MOON_ID, timestamp, key, bytes(96), roots)
    return dataclasses.replace(world, signature=sign(signer, world.signing_input()))


def mesh_with_seed(world: World | None = None) -> Mesh:
    """Return a root, a node that wants the moon, and its seed."""
    mesh = Mesh(3)
    if world is not None:
        give(mesh, world)
    return mesh


def give(mesh: Mesh, world: World) -> None:
    topology = mesh.nodes[2].vl1.topology
    topology.moons[world.world_id] = world
    topology.update_roots(mesh.now)


def orbit(mesh: Mesh) -> None:
    mesh.nodes[1].vl1.orbit(MOON_ID, identity(2).address, mesh.now)


def has_moon(mesh: Mesh) -> bool:
    return MOON_ID in mesh.nodes[1].vl1.topology.moons


def test_a_moon_is_asked_for_at_its_seed() -> None:
    mesh = mesh_with_seed(moon())
    mesh.run(2.0)
    orbit(mesh)
    mesh.run(3.0)
    assert has_moon(mesh)
    assert mesh.nodes[2].address in mesh.nodes[1].vl1.topology.roots


def test_a_moon_that_came_is_kept_on_disk() -> None:
    mesh = mesh_with_seed(moon())
    mesh.run(2.0)
    orbit(mesh)
    mesh.run(3.0)
    assert StateChanged(f"moons.d/{MOON_ID:016x}.moon", moon().to_bytes()) in (
        mesh.nodes[1].ctx.events
    )


def test_a_moon_wanted_before_the_node_is_online_is_asked_for_later() -> None:
    mesh = mesh_with_seed(moon())
    mesh.blocked = {(0, 1), (1, 0)}
    orbit(mesh)
    mesh.run(30.0)
    mesh.blocked = set()
    mesh.run(2 * INTERVALS[-1])
    assert has_moon(mesh)


def test_a_seed_that_gets_the_moon_later_is_asked_again() -> None:
    mesh = mesh_with_seed()
    mesh.run(2.0)
    orbit(mesh)
    mesh.run(20.0)
    assert not has_moon(mesh)
    give(mesh, moon())
    mesh.run(2 * INTERVALS[-1])
    assert has_moon(mesh)


@pytest.mark.parametrize("is_here", [True, False])
def test_a_seed_is_left_alone_once_the_moon_is_here_or_not_wanted(is_here: bool) -> None:
    mesh = mesh_with_seed(moon() if is_here else None)
    mesh.run(2.0)
    orbit(mesh)
    mesh.run(5.0)
    if not is_here:
        mesh.nodes[1].vl1.deorbit(MOON_ID, mesh.now)
    before = mesh.nodes[1].ctx.stats.packets_out[Verb.HELLO]
    mesh.run(100.0)
    assert mesh.nodes[1].ctx.stats.packets_out[Verb.HELLO] == before


def test_a_newer_moon_is_taken_when_its_root_is_greeted_again() -> None:
    mesh = mesh_with_seed(moon())
    mesh.run(2.0)
    orbit(mesh)
    mesh.run(3.0)
    give(mesh, moon(timestamp=2))
    mesh.run(300.0)
    assert mesh.nodes[1].vl1.topology.moons[MOON_ID].timestamp == 2


def test_a_moon_that_the_operator_has_needs_nobody_else() -> None:
    mesh = mesh_with_seed()
    mesh.blocked = {(0, 1), (1, 0)}
    orbit(mesh)
    mesh.nodes[1].vl1.topology.add_moon(moon(), mesh.now)
    assert has_moon(mesh)
    assert mesh.nodes[1].vl1.topology.wanted_moons == {}
    assert mesh.nodes[2].address in mesh.nodes[1].vl1.topology.roots
