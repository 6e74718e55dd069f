"""Whose word it takes that our address is another's."""

from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint
from tests.unit.vl1.packets import after, seal
from ztlink.vl1.collision import SURE_AFTER
from ztlink.vl1.events import IdentityCollided
from ztlink.wire.verbs import ErrorCode, Verb


def mesh_of(roots: int, *, deaf: set[int]) -> Mesh:
    """Return roots and a node, the last, that is not in touch with some of them."""
    mesh = Mesh(roots + 1, roots)
    mesh.blocked = {(roots, root) for root in deaf}
    mesh.run(1)
    return mesh


def collide(mesh: Mesh, root: int, *, in_re: bytes | None = None) -> None:
    """Have the node greet a root, and the root answer that the node's address is another's."""
    number = len(mesh.nodes) - 1
    node = mesh.nodes[number]
    peer = node.vl1.topology.peers[mesh.nodes[root].address]
    node.vl1.introductions.send_hello(peer, SOCKET, endpoint(root), mesh.now)
    hello = in_re or bytes(node.ctx.transmits.pop().buffer[:8])
    body = bytes([Verb.HELLO]) + hello + bytes([ErrorCode.IDENTITY_COLLISION])
    mesh.inject(number, seal(root, number, Verb.ERROR, body), endpoint(root))


def has_collided(mesh: Mesh) -> bool:
    return any(isinstance(event, IdentityCollided) for event in mesh.nodes[-1].ctx.events)


def test_one_root_is_not_believed_at_once() -> None:
    mesh = mesh_of(1, deaf={0})
    collide(mesh, 0)
    assert not has_collided(mesh)


def test_the_only_root_is_believed_when_it_says_so_again_after_a_while() -> None:
    mesh = mesh_of(1, deaf={0})
    collide(mesh, 0)
    mesh.now = after(mesh.now, SURE_AFTER)
    collide(mesh, 0)
    assert has_collided(mesh)


def test_a_repetition_that_comes_too_soon_is_none() -> None:
    mesh = mesh_of(1, deaf={0})
    collide(mesh, 0)
    mesh.now = after(mesh.now, SURE_AFTER - 0.1)
    collide(mesh, 0)
    assert not has_collided(mesh)


def test_two_roots_are_believed_at_once() -> None:
    mesh = mesh_of(2, deaf={0, 1})
    collide(mesh, 0)
    collide(mesh, 1)
    assert has_collided(mesh)


def test_a_root_is_not_believed_while_another_is_in_reach() -> None:
    mesh = mesh_of(2, deaf={0})
    collide(mesh, 0)
    mesh.now = after(mesh.now, SURE_AFTER)
    collide(mesh, 0)
    assert not has_collided(mesh)


def test_a_root_that_answers_after_all_has_taken_it_back() -> None:
    mesh = mesh_of(1, deaf={0})
    collide(mesh, 0)
    mesh.blocked = set()
    mesh.run(SURE_AFTER)
    collide(mesh, 0)
    assert not has_collided(mesh)


def test_a_collision_is_believed_as_the_answer_to_a_hello_alone() -> None:
    mesh = mesh_of(2, deaf={0, 1})
    collide(mesh, 0, in_re=bytes(8))
    collide(mesh, 1, in_re=bytes(8))
    assert not has_collided(mesh)


def test_who_is_no_root_is_not_believed() -> None:
    mesh = Mesh(3, 1)
    mesh.blocked = {(2, 0), (2, 1)}
    mesh.run(1)
    mesh.nodes[2].vl1.topology.add_peer(mesh.nodes[1].ctx.identity.public, mesh.now)
    for _ in range(2):
        collide(mesh, 1)
        mesh.now = after(mesh.now, SURE_AFTER)
    assert not has_collided(mesh)
