"""The way a message takes: path or relay, suite, compression, fragments, and what waits."""

from ipaddress import ip_network

import pytest

from tests.unit.inet.frames import Packet
from tests.unit.vl1.mesh import SOCKET, Mesh, endpoint, identity
from tests.unit.vl1.packets import after, open_packet, take_sent
from ztlink.batch import CipherSuite, SuperFrame
from ztlink.clock import Now
from ztlink.ids import Address
from ztlink.stats import Drop, Stats, Way
from ztlink.vl1.context import PhysicalNetwork
from ztlink.vl1.egress import REQUEST_VERBS, Arrival
from ztlink.vl1.fragments import Reassembler, longest
from ztlink.vl1.peer import Peer
from ztlink.wire.packet import (
    DEFAULT_PATH_MTU,
    FLAG_FRAGMENTED,
    MAX_FRAGMENTS,
    OFFSET_AUTH_TAG,
    OFFSET_FLAGS,
    SIZE_HEADER,
)
from ztlink.wire.verbs import Verb

TRUSTED_PATH_ID = 0x1122334455667788
NO_NEWS = b"\x07" * 600
"""A payload that compresses well."""


@pytest.fixture
def mesh() -> Mesh:
    """A root and two nodes with a direct path to each other."""
    made = Mesh(3)
    made.run(1.0)
    made.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", made.now)
    made.run(2.0)
    made.nodes[1].ctx.transmits = []
    return made


def peer(mesh: Mesh, node: int, other: int) -> Peer:
    return mesh.nodes[node].vl1.topology.peers[identity(other).address]


def noise(size: int) -> bytes:
    """Return bytes that do not compress."""
    return Mesh(1).nodes[0].ctx.random_bytes(size)


def send(mesh: Mesh, verb: Verb, payload: bytes, *, compress: bool = False) -> list[bytes]:
    """Have node 1 send to node 2; return its datagrams."""
    node = mesh.nodes[1]
    node.vl1.egress.send(identity(2).address, verb, payload, mesh.now, compress=compress)
    transmits, node.ctx.transmits = node.ctx.transmits, []
    return [bytes(transmit.buffer) for transmit in transmits]


# -- the way ---------------------------------------------------------------------------------


def test_a_message_goes_straight_to_a_peer_with_a_path(mesh: Mesh) -> None:
    mesh.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"hello", mesh.now)
    (sent,) = take_sent(mesh.nodes[1].ctx)
    assert (sent.to, sent.packet.verb, sent.packet.payload) == (endpoint(2), Verb.NOP, b"hello")


def test_without_a_path_the_same_packet_goes_to_the_root(mesh: Mesh) -> None:
    peer(mesh, 1, 2).remove_paths_of(frozenset())
    mesh.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"hello", mesh.now)
    (transmit,) = mesh.nodes[1].ctx.transmits
    assert transmit.destination == endpoint(0)
    assert bytes(transmit.buffer)[8:13] == identity(2).address.to_bytes(5, "big")
    assert open_packet(bytes(transmit.buffer)).payload == b"hello"


def test_a_root_is_not_reached_through_itself(mesh: Mesh) -> None:
    root = peer(mesh, 1, 0)
    root.remove_paths_of(frozenset())
    assert mesh.nodes[1].vl1.egress.route(root) is None


def test_without_any_way_the_loss_is_counted(mesh: Mesh) -> None:
    for other in (0, 2):
        peer(mesh, 1, other).remove_paths_of(frozenset())
    before = mesh.nodes[1].ctx.stats.drops[Drop.NO_ROUTE]
    assert mesh.nodes[1].vl1.egress.send_to(peer(mesh, 1, 2), Verb.NOP, b"", mesh.now) is None
    assert mesh.nodes[1].ctx.stats.drops[Drop.NO_ROUTE] == before + 1
    assert not mesh.nodes[1].ctx.transmits


def test_an_answer_goes_where_the_packet_came_from_not_by_the_best_path(mesh: Mesh) -> None:
    arrival = Arrival(SOCKET, endpoint(77), 0)
    egress = mesh.nodes[1].vl1.egress
    packet_id = egress.send_back(peer(mesh, 1, 2), arrival, Verb.NOP, b"", mesh.now)
    (sent,) = take_sent(mesh.nodes[1].ctx)
    assert (sent.to, sent.packet.packet_id) == (endpoint(77), packet_id)


def carried(mesh: Mesh) -> tuple[int, int]:
    """How many packets node 1 has sent directly, and through the root."""
    packets = mesh.nodes[1].ctx.stats.carried_out.packets
    return packets[Way.DIRECT_IPV4], packets[Way.RELAY]


def test_a_packet_that_goes_straight_is_counted_as_such(mesh: Mesh) -> None:
    (direct, relayed), octets = carried(mesh), mesh.nodes[1].ctx.stats.carried_out.octets
    before = octets[Way.DIRECT_IPV4]
    (sent,) = send(mesh, Verb.NOP, b"hello")
    assert carried(mesh) == (direct + 1, relayed)
    assert octets[Way.DIRECT_IPV4] - before == len(sent)


def test_a_packet_that_the_root_passes_on_is_counted_as_such(mesh: Mesh) -> None:
    peer(mesh, 1, 2).remove_paths_of(frozenset())
    direct, relayed = carried(mesh)
    send(mesh, Verb.NOP, b"hello")
    assert carried(mesh) == (direct, relayed + 1)


def test_what_is_for_the_root_itself_goes_straight(mesh: Mesh) -> None:
    direct, relayed = carried(mesh)
    mesh.nodes[1].vl1.egress.send(identity(0).address, Verb.NOP, b"", mesh.now)
    assert carried(mesh) == (direct + 1, relayed)


def test_an_answer_to_what_was_relayed_is_relayed(mesh: Mesh) -> None:
    direct, relayed = carried(mesh)
    arrival = Arrival(SOCKET, endpoint(0), 1)
    mesh.nodes[1].vl1.egress.send_back(peer(mesh, 1, 2), arrival, Verb.NOP, b"", mesh.now)
    assert carried(mesh) == (direct, relayed + 1)


# -- the suite -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "suite"),
    [
        (0, CipherSuite.SALSA_POLY),
        (11, CipherSuite.SALSA_POLY),
        (12, CipherSuite.GMAC_SIV),
        (13, CipherSuite.GMAC_SIV),
    ],
)
def test_the_suite_follows_from_the_receivers_version(
    mesh: Mesh, protocol: int, suite: CipherSuite
) -> None:
    peer(mesh, 1, 2).protocol = protocol
    (data,) = send(mesh, Verb.NOP, b"hello")
    opened = open_packet(data)
    assert (opened.suite, opened.payload) == (suite, b"hello")


def test_a_node_that_says_it_is_old_seals_as_an_old_one(mesh: Mesh) -> None:
    mesh.nodes[1].ctx.protocol = 11
    (data,) = send(mesh, Verb.NOP, b"hello")
    assert open_packet(data).suite == CipherSuite.SALSA_POLY


def trusted_mesh() -> Mesh:
    """Return a mesh of nodes that trust the network that they are in."""
    mesh = Mesh(3)
    for node in mesh.nodes:
        prefix = ip_network("10.0.0.0/24")
        node.ctx.physical = (PhysicalNetwork(prefix, 900, TRUSTED_PATH_ID),)
    mesh.run(1.0)
    mesh.nodes[1].vl1.egress.send(identity(2).address, Verb.NOP, b"", mesh.now)
    mesh.run(2.0)
    mesh.nodes[1].ctx.transmits = []
    return mesh


def test_on_a_trusted_path_nothing_is_sealed() -> None:
    mesh = trusted_mesh()
    (data,) = send(mesh, Verb.NOP, b"in clear")
    assert data.endswith(bytes([Verb.NOP]) + b"in clear")
    assert data[OFFSET_AUTH_TAG : OFFSET_AUTH_TAG + 8] == TRUSTED_PATH_ID.to_bytes(8, "big")
    assert data[OFFSET_FLAGS] == CipherSuite.TRUSTED << 3


def test_probes_and_answers_are_sealed_on_a_trusted_path_too() -> None:
    mesh = trusted_mesh()
    arrival = Arrival(SOCKET, endpoint(2), 0)
    mesh.nodes[1].vl1.egress.send_back(peer(mesh, 1, 2), arrival, Verb.ECHO, b"", mesh.now)
    (sent,) = take_sent(mesh.nodes[1].ctx)
    assert sent.packet.suite == CipherSuite.GMAC_SIV


def test_the_mtu_of_a_physical_network_is_kept() -> None:
    mesh = trusted_mesh()
    assert max(map(len, send(mesh, Verb.USER_MESSAGE, noise(3000)))) == 900


# -- fragments -------------------------------------------------------------------------------


def test_what_fits_goes_in_one_datagram(mesh: Mesh) -> None:
    (data,) = send(mesh, Verb.USER_MESSAGE, noise(DEFAULT_PATH_MTU - 28))
    assert len(data) == DEFAULT_PATH_MTU
    assert not data[OFFSET_FLAGS] & FLAG_FRAGMENTED


def test_what_does_not_fit_is_cut_and_marked(mesh: Mesh) -> None:
    head, piece = send(mesh, Verb.USER_MESSAGE, noise(DEFAULT_PATH_MTU - 27))
    assert len(head) <= DEFAULT_PATH_MTU
    assert head[OFFSET_FLAGS] & FLAG_FRAGMENTED
    assert piece[:15] == head[:13] + b"\xff\x21"


def test_the_pieces_make_the_packet_that_was_sealed(mesh: Mesh) -> None:
    payload = noise(5000)
    head, *pieces = send(mesh, Verb.USER_MESSAGE, payload)
    reassembler = Reassembler(Stats())
    whole = reassembler.add_head(memoryview(head), mesh.now)
    for piece in pieces:
        whole = reassembler.add_fragment(memoryview(piece), mesh.now)
    assert whole is not None
    assert open_packet(bytes(whole)).payload == payload


# -- compression and ids ---------------------------------------------------------------------


def test_a_payload_is_compressed_where_that_is_asked_for(mesh: Mesh) -> None:
    (data,) = send(mesh, Verb.NOP, NO_NEWS, compress=True)
    opened = open_packet(data)
    assert (opened.is_compressed, opened.payload) == (True, NO_NEWS)
    assert len(data) < len(NO_NEWS)


def test_a_payload_is_left_alone_where_it_is_not_asked_for(mesh: Mesh) -> None:
    (data,) = send(mesh, Verb.NOP, NO_NEWS)
    assert not open_packet(data).is_compressed


def test_a_payload_that_does_not_get_smaller_is_left_alone(mesh: Mesh) -> None:
    (data,) = send(mesh, Verb.NOP, noise(300), compress=True)
    assert not open_packet(data).is_compressed


def test_an_id_whose_upper_half_is_zero_is_drawn_anew(mesh: Mesh) -> None:
    draws = iter([bytes(4) + b"half", b"good one"])
    mesh.nodes[1].ctx.random_bytes = lambda size: next(draws)
    peer(mesh, 1, 2).protocol = 11
    (data,) = send(mesh, Verb.NOP, b"")
    assert data[:8] == b"good one"


# -- answers and waiting ---------------------------------------------------------------------


@pytest.mark.parametrize("verb", [Verb.ECHO, Verb.WHOIS, Verb.NOP, Verb.RENDEZVOUS])
def test_only_of_requests_an_answer_is_awaited(mesh: Mesh, verb: Verb) -> None:
    egress = mesh.nodes[1].vl1.egress
    packet_id = egress.send(identity(2).address, verb, b"", mesh.now)
    assert packet_id is not None
    found = egress.requests.find(packet_id, identity(2).address, verb, mesh.now)
    assert (found is not None) is (verb in REQUEST_VERBS)


def test_a_message_to_an_unknown_peer_waits_until_it_is_known() -> None:
    mesh = Mesh(3)
    mesh.run(1.0)
    before = mesh.nodes[2].ctx.stats.packets_in[Verb.USER_MESSAGE]
    egress = mesh.nodes[1].vl1.egress
    message = bytes(8) + NO_NEWS
    assert not egress.send(identity(2).address, Verb.USER_MESSAGE, message, mesh.now, compress=True)
    mesh.run(1.0)
    assert mesh.nodes[2].ctx.stats.packets_in[Verb.USER_MESSAGE] == before + 1


def test_a_message_that_waited_five_seconds_is_not_sent_any_more() -> None:
    mesh = Mesh(3)
    mesh.run(1.0)
    mesh.blocked = {(1, 0)}
    egress = mesh.nodes[1].vl1.egress
    egress.send(identity(2).address, Verb.USER_MESSAGE, bytes(8), mesh.now)
    mesh.run(6.0)
    mesh.blocked = set()
    mesh.nodes[1].vl1.topology.when_known(identity(2).address, mesh.now)
    mesh.run(10.0)
    assert identity(2).address in mesh.nodes[1].vl1.topology.peers
    assert mesh.nodes[2].ctx.stats.packets_in[Verb.USER_MESSAGE] == 0


def test_more_strangers_than_can_be_asked_for_are_a_counted_drop() -> None:
    mesh = Mesh(2)  # its clock stands still: no root is reached, nothing is asked
    node = mesh.nodes[1]
    for number in range(1100):
        node.vl1.egress.send(Address(0x1000000000 + number), Verb.NOP, b"", mesh.now)
    assert node.ctx.stats.drops[Drop.QUEUE_FULL] > 0


# -- frames ----------------------------------------------------------------------------------

FRAME_PREFIX = bytes([Verb.FRAME]) + bytes(8) + b"\x08\0"


def send_frame(mesh: Mesh, frame: SuperFrame) -> bool:
    node = mesh.nodes[1]
    return node.vl1.egress.send_frame(peer(mesh, 1, 2), frame, FRAME_PREFIX, 14, mesh.now)


def test_a_frame_travels_behind_its_prefix(mesh: Mesh) -> None:
    ethernet = bytes(12) + b"\x08\0payload"
    assert send_frame(mesh, SuperFrame(memoryview(bytearray(ethernet))))
    (sent,) = take_sent(mesh.nodes[1].ctx)
    assert (sent.to, sent.packet.verb) == (endpoint(2), Verb.FRAME)
    assert sent.packet.payload == FRAME_PREFIX[1:] + b"payload"


def test_the_frames_of_a_super_frame_are_counted_with_their_bytes(mesh: Mesh) -> None:
    stats = mesh.nodes[1].ctx.stats
    (direct, _), before = carried(mesh), stats.carried_out.octets[Way.DIRECT_IPV4]
    send_frame(mesh, SuperFrame(memoryview(bytearray(14) + b"payload")))
    (transmit,) = mesh.nodes[1].ctx.transmits
    assert carried(mesh)[0] == direct + 1
    assert stats.carried_out.octets[Way.DIRECT_IPV4] - before == len(transmit.buffer)


def test_every_frame_of_a_super_frame_is_counted(mesh: Mesh) -> None:
    stats = mesh.nodes[1].ctx.stats
    frame = Packet(payload=bytes(2500)).super_frame(1000)
    assert send_frame(mesh, frame)
    assert (stats.frames_out, stats.packets_out[Verb.FRAME]) == (3, 3)


def test_a_frame_is_sealed_for_an_old_peer_as_it_understands(mesh: Mesh) -> None:
    peer(mesh, 1, 2).protocol = 11
    send_frame(mesh, SuperFrame(memoryview(bytearray(14) + b"payload")))
    (sent,) = take_sent(mesh.nodes[1].ctx)
    assert sent.packet.suite == CipherSuite.SALSA_POLY


def test_a_frame_on_a_trusted_path_is_not_sealed() -> None:
    mesh = trusted_mesh()
    send_frame(mesh, SuperFrame(memoryview(bytearray(14) + b"payload")))
    (transmit,) = mesh.nodes[1].ctx.transmits
    assert bytes(transmit.buffer).endswith(FRAME_PREFIX + b"payload")


def test_a_frame_without_a_way_is_a_counted_drop(mesh: Mesh) -> None:
    for other in (0, 2):
        peer(mesh, 1, other).remove_paths_of(frozenset())
    before = mesh.nodes[1].ctx.stats.drops[Drop.NO_ROUTE]
    assert not send_frame(mesh, SuperFrame(memoryview(bytearray(14) + b"payload")))
    assert mesh.nodes[1].ctx.stats.drops[Drop.NO_ROUTE] == before + 1


def test_what_is_exchanged_with_a_peer_keeps_its_paths_alive(mesh: Mesh) -> None:
    later: Now = after(mesh.now, 600.0)
    assert not peer(mesh, 1, 2).is_active(later)
    mesh.now = later
    send_frame(mesh, SuperFrame(memoryview(bytearray(14) + b"payload")))
    assert peer(mesh, 1, 2).is_active(later)


# -- what is too long ------------------------------------------------------------------------


def too_long(mesh: Mesh) -> int:
    return mesh.nodes[1].ctx.stats.drops[Drop.TOO_LONG]


def test_the_longest_message_goes_in_seven_datagrams(mesh: Mesh) -> None:
    size = longest(DEFAULT_PATH_MTU)
    assert size == 9928
    datagrams = send(mesh, Verb.USER_MESSAGE, noise(size - SIZE_HEADER))
    assert (len(datagrams), too_long(mesh)) == (MAX_FRAGMENTS, 0)


def test_a_longer_message_is_counted_and_not_sent(mesh: Mesh) -> None:
    size = longest(DEFAULT_PATH_MTU) + 1
    assert send(mesh, Verb.USER_MESSAGE, noise(size - SIZE_HEADER)) == []
    assert too_long(mesh) == 1


@pytest.mark.parametrize(("spare", "goes"), [(0, True), (-1, False)])
def test_a_frame_that_makes_a_longer_packet_is_counted_and_not_sent(
    mesh: Mesh, spare: int, goes: bool
) -> None:
    room = longest(DEFAULT_PATH_MTU) - SIZE_HEADER - 10
    frame = SuperFrame(memoryview(bytearray(14 + room - spare)))
    assert send_frame(mesh, frame) is goes
    assert too_long(mesh) == (not goes)
