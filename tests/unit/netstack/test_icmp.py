"""ICMP errors out and in, limits, and echo requests of ours."""

from ipaddress import ip_address

import pytest

from tests.unit.netstack.ether import (
    ANY_4,
    ANY_6,
    MTU,
    OTHER_4,
    OWN_4,
    PEER_4,
    PEER_6,
    Alone,
    at,
    events_of,
    make_stack,
    pair,
)
from tests.unit.netstack.packets import (
    ECHO_4,
    ECHO_REPLY_4,
    ECHO_REPLY_6,
    ICMP,
    heard,
    icmp_4,
    icmp_6,
    solicitation,
    udp_4,
    udp_6,
    v4,
)
from ztlink.errors import StackError
from ztlink.ids import BROADCAST_MAC, SocketId
from ztlink.inet.icmp import icmp_message
from ztlink.netstack.counters import Discard
from ztlink.netstack.events import DatagramFailed, EchoAnswered, EchoFailed, EchoId, Reason
from ztlink.netstack.ping import MAX_DATA, MAX_PENDING
from ztlink.netstack.settings import StackSettings

UNREACHABLE_4, TIME_EXCEEDED_4, REDIRECT = 3, 11, 5
UNREACHABLE_6, TOO_BIG_6, TIME_EXCEEDED_6, PARAMETER_PROBLEM_6 = 1, 2, 3, 4


def acquainted(settings: StackSettings | None = None) -> Alone:
    alone = Alone(make_stack(settings=settings)).knows()
    alone.say(solicitation())
    return alone


@pytest.fixture
def alone() -> Alone:
    return acquainted()


def dropped(alone: Alone, reason: Discard) -> int:
    return alone.stack.counters.discards[reason]


# -- errors of ours --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "kind", "code"),
    [(udp_4(9, b"x"), UNREACHABLE_4, 3), (udp_6(9, b"x"), UNREACHABLE_6, 4)],
    ids=["IPv4", "IPv6"],
)
def test_who_sends_to_no_socket_is_told(alone: Alone, frame: bytes, kind: int, code: int) -> None:
    (answer,) = alone.say(frame)
    assert heard(answer).payload[:2] == bytes([kind, code])


@pytest.mark.parametrize("frame", [udp_4(9, b"x"), udp_6(9, b"x")], ids=["IPv4", "IPv6"])
def test_an_error_quotes_the_packet(alone: Alone, frame: bytes) -> None:
    (answer,) = alone.say(frame)
    assert heard(answer).payload[8:] == frame[14:]


@pytest.mark.parametrize(
    ("frame", "size"), [(udp_4(9, bytes(2000)), 576), (udp_6(9, bytes(2000)), 1280)]
)
def test_an_error_is_no_larger_than_passes_everywhere(
    alone: Alone, frame: bytes, size: int
) -> None:
    (answer,) = alone.say(frame)
    assert len(heard(answer).packet) == size


def test_there_is_no_error_about_an_error() -> None:
    alone = acquainted()
    quoted = udp_4(9)[14:]
    assert alone.say(icmp_4(UNREACHABLE_4, 3, body=quoted)) == []


def test_there_is_no_error_about_what_was_for_all(alone: Alone) -> None:
    frame = v4(17, udp_4(9)[34:], destination="10.0.0.255", to=BROADCAST_MAC)
    assert alone.say(frame) == []


def test_errors_are_limited() -> None:
    alone = acquainted(StackSettings(error_rate=5))
    assert len(alone.say(*[udp_4(9)] * 20)) == 5
    assert dropped(alone, Discard.RATE_LIMITED) == 15


def test_answers_to_echo_requests_are_limited() -> None:
    alone = acquainted(StackSettings(echo_rate=10))
    assert len(alone.say(*[icmp_4(ECHO_4)] * 30)) == 10


def test_an_echo_request_to_all_is_not_answered(alone: Alone) -> None:
    message = icmp_message(ECHO_4, 0, 0, b"", bytes(4), bytes(4))
    assert alone.say(v4(ICMP, message, destination="10.0.0.255", to=BROADCAST_MAC)) == []


@pytest.mark.parametrize("make", [icmp_4, icmp_6])
def test_a_message_with_a_bad_checksum_is_dropped(alone: Alone, make: object) -> None:
    assert callable(make)
    frame = bytearray(make(ECHO_4 if make is icmp_4 else 128, body=b"x"))
    frame[-1] ^= 0xFF
    assert alone.say(bytes(frame)) == []
    assert dropped(alone, Discard.BAD_CHECKSUM) == 1


def test_a_message_that_is_too_short_is_dropped(alone: Alone) -> None:
    assert alone.say(v4(ICMP, bytes(7))) == []
    assert dropped(alone, Discard.MALFORMED) == 1


# -- errors for us ---------------------------------------------------------------------------


def sent_to(alone: Alone, ip: str) -> tuple[SocketId, bytes]:
    """Have a socket send something; return it and the packet."""
    socket = alone.stack.bind_udp(at(ANY_4 if "." in ip else ANY_6, 4000))
    alone.stack.send_datagram(socket, b"hello", at(ip, 9), alone.now)
    (frame,) = alone.hear()
    return socket, frame[14:]


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (UNREACHABLE_4, 0, Reason.NETWORK_UNREACHABLE),
        (UNREACHABLE_4, 1, Reason.HOST_UNREACHABLE),
        (UNREACHABLE_4, 2, Reason.PROTOCOL_UNREACHABLE),
        (UNREACHABLE_4, 3, Reason.PORT_UNREACHABLE),
        (UNREACHABLE_4, 13, Reason.PROHIBITED),
        (TIME_EXCEEDED_4, 0, Reason.HOP_LIMIT),
    ],
)
def test_a_socket_is_told_of_errors(alone: Alone, kind: int, code: int, reason: Reason) -> None:
    socket, packet = sent_to(alone, PEER_4)
    alone.say(icmp_4(kind, code, body=packet))
    assert alone.events() == [DatagramFailed(socket, at(PEER_4, 9), reason)]


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (UNREACHABLE_6, 0, Reason.NETWORK_UNREACHABLE),
        (UNREACHABLE_6, 1, Reason.PROHIBITED),
        (UNREACHABLE_6, 3, Reason.HOST_UNREACHABLE),
        (UNREACHABLE_6, 4, Reason.PORT_UNREACHABLE),
        (TIME_EXCEEDED_6, 0, Reason.HOP_LIMIT),
        (PARAMETER_PROBLEM_6, 1, Reason.PROTOCOL_UNREACHABLE),
    ],
)
def test_a_socket_is_told_of_errors_by_ipv6(
    alone: Alone, kind: int, code: int, reason: Reason
) -> None:
    socket, packet = sent_to(alone, PEER_6)
    alone.say(icmp_6(kind, code, body=packet))
    assert alone.events() == [DatagramFailed(socket, at(PEER_6, 9), reason)]


def test_an_error_of_a_router_counts_as_well(alone: Alone) -> None:
    socket, packet = sent_to(alone, PEER_4)
    alone.say(icmp_4(UNREACHABLE_4, 1, body=packet, source=OTHER_4))
    assert alone.events() == [DatagramFailed(socket, at(PEER_4, 9), Reason.HOST_UNREACHABLE)]


def test_an_error_about_what_no_socket_sent_is_not_believed(alone: Alone) -> None:
    _, packet = sent_to(alone, PEER_4)
    other_port = packet[:20] + b"\x12\x34" + packet[22:]
    other_source = packet[:12] + b"\x0a\0\0\x09" + packet[16:]
    a_fragment = packet[:6] + b"\0\x05" + packet[8:]
    for quoted in (other_port, other_source, a_fragment, packet[:27], b"", bytes(60)):
        alone.say(icmp_4(UNREACHABLE_4, 3, body=quoted))
    assert alone.events() == []
    assert dropped(alone, Discard.IMPLAUSIBLE_ERROR) == 6


def test_redirects_change_nothing(alone: Alone) -> None:
    _, packet = sent_to(alone, PEER_4)
    alone.say(icmp_4(REDIRECT, 1, rest=int(ip_address(OTHER_4)), body=packet))
    alone.stack.ping(ip_address(PEER_4), 0, alone.now)
    assert [frame[:6] for frame in alone.hear()] == [bytes.fromhex("020000000002")]


# -- the MTU of a way ------------------------------------------------------------------------


def sizes(alone: Alone, ip: str, size: int = 2000) -> list[int]:
    """Return the sizes of the IP packets in which a ping goes."""
    alone.stack.ping(ip_address(ip), size, alone.now)
    return [len(frame) - 14 for frame in alone.hear()]


def too_big(alone: Alone, ip: str, mtu: int) -> None:
    _, packet = sent_to(alone, ip)
    if ip == PEER_4:
        alone.say(icmp_4(UNREACHABLE_4, 4, mtu, body=packet))
    else:
        alone.say(icmp_6(TOO_BIG_6, 0, mtu, body=packet))


@pytest.mark.parametrize("ip", [PEER_4, PEER_6])
def test_packets_are_no_larger_than_the_way_is_said_to_carry(alone: Alone, ip: str) -> None:
    too_big(alone, ip, 1400)
    assert max(sizes(alone, ip)) <= 1400
    assert len(sizes(alone, OTHER_4)) <= 1


@pytest.mark.parametrize(("ip", "floor"), [(PEER_4, 576), (PEER_6, 1280)])
@pytest.mark.parametrize("mtu", [1, 68, 500])
def test_no_report_brings_packets_below_what_passes_everywhere(
    alone: Alone, ip: str, floor: int, mtu: int
) -> None:
    too_big(alone, ip, mtu)
    assert floor - 8 < max(sizes(alone, ip)) <= floor


def test_a_router_that_tells_no_mtu_has_the_next_smaller_tried(alone: Alone) -> None:
    socket = alone.stack.bind_udp(at(ANY_4, 4000))
    alone.stack.send_datagram(socket, bytes(2000), at(PEER_4, 9), alone.now)
    (frame,) = alone.hear()
    alone.say(icmp_4(UNREACHABLE_4, 4, 0, body=frame[14:]))
    assert 1484 < max(sizes(alone, PEER_4)) <= 1492 + 512


def test_a_report_about_what_was_not_sent_is_not_believed(alone: Alone) -> None:
    _, packet = sent_to(alone, PEER_4)
    other_port = packet[:20] + b"\x12\x34" + packet[22:]
    alone.say(icmp_4(UNREACHABLE_4, 4, 600, body=other_port))
    assert sizes(alone, PEER_4) == [2028]


def test_a_report_of_more_than_is_known_changes_nothing(alone: Alone) -> None:
    too_big(alone, PEER_4, 9000)
    assert sizes(alone, PEER_4) == [2028]


def test_after_ten_minutes_more_is_tried_again() -> None:
    alone = acquainted()
    too_big(alone, PEER_4, 1400)
    alone.wait(601.0)
    alone.knows()
    assert sizes(alone, PEER_4) == [2028]


# -- echo requests of ours -------------------------------------------------------------------


def test_an_answer_is_told_with_its_time() -> None:
    link = pair()
    ours, theirs = link.stacks
    echo = ours.ping(ip_address(PEER_4), 56, link.now)
    for stack in (ours, theirs, ours):
        for frame in stack.transmits(10_000, link.now):
            (theirs if stack is ours else ours).receive_frame(frame, link.now)
    link.now = link.now._replace(mono=link.now.mono + 0.25)
    link.settle()
    assert events_of(ours) == [EchoAnswered(echo, ip_address(PEER_4), 1, 56, 0.25)]


def request(alone: Alone, ip: str = PEER_4, size: int = 8) -> bytes:
    alone.stack.ping(ip_address(ip), size, alone.now)
    (frame,) = alone.hear()
    return heard(frame).payload


def answer_to(message: bytes, *, source: str = PEER_4) -> bytes:
    rest = int.from_bytes(message[4:8], "big")
    return icmp_4(ECHO_REPLY_4, rest=rest, body=message[8:], source=source)


def test_an_answer_counts_once(alone: Alone) -> None:
    answer = answer_to(request(alone))
    alone.say(answer, answer)
    assert len(alone.events()) == 1


def test_an_answer_of_somebody_else_does_not_count(alone: Alone) -> None:
    alone.say(answer_to(request(alone), source=OTHER_4))
    assert alone.events() == []


def test_an_answer_with_other_data_does_not_count(alone: Alone) -> None:
    message = request(alone)
    alone.say(answer_to(message[:8] + bytes(8)), answer_to(message[:-1]))
    assert alone.events() == []


def test_an_answer_by_the_other_version_does_not_count(alone: Alone) -> None:
    message = request(alone)
    rest = int.from_bytes(message[4:8], "big")
    alone.say(icmp_6(ECHO_REPLY_6, rest=rest, body=message[8:]))
    assert alone.events() == []


def test_without_an_answer_a_request_fails_in_time(alone: Alone) -> None:
    request(alone)
    alone.wait(4.9)
    assert alone.events() == []
    alone.wait(0.2)
    assert alone.events() == [EchoFailed(EchoId(1), ip_address(PEER_4), 1, Reason.TIMED_OUT)]


def test_an_answer_that_comes_too_late_is_counted_and_nothing_else(alone: Alone) -> None:
    message = request(alone)
    alone.wait(6.0)
    alone.events()
    alone.say(answer_to(message))
    assert (alone.events(), dropped(alone, Discard.NO_SOCKET)) == ([], 1)


def test_an_error_ends_a_request(alone: Alone) -> None:
    alone.stack.ping(ip_address(PEER_4), 8, alone.now)
    (frame,) = alone.hear()
    alone.say(icmp_4(UNREACHABLE_4, 1, body=frame[14:]))
    (told,) = alone.events()
    assert isinstance(told, EchoFailed)
    assert told.reason is Reason.HOST_UNREACHABLE


def test_a_request_that_is_too_large_for_the_way_fails_and_the_next_is_smaller(
    alone: Alone,
) -> None:
    alone.stack.ping(ip_address(PEER_4), 2000, alone.now)
    (frame,) = alone.hear()
    alone.say(icmp_4(UNREACHABLE_4, 4, 1400, body=frame[14:]))
    (told,) = alone.events()
    assert isinstance(told, EchoFailed)
    assert told.reason is Reason.TOO_BIG
    assert max(sizes(alone, PEER_4)) <= 1400


def test_requests_that_wait_are_bounded(alone: Alone) -> None:
    for _ in range(MAX_PENDING + 3):
        request(alone, size=0)
    assert len(alone.events()) == 3


def test_where_no_route_leads_nobody_is_pinged(alone: Alone) -> None:
    with pytest.raises(StackError, match="no route"):
        alone.stack.ping(ip_address("192.0.2.1"), 8, alone.now)


@pytest.mark.parametrize("size", [-1, MAX_DATA + 1])
def test_a_request_has_a_size_that_ip_can_carry(alone: Alone, size: int) -> None:
    with pytest.raises(StackError, match="do not fit"):
        alone.stack.ping(ip_address(PEER_4), size, alone.now)


def test_an_answer_is_no_larger_than_the_mtu_lets_pass(alone: Alone) -> None:
    frames = alone.say(icmp_4(ECHO_4, body=bytes(2750)))
    assert [len(frame) <= 14 + MTU for frame in frames] == [True]


def test_our_own_address_answers_too() -> None:
    alone = Alone()
    alone.stack.ping(ip_address(OWN_4), 8, alone.now)
    frames = alone.hear()
    while frames:
        frames = alone.say(*frames)
    assert isinstance(alone.events()[0], EchoAnswered)
