"""Hosts, sockets, trains and firewalls."""

import pytest

from tests.sim.internet import join_trains
from tests.sim.link import Datagram
from tests.sim.nat import NatKind
from tests.sim.world import World
from tests.unit.sim.wires import PORT, Inbox, open_inbox
from ztlink.batch import MAX_TRAIN_DATAGRAMS, MAX_TRAIN_SIZE, Transmit
from ztlink.ids import ALL_SOCKETS, Endpoint, SocketId

COALESCING = 0.00002


def make_pair(world: World, *, coalescing: float = 0.0) -> tuple[Inbox, Inbox]:
    a, b = world.add_host("a"), world.add_host("b")
    b.coalescing = coalescing
    return open_inbox(world, a), open_inbox(world, b)


def test_a_train_is_cut_into_datagrams() -> None:
    world = World(1)
    a, b = make_pair(world)
    a.send(b.endpoint, b"aaaabbbbcc", segment=4)
    world.run(1.0)
    assert b.payloads == [b"aaaa", b"bbbb", b"cc"]


def test_a_coalescing_host_joins_a_train_again() -> None:
    world = World(1)
    a, b = make_pair(world, coalescing=COALESCING)
    a.send(b.endpoint, b"aaaabbbbcc", segment=4)
    world.run(1.0)
    assert [(bytes(t.buffer), t.segment_size) for t in b.trains] == [(b"aaaabbbbcc", 4)]


def test_a_train_ends_with_a_shorter_datagram() -> None:
    world = World(1)
    a, b = make_pair(world, coalescing=COALESCING)
    for payload in (b"aaaa", b"bb", b"cc"):
        a.send(b.endpoint, payload)
    world.run(1.0)
    assert b.payloads == [b"aaaabb", b"cc"]


def test_a_longer_datagram_begins_a_new_train() -> None:
    world = World(1)
    a, b = make_pair(world, coalescing=COALESCING)
    for payload in (b"aa", b"bbbb", b"cccc"):
        a.send(b.endpoint, payload)
    world.run(1.0)
    assert b.payloads == [b"aa", b"bbbbcccc"]


def test_datagrams_of_two_sources_are_not_joined() -> None:
    world = World(1)
    a, b = make_pair(world, coalescing=COALESCING)
    c = open_inbox(world, world.add_host("c"))
    a.send(b.endpoint, b"aaaa")
    c.send(b.endpoint, b"cccc")
    world.run(1.0)
    assert b.payloads == [b"aaaa", b"cccc"]


def test_loss_within_a_train_leaves_the_rest() -> None:
    world = World(3, loss=0.3)
    a, b = make_pair(world, coalescing=COALESCING)
    a.send(b.endpoint, bytes(range(40)), segment=1)
    world.run(1.0)
    arrived = b"".join(b.payloads)
    assert 20 <= len(arrived) < 40
    assert list(arrived) == sorted(arrived)


@pytest.mark.parametrize(
    ("count", "size", "longest"),
    [(100, 10, MAX_TRAIN_DATAGRAMS), (100, 5000, MAX_TRAIN_SIZE // 5000)],
)
def test_trains_have_a_greatest_length(count: int, size: int, longest: int) -> None:
    world = World(1)
    a, b = make_pair(world)
    datagram = Datagram(a.endpoint, b.endpoint, bytes(size))
    trains = join_trains([(SocketId(0), datagram)] * count)
    assert max(len(t.buffer) // size for t in trains) == longest
    assert sum(len(t.buffer) for t in trains) == count * size


def test_a_train_may_be_written_to() -> None:
    world = World(1)
    a, b = make_pair(world)
    a.send(b.endpoint, b"read only here")
    world.run(1.0)
    b.trains[0].buffer[0] = 0
    assert b.payloads[0][0] == 0


def test_all_sockets_means_all_of_the_family() -> None:
    world = World(1)
    host = world.add_host("a", ipv6=True)
    host.attach(world.internet, world.next_ipv4())
    a = open_inbox(world, host)
    b = open_inbox(world, world.add_host("b"))
    host.send(Transmit(b"x", 1, b.endpoint, ALL_SOCKETS))
    world.run(1.0)
    own = [e for e in a.host.bind(PORT).values() if e.ip.version == 4]
    assert b.sources == own
    assert len(own) == 2


def test_a_socket_sends_from_its_own_endpoint() -> None:
    world = World(1)
    host = world.add_host("a")
    host.attach(world.internet, world.next_ipv4())
    sockets = host.bind(PORT)
    b = open_inbox(world, world.add_host("b"))
    host.send(Transmit(b"x", 1, b.endpoint, SocketId(1)))
    world.run(1.0)
    assert b.sources == [sockets[SocketId(1)]]


def test_ipv6_reaches_ipv6_whatever_the_time_to_live() -> None:
    world = World(1)
    a = open_inbox(world, world.add_host("a", ipv6=True))
    host = world.add_host("b", ipv6=True)
    b = open_inbox(world, host)
    (target,) = (e for e in host.bind(PORT).values() if e.ip.version == 6)
    a.send(target, ttl=2)
    world.run(1.0)
    assert [s.ip.version for s in b.sources] == [6]


def test_a_port_without_a_socket_hears_nothing() -> None:
    world = World(1)
    a, b = make_pair(world)
    a.send(Endpoint(b.endpoint.ip, PORT + 1))
    world.run(1.0)
    assert b.payloads == []


def test_what_is_for_nobody_goes_nowhere() -> None:
    world = World(1)
    a, _ = make_pair(world)
    a.send(Endpoint(world.next_ipv4(), PORT))
    world.run(1.0)
    assert world.internet.unroutable == 1


def test_a_lost_address_is_heard_no_more() -> None:
    world = World(1)
    a, b = make_pair(world)
    gone = b.endpoint
    b.host.detach(gone.ip)
    a.send(gone)
    world.run(1.0)
    assert (b.payloads, dict(b.host.bind(PORT))) == ([], {})


def test_a_stateful_firewall_lets_only_answers_in() -> None:
    world = World(1)
    a, b = make_pair(world)
    b.host.firewall.is_stateful = True
    a.send(b.endpoint, b"too early")
    world.run(1.0)
    b.send(a.endpoint, b"question")
    world.run(1.0)
    a.send(b.endpoint, b"answer")
    world.run(1.0)
    assert b.payloads == [b"answer"]


def test_a_stateful_firewall_forgets() -> None:
    world = World(1)
    a, b = make_pair(world)
    b.host.firewall.is_stateful = True
    b.send(a.endpoint, b"question")
    world.run(61.0)
    a.send(b.endpoint, b"too late")
    world.run(1.0)
    assert b.payloads == []


def test_a_blocked_address_is_neither_sent_to_nor_heard() -> None:
    world = World(1)
    a, b = make_pair(world)
    b.host.firewall.blocked[a.endpoint.ip] = None
    a.send(b.endpoint)
    b.send(a.endpoint)
    world.run(1.0)
    assert (a.payloads, b.payloads) == ([], [])


def test_a_lan_host_reaches_its_neighbour_although_the_time_to_live_is_one() -> None:
    world = World(1)
    box = world.add_nat("box", NatKind.SYMMETRIC)
    a = open_inbox(world, world.add_host_behind(box, "a"))
    b = open_inbox(world, world.add_host_behind(box, "b"))
    a.send(b.endpoint, b"near", ttl=1)
    world.run(1.0)
    assert b.payloads == [b"near"]
