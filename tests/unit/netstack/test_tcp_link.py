"""TCP between two stacks, and between a stack and frames: super-frames, checksums, errors."""

import errno
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from tests.unit.inet.frames import Packet, received
from tests.unit.netstack.ether import (
    ANY_4,
    ANY_6,
    OWN_4,
    OWN_6,
    PEER_4,
    PEER_6,
    START,
    THEM,
    US,
    Alone,
    Ether,
    arp_frame,
    at,
    cut_frames,
    events_of,
    make_stack,
    pair,
    seeded,
)
from tests.unit.netstack.packets import advertisement, heard, icmp_4, icmp_6, solicitation
from ztlink.batch import Gso, SuperFrame
from ztlink.errors import StackError
from ztlink.ids import Endpoint
from ztlink.inet.arp import ARP_REPLY
from ztlink.inet.coalesce import coalesce
from ztlink.inet.segment import count
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.egress import Egress
from ztlink.netstack.events import (
    Accepted,
    Connected,
    ConnectionClosed,
    ConnectionId,
    ConnectionRefused,
    PeerFinished,
    Reason,
    SoftError,
)
from ztlink.netstack.neighbor import NeighborCache
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.route import RouteTable
from ztlink.netstack.settings import StackSettings
from ztlink.netstack.tcp_link import TcpLink

VERSIONS = pytest.mark.parametrize(("ip", "any_ip"), [(PEER_4, ANY_4), (PEER_6, ANY_6)])
DATA = seeded(5)(400_000)
FLIGHT = DATA[:11_000]
"""What goes out at once, in more than one segment."""
ACK, RST = 0x10, 0x04


def connect(link: Ether, ip: str, any_ip: str) -> tuple[ConnectionId, ConnectionId]:
    """Connect the first stack to the second; return both ends."""
    ours, theirs = link.stacks
    theirs.listen(at(any_ip, 80), 5, link.now)
    ours.connect(at(ip, 80), link.now)
    link.settle()
    (accepted,) = events_of(theirs)
    (connected,) = events_of(ours)
    assert isinstance(accepted, Accepted)
    assert isinstance(connected, Connected)
    theirs.tcp.accept(accepted.listener)
    return connected.id, accepted.id


def transfer(link: Ether, ends: tuple[ConnectionId, ConnectionId], data: bytes) -> bytes:
    """Send from the first stack to the second; return what arrived."""
    ours, theirs = link.stacks
    left, got = memoryview(data), bytearray()
    for _ in range(1000):
        left = left[ours.tcp.write(ends[0], left, link.now) :]
        link.wait(0.001)
        got += theirs.tcp.read(ends[1], 1 << 20, link.now)
        if len(got) == len(data):
            break
    return bytes(got)


# -- two stacks ------------------------------------------------------------------------------


@VERSIONS
def test_what_is_sent_arrives(ip: str, any_ip: str) -> None:
    link = pair()
    assert transfer(link, connect(link, ip, any_ip), DATA) == DATA


@VERSIONS
def test_it_arrives_in_super_frames(ip: str, any_ip: str) -> None:
    link = pair()
    transfer(link, connect(link, ip, any_ip), DATA)
    assert len(link.frames) < 40
    assert max(map(len, link.frames)) > 50_000


@VERSIONS
def test_who_is_refused_hears_of_it(ip: str, any_ip: str) -> None:
    link = pair()
    connection = link.stacks[0].connect(at(ip, 80), link.now)
    link.settle()
    assert events_of(link.stacks[0]) == [ConnectionRefused(connection, Reason.REFUSED)]


@VERSIONS
def test_a_lost_syn_is_sent_again(ip: str, any_ip: str) -> None:
    link = pair()
    lost: list[bytes] = []

    def is_lost(frame: bytes) -> bool:
        is_first = frame[12:14] != b"\x08\x06" and heard(frame).protocol == 6 and not lost
        if is_first:
            lost.append(frame)
        return is_first

    link.is_lost = is_lost
    link.stacks[1].listen(at(any_ip, 80), 5, link.now)
    link.stacks[0].connect(at(ip, 80), link.now)
    link.wait(1.5)
    assert [type(event) for event in events_of(link.stacks[0])] == [Connected]


def test_the_peers_end_is_told_before_that_of_the_connection() -> None:
    link = pair()
    ours, theirs = link.stacks
    mine, yours = connect(link, PEER_4, ANY_4)
    ours.tcp.shutdown(mine, link.now)
    link.wait(0.1)
    events_of(ours)
    theirs.tcp.shutdown(yours, link.now)
    link.wait(0.1)
    assert events_of(ours) == [PeerFinished(mine), ConnectionClosed(mine)]


def test_an_own_address_can_be_connected_to() -> None:
    link = Ether([make_stack()])
    stack = link.stacks[0]
    stack.listen(at(ANY_4, 80), 5, link.now)
    stack.connect(at(OWN_4, 80), link.now)
    link.settle()
    assert {type(event) for event in events_of(stack)} == {Connected, Accepted}


def test_a_neighbour_that_does_not_answer_is_a_soft_error() -> None:
    alone = Alone()
    connection = alone.stack.connect(at(PEER_4, 80), alone.now)
    alone.hear()
    alone.wait(3.5)
    assert alone.events()[0] == SoftError(connection, Reason.HOST_UNREACHABLE)


# -- verbs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remote", "local", "number"),
    [
        (at("192.0.2.1", 80), None, errno.ENETUNREACH),
        (at("10.0.0.255", 80), None, errno.EINVAL),
        (at("239.1.1.1", 80), None, errno.EINVAL),
        (at(PEER_4, 0), None, errno.EINVAL),
        (at(PEER_4, 80), at("10.0.0.9", 0), errno.EADDRNOTAVAIL),
    ],
    ids=["no route", "all", "group", "no port", "not ours"],
)
def test_where_nobody_can_be_nothing_is_connected(
    remote: Endpoint, local: Endpoint | None, number: int
) -> None:
    alone = Alone()
    with pytest.raises(StackError) as error:
        alone.stack.connect(remote, alone.now, local)
    assert error.value.errno == number


def test_an_address_that_is_not_ours_cannot_be_listened_on() -> None:
    alone = Alone()
    with pytest.raises(StackError, match="no address of ours"):
        alone.stack.listen(at(PEER_4, 80), 5, alone.now)


@pytest.mark.parametrize(("ip", "own"), [(PEER_4, OWN_4), (PEER_6, OWN_6)])
def test_the_source_is_chosen_and_the_port_drawn(ip: str, own: str) -> None:
    alone = Alone()
    connections = [alone.stack.connect(at(ip, 80), alone.now) for _ in range(10)]
    locals_ = [alone.stack.tcp.endpoints(connection)[0] for connection in connections]
    assert {local.ip for local in locals_} == {ip_address(own)}
    assert len({local.port for local in locals_}) == 10


def test_a_local_endpoint_that_is_named_is_used() -> None:
    alone = Alone()
    connection = alone.stack.connect(at(PEER_4, 80), alone.now, at(ANY_4, 4000))
    assert alone.stack.tcp.endpoints(connection)[0] == at(OWN_4, 4000)


@pytest.mark.parametrize("limit", [1000, 60_000])
def test_nothing_is_pulled_while_a_neighbour_is_being_asked_for(limit: int) -> None:
    counters, settings = Counters(), StackSettings()
    routes, mtus = RouteTable(US), PathMtus(2800)
    routes.set([ip_interface("10.0.0.1/24")], ())
    egress = Egress(US, routes, mtus, settings, counters, seeded())
    egress.cache = NeighborCache(lambda ip, mac, now: None, settings, counters)
    link = TcpLink(routes, egress, mtus, settings, counters, lambda event: None, seeded())
    link.connect(at(PEER_4, 80), None, START)
    while link.layer.has_output():
        assert link.pull(limit, START) == []


# -- frames in -------------------------------------------------------------------------------


def stray(ip: str = PEER_4, **fields: int) -> Packet:
    """Return a segment of no connection, which is answered by a reset."""
    own = OWN_4 if ip == PEER_4 else OWN_6
    options = {"flags": ACK, **fields}
    return Packet(ip, own, payload=b"hello", **options)  # type: ignore[arg-type]  # numbers alone


def framed(packet: bytes, ip: str) -> bytes:
    return US + THEM + (b"\x08\x00" if ip == PEER_4 else b"\x86\xdd") + packet


@pytest.mark.parametrize("ip", [PEER_4, PEER_6])
def test_a_segment_of_no_connection_is_reset(ip: str) -> None:
    alone = Alone().knows()
    alone.say(solicitation())
    (answer,) = alone.say(framed(stray(ip).encode(), ip))
    assert heard(answer).payload[13] & RST


@pytest.mark.parametrize("ip", [PEER_4, PEER_6])
@pytest.mark.parametrize("offset", [-1, -6, -20])
def test_a_segment_with_a_bad_checksum_is_dropped(ip: str, offset: int) -> None:
    alone = Alone()
    packet = bytearray(stray(ip).encode())
    packet[offset] ^= 0x40
    assert alone.say(framed(bytes(packet), ip)) == []
    assert alone.stack.counters.discards[Discard.BAD_CHECKSUM] == 1


@pytest.mark.parametrize("size", [0, 1, 19])
def test_a_segment_that_is_cut_short_is_dropped(size: int) -> None:
    alone = Alone()
    packet = replace(stray(), is_tcp=True)
    l4 = packet.l4(0)[:size]
    assert alone.say(framed(packet.ip(l4), PEER_4)) == []
    assert alone.stack.counters.discards[Discard.MALFORMED] == 1


@pytest.mark.parametrize("offset", [0x00, 0x40, 0xF0])
def test_a_header_of_a_size_that_cannot_be_is_dropped(offset: int) -> None:
    alone = Alone()
    packet = stray()
    l4 = bytearray(packet.l4(0))
    l4[12] = offset
    assert alone.say(framed(packet.ip(bytes(l4)), PEER_4)) == []
    assert alone.stack.counters.discards[Discard.MALFORMED] == 1


def test_frames_that_the_node_joined_are_taken_as_one() -> None:
    link = pair()
    ends = connect(link, PEER_4, ANY_4)
    ours, theirs = link.stacks
    ours.tcp.write(ends[0], FLIGHT, link.now)
    (frame,) = ours.transmits(60_000, link.now)
    assert count(frame) > 3
    pieces = received([bytes(piece.buffer[14:]) for piece in cut_frames(frame)])
    (joined,) = coalesce(pieces, 0, bytes(frame.buffer[:14]))
    theirs.receive_frame(joined, link.now)
    assert theirs.tcp.read(ends[1], 1 << 20, link.now) == FLIGHT


def test_the_checksum_of_joined_frames_is_not_looked_at_again() -> None:
    link = pair()
    ends = connect(link, PEER_4, ANY_4)
    ours, theirs = link.stacks
    ours.tcp.write(ends[0], FLIGHT, link.now)
    (frame,) = ours.transmits(60_000, link.now)
    assert frame.needs_checksum
    theirs.receive_frame(frame, link.now)
    assert theirs.tcp.readable(ends[1]) == len(FLIGHT)


# -- frames out ------------------------------------------------------------------------------


@VERSIONS
def test_what_goes_out_is_cut_into_frames_with_good_checksums(ip: str, any_ip: str) -> None:
    link = pair()
    ends = connect(link, ip, any_ip)
    ours, theirs = link.stacks
    ours.tcp.write(ends[0], FLIGHT, link.now)
    (frame,) = ours.transmits(60_000, link.now)
    assert frame.gso is (Gso.TCPV4 if ip == PEER_4 else Gso.TCPV6)
    for piece in cut_frames(frame):
        theirs.receive_frame(piece, link.now)
    assert theirs.tcp.read(ends[1], 1 << 20, link.now) == FLIGHT
    assert sum(theirs.counters.discards) == 0


@VERSIONS
def test_a_lone_segment_is_completed_as_well(ip: str, any_ip: str) -> None:
    link = pair()
    ends = connect(link, ip, any_ip)
    ours, theirs = link.stacks
    ours.tcp.write(ends[0], b"hello", link.now)
    (frame,) = ours.transmits(60_000, link.now)
    assert frame.gso is Gso.NONE
    (piece,) = cut_frames(frame)
    theirs.receive_frame(piece, link.now)
    assert theirs.tcp.read(ends[1], 10, link.now) == b"hello"


# -- errors ----------------------------------------------------------------------------------


def sent(ip: str) -> tuple[Alone, ConnectionId, bytes]:
    """Have a stack try to connect; return the connection and its SYN."""
    alone = Alone()
    connection = alone.stack.connect(at(ip, 80), alone.now)
    alone.hear()
    if ip == PEER_4:
        frames = alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))
    else:
        frames = alone.say(advertisement())
    return alone, connection, frames[0][14:]


@pytest.mark.parametrize(("ip", "kind"), [(PEER_4, 3), (PEER_6, 1)])
def test_an_error_about_a_segment_reaches_its_connection(ip: str, kind: int) -> None:
    alone, connection, packet = sent(ip)
    make = icmp_4 if ip == PEER_4 else icmp_6
    alone.say(make(kind, 0, body=packet))
    assert alone.events() == [SoftError(connection, Reason.NETWORK_UNREACHABLE)]


def test_an_error_about_another_sequence_number_is_not_believed() -> None:
    alone, _, packet = sent(PEER_4)
    forged = packet[:24] + bytes([packet[24] ^ 0x80]) + packet[25:]
    alone.say(icmp_4(3, 0, body=forged))
    assert alone.events() == []


@pytest.mark.parametrize("ip", [PEER_4, PEER_6])
def test_segments_are_no_larger_than_the_way_is_said_to_carry(ip: str) -> None:
    link = pair()
    ends = connect(link, ip, ANY_4 if ip == PEER_4 else ANY_6)
    ours = link.stacks[0]
    ours.tcp.write(ends[0], FLIGHT, link.now)
    (frame,) = ours.transmits(60_000, link.now)
    quoted = bytes(frame.buffer[14:])
    error = icmp_4(3, 4, 1400, quoted[:60]) if ip == PEER_4 else icmp_6(2, 0, 1400, quoted[:80])
    ours.receive_frame(SuperFrame(memoryview(bytearray(error))), link.now)
    (again,) = ours.transmits(60_000, link.now)
    headers = again.header_size - 14
    assert headers + again.segment_size <= 1400


def test_a_connection_whose_address_is_gone_is_told() -> None:
    link = pair()
    ends = connect(link, PEER_4, ANY_4)
    ours = link.stacks[0]
    ours.set_addresses(ours.addresses[1:2], (), link.now)
    ours.tcp.write(ends[0], b"hello", link.now)
    link.settle()
    assert events_of(ours) == [SoftError(ends[0], Reason.NETWORK_UNREACHABLE)]
