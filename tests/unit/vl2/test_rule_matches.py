from ipaddress import IPv4Address, IPv6Address

import pytest

from ztlink.ids import Address
from ztlink.inet.flow import parse_frame
from ztlink.vl2.rule_context import FrameContext, LocalParty, RemoteParty
from ztlink.vl2.rule_matches import compile_match
from ztlink.wire.rules import (
    Field,
    IntegerRange,
    Number,
    Opaque,
    Prefix,
    Range,
    Rule,
    RuleType,
    TagMatch,
    Tos,
)

OWN, PEER = Address(0x53BE9B7B42), Address(0x1598C1BF84)
MACS = bytes.fromhex("020000000002020000000001")
IPV4 = bytes.fromhex("0800" + "4510002800000000" + "40060000" + "0a000001" + "c0a80102") + bytes(20)
IPV6_ADDRESSES = ("fd" + "00" * 14 + "01") + ("fd" + "00" * 14 + "02")
IPV6 = bytes.fromhex("86dd" + "6100000000000640" + IPV6_ADDRESSES)
OTHER = bytes.fromhex("88b5") + bytes(range(16))


def matches(
    kind: RuleType | int,
    field: Field,
    frame: bytes,
    *,
    negate: bool = False,
    local: LocalParty | None = None,
    peer_tags: dict[int, int] | None = None,
) -> bool:
    view = memoryview(MACS + frame)
    context = FrameContext(
        view,
        parse_frame(view),
        local or LocalParty(OWN, bytes),
        RemoteParty(peer_tags or {}),
        source=OWN,
        destination=PEER,
        is_inbound=False,
    )
    context.prepare()
    return compile_match(Rule(kind, field, negate))(context)


@pytest.mark.parametrize(
    ("bits", "expected"), [(0, True), (8, True), (15, True), (24, False), (32, False)]
)
def test_the_host_bits_of_an_ipv4_rule_do_not_matter(bits: int, expected: bool) -> None:
    prefix = Prefix(IPv4Address("10.0.7.7"), bits)
    assert matches(RuleType.MATCH_IPV4_SOURCE, prefix, IPV4) is expected


@pytest.mark.parametrize(("ip", "expected"), [("fd00::", True), ("fd00::9", False)])
def test_the_host_bits_of_an_ipv6_rule_keep_it_from_matching(ip: str, expected: bool) -> None:
    prefix = Prefix(IPv6Address(ip), 64)
    assert matches(RuleType.MATCH_IPV6_SOURCE, prefix, IPV6) is expected


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (RuleType.MATCH_IPV4_DEST, Prefix(IPv4Address(0), 0)),
        (RuleType.MATCH_IPV6_DEST, Prefix(IPv6Address(0), 0)),
        (RuleType.MATCH_IP_TOS, Tos(0xFF, 0, 0xFF)),
        (RuleType.MATCH_IP_PROTOCOL, Number(6)),
        (RuleType.MATCH_IP_DEST_PORT_RANGE, Range(0, 65_535)),
    ],
)
@pytest.mark.parametrize("negate", [False, True])
def test_without_ip_neither_the_match_nor_its_opposite_holds(
    kind: RuleType, field: Field, negate: bool
) -> None:
    assert not matches(kind, field, OTHER, negate=negate)


@pytest.mark.parametrize("frame", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_the_type_of_service_is_masked(frame: bytes) -> None:
    assert matches(RuleType.MATCH_IP_TOS, Tos(0xFC, 0x10, 0x10), frame)


@pytest.mark.parametrize(
    ("bits", "value"), [(8, 7), (16, 0x607), (12, 0x607), (64, 0x01020304050607)]
)
def test_a_big_endian_integer_ends_eight_bytes_on(bits: int, value: int) -> None:
    field = IntegerRange(value, value, 0, bits - 1)
    assert matches(RuleType.INTEGER_RANGE, field, OTHER)


@pytest.mark.parametrize(("bits", "value"), [(8, 1), (16, 0x0201), (12, 0x020)])
def test_a_little_endian_integer_begins_where_it_is_said_to(bits: int, value: int) -> None:
    field = IntegerRange(value, value, 1, 0x80 | bits - 1)
    assert matches(RuleType.INTEGER_RANGE, field, OTHER)


def test_an_integer_past_the_end_is_zero() -> None:
    assert matches(RuleType.INTEGER_RANGE, IntegerRange(0, 0, 9, 7), OTHER)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (RuleType.MATCH_TAGS_DIFFERENCE, 3),
        (RuleType.MATCH_TAGS_BITWISE_AND, 4),
        (RuleType.MATCH_TAGS_BITWISE_OR, 7),
        (RuleType.MATCH_TAGS_BITWISE_XOR, 3),
        (RuleType.MATCH_TAG_SENDER, 6),
        (RuleType.MATCH_TAG_RECEIVER, 5),
    ],
)
def test_tags_are_compared_with_each_other(kind: RuleType, value: int) -> None:
    local = LocalParty(OWN, bytes, {1: 6})
    field = TagMatch(1, value)
    assert matches(kind, field, IPV4, local=local, peer_tags={1: 5})


@pytest.mark.parametrize(("ours", "theirs", "equal"), [(4, 4, True), (4, 5, False), (5, 5, False)])
def test_equal_tags_have_the_value_both(ours: int, theirs: int, equal: bool) -> None:
    local = LocalParty(OWN, bytes, {1: ours})
    kind, field = RuleType.MATCH_TAGS_EQUAL, TagMatch(1, 4)
    assert matches(kind, field, IPV4, local=local, peer_tags={1: theirs}) is equal


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("kind", [26, 27, 28])
def test_every_frame_is_of_vlan_0(kind: int, value: int) -> None:
    assert matches(kind, Number(value), IPV4) is (value == 0)


@pytest.mark.parametrize("unknown_matches", [False, True])
def test_the_network_says_whether_unknown_types_match(unknown_matches: bool) -> None:
    local = LocalParty(OWN, bytes, unknown_matches=unknown_matches)
    assert matches(20, Opaque(), IPV4, local=local) is unknown_matches
