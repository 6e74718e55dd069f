"""Stacks at a pump, with a core that has no sockets."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.unit.netstack.ether import START, seeded
from tests.unit.vl1.mesh import identity, planet
from ztlink.batch import SuperFrame
from ztlink.clock import Now
from ztlink.drivers.stack_port import MAX_FRAME_PAYLOAD, StackPort
from ztlink.drivers.stack_ports import StackPorts
from ztlink.ids import Endpoint, NetworkId, member_mac
from ztlink.netstack.events import EchoFailed, Event
from ztlink.netstack.stack import Stack
from ztlink.node.core import Core

NETWORK = NetworkId(0xFF0A000000000001)
OTHER = NetworkId(0xFF0B000000000001)
NEIGHBOUR = ip_address("10.9.9.9")


class Rig:
    """A core that is on an ad-hoc network, and the stacks at its pump."""

    def __init__(self) -> None:
        self.core = Core(identity(1), planet(0), random_bytes=seeded(), now=START)
        mac = member_mac(self.core.identity.address, NETWORK)
        self.stack = Stack(mac, mtu=2800, random_bytes=seeded(2))
        self.told: list[Event] = []
        self.port = StackPort(self.stack, self.told.append)
        self.ports = StackPorts()
        self.has_room = True
        self.core.join(NETWORK, START)
        self.core.handle_timer(START)
        self.drain()

    def drain(self) -> None:
        while (event := self.core.next_event()) is not None:
            self.ports.note(event, START)

    def add(self, network_id: NetworkId = NETWORK) -> None:
        self.ports.add(self.core, network_id, self.port, START)

    def turn(self) -> bool:
        has_room = self.has_room
        return self.ports.turn(self.core, START, has_room=has_room, take=lambda now: has_room)

    def settle(self) -> None:
        while self.turn():
            self.drain()


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def added(rig: Rig) -> Rig:
    rig.add()
    rig.settle()
    return rig


def test_no_stacks_are_false_and_have_no_timer(rig: Rig) -> None:
    assert (bool(rig.ports), rig.ports.get_timer(), rig.turn()) == (False, None, False)


def test_a_stack_takes_the_configuration_that_is_here(added: Rig) -> None:
    assert added.stack.source_for(NEIGHBOUR) is not None


def test_a_stack_of_another_network_takes_nothing(rig: Rig) -> None:
    rig.add(OTHER)
    assert rig.stack.source_for(NEIGHBOUR) is None


def test_the_core_is_told_of_groups_once(added: Rig) -> None:
    (view,) = added.core.network_views(START)
    assert set(view.groups) >= added.stack.groups()
    assert not added.port.announce_groups(added.core, NETWORK, START)


def test_after_the_stack_has_gone_nobody_listens(added: Rig) -> None:
    assert added.ports.remove(added.core, NETWORK, START) is added.port
    (view,) = added.core.network_views(START)
    assert not set(view.groups) & added.stack.groups()


def test_a_stack_is_pulled_while_there_is_room(added: Rig) -> None:
    added.stack.ping(NEIGHBOUR, 8, START)
    assert not added.turn()
    assert not added.stack.has_output()


def test_what_a_turn_is_too_short_for_has_another(added: Rig) -> None:
    everybody = Endpoint(ip_address("ff02::1"), 9)
    opened = added.stack.bind_udp(Endpoint(ip_address("::"), 9))
    while added.stack.send_datagram(opened, bytes(1200), everybody, START):
        pass
    assert added.turn()
    added.settle()
    assert not added.stack.has_output()


def test_a_stack_is_not_pulled_while_there_is_none(added: Rig) -> None:
    added.has_room = False
    added.stack.ping(NEIGHBOUR, 8, START)
    assert not added.turn()
    assert added.stack.has_output()


def test_timers_of_stacks_are_kept_and_events_told(added: Rig) -> None:
    added.stack.ping(NEIGHBOUR, 8, START)
    added.settle()
    assert added.ports.get_timer() == START.mono + 1.0
    for second in range(1, 4):
        added.ports.handle_timer(later(second))
    added.ports.tell()
    assert [type(event) for event in added.told] == [EchoFailed]


def later(seconds: float) -> Now:
    return START._replace(mono=START.mono + seconds)


def test_a_frame_goes_to_the_stack_of_its_network(added: Rig) -> None:
    before = added.stack.counters.frames_in
    for network_id in (NETWORK, OTHER):
        added.ports.deliver(network_id, SuperFrame(memoryview(bytearray(60))), START)
    assert added.stack.counters.frames_in == before + 1


def test_a_network_that_is_left_takes_its_addresses_along(added: Rig) -> None:
    added.core.leave(NETWORK, START)
    added.drain()
    assert len(added.stack.addresses) == 1


def test_the_mtu_is_no_larger_than_a_packet_of_the_network_carries(added: Rig) -> None:
    (view,) = added.core.network_views(START)
    assert view.config is not None
    added.port.configure(replace(view.config, mtu=10_000), START)
    assert added.stack.mtu == MAX_FRAME_PAYLOAD
