"""Which worlds a node takes, and who its roots are then."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.vl1.mesh import Node, identity, planet
from tests.vectors.loading import load
from ztlink.clock import Now
from ztlink.ids import Address, parse_address
from ztlink.stats import Drop
from ztlink.vl1.events import StateChanged
from ztlink.vl1.topology import WORLD_CHECKS_BURST, Topology
from ztlink.wire.buffer import Reader
from ztlink.wire.world import World, WorldType

VECTORS = load("world.json")
NOW = Now(1000.0, 1_700_000_000_000)
SOMEBODY = Address(0x0102030405)
UPDATES = [case for case in VECTORS["updates"] if case["current"] is not None]
FIRST = [case for case in VECTORS["updates"] if case["current"] is None]


def world_of(text: str) -> World:
    return World.decode(Reader(bytes.fromhex(text)))


def topology_of(current: World) -> Topology:
    """Return the topology of a node that holds a planet, or a moon beside a planet of its own."""
    if current.world_type is WorldType.PLANET:
        return Node(5, current, NOW).vl1.topology
    topology = Node(5, planet(0), NOW).vl1.topology
    topology.moons[current.world_id] = current
    topology.update_roots(NOW)
    return topology


@pytest.mark.parametrize("case", UPDATES, ids=lambda case: str(case["name"]))
def test_a_world_is_taken_as_by_the_reference(case: dict[str, Any]) -> None:
    topology = topology_of(world_of(case["current"]))
    offered = world_of(case["offered"])
    assert topology.offer_world(offered, SOMEBODY, NOW) is case["accepted"]
    held = [topology.planet, *topology.moons.values()]
    assert (offered in held) is (case["accepted"] or case["current"] == case["offered"])


@pytest.mark.parametrize("case", FIRST, ids=lambda case: str(case["name"]))
def test_the_first_planet_is_taken_as_it_is(case: dict[str, Any]) -> None:
    assert case["accepted"]
    assert topology_of(world_of(case["offered"])).planet == world_of(case["offered"])


def test_worlds_offered_one_after_the_other_are_taken_as_by_the_reference() -> None:
    node = Node(5, world_of(VECTORS["node_start"]), NOW)
    topology = node.vl1.topology
    seeds = {seed["before_offer"]: seed for seed in VECTORS["node_seeds"]}
    for number, offer in enumerate(VECTORS["node_sequence"]):
        if number in seeds:
            seed = seeds[number]
            topology.wanted_moons[int(seed["moon_id"], 16)] = parse_address(seed["seed"])
        offered = world_of(offer["offered"])
        if offer["from_local_storage"]:
            topology.moons[offered.world_id] = offered  # as a node does with its files at start
            topology.update_roots(NOW)
            continue
        assert topology.offer_world(offered, SOMEBODY, NOW) is offer["accepted"], offer["name"]


def test_a_world_that_is_taken_is_kept_on_disk() -> None:
    case = next(case for case in UPDATES if case["name"] == "newer, right key")
    node = Node(5, world_of(case["current"]), NOW)
    node.vl1.topology.offer_world(world_of(case["offered"]), SOMEBODY, NOW)
    assert StateChanged("planet", bytes.fromhex(case["offered"])) in node.ctx.events


def test_the_roots_of_a_planet_are_known_without_asking() -> None:
    topology = Node(5, planet(0, 1), NOW).vl1.topology
    assert set(topology.roots) == {identity(0).address, identity(1).address}
    assert all(topology.peers[address].is_upstream for address in topology.roots)


def test_a_node_that_its_planet_names_is_a_root() -> None:
    topology = Node(0, planet(0, 1), NOW).vl1.topology
    assert topology.is_root
    assert set(topology.roots) == {identity(1).address}


def test_a_root_of_two_moons_alone_is_no_root_of_the_planet() -> None:
    topology = topology_of(planet(0))
    case = next(case for case in UPDATES if case["name"] == "moon, newer")
    moon = world_of(case["current"])
    other = World(WorldType.MOON, 99, 1, moon.next_update_key, bytes(96), moon.roots)
    topology.moons = {moon.world_id: moon, other.world_id: other}
    topology.update_roots(NOW)
    listed = {root.identity.address for root in moon.roots}
    assert not any(topology.roots[address].is_planet for address in listed)
    assert topology.roots[identity(0).address].is_planet


def test_worlds_that_claim_to_be_newer_are_checked_a_bounded_number_of_times() -> None:
    node = Node(5, planet(0), NOW)
    topology = node.vl1.topology
    newer = replace(planet(0), timestamp=planet(0).timestamp + 1, signature=bytes(96))
    for _ in range(40):
        assert not topology.offer_world(newer, SOMEBODY, NOW)
    assert node.ctx.stats.drops[Drop.RATE_LIMITED] == 40 - WORLD_CHECKS_BURST
