"""The planet of the laboratory."""

from ipaddress import IPv4Interface, IPv6Interface

from tests.lab.lab import Host
from tests.lab.namespace import Namespace
from tests.lab.planet import known_identity, make_planet
from ztlink.crypto.identity import verify
from ztlink.ids import Endpoint
from ztlink.wire.buffer import Reader
from ztlink.wire.world import World

V4 = IPv4Interface("44.1.0.1/16")
V6 = IPv6Interface("2001:db8:44::1/64")
PUBLIC_PLANETS = (149604618, 227883110)


def planet() -> World:
    host = Host("root", Namespace("unused"), V4)
    host.v6 = V6
    return World.decode(Reader(make_planet([(known_identity(0), host, 9993)])))


def test_the_root_is_named_at_all_addresses_of_its_host() -> None:
    (root,) = planet().roots
    assert root.identity == known_identity(0).public
    assert root.endpoints == (Endpoint(V4.ip, 9993), Endpoint(V6.ip, 9993))


def test_it_is_signed_by_the_key_that_it_names() -> None:
    world = planet()
    assert verify(world.next_update_key, world.signing_input(), world.signature)


def test_it_cannot_be_taken_for_a_public_one() -> None:
    assert planet().world_id not in PUBLIC_PLANETS
