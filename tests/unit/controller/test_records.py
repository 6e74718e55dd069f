"""Records and their JSON: every field both ways, and nothing dangerous by mistake."""

from dataclasses import replace
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.controller.fields import FieldError
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.ids import Address, NetworkId

NETWORK = NetworkRecord(NetworkId(0x7CE8165A4FAF97EA), 1_795_320_916_867)
MEMBER = MemberRecord(NETWORK.network_id, Address(0xCD35ADCAB8), 1_795_320_916_867)
FULL_NETWORK: dict[str, Any] = {
    "name": "lab \u00fc",
    "private": False,
    "enableBroadcast": False,
    "multicastLimit": 0,
    "mtu": 1280,
    "v4AssignMode": {"zt": True},
    "v6AssignMode": {"6plane": True, "rfc4193": True, "zt": True},
    "routes": [
        {"target": "10.1.0.0/16", "via": None},
        {"target": "0.0.0.0/0", "via": "10.1.0.1"},
        {"target": "fd00::/8", "via": None},
    ],
    "ipAssignmentPools": [
        {"ipRangeStart": "10.1.0.1", "ipRangeEnd": "10.1.0.9"},
        {"ipRangeStart": "fd00::1", "ipRangeEnd": "fd00::ffff"},
    ],
    "rules": [
        {"type": "MATCH_ETHERTYPE", "not": True, "or": False, "etherType": 2048},
        {"type": "ACTION_DROP", "not": False, "or": False},
    ],
    "capabilities": [
        {
            "id": 7,
            "default": True,
            "rules": [{"type": "ACTION_ACCEPT", "not": False, "or": False}],
        }
    ],
    "tags": [{"id": 1, "default": None}, {"id": 2, "default": 5}],
    "authTokens": {"sesame": 0, "late": 99},
    "dns": {"domain": "lab.example", "servers": ["10.1.0.53", "fd00::53"]},
    "remoteTraceTarget": "cd35adcab8",
    "remoteTraceLevel": 3,
}
FULL_MEMBER: dict[str, Any] = {
    "authorized": True,
    "activeBridge": True,
    "noAutoAssignIps": True,
    "ipAssignments": ["10.1.0.7", "fd00::7"],
    "tags": [[1, 2], [3, 4_294_967_295]],
    "capabilities": [1, 9],
    "name": "a",
    "authenticationExpiryTime": 5,
    "remoteTraceTarget": "cd35adcab8",
    "remoteTraceLevel": 1,
}


@pytest.mark.parametrize("field", FULL_NETWORK)
def test_a_field_of_a_network_is_shown_as_it_was_set(field: str) -> None:
    assert NETWORK.updated({field: FULL_NETWORK[field]}).to_json()[field] == FULL_NETWORK[field]


@pytest.mark.parametrize("field", FULL_MEMBER)
def test_a_field_of_a_member_is_shown_as_it_was_set(field: str) -> None:
    assert MEMBER.updated({field: FULL_MEMBER[field]}, 9).to_json()[field] == FULL_MEMBER[field]


@pytest.mark.parametrize("fields", [{}, FULL_NETWORK], ids=["bare", "full"])
def test_a_network_that_is_posted_back_as_it_was_shown_is_unchanged(fields: dict[str, Any]) -> None:
    network = NETWORK.updated(fields)
    assert network.updated(network.to_json()) == network


@pytest.mark.parametrize("fields", [{}, FULL_MEMBER], ids=["bare", "full"])
def test_a_member_that_is_posted_back_as_it_was_shown_is_unchanged(fields: dict[str, Any]) -> None:
    member = MEMBER.updated(fields, 9)
    assert member.updated(member.to_json(), 10) == member


def test_a_new_network_reads_as_the_originals() -> None:
    recorded = next(
        e["json"]
        for e in load("localapi.json")["entries"]
        if e.get("note") == "every field left at its default"
    )
    shown = NetworkRecord(NetworkId(int(recorded["id"], 16)), recorded["creationTime"]).to_json()
    assert shown == recorded


def test_fields_that_nobody_knows_are_passed_over() -> None:
    assert NETWORK.updated({"nosuch": 1, "revision": 99, "id": "x"}) == NETWORK


def test_the_short_forms_of_the_assign_modes_are_taken() -> None:
    network = NETWORK.updated({"v4AssignMode": "zt", "v6AssignMode": "rfc4193, 6plane"})
    assert (network.v4_zt, network.v6_zt, network.v6_rfc4193, network.v6_sixplane) == (
        True,
        False,
        True,
        True,
    )


def test_an_assign_mode_that_leaves_a_key_out_turns_it_off() -> None:
    network = NETWORK.updated({"v6AssignMode": {"rfc4193": True, "zt": True}})
    assert not network.updated({"v6AssignMode": {"zt": True}}).v6_rfc4193


def test_capabilities_are_kept_by_id() -> None:
    network = NETWORK.updated({"capabilities": [{"id": 9}, {"id": 2}]})
    assert [c.capability_id for c in network.capabilities] == [2, 9]


def test_prefixes_and_doubles_are_taken_off_assigned_addresses() -> None:
    member = MEMBER.updated({"ipAssignments": ["10.1.0.7/24", "10.1.0.7"]}, 9)
    assert member.to_json()["ipAssignments"] == ["10.1.0.7"]


def test_authorisation_is_stamped() -> None:
    shown = MEMBER.updated({"authorized": True}, 9).to_json()
    assert (shown["lastAuthorizedTime"], shown["lastAuthorizedCredentialType"]) == (9, "api")


def test_deauthorisation_is_stamped() -> None:
    member = MEMBER.updated({"authorized": True}, 9).updated({"authorized": False}, 10)
    assert member.to_json()["lastDeauthorizedTime"] == 10


def test_what_was_authorised_already_keeps_its_stamp() -> None:
    member = MEMBER.updated({"authorized": True}, 9).updated({"authorized": True}, 10)
    assert member.to_json()["lastAuthorizedTime"] == 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("private", "x"),
        ("private", 0),
        ("private", None),
        ("name", 5),
        ("name", "x" * 128),
        ("name", "\u00fc" * 64),
        ("name", "\ud800"),
        ("name", "a\0b"),
        ("enableBroadcast", "true"),
        ("multicastLimit", -1),
        ("multicastLimit", "32"),
        ("multicastLimit", 3.5),
        ("multicastLimit", True),
        ("mtu", 1279),
        ("mtu", 10_001),
        ("mtu", float("nan")),
        ("v4AssignMode", True),
        ("v4AssignMode", {"zt": 1}),
        ("v6AssignMode", ["zt"]),
        ("v6AssignMode", "zt, rfc4291"),
        ("routes", {"target": "10.0.0.0/8"}),
        ("routes", ["10.0.0.0/8"]),
        ("routes", [{}]),
        ("routes", [{"target": "nonsense"}]),
        ("routes", [{"target": "10.0.0.0"}]),
        ("routes", [{"target": "10.0.0.0/33"}]),
        ("routes", [{"target": "fe80::%eth0/64"}]),
        ("routes", [{"target": "10.0.0.0/8", "via": "fd00::1"}]),
        ("routes", [{"target": "10.0.0.0/8", "via": "x"}]),
        ("routes", [{"target": "10.0.0.0/8"}] * 129),
        ("ipAssignmentPools", [{"ipRangeStart": "10.1.0.9"}]),
        ("ipAssignmentPools", [{"ipRangeStart": "10.1.0.9", "ipRangeEnd": "10.1.0.1"}]),
        ("ipAssignmentPools", [{"ipRangeStart": "10.1.0.9", "ipRangeEnd": "fd00::1"}]),
        ("rules", [{"type": "NO_SUCH"}]),
        ("rules", [{"type": "MATCH_ETHERTYPE", "etherType": "x"}]),
        ("rules", ["ACTION_DROP"]),
        ("rules", [{"type": "ACTION_ACCEPT", "not": "false"}]),
        ("rules", [{"type": "ACTION_DROP"}] * 1025),
        ("capabilities", [{"id": -1}]),
        ("capabilities", [{"id": 1, "default": "yes"}]),
        ("capabilities", [{"id": 1, "rules": [{"type": "ACTION_DROP"}] * 65}]),
        ("tags", [{"id": 1 << 32}]),
        ("tags", [{"id": 1, "default": -1}]),
        ("tags", "x"),
        ("authTokens", {"t": "never"}),
        ("authTokens", {"t": -1}),
        ("authTokens", "t"),
        ("dns", {"domain": 5}),
        ("dns", {"domain": "x", "servers": ["1.1.1.1"] * 5}),
        ("dns", {"domain": "x", "servers": ["fe80::1%eth0"]}),
        ("dns", "x"),
        ("remoteTraceTarget", "xyz"),
        ("remoteTraceLevel", "x"),
    ],
)
def test_a_bad_value_of_a_network_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(FieldError, match=f"^{field}"):
        NETWORK.updated({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("authorized", "maybe"),
        ("authorized", 1),
        ("authorized", None),
        ("activeBridge", "no"),
        ("noAutoAssignIps", 0),
        ("ipAssignments", ["nonsense"]),
        ("ipAssignments", "10.0.0.1"),
        ("ipAssignments", [5.5]),
        ("ipAssignments", [["10.0.0.1"]]),
        ("ipAssignments", ["10.0.0.1/99"]),
        ("ipAssignments", [f"10.0.0.{n}" for n in range(33)]),
        ("tags", [[1, 2], [3]]),
        ("tags", [[1, -2]]),
        ("tags", {"1": 2}),
        ("capabilities", [1, "x"]),
        ("capabilities", 1),
        ("name", []),
        ("authenticationExpiryTime", -1),
        ("remoteTraceTarget", 5),
    ],
)
def test_a_bad_value_of_a_member_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(FieldError, match=f"^{field}"):
        MEMBER.updated({field: value}, 9)


def test_a_refusal_says_what_is_wanted() -> None:
    with pytest.raises(FieldError, match="private: 'x' is not true or false"):
        NETWORK.updated({"private": "x"})


def test_a_refusal_does_not_repeat_all_of_a_huge_value() -> None:
    with pytest.raises(FieldError) as caught:
        NETWORK.updated({"private": "x" * 100_000})
    assert len(str(caught.value)) <= 300


def test_a_refusal_says_what_is_wanted_also_of_a_huge_value() -> None:
    with pytest.raises(FieldError, match=r"is not true or false$"):
        NETWORK.updated({"private": ["x" * 100_000] * 100})


def test_a_request_cannot_set_what_only_files_may() -> None:
    body = {"ssoEnabled": True, "clientId": "x", "certificateTimeoutWindowSize": 1}
    assert NETWORK.updated(body) == NETWORK


def test_a_member_shows_no_texts_that_nobody_gave() -> None:
    assert {"identity", "name"} & MEMBER.to_json().keys() == set()


def test_the_window_of_certificates_is_shown_where_a_file_set_it() -> None:
    network = replace(NETWORK, credential_window_ms=600_000)
    assert network.to_json()["certificateTimeoutWindowSize"] == 600_000
