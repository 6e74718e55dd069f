"""How a node of the simulation drives its core."""

import pytest

from tests.sim.node import VALIDATION_DELAY, SimNode
from tests.sim.planet import make_planet
from tests.sim.world import EPOCH_UNIX_MS, World
from tests.unit.sim.fake_core import FakeCore, make_beating, make_fake
from tests.unit.sim.wires import PORT, open_inbox
from ztlink.batch import Delivery, SuperFrame
from ztlink.ids import NetworkId

NETWORK = NetworkId(0x1122334455667788)


def make_node(world: World, name: str = "node") -> SimNode:
    planet = make_planet(world.next_identity(), [])
    node = SimNode(world, world.add_host(name), world.next_identity(), planet, make_fake)
    node.start()
    return node


def fake(node: SimNode) -> FakeCore:
    assert isinstance(node.core, FakeCore)
    return node.core


def test_what_a_core_sends_reaches_the_network() -> None:
    world = World(1)
    node = make_node(world)
    other = open_inbox(world, world.add_host("other"))
    other.send(next(iter(node.host.bind(PORT).values())), b"?anybody")
    world.run(1.0)
    assert other.payloads == [b"!anybody"]


def test_a_core_knows_its_sockets() -> None:
    node = make_node(World(1))
    assert fake(node).sockets == node.host.bind(PORT)


def test_timers_are_handled_when_they_are_due() -> None:
    world = World(1)
    target = open_inbox(world, world.add_host("target"))
    planet = make_planet(world.next_identity(), [])
    maker = make_beating(target.endpoint)
    node = SimNode(world, world.add_host("node"), world.next_identity(), planet, maker)
    node.start()
    world.run(10.5)
    assert len(target.payloads) == 11
    assert target.times[1] == pytest.approx(1.010)


def test_the_monotonic_clock_counts_seconds() -> None:
    world = World(1)
    node = make_node(world)
    before = node.clock.now()
    world.run(5.0)
    assert node.clock.now().mono - before.mono == pytest.approx(5.0)


def test_a_step_moves_the_wall_clock_only() -> None:
    world = World(1)
    node = make_node(world)
    world.run(1.0)
    before = node.clock.now()
    node.step_clock(-3600.0)
    after = node.clock.now()
    assert (after.mono, after.unix_ms) == (before.mono, before.unix_ms - 3_600_000)
    assert before.unix_ms == EPOCH_UNIX_MS + 1000


def test_identities_are_validated_after_a_while() -> None:
    world = World(1)
    node = make_node(world)
    identity = world.next_identity().public
    fake(node).to_validate.append(identity)
    node.drain()
    world.run(VALIDATION_DELAY - 0.001)
    assert fake(node).verdicts == []
    world.run(0.002)
    assert [(i, ok) for _, i, ok in fake(node).verdicts] == [(identity, True)]


def test_a_rejected_identity_is_judged_bad() -> None:
    world = World(1)
    node = make_node(world)
    identity = world.next_identity().public
    node.rejected[identity.address] = None
    fake(node).to_validate.append(identity)
    node.drain()
    world.run(1.0)
    assert [ok for _, _, ok in fake(node).verdicts] == [False]


def test_state_goes_to_the_disk_and_from_it() -> None:
    node = make_node(World(1))
    node.join(NETWORK)
    assert node.disk == {"networks.d/1122334455667788.conf": b"\n"}
    node.leave(NETWORK)
    assert node.disk == {}


def test_a_killed_node_is_silent_and_keeps_its_disk() -> None:
    world = World(1)
    node = make_node(world)
    node.join(NETWORK)
    other = open_inbox(world, world.add_host("other"))
    node.kill()
    other.send(next(iter(node.host.bind(PORT).values())), b"?anybody")
    world.run(1.0)
    assert (other.payloads, list(node.disk)) == ([], ["networks.d/1122334455667788.conf"])


def test_a_restarted_node_joins_its_networks_again() -> None:
    node = make_node(World(1))
    node.join(NETWORK)
    node.restart()
    assert list(node.ports) == [NETWORK]


def test_deliveries_reach_the_machine_on_the_port() -> None:
    node = make_node(World(1))
    node.join(NETWORK)
    frame = bytearray(bytes.fromhex("ffffffffffff0200000000020101") + bytes(50))
    fake(node).delivered.append(Delivery(NETWORK, SuperFrame(memoryview(frame))))
    node.drain()
    assert node.port(NETWORK).frames_received == 1
