"""Greeting and being greeted, ECHO, WHOIS: what is answered, and what is refused."""

from dataclasses import replace
from unittest.mock import patch

import pytest

from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity
from tests.unit.vl1.packets import (
    Opened,
    Sent,
    after,
    cipher_of,
    open_packet,
    seal,
    seal_hello,
    take_sent,
)
from ztlink.batch import CipherSuite
from ztlink.ids import Address, PacketId
from ztlink.stats import Drop
from ztlink.vl1.hello import END_PUBLIC_KEY, MAX_ECHO_PAYLOAD, OFFSET_PUBLIC_KEY
from ztlink.vl1.peer import HELLOS_BURST, UNKNOWN_BURST
from ztlink.vl1.strangers import NEWCOMERS_BURST, NEWCOMERS_PER_SECOND
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Error, Hello, HelloMoon, OkHello, OkWhois, Rendezvous, Whois
from ztlink.wire.verbs import MIN_PROTOCOL_VERSION, SOFTWARE_VERSION, ErrorCode, Verb
from ztlink.wire.world import Root, World, WorldType

NEWCOMER = 5
UNKNOWN = 50
FROM = endpoint(NEWCOMER, 4000)
HELLO = Hello(12, (1, 14, 2), 123_456, identity(NEWCOMER).public)
MOON = World(
    WorldType.MOON,
    99,
    1000,
    identity(7).public.public_key,
    bytes(96),
    (Root(identity(7).public, ()),),
)


@pytest.fixture
def mesh() -> Mesh:
    """A root and two nodes that it reaches directly."""
    made = Mesh(3)
    made.run(2.0)
    return made


def drops(mesh: Mesh, reason: Drop, node: int = 0) -> int:
    return mesh.nodes[node].ctx.stats.drops[reason]


def greet(
    mesh: Mesh, hello: Hello = HELLO, moons: tuple[HelloMoon, ...] = (), *, hops: int = 0
) -> list[Sent]:
    """Have the newcomer greet node 0; return what node 0 sends to it."""
    packet = bytearray(seal_hello(identity(NEWCOMER), 0, hello, moons))
    packet[18] |= hops
    return inject(mesh, bytes(packet))


def inject(mesh: Mesh, packet: bytes, node: int = 0) -> list[Sent]:
    mesh.nodes[node].ctx.transmits = []
    mesh.inject(node, packet, FROM)
    return [sent for sent in take_sent(mesh.nodes[node].ctx) if sent.to == FROM]


def answers(sent: list[Sent], verb: Verb = Verb.OK) -> list[Opened]:
    return [each.packet for each in sent if each.packet.verb == verb]


def ok_hello(sent: list[Sent]) -> OkHello:
    (answer,) = answers(sent)
    return OkHello.decode(Reader(answer.payload))


# -- being greeted ---------------------------------------------------------------------------


def test_a_newcomer_is_answered_where_its_greeting_came_from(mesh: Mesh) -> None:
    ok = ok_hello(greet(mesh))
    assert ok.in_re_packet_id == int.from_bytes(range(1, 9), "big")
    assert (ok.timestamp, ok.source) == (HELLO.timestamp, FROM)
    assert (ok.protocol, ok.version) == (12, SOFTWARE_VERSION)


def test_a_newcomer_is_known_from_its_greeting_on(mesh: Mesh) -> None:
    greet(mesh)
    peer = mesh.nodes[0].vl1.topology.peers[HELLO.identity.address]
    assert (peer.protocol, peer.version) == (HELLO.protocol, HELLO.version)


def test_an_answer_is_sealed_by_the_version_known_before_the_greeting(mesh: Mesh) -> None:
    first, second = greet(mesh), greet(mesh)
    assert answers(first)[0].suite == CipherSuite.SALSA_POLY
    assert answers(second)[0].suite == CipherSuite.GMAC_SIV


def test_a_greeting_that_comes_twice_is_answered_twice(mesh: Mesh) -> None:
    assert len(answers(greet(mesh))) == 1
    assert len(answers(greet(mesh))) == 1


def test_a_greeting_without_a_tail_is_answered(mesh: Mesh) -> None:
    old = replace(HELLO, destination=None, planet_id=None)
    packet = seal_hello(identity(NEWCOMER), 0, old, tail=b"")
    assert len(answers(inject(mesh, packet))) == 1


def test_a_sealed_greeting_of_somebody_known_is_answered(mesh: Mesh) -> None:
    greet(mesh)
    packet = seal_hello(identity(NEWCOMER), 0, HELLO, suite=CipherSuite.SALSA_POLY)
    assert ok_hello(inject(mesh, packet)).timestamp == HELLO.timestamp


# -- worlds ----------------------------------------------------------------------------------


def planet_hello(mesh: Mesh, *, older_by: int, other_by: int = 0) -> Hello:
    planet = mesh.world
    return replace(
        HELLO,
        planet_id=planet.world_id + other_by,
        planet_timestamp=planet.timestamp - older_by,
    )


def test_who_has_an_older_planet_gets_ours(mesh: Mesh) -> None:
    assert ok_hello(greet(mesh, planet_hello(mesh, older_by=1))).worlds == (mesh.world,)


def test_who_has_our_planet_or_another_gets_none(mesh: Mesh) -> None:
    assert ok_hello(greet(mesh, planet_hello(mesh, older_by=0))).worlds == ()
    assert ok_hello(greet(mesh, planet_hello(mesh, older_by=1, other_by=1))).worlds == ()


@pytest.mark.parametrize(
    ("moon", "gets"),
    [
        (HelloMoon(99, 0), (MOON,)),
        (HelloMoon(99, 999), (MOON,)),
        (HelloMoon(99, 1000), ()),
        (HelloMoon(98, 0), ()),
    ],
    ids=["wanted", "older", "the same", "unknown"],
)
def test_who_has_an_older_moon_gets_ours(
    mesh: Mesh, moon: HelloMoon, gets: tuple[World, ...]
) -> None:
    mesh.nodes[0].vl1.topology.moons[99] = MOON
    assert ok_hello(greet(mesh, moons=(moon,))).worlds == gets


# -- what is refused -------------------------------------------------------------------------


def refused(mesh: Mesh, packet: bytes, reason: Drop) -> bool:
    """Tell whether a packet is left unanswered, for one reason, and makes nobody known."""
    before, known = drops(mesh, reason), len(mesh.nodes[0].vl1.topology.peers)
    answered = answers(inject(mesh, packet))
    topology = mesh.nodes[0].vl1.topology
    return not answered and drops(mesh, reason) == before + 1 and len(topology.peers) == known


def test_a_protocol_that_is_too_old_is_refused(mesh: Mesh) -> None:
    packet = seal_hello(identity(NEWCOMER), 0, replace(HELLO, protocol=MIN_PROTOCOL_VERSION - 1))
    assert refused(mesh, packet, Drop.MALFORMED)


def test_an_identity_that_is_not_the_senders_is_refused(mesh: Mesh) -> None:
    packet = bytearray(seal_hello(identity(NEWCOMER), 0, HELLO))
    packet[17] ^= 1
    assert refused(mesh, bytes(packet), Drop.MALFORMED)


def test_a_greeting_that_is_cut_short_is_refused(mesh: Mesh) -> None:
    assert refused(mesh, seal_hello(identity(NEWCOMER), 0, HELLO)[:100], Drop.MALFORMED)


def test_a_changed_greeting_of_a_newcomer_is_refused(mesh: Mesh) -> None:
    packet = bytearray(seal_hello(identity(NEWCOMER), 0, HELLO))
    packet[35] ^= 1
    assert refused(mesh, bytes(packet), Drop.BAD_AUTH_TAG)


def test_a_changed_greeting_of_somebody_known_is_refused(mesh: Mesh) -> None:
    greet(mesh)
    packet = bytearray(seal_hello(identity(NEWCOMER), 0, HELLO))
    packet[35] ^= 1
    assert refused(mesh, bytes(packet), Drop.BAD_AUTH_TAG)


@pytest.mark.parametrize("address", [Address(0), Address(0xFF00000001)])
def test_an_address_that_belongs_to_nobody_is_refused(mesh: Mesh, address: Address) -> None:
    who = replace(identity(NEWCOMER).public, address=address)
    packet = seal_hello(identity(NEWCOMER), 0, replace(HELLO, identity=who))
    mesh.inject(0, packet, FROM)
    assert address not in mesh.nodes[0].vl1.topology.peers
    assert not answers([s for s in take_sent(mesh.nodes[0].ctx) if s.to == FROM])


def test_a_greeting_in_our_own_name_is_refused(mesh: Mesh) -> None:
    packet = seal_hello(identity(NEWCOMER), 0, replace(HELLO, identity=identity(0).public))
    assert refused(mesh, packet, Drop.MALFORMED)


def test_more_moons_than_there_are_bytes_are_refused(mesh: Mesh) -> None:
    packet = seal_hello(identity(NEWCOMER), 0, HELLO, tail=b"\x01\0" + bytes(17))
    before = drops(mesh, Drop.MALFORMED)
    assert not answers(inject(mesh, packet))
    assert drops(mesh, Drop.MALFORMED) == before + 1


@pytest.mark.parametrize(
    "hello",
    [
        replace(HELLO, protocol=MIN_PROTOCOL_VERSION - 1),
        replace(HELLO, identity=replace(HELLO.identity, public_key=bytes(64))),
    ],
    ids=["old", "other identity"],
)
def test_a_sealed_greeting_is_refused_as_one_in_clear(mesh: Mesh, hello: Hello) -> None:
    greet(mesh)
    packet = seal_hello(identity(NEWCOMER), 0, hello, suite=CipherSuite.SALSA_POLY)
    assert refused(mesh, packet, Drop.MALFORMED)


def test_a_sealed_greeting_that_is_cut_short_is_refused(mesh: Mesh) -> None:
    greet(mesh)
    assert refused(mesh, seal(NEWCOMER, 0, Verb.HELLO, bytes(20)), Drop.MALFORMED)


# -- collisions ------------------------------------------------------------------------------

IMPOSTOR = replace(identity(NEWCOMER).public, address=identity(1).address)


def test_who_has_a_taken_address_is_told_so(mesh: Mesh) -> None:
    packet = seal_hello(identity(NEWCOMER), 0, replace(HELLO, identity=IMPOSTOR))
    mesh.nodes[0].ctx.transmits = []
    mesh.inject(0, packet, FROM)
    (transmit,) = mesh.nodes[0].ctx.transmits
    cipher = cipher_of(identity(NEWCOMER), identity(0).public)
    answer = open_packet(bytes(transmit.buffer), cipher)
    error = Error.from_bytes(answer.payload)
    assert (answer.verb, transmit.destination) == (Verb.ERROR, FROM)
    assert (error.in_re_verb, error.code) == (Verb.HELLO, ErrorCode.IDENTITY_COLLISION)


def test_the_owner_of_a_taken_address_stays_who_it_is(mesh: Mesh) -> None:
    mesh.inject(0, seal_hello(identity(NEWCOMER), 0, replace(HELLO, identity=IMPOSTOR)), FROM)
    assert mesh.nodes[0].vl1.topology.peers[IMPOSTOR.address].identity == identity(1).public
    assert drops(mesh, Drop.IDENTITY_COLLISION) == 1


def test_a_forged_collision_is_not_answered(mesh: Mesh) -> None:
    packet = bytearray(seal_hello(identity(NEWCOMER), 0, replace(HELLO, identity=IMPOSTOR)))
    packet[35] ^= 1
    assert not inject(mesh, bytes(packet))


# -- newcomers in number, and their proof of work --------------------------------------------


def test_newcomers_beyond_the_budget_wait_until_it_fills_again(mesh: Mesh) -> None:
    forged = bytearray(seal_hello(identity(NEWCOMER), 0, HELLO))
    forged[35] ^= 1
    for _ in range(int(NEWCOMERS_BURST) + 1):
        mesh.inject(0, bytes(forged), FROM)
    assert drops(mesh, Drop.RATE_LIMITED) > 0
    assert not answers(greet(mesh))
    mesh.now = after(mesh.now, 2 / NEWCOMERS_PER_SECOND)
    assert answers(greet(mesh))


def test_a_newcomers_proof_of_work_is_asked_for_once(mesh: Mesh) -> None:
    mesh.nodes[0].vl1.take_validations()
    greet(mesh)
    greet(mesh)
    assert mesh.nodes[0].vl1.take_validations() == [HELLO.identity]


def test_a_newcomer_is_provisional_until_its_proof_of_work_is_found_good(mesh: Mesh) -> None:
    greet(mesh)
    peer = mesh.nodes[0].vl1.topology.peers[HELLO.identity.address]
    assert peer.is_provisional
    mesh.nodes[0].vl1.strangers.validated(HELLO.identity, True, mesh.now)
    assert not peer.is_provisional


def test_who_has_no_proof_of_work_is_not_admitted_again(mesh: Mesh) -> None:
    greet(mesh)
    mesh.nodes[0].vl1.strangers.validated(HELLO.identity, False, mesh.now)
    before = drops(mesh, Drop.INVALID_IDENTITY)
    assert not answers(greet(mesh))
    assert HELLO.identity.address not in mesh.nodes[0].vl1.topology.peers
    assert drops(mesh, Drop.INVALID_IDENTITY) == before + 1


def test_a_verdict_on_somebody_forgotten_harms_nobody(mesh: Mesh) -> None:
    known = dict(mesh.nodes[0].vl1.topology.peers)
    mesh.nodes[0].vl1.strangers.validated(identity(UNKNOWN).public, False, mesh.now)
    assert mesh.nodes[0].vl1.topology.peers == known


# -- learning from an answer -----------------------------------------------------------------


def surface(mesh: Mesh, node: int) -> list[object]:
    return list(mesh.nodes[node].vl1.discovery.surface(mesh.now))


def test_a_greeting_tells_us_how_its_sender_sees_us(mesh: Mesh) -> None:
    seen = endpoint(99, 1234)
    greet(mesh, replace(HELLO, destination=seen))
    assert seen in surface(mesh, 0)


def test_a_relayed_greeting_tells_nothing_about_us(mesh: Mesh) -> None:
    seen = endpoint(99, 1234)
    greet(mesh, replace(HELLO, destination=seen), hops=1)
    assert seen not in surface(mesh, 0)


def hello_of(mesh: Mesh, node: int) -> int:
    """Have a node greet the root; return the packet id that an answer has to name."""
    vl1 = mesh.nodes[node].vl1
    mesh.nodes[node].ctx.transmits = []
    root = vl1.topology.peers[identity(0).address]
    vl1.introductions.send_hello(root, SOCKET, endpoint(0), mesh.now)
    (transmit,) = mesh.nodes[node].ctx.transmits
    mesh.nodes[node].ctx.transmits = []
    return int.from_bytes(bytes(transmit.buffer)[:8], "big")


def answer_hello(mesh: Mesh, node: int, answer: OkHello, *, hops: int = 0) -> None:
    mesh.inject(node, seal(0, node, Verb.OK, answer.to_bytes(), hops=hops), endpoint(0))


def test_an_answer_tells_a_version_and_our_own_address(mesh: Mesh) -> None:
    packet_id = PacketId(hello_of(mesh, 1))
    answer_hello(mesh, 1, OkHello(packet_id, 0, 11, (1, 8, 0), endpoint(99)))
    root = mesh.nodes[1].vl1.topology.peers[identity(0).address]
    assert (root.protocol, root.version) == (11, (1, 8, 0))
    assert endpoint(99) in surface(mesh, 1)


def test_an_answer_of_a_protocol_that_is_too_old_teaches_nothing(mesh: Mesh) -> None:
    packet_id = PacketId(hello_of(mesh, 1))
    answer_hello(mesh, 1, OkHello(packet_id, 0, 3, (0, 1, 0), endpoint(99)))
    root = mesh.nodes[1].vl1.topology.peers[identity(0).address]
    assert root.protocol == 12
    assert endpoint(99) not in surface(mesh, 1)


def test_a_relayed_answer_says_nothing_about_our_own_address(mesh: Mesh) -> None:
    packet_id = PacketId(hello_of(mesh, 1))
    answer_hello(mesh, 1, OkHello(packet_id, 0, 12, (1, 14, 0), endpoint(99)), hops=1)
    assert endpoint(99) not in surface(mesh, 1)


def test_an_answer_from_elsewhere_makes_no_path_of_that_endpoint(mesh: Mesh) -> None:
    packet_id = PacketId(hello_of(mesh, 1))
    answer = OkHello(packet_id, 0, 12, (1, 14, 0), endpoint(1)).to_bytes()
    mesh.inject(1, seal(0, 1, Verb.OK, answer), endpoint(0, 7777))
    root = mesh.nodes[1].vl1.topology.peers[identity(0).address]
    confirmed = [p.endpoint for p in root.paths.values() if p.is_confirmed]
    assert confirmed == [endpoint(0)]


def test_a_moon_in_an_answer_of_somebody_who_is_no_root_is_not_taken(mesh: Mesh) -> None:
    greet(mesh)
    vl1 = mesh.nodes[0].vl1
    vl1.topology.wanted_moons[99] = identity(7).address
    peer = vl1.topology.peers[HELLO.identity.address]
    vl1.introductions.send_hello(peer, SOCKET, FROM, mesh.now)
    packet_id = PacketId(int.from_bytes(bytes(mesh.nodes[0].ctx.transmits[-1].buffer)[:8], "big"))
    answer = OkHello(packet_id, 0, 12, (1, 14, 0), endpoint(1), (MOON,)).to_bytes()
    mesh.inject(0, seal(NEWCOMER, 0, Verb.OK, answer), FROM)
    assert 99 not in vl1.topology.moons


# -- probes ----------------------------------------------------------------------------------


def probe(mesh: Mesh, protocol: int) -> int:
    """Have the root probe node 1; return the verb that it uses."""
    node = mesh.nodes[0]
    peer = node.vl1.topology.peers[identity(1).address]
    peer.protocol = protocol
    path = peer.best_path()
    assert path is not None
    node.ctx.transmits = []
    node.vl1.introductions.probe(peer, path, mesh.now)
    (sent,) = take_sent(node.ctx)
    return sent.packet.verb


def test_a_path_is_probed_by_echo_where_the_version_is_known(mesh: Mesh) -> None:
    assert probe(mesh, 12) == Verb.ECHO


def test_a_path_is_probed_by_hello_where_the_version_is_unknown_or_old(mesh: Mesh) -> None:
    assert (probe(mesh, 0), probe(mesh, 4)) == (Verb.HELLO, Verb.HELLO)


# -- ECHO ------------------------------------------------------------------------------------


def echo(mesh: Mesh, payload: bytes = b"ping", *, hops: int = 0) -> list[Opened]:
    """Have node 1 send an ECHO to node 0; return the answers."""
    mesh.nodes[0].ctx.transmits = []
    mesh.inject(0, seal(1, 0, Verb.ECHO, payload, hops=hops), endpoint(1))
    return answers(take_sent(mesh.nodes[0].ctx))


def test_an_echo_is_answered_with_what_it_carried(mesh: Mesh) -> None:
    (answer,) = echo(mesh)
    assert answer.payload == bytes([Verb.ECHO]) + bytes(range(1, 9)) + b"ping"


def test_echoes_are_answered_six_times_a_second_on_each_way(mesh: Mesh) -> None:
    assert len(echo(mesh)) == 1
    assert len(echo(mesh)) == 0
    assert len(echo(mesh, hops=1)) == 0
    mesh.inject(0, seal(1, 0, Verb.ECHO), endpoint(9))
    assert len(answers(take_sent(mesh.nodes[0].ctx))) == 1
    assert drops(mesh, Drop.RATE_LIMITED) == 2
    mesh.now = after(mesh.now, 0.17)
    assert len(echo(mesh)) == 1


def test_an_echo_that_is_too_large_is_not_answered(mesh: Mesh) -> None:
    assert not echo(mesh, bytes(MAX_ECHO_PAYLOAD + 1))
    assert drops(mesh, Drop.MALFORMED) == 1
    mesh.now = after(mesh.now, 1.0)
    assert echo(mesh, bytes(MAX_ECHO_PAYLOAD))


# -- WHOIS -----------------------------------------------------------------------------------


def whois(mesh: Mesh, *numbers: int, node: int = 0, asker: int = 1) -> list[tuple[object, ...]]:
    """Ask a node who some addresses are; return the identities of each answer."""
    payload = Whois(tuple(identity(number).address for number in numbers)).to_bytes()
    mesh.nodes[node].ctx.transmits = []
    mesh.inject(node, seal(asker, node, Verb.WHOIS, payload), endpoint(asker))
    found = answers(take_sent(mesh.nodes[node].ctx))
    return [OkWhois.from_bytes(answer.payload).identities for answer in found]


def test_whois_is_answered_with_the_identities_that_are_known(mesh: Mesh) -> None:
    assert whois(mesh, 2, 0, UNKNOWN) == [(identity(2).public, identity(0).public)]


def test_whois_of_somebody_unknown_is_not_answered(mesh: Mesh) -> None:
    assert whois(mesh, UNKNOWN) == []


def test_a_root_is_asked_as_often_as_anybody_likes(mesh: Mesh) -> None:
    assert [len(whois(mesh, 2)) for _ in range(5)] == [1] * 5


def test_others_answer_whois_ten_times_a_second(mesh: Mesh) -> None:
    assert len(whois(mesh, 1, node=1, asker=0)) == 1
    assert len(whois(mesh, 1, node=1, asker=0)) == 0
    assert drops(mesh, Drop.RATE_LIMITED, 1) == 1
    mesh.now = after(mesh.now, 0.11)
    assert len(whois(mesh, 1, node=1, asker=0)) == 1


def test_a_root_asks_other_roots_for_whom_it_does_not_know() -> None:
    mesh = Mesh(3, roots=2)
    mesh.run(2.0)
    assert whois(mesh, UNKNOWN, asker=2) == []
    assert mesh.nodes[0].vl1.topology.is_asking(identity(UNKNOWN).address)


def test_who_asks_for_itself_starts_no_question(mesh: Mesh) -> None:
    topology = mesh.nodes[1].vl1.topology
    mesh.inject(1, seal(0, 1, Verb.WHOIS, Whois((identity(0).address,)).to_bytes()), endpoint(0))
    assert not topology.is_asking(identity(0).address)


def tell_identity(mesh: Mesh, *identities: object, teller: int = 0) -> None:
    """Have node 1 want to know somebody, ask somebody, and be told some identities."""
    vl1 = mesh.nodes[1].vl1
    vl1.topology.when_known(identity(UNKNOWN).address, mesh.now)
    asked = Whois((identity(UNKNOWN).address,)).to_bytes()
    packet_id = vl1.egress.send(identity(teller).address, Verb.WHOIS, asked, mesh.now)
    assert packet_id is not None
    answer = OkWhois(packet_id, identities).to_bytes()  # type: ignore[arg-type]
    mesh.inject(1, seal(teller, 1, Verb.OK, answer), endpoint(teller))


def test_a_root_makes_somebody_known(mesh: Mesh) -> None:
    tell_identity(mesh, identity(UNKNOWN).public, identity(51).public)
    peers = mesh.nodes[1].vl1.topology.peers
    assert peers[identity(UNKNOWN).address].identity == identity(UNKNOWN).public
    assert identity(51).address not in peers  # only the first counts
    assert identity(UNKNOWN).public in mesh.nodes[1].vl1.take_validations()


def test_a_root_cannot_change_who_somebody_is(mesh: Mesh) -> None:
    tell_identity(mesh, identity(UNKNOWN).public)
    tell_identity(mesh, replace(identity(UNKNOWN).public, public_key=bytes(64)))
    peers = mesh.nodes[1].vl1.topology.peers
    assert peers[identity(UNKNOWN).address].identity == identity(UNKNOWN).public


def test_a_root_makes_nobody_known_whom_nobody_wants(mesh: Mesh) -> None:
    before = drops(mesh, Drop.UNEXPECTED_REPLY, 1)
    tell_identity(mesh, identity(51).public)
    assert identity(51).address not in mesh.nodes[1].vl1.topology.peers
    assert drops(mesh, Drop.UNEXPECTED_REPLY, 1) == before + 1


def test_nobody_is_taken_from_a_root_while_too_many_proofs_are_open(mesh: Mesh) -> None:
    with patch("ztlink.vl1.admission.MAX_PROVISIONAL", 0):
        tell_identity(mesh, identity(UNKNOWN).public)
    assert identity(UNKNOWN).address not in mesh.nodes[1].vl1.topology.peers


def test_a_peer_has_a_root_ask_others_a_bounded_number_of_times() -> None:
    mesh = Mesh(3, roots=2)
    mesh.run(2.0)
    queries = mesh.nodes[0].vl1.topology
    for first in range(0, 640, 64):
        unknown = tuple(Address(0x10_0000_0000 + first + n) for n in range(64))
        payload = Whois(unknown).to_bytes()
        mesh.inject(0, seal(2, 0, Verb.WHOIS, payload), endpoint(2))
    asked = [n for n in range(640) if queries.is_asking(Address(0x10_0000_0000 + n))]
    assert len(asked) == UNKNOWN_BURST


def test_who_has_no_proof_of_work_is_not_taken_from_a_root_either(mesh: Mesh) -> None:
    mesh.nodes[1].vl1.strangers.validated(identity(UNKNOWN).public, False, mesh.now)
    tell_identity(mesh, identity(UNKNOWN).public)
    assert identity(UNKNOWN).address not in mesh.nodes[1].vl1.topology.peers


def test_who_is_no_root_makes_nobody_known(mesh: Mesh) -> None:
    mesh.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", mesh.now)
    mesh.run(2.0)
    before = drops(mesh, Drop.NOT_AN_UPSTREAM, 1)
    tell_identity(mesh, identity(UNKNOWN).public, teller=2)
    assert identity(UNKNOWN).address not in mesh.nodes[1].vl1.topology.peers
    assert drops(mesh, Drop.NOT_AN_UPSTREAM, 1) == before + 1


def test_without_a_root_nobody_is_greeted_through_one() -> None:
    mesh = Mesh(2)  # its clock stands still: the root has not answered
    vl1 = mesh.nodes[1].vl1
    mesh.nodes[1].ctx.transmits = []
    peer = vl1.topology.add_peer(identity(UNKNOWN).public, mesh.now)
    assert peer is not None
    vl1.introductions.send_hello_relayed(peer, mesh.now)
    assert not vl1.introductions.ask_whois(identity(51).address, mesh.now)
    assert not mesh.nodes[1].ctx.transmits


def test_a_greeting_makes_an_early_introduction_good(mesh: Mesh) -> None:
    meeting = Rendezvous(HELLO.identity.address, endpoint(NEWCOMER)).to_bytes()
    mesh.inject(1, seal(0, 1, Verb.RENDEZVOUS, meeting), endpoint(0))
    mesh.nodes[1].ctx.transmits = []
    mesh.inject(1, seal_hello(identity(NEWCOMER), 1, HELLO), FROM)
    assert endpoint(NEWCOMER) in {t.destination for t in mesh.nodes[1].ctx.transmits}


# -- who greets too much, or without sense ---------------------------------------------------


def test_greetings_of_a_known_peer_are_answered_up_to_its_budget(mesh: Mesh) -> None:
    packet = seal_hello(identity(NEWCOMER), 0, HELLO)
    answered = sum(len(answers(inject(mesh, packet))) for _ in range(200))
    assert answered == HELLOS_BURST


def test_sealed_greetings_are_answered_up_to_the_same_budget(mesh: Mesh) -> None:
    greet(mesh)
    packet = seal_hello(identity(NEWCOMER), 0, HELLO, suite=CipherSuite.SALSA_POLY)
    answered = sum(len(answers(inject(mesh, packet))) for _ in range(200))
    assert answered == HELLOS_BURST - 1


def test_keys_with_which_nothing_can_be_agreed_are_refused(mesh: Mesh) -> None:
    packet = bytearray(seal_hello(identity(NEWCOMER), 0, HELLO))
    packet[OFFSET_PUBLIC_KEY:END_PUBLIC_KEY] = bytes(64)
    assert refused(mesh, bytes(packet), Drop.INVALID_IDENTITY)


def test_keys_that_were_found_false_are_remembered_up_to_a_bound(mesh: Mesh) -> None:
    strangers = mesh.nodes[0].vl1.strangers
    with patch("ztlink.vl1.strangers.MAX_PROVISIONAL", 2):
        for number in (NEWCOMER, 60, 61):
            strangers.validated(identity(number).public, False, mesh.now)
    assert answers(greet(mesh))  # the oldest is looked at again
