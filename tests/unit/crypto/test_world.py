"""Worlds that are made are worlds that nodes accept."""

from dataclasses import replace
from ipaddress import ip_address

from tests.unit.vl1.mesh import identity
from ztlink.crypto.identity import verify
from ztlink.crypto.world import make_world
from ztlink.ids import Endpoint
from ztlink.wire.buffer import Reader
from ztlink.wire.world import Root, World, WorldType

SIGNER = identity(9)
ROOTS = (Root(identity(0).public, (Endpoint(ip_address("192.0.2.5"), 9993),)),)


def made() -> World:
    return make_world(WorldType.PLANET, 7, 1_700_000_000_000, ROOTS, SIGNER)


def test_a_world_is_signed_by_the_key_that_it_names_for_its_next_revision() -> None:
    world = made()
    assert world.next_update_key == SIGNER.public.public_key
    assert verify(world.next_update_key, world.signing_input(), world.signature)


def test_what_was_made_is_read_back() -> None:
    assert World.decode(Reader(made().to_bytes())) == made()


def test_a_change_breaks_the_signature() -> None:
    world = replace(made(), timestamp=1)
    assert not verify(world.next_update_key, world.signing_input(), world.signature)
