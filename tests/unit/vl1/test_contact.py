"""Keeping in touch with roots: at once, again and again, then now and then."""

import dataclasses
from ipaddress import ip_address

from tests.unit.vl1.mesh import Mesh, endpoint, identity
from tests.unit.vl1.packets import after
from ztlink.crypto.identity import sign
from ztlink.ids import Endpoint
from ztlink.vl1.contact import HELLO_INTERVAL, RETRY_INTERVALS
from ztlink.vl1.topology import Topology
from ztlink.wire.identity import Identity
from ztlink.wire.verbs import Verb
from ztlink.wire.world import Root, World, WorldType

LONGEST_PAUSE = max(RETRY_INTERVALS)


def hellos(mesh: Mesh, seconds: float, *, node: int = 1) -> int:
    """Let time pass and return how many HELLOs a node has sent meanwhile."""
    before = greetings(mesh, node)
    mesh.run(seconds)
    return greetings(mesh, node) - before


def greetings(mesh: Mesh, node: int) -> int:
    """Return how many HELLOs of a node arrived anywhere, at a closed door too."""
    source = mesh.nodes[node].address.to_bytes(5, "big")
    return sum(data[13:18] == source and data[27] == Verb.HELLO for _, _, data in mesh.log)


def deaf_mesh() -> Mesh:
    """Return a mesh whose root hears the node and is not heard."""
    mesh = Mesh(2)
    mesh.blocked = {(0, 1)}
    return mesh


def test_a_root_is_greeted_at_once() -> None:
    assert hellos(deaf_mesh(), 0.001) == 1


def test_an_unanswered_greeting_is_soon_repeated() -> None:
    assert hellos(deaf_mesh(), 1.0) >= 4


def test_the_pauses_grow_while_nobody_answers() -> None:
    mesh = deaf_mesh()
    at_first = hellos(mesh, 10.0)
    mesh.run(30.0)
    assert hellos(mesh, 10.0) < at_first


def test_the_pauses_do_not_grow_beyond_the_longest() -> None:
    mesh = deaf_mesh()
    mesh.run(300.0)
    assert hellos(mesh, LONGEST_PAUSE) >= 1


def test_a_root_in_reach_is_greeted_now_and_then_only() -> None:
    mesh = Mesh(2)
    mesh.run(1.0)
    assert hellos(mesh, HELLO_INTERVAL - 2.0) == 0
    assert hellos(mesh, HELLO_INTERVAL) == 1


def test_a_root_that_falls_silent_is_greeted_as_at_the_beginning() -> None:
    mesh = Mesh(2)
    mesh.run(60.0)
    mesh.blocked = {(0, 1)}
    peer = mesh.nodes[1].vl1.topology.peers[identity(0).address]
    while peer.best_path() is not None:
        mesh.run(0.1)
    assert hellos(mesh, 1.0) >= 3


def world_with(endpoints: tuple[Endpoint, ...]) -> World:
    """Return a newer planet whose only root is said to be at other endpoints."""
    signer = identity(0)
    world = World(
        WorldType.PLANET,
        77,
        1_700_000_000_001,
        signer.public.public_key,
        bytes(96),
        (Root(signer.public, endpoints),),
    )
    return dataclasses.replace(world, signature=sign(signer, world.signing_input()))


def destinations(mesh: Mesh, seconds: float) -> list[Endpoint]:
    """Return where node 1 sends to while time passes and everything is lost."""
    ctx = mesh.nodes[1].ctx
    found = []
    until = mesh.now.mono + seconds
    while (head := ctx.timers.head()) is not None and head <= until:
        mesh.now = after(mesh.now, max(head - mesh.now.mono, 0.0))
        while (owner := ctx.timers.pop_due(mesh.now.mono)) is not None:
            owner.handle_timer(mesh.now)
        found += [transmit.destination for transmit in ctx.transmits]
        ctx.transmits = []
    return found


SEVERAL = (
    endpoint(40),
    endpoint(41),
    Endpoint(ip_address("2001:db8::1"), 9993),
    Endpoint(ip_address("2001:db8::2"), 9993),
)


def lost_mesh(endpoints: tuple[Endpoint, ...]) -> Mesh:
    """Return a node that knows its root by these endpoints and has not greeted it yet."""
    mesh = Mesh(2)
    topology = mesh.nodes[1].vl1.topology
    assert topology.offer_world(world_with(endpoints), identity(0).address, mesh.now)
    mesh.nodes[1].ctx.transmits = []
    return mesh


def test_one_endpoint_of_each_family_is_greeted_at_a_time() -> None:
    first = destinations(lost_mesh(SEVERAL), 0.0)
    assert sorted(e.ip.version for e in first) == [4, 6]


def test_another_endpoint_is_greeted_the_next_time() -> None:
    assert set(destinations(lost_mesh(SEVERAL), 1.0)) == set(SEVERAL)


def test_a_root_that_left_the_planet_is_not_greeted_any_more() -> None:
    mesh = deaf_mesh()
    mesh.run(1.0)
    other = identity(0)
    world = World(
        WorldType.PLANET,
        77,
        1_700_000_000_001,
        other.public.public_key,
        bytes(96),
        (Root(identity(5).public, (endpoint(5),)),),
    )
    world = dataclasses.replace(world, signature=sign(other, world.signing_input()))
    assert mesh.nodes[1].vl1.topology.offer_world(world, other.address, mesh.now)
    assert hellos(mesh, 20.0) == 0


def moon_of(root: int, *endpoints: Endpoint) -> World:
    """Return a moon whose only root is a node."""
    public = identity(root).public
    roots = (Root(public, endpoints),)
    return World(WorldType.MOON, 99, 1, public.public_key, bytes(96), roots)


def orbit(mesh: Mesh, moon: World) -> Topology:
    """Have node 1 follow a moon; return what it knows."""
    topology = mesh.nodes[1].vl1.topology
    topology.moons[moon.world_id] = moon
    topology.update_roots(mesh.now)
    return topology


def test_a_root_without_an_address_is_greeted_through_another() -> None:
    mesh = Mesh(3)
    mesh.run(1.0)
    topology = orbit(mesh, moon_of(2))
    mesh.run(1.0)
    assert topology.peers[identity(2).address].best_path() is not None


def test_a_root_whose_peer_is_removed_is_greeted_anew() -> None:
    mesh = Mesh(2)
    mesh.run(1.0)
    topology = mesh.nodes[1].vl1.topology
    topology.remove_peer(topology.peers[identity(0).address], mesh.now)
    assert not topology.online
    mesh.run(1.0)
    assert topology.online


def impostor_of(number: int) -> Identity:
    """Return an identity that claims a node's address with keys of another."""
    return Identity(identity(number).address, identity(number + 1).public.public_key)


def test_an_impostor_at_a_roots_address_is_no_root() -> None:
    mesh = Mesh(2)
    topology = orbit(mesh, moon_of(2, endpoint(2)))
    topology.remove_peer(topology.peers[identity(2).address], mesh.now)
    impostor = topology.add_peer(impostor_of(2), mesh.now)
    assert impostor is not None
    assert not impostor.is_upstream


def test_a_root_is_greeted_as_soon_as_an_impostor_at_its_address_is_gone() -> None:
    mesh = Mesh(3)
    mesh.run(1.0)
    impostor = mesh.nodes[1].vl1.topology.add_peer(impostor_of(2), mesh.now)
    assert impostor is not None
    topology = orbit(mesh, moon_of(2, endpoint(2)))
    mesh.run(60.0)
    topology.remove_peer(impostor, mesh.now)
    mesh.run(0.1)
    assert topology.peers[identity(2).address].best_path() is not None
