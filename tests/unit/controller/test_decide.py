"""What a controller decides: pure, so every case is a value in and a value out."""

from collections.abc import Collection
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from tests.unit.controller.rig import (
    ADDRESSING,
    CONTROLLER,
    NETWORK,
    join_chunks,
    member,
    metadata,
)
from tests.unit.vl1.mesh import seeded_bytes
from ztlink.controller.decide import (
    CHUNK_SIZE,
    Answer,
    Request,
    chunks_of,
    decide,
    endorse,
    revoke,
)
from ztlink.controller.records import MemberRecord, NetworkRecord
from ztlink.crypto.identity import verify
from ztlink.derive import rfc4193_address, sixplane_address
from ztlink.ids import Address, IpAddress
from ztlink.wire.buffer import Reader
from ztlink.wire.netconf import ConfigFlag, NetworkConfig, NetworkType
from ztlink.wire.network import ConfigChunk
from ztlink.wire.rules import Rule, RuleType
from ztlink.wire.verbs import ErrorCode

NOW = 1_700_000_000_000
NODE = member(1)
REQUEST = Request.decode(NODE, metadata())
KNOWN = MemberRecord(NETWORK, NODE.address, 1, authorized=True)
DROP = {"type": "ACTION_DROP"}


def network(**fields: object) -> NetworkRecord:
    return NetworkRecord(NETWORK, 1).updated(fields)


def judge(
    of: NetworkRecord,
    record: MemberRecord | None = KNOWN,
    request: Request = REQUEST,
    used: Collection[IpAddress] = (),
    bridges: tuple[Address, ...] = (),
) -> Answer:
    return decide(of, record, request, used, bridges, NOW, seeded_bytes(1))


def config(
    of: NetworkRecord,
    record: MemberRecord = KNOWN,
    request: Request = REQUEST,
    used: Collection[IpAddress] = (),
    bridges: tuple[Address, ...] = (),
) -> NetworkConfig:
    found = judge(of, record, request, used, bridges).config
    assert found is not None
    return found


def endorsed(
    of: NetworkRecord, record: MemberRecord = KNOWN, request: Request = REQUEST
) -> NetworkConfig:
    answer = judge(of, record, request)
    assert answer.config is not None
    return endorse(answer.config, of, answer.member, request, CONTROLLER)


def assigned(of: NetworkRecord, used: Collection[IpAddress] = ()) -> list[str]:
    return [str(address) for address in config(of, used=used).addresses]


# -- who comes in --------------------------------------------------------------------------------


def test_a_private_network_refuses_strangers() -> None:
    answer = judge(network(), None)
    assert (answer.config, answer.refusal) == (None, ErrorCode.NETWORK_ACCESS_DENIED)


def test_a_public_network_lets_strangers_in_and_says_why() -> None:
    answer = judge(network(private=False), None)
    record = answer.member
    assert (record.authorized, record.credential_type, record.last_authorized_unix_ms) == (
        True,
        "public",
        NOW,
    )


@pytest.mark.parametrize("expiry", [0, NOW + 1])
def test_a_good_token_lets_in(expiry: int) -> None:
    record = judge(
        network(authTokens={"sesame": expiry}),
        None,
        Request.decode(NODE, metadata(a="token:sesame")),
    ).member
    assert (record.authorized, record.credential_type, record.credential) == (
        True,
        "token",
        "sesame",
    )


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        ({"sesame": NOW}, "token:sesame"),
        ({"sesame": 0}, "token:other"),
        ({"sesame": 0}, "sesame"),
        ({"sesame": 0}, "key:sesame"),
        ({"": 0}, "token:"),
        ({}, "token:sesame"),
    ],
    ids=["expired", "other", "bare", "of another kind", "empty", "none"],
)
def test_a_bad_token_does_not_let_in(tokens: dict[str, int], shown: str) -> None:
    request = Request.decode(NODE, metadata(a=shown))
    assert not judge(network(authTokens=tokens), None, request).member.authorized


def test_other_keys_under_a_known_address_are_refused() -> None:
    record = MemberRecord(NETWORK, NODE.address, 1, authorized=True, identity=str(member(2)))
    answer = judge(network(), record)
    assert (answer.refusal, answer.member) == (ErrorCode.NETWORK_ACCESS_DENIED, record)


def test_a_member_is_known_by_the_keys_that_it_first_came_with() -> None:
    assert judge(network(), None).member.identity == str(NODE)


def test_what_a_member_says_of_its_version_is_kept() -> None:
    record = judge(network()).member
    assert (record.version, record.protocol) == ((1, 14, 1), 12)


# -- what it is told -----------------------------------------------------------------------------


def test_a_configuration_is_for_its_member_and_of_now() -> None:
    found = config(network())
    assert (found.issued_to, found.network_id, found.timestamp) == (NODE.address, NETWORK, NOW)


@pytest.mark.parametrize(
    ("private", "kind"), [(True, NetworkType.PRIVATE), (False, NetworkType.PUBLIC)]
)
def test_the_type_of_a_network_is_told(private: bool, kind: NetworkType) -> None:
    assert config(network(private=private)).type is kind


def test_settings_are_told() -> None:
    found = config(network(name="lab", mtu=1400, multicastLimit=7, dns={"domain": "lab.example"}))
    assert (found.name, found.mtu, found.multicast_limit, found.dns.domain) == (
        b"lab",
        1400,
        7,
        b"lab.example",
    )


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, ConfigFlag.BROADCAST),
        ({"enableBroadcast": False}, ConfigFlag(0)),
        (
            {"v6AssignMode": {"rfc4193": True}},
            ConfigFlag.BROADCAST | ConfigFlag.NDP_EMULATION,
        ),
        ({"v6AssignMode": {"zt": True}}, ConfigFlag.BROADCAST),
    ],
)
def test_flags_follow_from_the_settings(fields: dict[str, Any], flags: ConfigFlag) -> None:
    assert config(network(**fields)).flags == flags


def test_routes_are_told_with_their_gateways() -> None:
    routes = [{"target": "10.1.0.0/16", "via": None}, {"target": "0.0.0.0/0", "via": "10.1.0.1"}]
    found = config(network(routes=routes)).routes
    assert [(str(r.target), str(r.via)) for r in found] == [
        ("10.1.0.0/16", "None"),
        ("0.0.0.0/0", "10.1.0.1"),
    ]


def test_bridges_are_told() -> None:
    bridges = (member(2).address, member(3).address)
    assert config(network(), bridges=bridges).active_bridges == bridges


def test_no_more_bridges_are_told_than_members_take() -> None:
    bridges = tuple(Address(number) for number in range(1, 300))
    assert len(config(network(), bridges=bridges).specialists) == 256


def test_rules_are_told_to_those_with_a_rules_engine() -> None:
    assert config(network(rules=[DROP])).rules == (Rule(RuleType.ACTION_DROP),)


def test_those_without_a_rules_engine_are_told_to_accept() -> None:
    old = Request.decode(NODE, metadata(revr=0))
    assert config(network(rules=[DROP]), request=old).rules == (Rule(RuleType.ACTION_ACCEPT),)


# -- addresses -----------------------------------------------------------------------------------


def test_derived_addresses_come_first() -> None:
    of = network(**ADDRESSING, v6AssignMode={"rfc4193": True, "6plane": True})
    assert config(of).addresses[:2] == (
        rfc4193_address(NETWORK, NODE.address),
        sixplane_address(NETWORK, NODE.address),
    )


def test_an_ipv4_address_follows_from_the_members_address() -> None:
    start, span = int(IPv4Address("10.147.0.1")), 65_533
    expected = IPv4Address(start + (NODE.address & 0xFFFF_FFFF) % span)
    assert assigned(network(**ADDRESSING)) == [f"{expected}/16"]


def test_an_assigned_address_is_kept_in_the_record() -> None:
    answer = judge(network(**ADDRESSING))
    assert answer.config is not None
    assert answer.member.ip_assignments == tuple(a.ip for a in answer.config.addresses)


def test_an_address_in_use_is_passed_over() -> None:
    (first,) = assigned(network(**ADDRESSING))
    used = {ip_address(first.partition("/")[0])}
    (second,) = assigned(network(**ADDRESSING), used)
    assert int(ip_address(second.partition("/")[0])) == int(next(iter(used))) + 1


def small(start: str, end: str) -> NetworkRecord:
    pool = {"ipRangeStart": start, "ipRangeEnd": end}
    return network(**(ADDRESSING | {"ipAssignmentPools": [pool]}))


def test_an_address_that_ends_in_255_is_not_given() -> None:
    assert assigned(small("10.147.0.255", "10.147.0.255")) == []


def test_a_pool_of_one_address_is_given_once() -> None:
    of = small("10.147.0.7", "10.147.0.7")
    assert (assigned(of), assigned(of, {ip_address("10.147.0.7")})) == (["10.147.0.7/16"], [])


def test_a_pool_outside_of_all_routes_gives_nothing() -> None:
    assert assigned(small("10.200.0.1", "10.200.0.9")) == []


def test_a_default_route_alone_makes_no_pool_good() -> None:
    of = network(**(ADDRESSING | {"routes": [{"target": "0.0.0.0/0", "via": "10.147.0.1"}]}))
    assert assigned(of) == []


def test_the_next_pool_serves_when_one_is_full() -> None:
    pools = [
        {"ipRangeStart": "10.147.0.7", "ipRangeEnd": "10.147.0.7"},
        {"ipRangeStart": "10.147.0.9", "ipRangeEnd": "10.147.0.9"},
    ]
    of = network(**(ADDRESSING | {"ipAssignmentPools": pools}))
    assert assigned(of, {ip_address("10.147.0.7")}) == ["10.147.0.9/16"]


def six(**route: object) -> NetworkRecord:
    return network(
        v6AssignMode={"zt": True},
        routes=[{"target": "fd12::/64", "via": None} | route],
        ipAssignmentPools=[{"ipRangeStart": "fd12::", "ipRangeEnd": "fd12::ffff:ffff:ffff"}],
    )


def test_an_ipv6_address_carries_the_members_address() -> None:
    expected = IPv6Address(int(IPv6Address("fd12::")) + NODE.address)
    assert assigned(six()) == [f"{expected}/64"]


def test_an_ipv6_address_in_use_is_replaced_by_one_drawn_from_the_pool() -> None:
    used = {IPv6Address(int(IPv6Address("fd12::")) + NODE.address)}
    (found,) = config(six(), used=used).addresses
    assert found.ip not in used
    assert found.ip in found.network


def test_ipv6_pools_behind_a_gateway_give_nothing() -> None:
    assert assigned(six(via="fd12::1")) == []


def test_who_has_an_address_gets_no_other() -> None:
    record = MemberRecord(
        NETWORK, NODE.address, 1, authorized=True, ip_assignments=(IPv4Address("10.147.3.4"),)
    )
    assert [str(a) for a in config(network(**ADDRESSING), record).addresses] == ["10.147.3.4/16"]


def test_an_address_of_old_that_no_route_covers_is_kept_but_not_told() -> None:
    old = IPv4Address("192.168.3.4")
    record = MemberRecord(NETWORK, NODE.address, 1, authorized=True, ip_assignments=(old,))
    answer = judge(network(**ADDRESSING), record)
    assert answer.config is not None
    assert (answer.member.ip_assignments[0], len(answer.config.addresses)) == (old, 1)


def test_a_member_with_all_the_addresses_it_may_have_gets_no_more() -> None:
    many = tuple(IPv4Address(f"192.168.0.{n}") for n in range(32))
    record = MemberRecord(NETWORK, NODE.address, 1, authorized=True, ip_assignments=many)
    assert judge(network(**ADDRESSING), record).member.ip_assignments == many


def test_who_is_to_get_none_gets_only_what_was_set() -> None:
    record = KNOWN.updated({"noAutoAssignIps": True, "ipAssignments": ["10.147.3.4"]}, 1)
    of = network(**ADDRESSING, v6AssignMode={"rfc4193": True, "6plane": True})
    assert [str(a) for a in config(of, record).addresses] == ["10.147.3.4/16"]


def test_the_longest_prefix_among_the_routes_counts() -> None:
    record = KNOWN.updated({"ipAssignments": ["10.147.3.4"]}, 1)
    routes = [{"target": "10.0.0.0/8"}, {"target": "10.147.3.0/24"}, {"target": "0.0.0.0/0"}]
    assert [str(a) for a in config(network(routes=routes), record).addresses] == ["10.147.3.4/24"]


# -- credentials ---------------------------------------------------------------------------------

RICH: dict[str, Any] = ADDRESSING | {
    "tags": [{"id": 9, "default": 1}, {"id": 3, "default": None}],
    "capabilities": [{"id": 5, "default": True, "rules": [{"type": "ACTION_ACCEPT"}]}, {"id": 6}],
}


def test_every_credential_is_signed_by_the_controller() -> None:
    found = endorsed(network(**RICH), KNOWN.updated({"capabilities": [5], "tags": [[3, 7]]}, 1))
    assert found.com is not None
    chain = found.capabilities[0].custody[0].signature
    signed = [
        (found.com.signing_input(), found.com.signature),
        *((c.signing_input(), c.signature) for c in found.coos),
        *((t.signing_input(), t.signature) for t in found.tags),
        (found.capabilities[0].signing_input(), chain),
    ]
    key = CONTROLLER.public.public_key
    assert [verify(key, text, signature) for text, signature in signed] == [True] * 5


def test_all_credentials_carry_the_time_of_the_configuration() -> None:
    found = endorsed(network(**RICH), KNOWN.updated({"capabilities": [5]}, 1))
    assert found.com is not None
    times = {found.com.timestamp, found.tags[0].timestamp, found.coos[0].timestamp}
    assert times | {found.capabilities[0].timestamp} == {NOW}


def test_tags_not_set_have_the_networks_defaults() -> None:
    found = endorsed(network(**RICH))
    assert [(t.tag_id, t.value) for t in found.tags] == [(9, 1)]


def test_tags_that_are_set_win_and_stand_by_id() -> None:
    found = endorsed(network(**RICH), KNOWN.updated({"tags": [[9, 4], [3, 2]]}, 1))
    assert [(t.tag_id, t.value) for t in found.tags] == [(3, 2), (9, 4)]


def test_no_more_tags_are_added_than_members_take() -> None:
    tags = [{"id": number, "default": 0} for number in range(100)]
    record = KNOWN.updated({"tags": [[number, 1] for number in range(1000, 1100)]}, 1)
    assert len(judge(network(tags=tags), record).member.tags) == 128


def test_default_capabilities_go_to_new_members() -> None:
    assert judge(network(**RICH), None).member.capabilities == (5,)


def test_default_capabilities_are_not_given_afterwards() -> None:
    assert judge(network(**RICH)).member.capabilities == ()


def test_a_capability_that_the_network_does_not_have_is_not_issued() -> None:
    assert endorsed(network(**RICH), KNOWN.updated({"capabilities": [77]}, 1)).capabilities == ()


def test_a_certificate_of_ownership_lists_the_addresses() -> None:
    found = endorsed(network(**RICH, v6AssignMode={"rfc4193": True}))
    assert [len(coo.things) for coo in found.coos] == [2]


def test_who_has_no_address_has_no_certificate_of_ownership() -> None:
    assert endorsed(network()).coos == ()


def test_those_without_a_rules_engine_get_neither_tags_nor_capabilities() -> None:
    old = Request.decode(NODE, metadata(revr=0))
    found = endorsed(network(**RICH), KNOWN.updated({"capabilities": [5]}, 1), old)
    assert (found.tags, found.capabilities) == ((), ())


def test_a_revocation_is_passed_on_and_names_its_target() -> None:
    revocation = revoke(NETWORK, NODE.address, 7, NOW, CONTROLLER)
    assert (revocation.flags, revocation.target, revocation.threshold) == (1, NODE.address, NOW)


# -- pieces --------------------------------------------------------------------------------------


def long_config() -> NetworkConfig:
    rules = [{"type": "MATCH_IPV6_SOURCE", "ip": "fd00::/8"}] * 1024
    return endorsed(network(rules=rules))


def test_a_configuration_in_pieces_is_whole_again_at_the_other_end() -> None:
    found = long_config()
    assert join_chunks(chunks_of(found, 5, CONTROLLER)) == found


def test_pieces_are_in_order_and_no_larger_than_members_take() -> None:
    pieces = [ConfigChunk.decode(Reader(c)) for c in chunks_of(long_config(), 5, CONTROLLER)]
    sizes = [len(piece.data) for piece in pieces]
    assert [piece.index for piece in pieces] == [CHUNK_SIZE * n for n in range(len(pieces))]
    assert (len(sizes) > 2, max(sizes), {p.update_id for p in pieces}) == (True, CHUNK_SIZE, {5})


# -- what files of the original may say -----------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "expected"),
    [(None, 1_800_000), (600_000, 600_000), (1, 300_000), (1 << 40, 7_200_000)],
)
def test_the_window_of_certificates_is_the_networks_within_limits(
    window: int | None, expected: int
) -> None:
    of = replace(network(), credential_window_ms=window)
    assert config(of).credential_time_max_delta == expected


def test_the_certificate_agrees_with_the_window() -> None:
    com = endorsed(replace(network(), credential_window_ms=600_000)).com
    assert com is not None
    assert com.qualifiers[0].max_delta == 600_000


SIGN_ON = replace(network(), sso_enabled=True)


def test_nobody_gets_in_by_single_sign_on_which_is_not_here() -> None:
    assert judge(SIGN_ON).refusal is ErrorCode.NETWORK_AUTHENTICATION_REQUIRED


def test_a_member_that_is_exempt_needs_no_single_sign_on() -> None:
    assert judge(SIGN_ON, replace(KNOWN, sso_exempt=True)).refusal is None


def test_a_login_that_has_not_expired_is_enough() -> None:
    assert judge(SIGN_ON, replace(KNOWN, authentication_expiry=NOW + 1)).refusal is None
