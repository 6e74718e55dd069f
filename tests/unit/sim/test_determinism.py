"""The same seed gives the same bytes."""

import pytest

from tests.sim.node import SimNode
from tests.sim.planet import make_planet
from tests.sim.world import World
from tests.unit.sim.fake_core import make_beating, make_fake


def run_world(seed: int) -> World:
    world = World(seed, loss=0.1)
    world.internet.backbone.jitter = 0.02
    planet = make_planet(world.next_identity(), [])
    target = SimNode(world, world.add_host("target"), world.next_identity(), planet, make_fake)
    target.start()
    endpoint = next(iter(target.host.bind(9993).values()))
    for number in range(5):
        host = world.add_host(f"beater {number}")
        SimNode(world, host, world.next_identity(), planet, make_beating(endpoint)).start()
    world.run(30.0)
    return world


def test_one_seed_gives_one_digest() -> None:
    assert run_world(5).digest() == run_world(5).digest()


def test_two_seeds_give_two_digests() -> None:
    assert run_world(5).digest() != run_world(6).digest()


def test_the_digest_covers_every_datagram() -> None:
    world = run_world(5)
    before = world.digest()
    world.run(2.0)
    assert world.datagrams > 200
    assert world.digest() != before


@pytest.mark.parametrize("purpose", ["nat", "node"])
def test_chance_depends_on_purpose_and_seed(purpose: str) -> None:
    assert World(1).chance(purpose).random() == World(1).chance(purpose).random()
    assert World(1).chance(purpose).random() != World(2).chance(purpose).random()
    assert World(1).chance(purpose).random() != World(1).chance("other").random()


def test_identities_are_given_once() -> None:
    world = World(1)
    assert len({world.next_identity().address for _ in range(50)}) == 50
