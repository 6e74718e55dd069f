"""UDP sockets: who may bind what, who gets what, and what waits."""

import errno
from ipaddress import ip_address

import pytest

from tests.unit.netstack.ether import (
    ANY_4,
    ANY_6,
    OTHER_4,
    OWN_4,
    OWN_6,
    PEER_4,
    PEER_6,
    THEM,
    Alone,
    Ether,
    at,
    events_of,
    make_stack,
    pair,
)
from tests.unit.netstack.packets import UDP, heard, udp_4, udp_6, v4, v6
from ztlink.errors import LocalProtocolError, StackError
from ztlink.ids import BROADCAST_MAC, Endpoint, Mac, MulticastGroup
from ztlink.inet.udp import udp_packet
from ztlink.netstack.counters import Discard
from ztlink.netstack.events import (
    DatagramFailed,
    DatagramReceived,
    DatagramsWritable,
    Reason,
)
from ztlink.netstack.settings import StackSettings
from ztlink.netstack.udp import FIRST_PORT

GROUP_4, GROUP_6 = "239.1.2.3", "ff02::1:2:3"
GROUP_4_MAC, GROUP_6_MAC = Mac(bytes.fromhex("01005e010203")), Mac(bytes.fromhex("333300020003"))


@pytest.fixture
def alone() -> Alone:
    return Alone().knows()


def received(alone: Alone) -> list[tuple[int, bytes]]:
    return [(e.socket, e.data) for e in alone.events() if isinstance(e, DatagramReceived)]


def number_of(error: pytest.ExceptionInfo[StackError]) -> int | None:
    return error.value.errno


# -- bind ------------------------------------------------------------------------------------


def test_a_port_that_is_not_named_is_drawn_from_those_for_that() -> None:
    stack = make_stack()
    ports = {stack.udp_endpoints(stack.bind_udp(at(ANY_4, 0)))[0].port for _ in range(20)}
    assert len(ports) == 20
    assert min(ports) >= FIRST_PORT


@pytest.mark.parametrize(
    ("first", "second"),
    [(OWN_4, OWN_4), (ANY_4, OWN_4), (OWN_4, ANY_4), (ANY_6, ANY_6), (ANY_6, OWN_6)],
)
def test_what_is_bound_is_in_use(first: str, second: str) -> None:
    stack = make_stack()
    stack.bind_udp(at(first, 53))
    with pytest.raises(StackError, match="in use") as error:
        stack.bind_udp(at(second, 53))
    assert number_of(error) == errno.EADDRINUSE


def test_versions_do_not_stand_in_each_others_way() -> None:
    stack = make_stack()
    stack.bind_udp(at(ANY_4, 53))
    assert stack.bind_udp(at(ANY_6, 53))


@pytest.mark.parametrize("is_first", [True, False])
def test_a_socket_for_both_versions_stands_in_the_way_of_either(is_first: bool) -> None:
    stack = make_stack()
    stack.bind_udp(at(ANY_6 if is_first else ANY_4, 53), is_dual=is_first)
    with pytest.raises(StackError, match="in use"):
        stack.bind_udp(at(ANY_4 if is_first else ANY_6, 53), is_dual=not is_first)


def test_only_the_unspecified_address_can_be_for_both_versions() -> None:
    with pytest.raises(StackError, match="only ::"):
        make_stack().bind_udp(at(OWN_6, 53), is_dual=True)


def test_an_address_that_is_not_ours_cannot_be_bound() -> None:
    with pytest.raises(StackError, match="no address of ours") as error:
        make_stack().bind_udp(at(PEER_4, 53))
    assert number_of(error) == errno.EADDRNOTAVAIL


def test_a_closed_port_is_free_again() -> None:
    stack = make_stack()
    stack.close_udp(stack.bind_udp(at(OWN_4, 53)))
    assert stack.bind_udp(at(OWN_4, 53))


def test_a_socket_can_be_closed_twice_and_not_be_used_then() -> None:
    stack = make_stack()
    socket = stack.bind_udp(at(OWN_4, 53))
    stack.close_udp(socket)
    stack.close_udp(socket)
    with pytest.raises(LocalProtocolError, match="closed"):
        stack.udp_endpoints(socket)


# -- in --------------------------------------------------------------------------------------


def test_a_datagram_is_told_with_its_sender(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 53))
    alone.say(udp_4(53, b"hello"))
    assert alone.events() == [DatagramReceived(socket, b"hello", at(PEER_4, 5000))]


@pytest.mark.parametrize("data", [b"", b"x"])
def test_small_datagrams_are_told(alone: Alone, data: bytes) -> None:
    socket = alone.stack.bind_udp(at(ANY_6, 53))
    alone.say(udp_6(53, data))
    assert received(alone) == [(socket, data)]


def test_the_socket_that_fits_best_gets_a_datagram(alone: Alone) -> None:
    stack = alone.stack
    bound = stack.bind_udp(at(OWN_4, 53))
    connected = stack.bind_udp(at(OWN_4, 54))
    stack.connect_udp(connected, at(PEER_4, 5000))
    alone.say(udp_4(53), udp_4(54), udp_4(54, source_port=5001))
    assert received(alone) == [(bound, b""), (connected, b"")]


def test_a_connected_socket_hears_nobody_else(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 53))
    alone.stack.connect_udp(socket, at(PEER_4, 5000))
    frames = alone.say(udp_4(53, source_port=5001))
    assert received(alone) == []
    assert heard(frames[0]).payload[:2] == bytes([3, 3])


def test_a_socket_for_both_versions_hears_both(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_6, 53), is_dual=True)
    alone.say(udp_4(53, b"4"), udp_6(53, b"6"))
    assert received(alone) == [(socket, b"4"), (socket, b"6")]


def test_a_datagram_without_a_checksum_comes_by_ipv4_alone(alone: Alone) -> None:
    alone.stack.bind_udp(at(ANY_6, 53), is_dual=True)
    bare = bytes.fromhex("13880035000d0000") + b"hello"
    alone.say(v4(UDP, bare), v6(UDP, bare))
    assert [data for _, data in received(alone)] == [b"hello"]
    assert alone.stack.counters.discards[Discard.BAD_CHECKSUM] == 1


def test_a_bad_checksum_is_dropped(alone: Alone) -> None:
    alone.stack.bind_udp(at(ANY_4, 53))
    frame = bytearray(udp_4(53, b"hello"))
    frame[-1] ^= 1
    alone.say(bytes(frame))
    assert received(alone) == []


@pytest.mark.parametrize("size", [0, 7, 14, 0xFFFF])
def test_a_length_that_cannot_be_is_dropped(alone: Alone, size: int) -> None:
    alone.stack.bind_udp(at(ANY_4, 53))
    alone.say(v4(UDP, bytes.fromhex("13880035") + size.to_bytes(2, "big") + b"\0\0hello"))
    assert received(alone) == []
    assert alone.stack.counters.discards[Discard.MALFORMED] == 1


def test_what_follows_the_length_is_not_data(alone: Alone) -> None:
    alone.stack.bind_udp(at(ANY_4, 53))
    alone.say(v4(UDP, bytes.fromhex("13880035000d0000") + b"hello, padding"))
    assert [data for _, data in received(alone)] == [b"hello"]


def test_a_header_that_is_cut_short_is_dropped(alone: Alone) -> None:
    alone.say(v4(UDP, bytes(7)))
    assert alone.stack.counters.discards[Discard.MALFORMED] == 1


def test_what_the_application_does_not_take_is_dropped_beyond_a_limit() -> None:
    alone = Alone(make_stack(settings=StackSettings(udp_receive_buffer=10_000)))
    alone.stack.bind_udp(at(ANY_4, 53))
    alone.say(*[udp_4(53, bytes(1000))] * 20)
    assert len(received(alone)) == 8
    assert alone.stack.counters.discards[Discard.SOCKET_FULL] == 12
    alone.say(udp_4(53, bytes(1000)))
    assert len(received(alone)) == 1


# -- out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("any_ip", "ip"), [(ANY_4, PEER_4), (ANY_6, PEER_6)])
@pytest.mark.parametrize("size", [0, 1, 2772, 2773, 65_507])
def test_datagrams_of_all_sizes_arrive(any_ip: str, ip: str, size: int) -> None:
    link = pair()
    ours, theirs = link.stacks
    data = (bytes(range(256)) * 256)[:size]
    socket = theirs.bind_udp(at(ip, 53))
    sender = ours.bind_udp(at(any_ip, 4000))
    assert ours.send_datagram(sender, data, at(ip, 53), link.now)
    link.settle()
    source = OWN_4 if ip == PEER_4 else OWN_6
    assert events_of(theirs) == [DatagramReceived(socket, data, at(source, 4000))]


def test_a_datagram_that_ip_cannot_carry_is_refused(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 0))
    with pytest.raises(StackError, match="do not fit") as error:
        alone.stack.send_datagram(socket, bytes(65_508), at(PEER_4, 9), alone.now)
    assert number_of(error) == errno.EMSGSIZE


@pytest.mark.parametrize(
    ("remote", "number"),
    [
        (None, errno.EDESTADDRREQ),
        (at("192.0.2.1", 9), errno.ENETUNREACH),
        (at(PEER_6, 9), errno.EAFNOSUPPORT),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_number_of_a_kernel(
    alone: Alone, remote: Endpoint | None, number: int
) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 0))
    with pytest.raises(StackError) as error:
        alone.stack.send_datagram(socket, b"", remote, alone.now)
    assert number_of(error) == number


def test_a_connected_socket_needs_no_destination(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 0))
    alone.stack.connect_udp(socket, at(PEER_4, 9))
    assert alone.stack.send_datagram(socket, b"hello", None, alone.now)
    assert heard(alone.hear()[0]).payload[8:] == b"hello"


def test_a_connected_socket_has_the_address_that_it_sends_from(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 4000))
    alone.stack.connect_udp(socket, at(PEER_4, 9))
    assert alone.stack.udp_endpoints(socket) == (at(OWN_4, 4000), at(PEER_4, 9))


def test_a_sum_of_zero_is_written_as_the_other_zero() -> None:
    ends = ip_address(OWN_4).packed, ip_address(PEER_4).packed
    sums = {
        udp_packet(*ends, 1, 2, bytes([high, low]))[6:8]
        for high in range(256)
        for low in range(256)
    }
    assert bytes(2) not in sums
    assert b"\xff\xff" in sums


def fill(alone: Alone) -> int:
    """Send until the socket takes no more; return how many datagrams it took."""
    socket = alone.stack.bind_udp(at(ANY_4, 4000))
    count = 0
    while alone.stack.send_datagram(socket, bytes(1000), at(PEER_4, 9), alone.now):
        count += 1
        assert count < 1000
    return count


def test_a_socket_that_is_full_says_so_and_loses_nothing() -> None:
    alone = Alone(make_stack(settings=StackSettings(udp_send_buffer=10_000))).knows()
    count = fill(alone)
    assert 5 < count < 15
    assert len(alone.hear()) == count


def test_a_socket_that_was_full_tells_when_there_is_room_and_once() -> None:
    alone = Alone(make_stack(settings=StackSettings(udp_send_buffer=10_000))).knows()
    fill(alone)
    assert alone.events() == []
    alone.hear()
    assert [type(event) for event in alone.events()] == [DatagramsWritable]


def test_what_waits_is_pulled_as_far_as_there_is_room(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 0))
    for _ in range(20):
        alone.stack.send_datagram(socket, bytes(1000), at(PEER_4, 9), alone.now)
    frames = alone.stack.transmits(5000, alone.now)
    assert 4 <= len(frames) <= 6
    assert alone.stack.has_output()


def test_sockets_take_turns(alone: Alone) -> None:
    sockets = [alone.stack.bind_udp(at(ANY_4, port)) for port in (4001, 4002)]
    for socket in sockets:
        for _ in range(3):
            alone.stack.send_datagram(socket, b"", at(PEER_4, 9), alone.now)
    ports = [int.from_bytes(heard(frame).payload[:2], "big") for frame in alone.hear()]
    assert ports == [4001, 4002] * 3


def test_what_a_closed_socket_sent_is_still_sent(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 0))
    alone.stack.send_datagram(socket, b"bye", at(PEER_4, 9), alone.now)
    alone.stack.close_udp(socket)
    assert len(alone.hear()) == 1


def test_a_socket_whose_address_is_gone_sends_nothing_more(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(OWN_4, 4000))
    alone.stack.send_datagram(socket, b"", at(PEER_4, 9), alone.now)
    alone.stack.set_addresses(alone.stack.addresses[1:2], (), alone.now)
    alone.hear()
    assert alone.events() == [DatagramFailed(socket, at(PEER_4, 9), Reason.NETWORK_UNREACHABLE)]


def test_a_socket_is_told_when_nobody_answers_for_its_destination(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 4000))
    alone.stack.send_datagram(socket, b"", at(OTHER_4, 9), alone.now)
    alone.hear()
    alone.wait(3.0)
    assert alone.events() == [DatagramFailed(socket, at(OTHER_4, 9), Reason.HOST_UNREACHABLE)]


# -- many ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ip", "any_ip", "mac"),
    [(GROUP_4, ANY_4, GROUP_4_MAC), (GROUP_6, ANY_6, GROUP_6_MAC)],
)
def test_who_has_joined_a_group_hears_it(ip: str, any_ip: str, mac: Mac) -> None:
    link = pair()
    ours, theirs = link.stacks
    member, _ = (theirs.bind_udp(at(any_ip, port)) for port in (53, 54))
    theirs.join_group(member, ip_address(ip))
    sender = ours.bind_udp(at(any_ip, 0))
    for port in (53, 54):
        ours.send_datagram(sender, b"all", at(ip, port), link.now)
    link.settle()
    assert [e.socket for e in events_of(theirs) if isinstance(e, DatagramReceived)] == [member]
    assert link.frames[-1][:6] == mac


def test_the_network_is_told_of_groups_while_somebody_has_joined() -> None:
    stack = make_stack()
    before = stack.groups()
    socket = stack.bind_udp(at(ANY_4, 53))
    stack.join_group(socket, ip_address(GROUP_4))
    assert stack.groups() - before == {MulticastGroup(GROUP_4_MAC)}
    stack.leave_group(socket, ip_address(GROUP_4))
    assert stack.groups() == before


def test_groups_of_a_closed_socket_are_left() -> None:
    stack = make_stack()
    before = stack.groups()
    socket = stack.bind_udp(at(ANY_4, 53))
    stack.join_group(socket, ip_address(GROUP_4))
    stack.close_udp(socket)
    assert stack.groups() == before


def test_what_is_no_group_cannot_be_joined() -> None:
    stack = make_stack()
    with pytest.raises(StackError, match="no multicast address"):
        stack.join_group(stack.bind_udp(at(ANY_4, 53)), ip_address(PEER_4))


def test_datagrams_to_a_group_pass_no_router(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 0))
    alone.stack.send_datagram(socket, b"", at(GROUP_4, 9), alone.now)
    assert heard(alone.hear()[0]).packet[8] == 1


@pytest.mark.parametrize("ip", ["255.255.255.255", "10.0.0.255"])
def test_what_is_for_all_reaches_all(ip: str) -> None:
    link = pair()
    ours, theirs = link.stacks
    socket = theirs.bind_udp(at(ANY_4, 53))
    ours.send_datagram(ours.bind_udp(at(ANY_4, 4000)), b"all", at(ip, 53), link.now)
    link.settle()
    assert events_of(theirs) == [DatagramReceived(socket, b"all", at(OWN_4, 4000))]
    assert link.frames[-1][:6] == BROADCAST_MAC


def test_sockets_for_the_group_or_for_any_address_hear_it_and_those_for_one_do_not() -> None:
    link = Ether([make_stack(), make_stack(THEM, ("10.0.0.2/24",))])
    theirs = link.stacks[1]
    to_one, to_group, to_any = (
        theirs.bind_udp(at(ip, port)) for ip, port in ((PEER_4, 53), (GROUP_4, 53), (ANY_4, 54))
    )
    for socket in (to_one, to_group, to_any):
        theirs.join_group(socket, ip_address(GROUP_4))
    ours = link.stacks[0]
    sender = ours.bind_udp(at(ANY_4, 0))
    for port in (53, 54):
        ours.send_datagram(sender, b"", at(GROUP_4, port), link.now)
    link.settle()
    told = [e.socket for e in events_of(theirs) if isinstance(e, DatagramReceived)]
    assert told == [to_group, to_any]
