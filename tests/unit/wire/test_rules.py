"""Rule tables as bytes and as the controller's API writes them."""

from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.errors import WireError
from ztlink.wire.rules import (
    Icmp,
    IntegerRange,
    Opaque,
    Rule,
    RuleType,
    decode_rules,
    encode_rules,
)
from ztlink.wire.rules_json import rule_from_json, rule_to_json, shortened

VECTORS = load("rules.json")
TABLES = VECTORS["tables"]
ODD = {case["why"]: case["binary"] for case in VECTORS["odd_encodings"]}
KNOWN = [
    (table["binary"], index, entry)
    for table in TABLES
    for index, entry in enumerate(table["rules"])
    if not entry["type"].startswith("UNKNOWN")
]
NOT_IN_THE_API = {"code", "format"}


def as_api(entry: dict[str, Any]) -> dict[str, Any]:
    api = {"not": False, "or": False} | entry
    hidden = NOT_IN_THE_API | ({"length"} if api["type"] == "ACTION_REDIRECT" else set())
    return {key: value for key, value in api.items() if key not in hidden}


def test_tables_encode_to_the_same_bytes() -> None:
    tables = [bytes.fromhex(table["binary"]) for table in TABLES]
    assert [encode_rules(decode_rules(table)) for table in tables] == tables


def test_tables_decode_to_their_types_and_flags() -> None:
    for table in TABLES:
        found = [
            (r.type, r.negate, r.or_flag) for r in decode_rules(bytes.fromhex(table["binary"]))
        ]
        expected = [(e["code"], e.get("not", False), e.get("or", False)) for e in table["rules"]]
        assert found == expected


def test_rules_have_the_form_of_the_api() -> None:
    for binary, index, entry in KNOWN:
        assert rule_to_json(decode_rules(bytes.fromhex(binary))[index]) == as_api(entry)


def test_rules_of_the_api_encode_to_the_same_bytes() -> None:
    # Where the ICMP code is not compared, the API does not tell what stands in its place.
    exact = [known for known in KNOWN if known[2].get("icmpCode", 0) is not None]
    for binary, index, entry in exact:
        rule = rule_from_json(entry)
        assert rule.to_bytes() == decode_rules(bytes.fromhex(binary))[index].to_bytes()


def test_rules_of_the_api_survive_a_round_trip() -> None:
    for _, _, entry in KNOWN:
        assert rule_to_json(rule_from_json(entry)) == as_api(entry)


def test_rules_of_unknown_type_are_named_by_number() -> None:
    assert rule_to_json(Rule(20, Opaque())) == {"type": "UNKNOWN_20", "not": False, "or": False}


@pytest.mark.parametrize("why", ["field missing", "field cut", "length byte missing"])
def test_cut_entry_is_refused(why: str) -> None:
    with pytest.raises(WireError):
        decode_rules(bytes.fromhex(ODD[why]))


def test_field_shorter_than_its_type_needs_is_refused() -> None:
    with pytest.raises(WireError):
        decode_rules(bytes.fromhex(ODD["field shorter than standard"]))


@pytest.mark.parametrize(
    "why",
    ["field longer than standard", "unknown match with payload", "unknown action with payload"],
)
def test_unusual_entry_keeps_its_bytes(why: str) -> None:
    assert encode_rules(decode_rules(bytes.fromhex(ODD[why]))).hex() == ODD[why]


def test_entries_beyond_the_limit_are_left_out() -> None:
    assert len(decode_rules(b"\x01\x00" * 5, limit=3)) == 3


@pytest.mark.parametrize("binary", ["1f050a00000021", "2111" + "00" * 16 + "81"])
def test_prefix_longer_than_the_address_is_refused(binary: str) -> None:
    with pytest.raises(WireError, match="prefix"):
        decode_rules(bytes.fromhex(binary))


def test_types_below_sixteen_are_actions() -> None:
    actions = [Rule(number).is_action for number in (0, 6, 15, 16, 63)]
    assert actions == [True, True, True, False, False]


def test_format_of_an_integer_range_tells_size_and_byte_order() -> None:
    field = IntegerRange(0, 1, 2, 0x80 | 15)
    assert (field.bits, field.is_little_endian) == (16, True)


def test_icmp_code_counts_only_if_its_flag_says_so() -> None:
    rule = Rule(RuleType.MATCH_ICMP, Icmp(8, 3, 0))
    assert rule_to_json(rule)["icmpCode"] is None


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, "type None is unknown"),
        ({"type": "MATCH_MOON"}, "type 'MATCH_MOON' is unknown"),
        ({"type": "MATCH_ETHERTYPE"}, "etherType None is not a number of 16 bits"),
        ({"type": "MATCH_ETHERTYPE", "etherType": 65536}, "not a number of 16 bits"),
        ({"type": "MATCH_ETHERTYPE", "etherType": True}, "not a number of 16 bits"),
        ({"type": "MATCH_IPV4_SOURCE", "ip": "fd51::/64"}, "not an IPv4 range"),
        ({"type": "MATCH_IPV4_SOURCE", "ip": "10.0.0.0/33"}, "not an IPv4 range"),
        ({"type": "MATCH_IPV6_DEST", "ip": "10.0.0.0/8"}, "not an IPv6 range"),
        ({"type": "MATCH_IPV6_DEST", "ip": "x/8"}, "ip 'x'/8"),
        ({"type": "MATCH_IPV6_DEST", "ip": 5}, "ip 5 is not a text"),
        ({"type": "MATCH_MAC_DEST", "mac": "02:00"}, "mac '02:00'"),
        ({"type": "MATCH_MAC_DEST", "mac": "zz"}, "mac 'zz'"),
        ({"type": "MATCH_SOURCE_ZEROTIER_ADDRESS", "zt": "xyz"}, "is not an address"),
        ({"type": "MATCH_CHARACTERISTICS", "mask": "xyz"}, "mask 'xyz' is not hex"),
        ({"type": "INTEGER_RANGE", "bits": 65, "start": 0, "end": 1, "idx": 0}, "bits 65"),
        ({"type": "ACTION_DROP", "not": "false"}, "not 'false' is not true or false"),
        ({"type": "ACTION_DROP", "or": 1}, "or 1 is not true or false"),
        ({"type": ["x" * 999] * 999}, r"type \[.{1,260}\] is unknown"),
    ],
)
def test_malformed_rule_of_the_api_is_refused(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        rule_from_json(entry)


def test_mac_of_the_api_may_have_hyphens_or_nothing_between() -> None:
    macs = ["02:00:5e:10:00:01", "02-00-5e-10-00-01", "02005e100001"]
    rules = {rule_from_json({"type": "MATCH_MAC_DEST", "mac": mac}) for mac in macs}
    assert len(rules) == 1


def test_mask_of_the_api_may_be_a_number() -> None:
    entries = [{"type": "MATCH_CHARACTERISTICS", "mask": mask} for mask in (2, "0000000000000002")]
    assert rule_from_json(entries[0]) == rule_from_json(entries[1])


def test_a_deep_value_is_shown_in_short() -> None:
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    assert shortened(deep) == "[[[...]]]"


def test_a_wide_value_is_shown_in_short() -> None:
    assert len(shortened([["x" * 999] * 999] * 999)) < 1_000
