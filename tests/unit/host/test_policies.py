"""What networks may do, as the original writes it."""

from ipaddress import ip_network

import pytest

from ztlink.host.desired import Policy
from ztlink.host.policies import Policies, format_policy, parse_policy
from ztlink.ids import NetworkId

NETWORK = NetworkId(0x8056C2E21C000001)
DEFAULTS = b"allowManaged=1\nallowGlobal=0\nallowDefault=0\nallowDNS=0\n"
LISTED = Policy(managed_only_in=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


def test_the_defaults_are_written_as_the_original_writes_them() -> None:
    assert format_policy(Policy()) == DEFAULTS


@pytest.mark.parametrize("text", [b"", b"\n", DEFAULTS, b"nonsense"])
def test_what_a_file_does_not_say_is_as_by_default(text: bytes) -> None:
    assert parse_policy(text) == Policy()


def test_every_setting_is_read() -> None:
    text = b"allowManaged=0\nallowGlobal=1\nallowDefault=1\nallowDNS=1\n"
    assert parse_policy(text) == Policy(False, True, True, True)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [(b"1", True), (b"true", True), (b"True", True), (b"0", False), (b"yes", False), (b"", False)],
)
def test_a_truth_value_is_read_by_its_first_letter(value: bytes, meaning: bool) -> None:
    assert parse_policy(b"allowDefault=" + value).allow_default is meaning


def test_a_list_of_ranges_limits_what_is_managed() -> None:
    assert parse_policy(b"allowManaged=10.0.0.0/8,fd00::/8\n") == LISTED


def test_a_list_of_ranges_stays_one() -> None:
    assert parse_policy(format_policy(LISTED)) == LISTED


def test_host_bits_of_a_range_do_not_count() -> None:
    policy = parse_policy(b"allowManaged=10.1.2.3/8")
    assert policy.managed_only_in == (ip_network("10.0.0.0/8"),)


def test_an_entry_that_is_no_range_is_passed_over() -> None:
    policy = parse_policy(b"allowManaged=10.0.0.0/8,elsewhere")
    assert policy.managed_only_in == (ip_network("10.0.0.0/8"),)


def test_a_list_without_any_range_allows_nothing() -> None:
    assert not parse_policy(b"allowManaged=nowhere").allow_managed


def test_a_change_is_kept() -> None:
    kept: dict[NetworkId, bytes] = {}
    policies = Policies({}, kept.__setitem__)
    policies.set(NETWORK, Policy(allow_default=True))
    assert parse_policy(kept[NETWORK]) == policies.get(NETWORK) == Policy(allow_default=True)


def test_what_was_kept_is_in_force() -> None:
    assert Policies({NETWORK: b"allowDNS=1"}).get(NETWORK).allow_dns


def test_what_does_not_change_is_not_written() -> None:
    kept: dict[NetworkId, bytes] = {}
    policies = Policies({NETWORK: DEFAULTS}, kept.__setitem__)
    policies.set(NETWORK, Policy())
    assert kept == {}


def test_a_network_that_was_left_starts_from_the_defaults() -> None:
    policies = Policies({NETWORK: b"allowDNS=1"})
    policies.forget(NETWORK)
    assert policies.get(NETWORK) == Policy()
