"""How endpoints are learned and taught: pushes, introductions, our own address."""

from ipaddress import ip_address, ip_network
from unittest.mock import patch

import pytest

from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity
from tests.unit.vl1.packets import Opened, after, seal, take_sent
from ztlink.ids import ALL_SOCKETS, Endpoint, SocketId
from ztlink.stats import Drop
from ztlink.vl1.discovery import (
    EARLY_RENDEZVOUS_LIFETIME,
    MAX_REPORTERS,
    MAX_REPORTS,
    PUNCH_SIZE,
    PUNCH_TTL,
    PUSH_ADDRESSES_PER_SCOPE,
    PUSH_INTERVAL_DIRECT,
    PUSH_INTERVAL_RELAYED,
    PUSH_MAX_PATHS,
    PUSH_RECEIVE_LIMIT,
    PUSH_RECEIVE_WINDOW,
    SURFACE_LIFETIME,
)
from ztlink.vl1.egress import Arrival
from ztlink.vl1.peer import CONFIRMS_BURST, INTRODUCTIONS_BURST, Peer
from ztlink.wire.control import DirectPath, PushDirectPaths, Rendezvous
from ztlink.wire.verbs import Verb

PUBLIC = Endpoint(ip_address("77.1.2.3"), 9993)
UNUSABLE = [
    Endpoint(ip_address("77.1.2.3"), 0),
    Endpoint(ip_address("127.0.0.1"), 9993),
    Endpoint(ip_address("224.0.0.1"), 9993),
    Endpoint(ip_address("0.0.0.0"), 9993),  # noqa: S104 - nothing is bound to it
    Endpoint(ip_address("169.254.1.1"), 9993),
    Endpoint(ip_address("2001:470::1"), 9993),
    Endpoint(ip_address("::1"), 9993),
]
DIRECT = Arrival(SOCKET, endpoint(2), 0)
RELAYED = Arrival(SOCKET, endpoint(0), 1)


@pytest.fixture
def mesh() -> Mesh:
    """A root, and two nodes that know and do not reach each other."""
    made = Mesh(3)
    made.blocked = {(1, 2), (2, 1)}
    made.run(1.0)
    made.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", made.now)
    made.run(10.0)
    quiet(made)
    return made


def quiet(mesh: Mesh) -> None:
    for node in mesh.nodes:
        node.ctx.transmits = []


def peer(mesh: Mesh, node: int, other: int) -> Peer:
    return mesh.nodes[node].vl1.topology.peers[identity(other).address]


def destinations(mesh: Mesh, node: int = 1) -> list[Endpoint]:
    """Take where a node has sent to."""
    ctx = mesh.nodes[node].ctx
    transmits, ctx.transmits = ctx.transmits, []
    return [transmit.destination for transmit in transmits]


def drops(mesh: Mesh, reason: Drop, node: int = 1) -> int:
    return mesh.nodes[node].ctx.stats.drops[reason]


# -- endpoints that a peer pushes ------------------------------------------------------------


def push(mesh: Mesh, *paths: DirectPath) -> list[Endpoint]:
    """Have node 2 push endpoints to node 1; return where node 1 probes."""
    payload = PushDirectPaths(paths).to_bytes()
    mesh.inject(1, seal(2, 1, Verb.PUSH_DIRECT_PATHS, payload, hops=1), endpoint(0))
    return destinations(mesh)


def several(text: str, count: int) -> list[DirectPath]:
    first = int(ip_address(text))
    kind = type(ip_address(text))
    return [DirectPath(Endpoint(kind(first + n), 9993)) for n in range(count)]


def test_a_pushed_endpoint_is_probed(mesh: Mesh) -> None:
    assert push(mesh, DirectPath(PUBLIC)) == [PUBLIC]


def test_few_endpoints_of_each_scope_and_family_are_probed(mesh: Mesh) -> None:
    many = several("77.1.2.3", 11) + several("10.9.0.1", 3) + several("2a03:4500::1", 2)
    probed = push(mesh, *many)
    assert [e.ip.version for e in probed].count(6) == 2
    assert sum(e.ip in ip_network("77.0.0.0/8") for e in probed) == PUSH_ADDRESSES_PER_SCOPE
    assert sum(e.ip in ip_network("10.0.0.0/8") for e in probed) == 3


@pytest.mark.parametrize("unusable", UNUSABLE, ids=str)
def test_an_endpoint_that_can_be_no_path_is_not_probed(mesh: Mesh, unusable: Endpoint) -> None:
    assert push(mesh, DirectPath(unusable)) == []


def test_a_path_that_is_to_be_forgotten_and_an_unknown_kind_are_passed_over(mesh: Mesh) -> None:
    forget, unknown = DirectPath(PUBLIC, flags=1), DirectPath(None, other=(1, bytes(6)))
    assert push(mesh, forget, unknown, DirectPath(endpoint(60))) == [endpoint(60)]


def test_an_endpoint_inside_a_network_of_our_own_is_not_probed(mesh: Mesh) -> None:
    mesh.nodes[1].ctx.overlay_prefixes = (ip_network("77.1.0.0/16"),)
    assert push(mesh, DirectPath(PUBLIC)) == []


def test_pushes_in_a_row_are_followed_up_to_the_limit(mesh: Mesh) -> None:
    paths = several("77.1.2.3", 20)
    mesh.now = after(mesh.now, PUSH_RECEIVE_WINDOW + 1)
    followed = [push(mesh, path) for path in paths]
    assert all(followed[:PUSH_RECEIVE_LIMIT])
    assert not any(followed[PUSH_RECEIVE_LIMIT:])
    assert drops(mesh, Drop.RATE_LIMITED) == len(paths) - PUSH_RECEIVE_LIMIT


def test_pushes_are_followed_again_after_a_while_without_any(mesh: Mesh) -> None:
    for path in several("77.1.2.3", 20):
        push(mesh, path)
    mesh.now = after(mesh.now, PUSH_RECEIVE_WINDOW + 1)
    assert push(mesh, DirectPath(endpoint(60))) == [endpoint(60)]


def test_a_path_in_use_is_not_probed_again_for_a_push(mesh: Mesh) -> None:
    mesh.blocked = set()
    push(mesh, DirectPath(endpoint(2)))
    mesh.run(20.0)
    assert peer(mesh, 1, 2).best_path() is not None
    quiet(mesh)
    assert push(mesh, DirectPath(endpoint(2))) == []


def test_a_root_is_probed_only_where_its_world_says_that_it_is(mesh: Mesh) -> None:
    discovery = mesh.nodes[1].vl1.discovery
    root = peer(mesh, 1, 0)
    discovery.try_endpoint(root, SOCKET, PUBLIC, mesh.now)
    assert destinations(mesh) == []
    other_port = Endpoint(endpoint(0).ip, 4000)
    discovery.try_endpoint(root, SOCKET, other_port, mesh.now)
    assert destinations(mesh) == [other_port]


def test_more_endpoints_than_a_peer_may_have_are_let_be(mesh: Mesh) -> None:
    discovery, other = mesh.nodes[1].vl1.discovery, peer(mesh, 1, 2)
    for path in several("77.1.2.3", 40):
        assert path.endpoint is not None
        discovery.try_endpoint(other, SOCKET, path.endpoint, mesh.now)
    assert len(other.paths) < 40


# -- where a packet came from ----------------------------------------------------------------


def test_an_endpoint_that_packets_come_from_is_probed_once_a_second_at_most(mesh: Mesh) -> None:
    stray = endpoint(60)
    for _ in range(5):
        mesh.inject(1, seal(2, 1, Verb.NOP), stray)
    assert destinations(mesh).count(stray) == 1
    mesh.now = after(mesh.now, 1.01)
    mesh.inject(1, seal(2, 1, Verb.NOP), stray)
    assert destinations(mesh).count(stray) == 1


def test_packets_from_everywhere_do_not_make_us_probe_everything(mesh: Mesh) -> None:
    mesh.now = after(mesh.now, 10.0)
    for path in several("77.1.2.3", 200):
        assert path.endpoint is not None
        mesh.inject(1, seal(2, 1, Verb.NOP), path.endpoint)
    assert len(destinations(mesh)) == CONFIRMS_BURST


def test_packets_from_everywhere_do_not_make_us_remember_everything(mesh: Mesh) -> None:
    for path in several("77.1.2.3", 200):
        assert path.endpoint is not None
        mesh.inject(1, seal(2, 1, Verb.NOP), path.endpoint)
    assert len(peer(mesh, 1, 2).last_confirm) <= 64


# -- introductions by a root -----------------------------------------------------------------


def meet(mesh: Mesh, who: int, where: Endpoint, root: int = 0) -> None:
    payload = Rendezvous(identity(who).address, where).to_bytes()
    mesh.inject(1, seal(root, 1, Verb.RENDEZVOUS, payload), endpoint(root))


def test_an_introduction_opens_our_nat_and_then_probes(mesh: Mesh) -> None:
    meet(mesh, 2, PUBLIC)
    punch, probe = mesh.nodes[1].ctx.transmits
    assert (len(punch.buffer), punch.ttl) == (PUNCH_SIZE, PUNCH_TTL)
    assert (punch.destination, probe.destination) == (PUBLIC, PUBLIC)
    assert (probe.socket, probe.ttl) == (ALL_SOCKETS, 0)


@pytest.mark.parametrize("unusable", UNUSABLE, ids=str)
def test_an_introduction_to_nowhere_is_passed_over(mesh: Mesh, unusable: Endpoint) -> None:
    meet(mesh, 2, unusable)
    assert destinations(mesh) == []


def test_an_introduction_to_where_we_meet_already_is_passed_over(mesh: Mesh) -> None:
    mesh.blocked = set()
    meet(mesh, 2, endpoint(2))
    mesh.run(20.0)
    quiet(mesh)
    meet(mesh, 2, endpoint(2))
    assert destinations(mesh) == []


def test_an_introduction_by_somebody_who_is_no_root_is_refused(mesh: Mesh) -> None:
    payload = Rendezvous(identity(0).address, PUBLIC).to_bytes()
    mesh.inject(1, seal(2, 1, Verb.RENDEZVOUS, payload, hops=1), endpoint(0))
    assert PUBLIC not in destinations(mesh)
    assert drops(mesh, Drop.NOT_AN_UPSTREAM) == 1


@pytest.mark.parametrize(
    ("waited", "is_used"),
    [(EARLY_RENDEZVOUS_LIFETIME - 0.1, True), (EARLY_RENDEZVOUS_LIFETIME + 0.1, False)],
)
def test_an_introduction_to_somebody_unknown_is_kept_for_a_while(
    mesh: Mesh, waited: float, is_used: bool
) -> None:
    meet(mesh, 50, PUBLIC)
    assert destinations(mesh) == []
    mesh.now = after(mesh.now, waited)
    mesh.nodes[1].vl1.topology.add_peer(identity(50).public, mesh.now)
    assert (PUBLIC in destinations(mesh)) is is_used


def test_introductions_without_end_are_followed_for_a_while(mesh: Mesh) -> None:
    for number in range(2000):
        meet(mesh, 2, Endpoint(PUBLIC.ip, number + 1))
    assert len(destinations(mesh)) == 2 * INTRODUCTIONS_BURST  # a punch and a probe
    mesh.now = after(mesh.now, 1.0)
    meet(mesh, 2, PUBLIC)
    assert PUBLIC in destinations(mesh)


# -- a root's introductions ------------------------------------------------------------------


def introduced(mesh: Mesh, *, one: list[Endpoint], other: list[Endpoint]) -> list[Rendezvous]:
    """Introduce nodes 1 and 2 of which the root has these paths; return what they are told."""
    root = mesh.nodes[0]
    for number, endpoints in ((1, one), (2, other)):
        known = peer(mesh, 0, number)
        known.remove_paths_of(frozenset())
        for where in endpoints:
            path = known.add_path(SOCKET, where, mesh.now)
            assert path is not None
            known.path_replied(path, 0.01, mesh.now)
    mesh.now = after(mesh.now, 60.0)
    root.ctx.transmits = []
    root.vl1.discovery.introduce(peer(mesh, 0, 1), peer(mesh, 0, 2), mesh.now)
    packets = [sent.packet for sent in take_sent(root.ctx)]
    return [Rendezvous.from_bytes(p.payload) for p in packets if p.verb == Verb.RENDEZVOUS]


V6_OF_1, V6_OF_2 = (Endpoint(ip_address(f"2a03:4500::{n}"), 9993) for n in (1, 2))
PUBLIC_OF_1, PUBLIC_OF_2 = (Endpoint(ip_address(f"77.1.1.{n}"), 9993) for n in (1, 2))


def test_two_peers_are_told_of_each_other(mesh: Mesh) -> None:
    assert introduced(mesh, one=[PUBLIC_OF_1], other=[PUBLIC_OF_2]) == [
        Rendezvous(identity(2).address, PUBLIC_OF_2),
        Rendezvous(identity(1).address, PUBLIC_OF_1),
    ]


def test_forged_packets_to_be_relayed_do_not_have_a_root_introduce_without_end() -> None:
    with patch("ztlink.vl1.discovery.INTRODUCTIONS_BURST", 3.0):
        mesh = Mesh(6)
        mesh.run(2.0)
    quiet(mesh)
    pairs = [(a, b) for a in range(1, 6) for b in range(a + 1, 6)]
    for a, b in pairs:
        mesh.inject(0, seal(a, b, Verb.NOP), PUBLIC)
    packets = [s.packet for s in take_sent(mesh.nodes[0].ctx) if s.packet.hops == 0]
    assert len([p for p in packets if p.verb == Verb.RENDEZVOUS]) == 2 * 3


def test_peers_that_have_nothing_in_common_are_not_introduced(mesh: Mesh) -> None:
    assert introduced(mesh, one=[V6_OF_1], other=[PUBLIC_OF_2]) == []


def test_ipv6_comes_before_ipv4(mesh: Mesh) -> None:
    told = introduced(mesh, one=[PUBLIC_OF_1, V6_OF_1], other=[V6_OF_2, PUBLIC_OF_2])
    assert {each.endpoint for each in told} == {V6_OF_1, V6_OF_2}


def test_of_several_paths_of_a_kind_the_best_is_told(mesh: Mesh) -> None:
    slow = Endpoint(ip_address("77.1.1.9"), 9993)
    root = peer(mesh, 0, 1)
    told = introduced(mesh, one=[slow, PUBLIC_OF_1], other=[PUBLIC_OF_2])
    assert len(told) == 2
    assert root.paths[SOCKET, slow].is_confirmed
    root.paths[SOCKET, slow].latency = 300.0
    for path in root.paths.values():
        path.received(mesh.now)
    mesh.now = after(mesh.now, 60.0)
    mesh.nodes[0].vl1.discovery.introduce(peer(mesh, 0, 1), peer(mesh, 0, 2), mesh.now)
    packets = [sent.packet for sent in take_sent(mesh.nodes[0].ctx)]
    endpoints = {Rendezvous.from_bytes(packet.payload).endpoint for packet in packets}
    assert endpoints == {PUBLIC_OF_1, PUBLIC_OF_2}


# -- what we push ----------------------------------------------------------------------------


def pushed(mesh: Mesh, arrival: Arrival) -> list[Opened]:
    """Have node 1 push to node 2 if it is time; return the packets."""
    vl1 = mesh.nodes[1].vl1
    vl1.discovery.push_if_due(peer(mesh, 1, 2), arrival, mesh.now)
    return [sent.packet for sent in take_sent(mesh.nodes[1].ctx)]


@pytest.mark.parametrize(
    ("arrival", "interval"),
    [(RELAYED, PUSH_INTERVAL_RELAYED), (DIRECT, PUSH_INTERVAL_DIRECT)],
    ids=["relayed", "direct"],
)
def test_our_endpoints_are_pushed_from_time_to_time(
    mesh: Mesh, arrival: Arrival, interval: float
) -> None:
    assert len(pushed(mesh, arrival)) == 1
    mesh.now = after(mesh.now, interval - 0.1)
    assert pushed(mesh, arrival) == []
    mesh.now = after(mesh.now, 0.2)
    assert len(pushed(mesh, arrival)) == 1


def test_a_push_lists_our_sockets_and_then_what_others_see(mesh: Mesh) -> None:
    discovery = mesh.nodes[1].vl1.discovery
    discovery.report_surface(peer(mesh, 1, 0), arrival_from(PUBLIC_OF_2), PUBLIC, mesh.now)
    (packet,) = pushed(mesh, RELAYED)
    endpoints = [path.endpoint for path in PushDirectPaths.from_bytes(packet.payload).paths]
    assert endpoints == [endpoint(1), PUBLIC]


def test_a_push_is_bounded(mesh: Mesh) -> None:
    mesh.nodes[1].ctx.sockets = {SocketId(n + 1): endpoint(n) for n in range(60)}
    (packet,) = pushed(mesh, RELAYED)
    assert len(PushDirectPaths.from_bytes(packet.payload).paths) == PUSH_MAX_PATHS


def test_who_has_no_endpoints_pushes_none(mesh: Mesh) -> None:
    mesh.nodes[1].ctx.sockets = {SOCKET: Endpoint(ip_address("127.0.0.1"), 9993)}
    mesh.now = after(mesh.now, SURFACE_LIFETIME)
    assert pushed(mesh, RELAYED) == []


# -- our own address -------------------------------------------------------------------------


def arrival_from(source: Endpoint) -> Arrival:
    return Arrival(SOCKET, source, 0)


def report(mesh: Mesh, reporter: int, seen: Endpoint, source: Endpoint = PUBLIC_OF_2) -> None:
    """Have node 1 be told by somebody how it is seen from there."""
    vl1 = mesh.nodes[1].vl1
    vl1.discovery.report_surface(peer(mesh, 1, reporter), arrival_from(source), seen, mesh.now)


def surface(mesh: Mesh) -> list[Endpoint]:
    return mesh.nodes[1].vl1.discovery.surface(mesh.now)


def test_what_others_see_of_us_is_remembered_for_ten_minutes(mesh: Mesh) -> None:
    report(mesh, 2, PUBLIC)
    assert PUBLIC in surface(mesh)
    mesh.now = after(mesh.now, SURFACE_LIFETIME + 0.1)
    assert PUBLIC not in surface(mesh)


def test_what_a_peer_saw_from_where_it_is_no_longer_takes_no_room(mesh: Mesh) -> None:
    for number in range(5):
        report(mesh, 2, PUBLIC, Endpoint(PUBLIC_OF_2.ip, 1000 + number))
    mesh.now = after(mesh.now, SURFACE_LIFETIME)
    report(mesh, 2, PUBLIC, Endpoint(PUBLIC_OF_2.ip, 2000))
    reports = mesh.nodes[1].vl1.discovery._surface[identity(2).address]  # noqa: SLF001 - the table
    assert len(reports) == 1


def test_what_several_say_is_listed_once(mesh: Mesh) -> None:
    report(mesh, 2, PUBLIC)
    report(mesh, 0, PUBLIC)
    assert surface(mesh).count(PUBLIC) == 1


@pytest.mark.parametrize(
    "seen",
    [endpoint(90), Endpoint(ip_address("127.0.0.1"), 1), Endpoint(ip_address("224.0.0.1"), 1)],
    ids=["another scope", "loopback", "multicast"],
)
def test_what_cannot_be_our_address_from_there_is_not_believed(mesh: Mesh, seen: Endpoint) -> None:
    before = surface(mesh)
    report(mesh, 2, seen)
    report(mesh, 2, seen, source=seen if seen.ip.is_loopback or seen.ip.is_multicast else PUBLIC)
    assert surface(mesh) == before


def probed_after(mesh: Mesh, reporter: int, seen: Endpoint) -> bool:
    """Tell whether a report has a path of the same scope and family tested at once."""
    known = peer(mesh, 1, 2)
    path = known.add_path(SOCKET, PUBLIC_OF_2, mesh.now)
    assert path is not None
    known.path_replied(path, 0.01, mesh.now)
    report(mesh, reporter, PUBLIC)
    destinations(mesh)
    report(mesh, reporter, seen)
    while (owner := mesh.nodes[1].ctx.timers.pop_due(mesh.now.mono)) is not None:
        owner.handle_timer(mesh.now)
    return PUBLIC_OF_2 in destinations(mesh)


def test_a_new_address_that_a_root_sees_has_all_paths_tested(mesh: Mesh) -> None:
    assert probed_after(mesh, 0, Endpoint(ip_address("77.9.9.9"), 9993))


def test_a_new_port_alone_has_nothing_tested(mesh: Mesh) -> None:
    assert not probed_after(mesh, 0, Endpoint(PUBLIC.ip, 1234))


def test_a_new_address_that_others_see_has_nothing_tested(mesh: Mesh) -> None:
    assert not probed_after(mesh, 2, Endpoint(ip_address("77.9.9.9"), 9993))


def test_a_new_address_makes_older_reports_of_its_kind_void(mesh: Mesh) -> None:
    old = Endpoint(ip_address("77.8.8.8"), 1)
    report(mesh, 2, old, source=PUBLIC_OF_1)
    report(mesh, 0, PUBLIC)
    moved = Endpoint(ip_address("77.9.9.9"), 9993)
    report(mesh, 0, moved)
    assert moved in surface(mesh)
    assert old not in surface(mesh)


def test_reports_of_one_peer_are_bounded_in_number(mesh: Mesh) -> None:
    for path in several("77.1.2.3", 400):
        assert path.endpoint is not None
        report(mesh, 2, path.endpoint, source=path.endpoint)
    assert len(surface(mesh)) <= MAX_REPORTS + 1  # and the root's


def test_one_peer_cannot_have_us_forget_what_others_see(mesh: Mesh) -> None:
    report(mesh, 0, endpoint(70), source=endpoint(0))
    for number in range(400):
        report(mesh, 2, PUBLIC, source=Endpoint(PUBLIC_OF_2.ip, number + 1))
    assert endpoint(70) in surface(mesh)


def test_many_peers_cannot_have_us_forget_what_a_root_sees(mesh: Mesh) -> None:
    report(mesh, 0, PUBLIC)
    for number in range(10, 90):
        mesh.nodes[1].vl1.topology.add_peer(identity(number).public, mesh.now)
        report(mesh, number, Endpoint(PUBLIC.ip, number))
    assert PUBLIC in surface(mesh)
    assert len(surface(mesh)) <= MAX_REPORTERS + 1  # the root sees us at two addresses


def test_where_a_root_sees_us_nobody_else_can_name_another_address(mesh: Mesh) -> None:
    report(mesh, 0, PUBLIC)
    victim = Endpoint(ip_address("77.66.66.66"), 9993)
    report(mesh, 2, victim)
    assert victim not in surface(mesh)


def test_where_a_root_sees_us_others_may_see_another_port(mesh: Mesh) -> None:
    report(mesh, 2, Endpoint(PUBLIC.ip, 777))
    report(mesh, 0, PUBLIC)
    assert surface(mesh)[-2:] == [PUBLIC, Endpoint(PUBLIC.ip, 777)]


def test_where_no_root_sees_us_others_are_believed(mesh: Mesh) -> None:
    report(mesh, 0, V6_OF_2, source=V6_OF_1)
    report(mesh, 2, PUBLIC)
    assert PUBLIC in surface(mesh)
