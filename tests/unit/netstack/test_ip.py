"""IPv4 and IPv6 in and out: headers, extension headers, options, fragments, who is spoken to."""

from ipaddress import ip_address

import pytest

from tests.unit.netstack.ether import (
    ANY_4,
    MTU,
    OWN_4,
    OWN_6,
    PEER_4,
    PEER_6,
    THEM,
    US,
    Alone,
    arp_frame,
    ethernet,
    events_of,
    make_stack,
    pair,
)
from tests.unit.netstack.packets import (
    ECHO_4,
    ECHO_6,
    ECHO_REPLY_4,
    ECHO_REPLY_6,
    FRAGMENT,
    ICMP,
    ICMPV6,
    advertisement,
    fragment_header,
    heard,
    icmp_4,
    icmp_6,
    solicitation,
    udp_4,
    v4,
    v6,
)
from ztlink.ids import BROADCAST_MAC, Mac
from ztlink.inet.arp import ARP_REQUEST
from ztlink.inet.icmp import icmp_message
from ztlink.inet.ip import ipv4_header
from ztlink.netstack.counters import Discard
from ztlink.netstack.events import EchoAnswered
from ztlink.netstack.ipv6 import MAX_HEADERS, MAX_OPTIONS
from ztlink.netstack.reassembly import MAX_SIZE

HOP_BY_HOP, ROUTING, DESTINATION, NONE = 0, 43, 60, 59
UNREACHABLE_4, TIME_EXCEEDED_4 = 3, 11
TIME_EXCEEDED_6, PARAMETER_PROBLEM = 3, 4
PAD = bytes([1, 4, 0, 0, 0, 0])
ECHO_MESSAGE = icmp_message(
    ECHO_6, 0, 0, b"hello", ip_address(PEER_6).packed, ip_address(OWN_6).packed
)


@pytest.fixture
def alone() -> Alone:
    """A stack that knows its peer by both versions."""
    alone = Alone().knows()
    alone.say(solicitation())
    return alone


def kinds(frames: list[bytes]) -> list[int]:
    """Return the ICMP types that were sent."""
    return [heard(frame).payload[0] for frame in frames]


def dropped(alone: Alone, reason: Discard) -> int:
    return alone.stack.counters.discards[reason]


def changed(frame: bytes, offset: int, value: int) -> bytes:
    """Return a frame with one byte of its IP packet changed."""
    data = bytearray(frame)
    data[14 + offset] = value
    return bytes(data)


# -- IPv4 in ---------------------------------------------------------------------------------


def test_an_echo_request_is_answered(alone: Alone) -> None:
    (answer,) = alone.say(icmp_4(ECHO_4, rest=0x12345678, body=b"hello"))
    assert heard(answer).payload == icmp_message(
        ECHO_REPLY_4, 0, 0x12345678, b"hello", bytes(4), bytes(4)
    )


def test_a_bad_header_checksum_is_dropped(alone: Alone) -> None:
    assert alone.say(changed(icmp_4(ECHO_4), 10, 0)) == []
    assert dropped(alone, Discard.BAD_CHECKSUM) == 1


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 0x44), (0, 0x65), (0, 0x4F), (2, 1), (3, 19)], ids=str
)
def test_a_header_that_cannot_be_is_dropped(alone: Alone, offset: int, value: int) -> None:
    assert alone.say(changed(icmp_4(ECHO_4), offset, value)) == []
    assert dropped(alone, Discard.MALFORMED) == 1


def test_padding_behind_a_packet_is_not_part_of_it(alone: Alone) -> None:
    (answer,) = alone.say(icmp_4(ECHO_4, body=b"hello") + bytes(18))
    assert heard(answer).payload[8:] == b"hello"


@pytest.mark.parametrize("size", range(34))
def test_a_packet_that_is_cut_short_is_dropped(alone: Alone, size: int) -> None:
    assert alone.say(icmp_4(ECHO_4)[:size]) == []


def with_options(options: bytes) -> bytes:
    message = icmp_message(ECHO_4, 0, 0, b"", bytes(4), bytes(4))
    ends = int(ip_address(PEER_4)), int(ip_address(OWN_4))
    header = bytearray(ipv4_header(*ends, ICMP, len(options) + len(message), ttl=64))
    header[0] = 0x45 + len(options) // 4
    header[10:12] = bytes(2)
    header += options
    words = range(0, len(header), 2)
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in words)
    header[10:12] = (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big")
    return ethernet(THEM, US, 0x0800, bytes(header) + message)


def test_options_are_passed_over(alone: Alone) -> None:
    assert len(alone.say(with_options(bytes([1, 148, 4, 0, 0, 1, 1, 0])))) == 1


@pytest.mark.parametrize(
    "options",
    [bytes([131, 3, 4, 0]), bytes([137, 3, 4, 0]), bytes([7, 1, 0, 0]), bytes([7, 9, 0, 0])],
    ids=["loose source route", "strict source route", "no length", "too long"],
)
def test_source_routes_and_broken_options_are_dropped(alone: Alone, options: bytes) -> None:
    assert alone.say(with_options(options)) == []
    assert dropped(alone, Discard.MALFORMED) == 1


@pytest.mark.parametrize(
    "source", ["224.0.0.1", "255.255.255.255", "10.0.0.255", "127.0.0.1", ANY_4, OWN_4]
)
def test_from_addresses_of_nobody_comes_nothing(alone: Alone, source: str) -> None:
    assert alone.say(icmp_4(ECHO_4, source=source)) == []
    assert dropped(alone, Discard.SPOOFED) == 1


def test_what_is_for_another_is_not_ours(alone: Alone) -> None:
    message = icmp_message(ECHO_4, 0, 0, b"", bytes(4), bytes(4))
    assert alone.say(v4(ICMP, message, destination="10.0.0.9")) == []
    assert alone.say(v4(ICMP, message, to=Mac(bytes.fromhex("020000000009")))) == []
    assert dropped(alone, Discard.NOT_OURS) == 2


def test_a_broadcast_frame_to_one_address_is_for_nobody(alone: Alone) -> None:
    message = icmp_message(ECHO_4, 0, 0, b"", bytes(4), bytes(4))
    assert alone.say(v4(ICMP, message, to=BROADCAST_MAC)) == []


def test_a_frame_from_a_group_is_dropped(alone: Alone) -> None:
    frame = bytearray(icmp_4(ECHO_4))
    frame[6] |= 1
    assert alone.say(bytes(frame)) == []
    assert dropped(alone, Discard.SPOOFED) == 1


def test_an_unknown_protocol_is_told_to_the_sender(alone: Alone) -> None:
    (answer,) = alone.say(v4(200, bytes(8)))
    assert heard(answer).payload[:2] == bytes([UNREACHABLE_4, 2])


# -- IPv6 in ---------------------------------------------------------------------------------


def test_an_echo_request_by_ipv6_is_answered(alone: Alone) -> None:
    (answer,) = alone.say(v6(ICMPV6, ECHO_MESSAGE))
    assert kinds([answer]) == [ECHO_REPLY_6]


def test_an_echo_request_to_all_nodes_is_answered_from_our_address(alone: Alone) -> None:
    to = Mac(bytes.fromhex("333300000001"))
    (answer,) = alone.say(icmp_6(ECHO_6, destination="ff02::1", to=to))
    assert heard(answer).packet[8:24] == ip_address(OWN_6).packed


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 0x40), (4, 0xFF), (5, 0xFF)], ids=["version", "length", "length"]
)
def test_an_ipv6_header_that_cannot_be_is_dropped(alone: Alone, offset: int, value: int) -> None:
    assert alone.say(changed(v6(ICMPV6, ECHO_MESSAGE), offset, value)) == []


@pytest.mark.parametrize("size", range(54))
def test_an_ipv6_packet_that_is_cut_short_is_dropped(alone: Alone, size: int) -> None:
    assert alone.say(v6(ICMPV6, ECHO_MESSAGE)[:size]) == []


@pytest.mark.parametrize("source", ["ff02::1", "::1", "::", OWN_6])
def test_from_ipv6_addresses_of_nobody_comes_nothing(alone: Alone, source: str) -> None:
    assert alone.say(icmp_6(ECHO_6, source=source)) == []
    assert dropped(alone, Discard.SPOOFED) == 1


def header(following: int, *options: bytes) -> bytes:
    body = b"".join(options)
    size = -(-(2 + len(body)) // 8)
    return bytes([following, size - 1]) + body.ljust(8 * size - 2, b"\0")


@pytest.mark.parametrize(
    ("first", "headers"),
    [
        (HOP_BY_HOP, header(ICMPV6, PAD)),
        (DESTINATION, header(ICMPV6, PAD)),
        (ROUTING, header(ICMPV6, bytes([0, 0]))),
        (HOP_BY_HOP, header(DESTINATION, PAD) + header(ROUTING, PAD) + header(ICMPV6, bytes(2))),
        (DESTINATION, header(ICMPV6, bytes([0x05, 2, 0, 0]))),
        (FRAGMENT, fragment_header(ICMPV6, 0, more=False)),
    ],
    ids=["hop by hop", "destination", "routing, done", "three", "unknown option", "lone fragment"],
)
def test_extension_headers_are_passed_over(alone: Alone, first: int, headers: bytes) -> None:
    if first == HOP_BY_HOP and len(headers) > 8:
        headers = header(DESTINATION, PAD) + header(ROUTING, PAD) + header(ICMPV6, bytes(2))
    assert kinds(alone.say(v6(first, headers + ECHO_MESSAGE))) == [ECHO_REPLY_6]


@pytest.mark.parametrize(
    ("first", "headers", "code", "pointer"),
    [
        (ROUTING, header(ICMPV6, bytes([0, 1])), 0, 42),
        (DESTINATION, header(HOP_BY_HOP, PAD) + header(ICMPV6, PAD), 1, 40),
        (DESTINATION, header(ICMPV6, bytes([0x85, 2, 0, 0])), 2, 42),
        (DESTINATION, header(ICMPV6, bytes([0xC5, 2, 0, 0])), 2, 42),
        (FRAGMENT, fragment_header(ICMPV6, 0, more=True), 0, 4),
        (200, b"", 1, 40),
    ],
    ids=["route", "late hop by hop", "option 10", "option 11", "odd fragment", "protocol"],
)
def test_a_sender_is_told_what_is_wrong_with_its_headers(
    alone: Alone, first: int, headers: bytes, code: int, pointer: int
) -> None:
    (answer,) = alone.say(v6(first, headers + ECHO_MESSAGE))
    message = heard(answer).payload
    assert (message[0], message[1]) == (PARAMETER_PROBLEM, code)
    if first != 200:
        assert int.from_bytes(message[4:8], "big") == pointer


@pytest.mark.parametrize(
    ("first", "headers"),
    [
        (DESTINATION, header(ICMPV6, bytes([0x45, 2, 0, 0]))),
        (DESTINATION, bytes([ICMPV6, 200, 0, 0, 0, 0, 0, 0])),
        (DESTINATION, header(ICMPV6, bytes([1, 9, 0, 0, 0, 0]))),
        (DESTINATION, header(DESTINATION, PAD) * MAX_HEADERS),
        (DESTINATION, header(ICMPV6, bytes([0x05, 0]) * (MAX_OPTIONS + 1))),
        (FRAGMENT, fragment_header(FRAGMENT, 0, more=False) * 2000),
        (NONE, b""),
    ],
    ids=["option 01", "too long", "option too long", "many", "many options", "deep", "nothing"],
)
def test_what_cannot_be_read_is_dropped_silently(alone: Alone, first: int, headers: bytes) -> None:
    assert alone.say(v6(first, headers + ECHO_MESSAGE)) == []


def test_an_unknown_option_to_a_group_is_told_where_the_option_wants_it(alone: Alone) -> None:
    to = Mac(bytes.fromhex("333300000001"))
    told = [
        alone.say(
            v6(
                DESTINATION,
                header(ICMPV6, bytes([kind, 2, 0, 0])) + ECHO_MESSAGE,
                destination="ff02::1",
                to=to,
            )
        )
        for kind in (0x85, 0xC5)
    ]
    assert [len(frames) for frames in told] == [1, 0]


# -- fragments in ----------------------------------------------------------------------------

BIG = icmp_message(ECHO_4, 0, 0, bytes(range(256)) * 10, bytes(4), bytes(4))
BIG_6 = icmp_message(
    ECHO_6, 0, 0, bytes(range(256)) * 10, ip_address(PEER_6).packed, ip_address(OWN_6).packed
)


def pieces_4(step: int = 800) -> list[bytes]:
    return [
        v4(
            ICMP,
            BIG[start : start + step],
            fragment=(0x2000 if start + step < len(BIG) else 0) | start // 8,
        )
        for start in range(0, len(BIG), step)
    ]


def pieces_6(step: int = 800) -> list[bytes]:
    return [
        v6(
            FRAGMENT,
            fragment_header(ICMPV6, start, more=start + step < len(BIG_6))
            + BIG_6[start : start + step],
        )
        for start in range(0, len(BIG_6), step)
    ]


def test_fragments_make_a_packet(alone: Alone) -> None:
    assert kinds(alone.say(*pieces_4())) == [ECHO_REPLY_4]


def test_fragments_of_ipv6_make_a_packet_in_any_order(alone: Alone) -> None:
    assert kinds(alone.say(*reversed(pieces_6()))) == [ECHO_REPLY_6]


def test_fragments_that_reach_beyond_what_ip_can_say_are_dropped(alone: Alone) -> None:
    last = MAX_SIZE // 8 * 8
    alone.say(v4(ICMP, bytes(16), fragment=last // 8))
    assert dropped(alone, Discard.BAD_FRAGMENT) == 1


def test_fragments_of_ipv6_beyond_what_it_can_say_are_told_to_the_sender(alone: Alone) -> None:
    last = MAX_SIZE // 8 * 8
    frames = alone.say(v6(FRAGMENT, fragment_header(ICMPV6, last, more=False) + bytes(16)))
    assert kinds(frames) == [PARAMETER_PROBLEM]


def test_a_fragment_of_an_odd_length_is_dropped(alone: Alone) -> None:
    alone.say(v4(ICMP, bytes(9), fragment=0x2000))
    assert dropped(alone, Discard.BAD_FRAGMENT) == 1


def test_an_empty_fragment_is_dropped(alone: Alone) -> None:
    alone.say(v4(ICMP, b"", fragment=0x2000), v6(FRAGMENT, fragment_header(58, 8, more=False)))
    assert dropped(alone, Discard.BAD_FRAGMENT) == 2


def test_fragments_within_fragments_are_dropped(alone: Alone) -> None:
    inner = fragment_header(ICMPV6, 0, more=True, identification=2) + bytes(8)
    frames = [
        v6(FRAGMENT, fragment_header(FRAGMENT, 0, more=True) + inner[:8]),
        v6(FRAGMENT, fragment_header(FRAGMENT, 8, more=False) + inner[8:]),
    ]
    assert alone.say(*frames) == []
    assert dropped(alone, Discard.BAD_FRAGMENT) == 1


@pytest.mark.parametrize(
    ("first", "kind"), [(pieces_4()[0], TIME_EXCEEDED_4), (pieces_6()[0], TIME_EXCEEDED_6)]
)
def test_a_sender_is_told_of_fragments_that_did_not_come(
    alone: Alone, first: bytes, kind: int
) -> None:
    alone.say(first)
    frames = [frame for frame in alone.wait(31.0) if frame[12:14] != b"\x08\x06"]
    messages = [heard(frame).payload[:2] for frame in frames]
    assert bytes([kind, 1]) in messages


def test_nobody_is_told_of_fragments_without_the_first(alone: Alone) -> None:
    alone.say(pieces_4()[1])
    assert [frame for frame in alone.wait(31.0) if frame[12:14] == b"\x08\x00"] == []


# -- out -------------------------------------------------------------------------------------


def test_a_packet_that_fits_is_never_to_be_cut(alone: Alone) -> None:
    alone.stack.ping(ip_address(PEER_4), MTU - 28, alone.now)
    (frame,) = alone.hear()
    assert (len(frame), frame[14 + 6 : 14 + 8]) == (14 + MTU, b"\x40\x00")


@pytest.mark.parametrize("ip", [PEER_4, PEER_6])
@pytest.mark.parametrize("size", [MTU - 27, 9000, 65_507])
def test_a_large_packet_goes_in_fragments_that_fit(alone: Alone, ip: str, size: int) -> None:
    alone.stack.ping(ip_address(ip), size, alone.now)
    frames = alone.hear()
    assert len(frames) > 1
    assert all(len(frame) <= 14 + MTU for frame in frames)


@pytest.mark.parametrize("ip", [PEER_4, PEER_6])
@pytest.mark.parametrize("size", [0, 1, MTU - 48, MTU - 47, MTU - 28, MTU - 27, 9000, 65_507])
def test_what_one_stack_sends_another_takes(ip: str, size: int) -> None:
    link = pair()
    link.stacks[0].ping(ip_address(ip), size, link.now)
    link.settle()
    (told,) = events_of(link.stacks[0])
    assert isinstance(told, EchoAnswered)
    assert told.size == size


def test_every_datagram_in_fragments_has_a_name_of_its_own(alone: Alone) -> None:
    names = set()
    for _ in range(10):
        alone.stack.ping(ip_address(PEER_6), 5000, alone.now)
        names.add(heard(alone.hear()[0]).payload[4:8])
    assert len(names) == 10


def test_an_address_of_ours_is_reached_through_the_node() -> None:
    alone = Alone(make_stack())
    alone.stack.ping(ip_address(OWN_4), 8, alone.now)
    (request,) = alone.hear()
    assert request[:6] == US
    (answer,) = alone.say(request)
    alone.say(answer)
    assert isinstance(alone.events()[0], EchoAnswered)


def test_neighbours_that_changed_addresses_are_asked_anew(alone: Alone) -> None:
    alone.stack.set_addresses(alone.stack.addresses[:1], (), alone.now)
    alone.hear()
    assert alone.stack.neighbor_state(ip_address(PEER_4)) is None


def test_the_same_addresses_again_change_nothing(alone: Alone) -> None:
    alone.stack.set_addresses(alone.stack.addresses[:2], (), alone.now)
    alone.hear()
    assert alone.stack.neighbor_state(ip_address(PEER_4)) is not None


def test_frames_are_counted(alone: Alone) -> None:
    before = alone.stack.counters.frames_in, alone.stack.counters.frames_out
    alone.say(icmp_4(ECHO_4), udp_4(9), arp_frame(ARP_REQUEST, THEM, PEER_4, "10.0.0.9"))
    after = alone.stack.counters.frames_in, alone.stack.counters.frames_out
    assert (after[0] - before[0], after[1] - before[1]) == (3, 2)


def test_an_unasked_advertisement_with_our_source_is_no_packet_of_ours(alone: Alone) -> None:
    alone.say(advertisement(OWN_6))
    assert dropped(alone, Discard.SPOOFED) == 0
