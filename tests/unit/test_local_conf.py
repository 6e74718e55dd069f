"""local.conf: what is followed, what becomes a note, and what is refused with a sentence."""

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztlink.errors import ConfigError
from ztlink.ids import Endpoint
from ztlink.local_conf import MAX_PHYSICAL, LocalConf, parse_local_conf
from ztlink.vl1.context import PhysicalNetwork

WHERE = "/home/local.conf"


def parse(**sections: Any) -> LocalConf:  # noqa: ANN401 - any JSON
    return parse_local_conf(json.dumps(sections).encode(), WHERE)


def refusal(**sections: Any) -> str:  # noqa: ANN401 - any JSON
    with pytest.raises(ConfigError) as caught:
        parse(**sections)
    return str(caught.value)


# -- ports -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b" \n", b"{}", b'{"settings": {}}'])
def test_a_file_that_says_nothing_is_the_default(content: bytes) -> None:
    assert parse_local_conf(content, WHERE) == LocalConf()


def test_by_default_there_is_a_random_secondary_port_and_no_tertiary() -> None:
    conf = LocalConf()
    assert (conf.primary_port, conf.secondary_port, conf.tertiary_port) == (None, 0, None)


def test_ports_can_be_named() -> None:
    conf = parse(settings={"primaryPort": 1, "secondaryPort": 65535, "tertiaryPort": 20_000})
    assert (conf.primary_port, conf.secondary_port, conf.tertiary_port) == (1, 65535, 20_000)


def test_port_0_asks_for_a_random_primary_port() -> None:
    assert parse(settings={"primaryPort": 0}).primary_port == 0


def test_the_secondary_port_can_be_done_without() -> None:
    conf = parse(settings={"allowSecondaryPort": False, "secondaryPort": 20_000})
    assert conf.secondary_port is None


def test_numbers_may_be_in_quotes() -> None:
    assert parse(settings={"primaryPort": "9994"}).primary_port == 9994


@pytest.mark.parametrize("value", [-1, 65536, 1.5, "x", "", "-1", True, None, [], {}])
def test_what_is_no_port_is_refused_with_what_would_be_right(value: object) -> None:
    assert refusal(settings={"primaryPort": value}) == (
        f"{WHERE}: settings.primaryPort is {json.dumps(value)}, "
        "and must be a whole number from 0 to 65535; the file was left as it is"
    )


def test_one_port_for_two_purposes_is_refused() -> None:
    assert "different ports" in refusal(settings={"primaryPort": 9993, "tertiaryPort": 9993})


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_flag_is_true_or_false(value: object) -> None:
    said = refusal(settings={"allowSecondaryPort": value})
    assert f"settings.allowSecondaryPort is {json.dumps(value)}, and must be true or false" in said


# -- addresses and devices -------------------------------------------------------------------


def test_addresses_to_bind_can_be_named() -> None:
    conf = parse(settings={"bind": ["10.1.2.3", "fd00::1", "10.1.2.3"]})
    assert conf.bind == (ip_address("10.1.2.3"), ip_address("fd00::1"))


@pytest.mark.parametrize("value", ["10.1.2.3/24", "eth0", 1, ""])
def test_what_is_no_address_cannot_be_bound(value: object) -> None:
    said = refusal(settings={"bind": [value]})
    assert f"settings.bind is {json.dumps(value)}, and must be an IP address" in said


def test_a_list_is_not_a_string() -> None:
    assert "settings.bind" in refusal(settings={"bind": "10.1.2.3"})


def test_further_devices_can_be_excluded() -> None:
    assert parse(settings={"interfacePrefixBlacklist": ["wwan"]}).interface_prefixes == ("wwan",)


@pytest.mark.parametrize("value", ["", "a b", "a/b", 7])
def test_what_begins_no_device_name_is_refused(value: object) -> None:
    assert "interfacePrefixBlacklist" in refusal(settings={"interfacePrefixBlacklist": [value]})


# -- physical networks -----------------------------------------------------------------------


def test_a_physical_network_has_mtu_trust_and_ban() -> None:
    said = {"mtu": 2800, "trustedPathId": "18446744073709551615", "blacklist": True}
    (network,) = parse(physical={"10.0.0.0/8": said}).physical
    assert network == PhysicalNetwork(ip_network("10.0.0.0/8"), 2800, 2**64 - 1, True)


def test_the_longest_prefix_is_looked_at_first() -> None:
    conf = parse(physical={"10.0.0.0/8": {}, "10.1.0.0/16": {}, "fd00::/48": {}})
    assert [network.prefix.prefixlen for network in conf.physical] == [48, 16, 8]


def test_bits_behind_the_prefix_do_not_matter() -> None:
    (network,) = parse(physical={"10.1.2.3/8": {}}).physical
    assert network.prefix == ip_network("10.0.0.0/8")


@pytest.mark.parametrize(("given_", "taken"), [(1, 1400), (1399, 1400), (20_000, 10_324)])
def test_an_mtu_out_of_range_is_moved_into_it_with_a_note(given_: int, taken: int) -> None:
    conf = parse(physical={"10.0.0.0/8": {"mtu": given_}})
    assert (conf.physical[0].mtu, conf.notes) == (
        taken,
        (f"physical.10.0.0.0/8.mtu is {given_}: taken as {taken}",),
    )


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0", "10.0.0.0/33", "eth0", "::/0", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    said = refusal(physical={text: {}})
    assert f"physical is {json.dumps(text)}, and must be networks with a prefix" in said


def test_too_many_physical_networks_are_refused() -> None:
    networks: dict[str, object] = {f"10.{number}.0.0/16": {} for number in range(MAX_PHYSICAL + 1)}
    assert f"at most {MAX_PHYSICAL}" in refusal(physical=networks)


def test_a_trusted_path_id_of_more_than_64_bits_is_refused() -> None:
    said = refusal(physical={"10.0.0.0/8": {"trustedPathId": 2**64}})
    assert "physical.10.0.0.0/8.trustedPathId is 18446744073709551616" in said


# -- peers -----------------------------------------------------------------------------------


def test_a_peer_can_be_pointed_to() -> None:
    conf = parse(virtual={"112233445a": {"try": ["10.1.2.3/9993", "fd00::1/1"]}})
    here = (Endpoint(ip_address("10.1.2.3"), 9993), Endpoint(ip_address("fd00::1"), 1))
    assert conf.hints == ((0x112233445A, here),)


@pytest.mark.parametrize("text", ["10.1.2.3", "10.1.2.3/0", "10.1.2.3/65536", "x/1", "/", 5])
def test_what_is_no_endpoint_is_refused(text: object) -> None:
    said = refusal(virtual={"112233445a": {"try": [text]}})
    assert f"virtual.112233445a.try is {json.dumps(text)}, and must be an endpoint" in said


@pytest.mark.parametrize("text", ["112233445", "112233445g", ""])
def test_what_is_no_node_is_refused(text: str) -> None:
    assert "10 hex digits" in refusal(virtual={text: {}})


# -- the rest --------------------------------------------------------------------------------


def test_what_is_not_known_is_told_and_harms_nothing() -> None:
    conf = parse(
        settings={"colour": 1, "primaryPort": 1},
        physical={"10.0.0.0/8": {"x": 1}},
        virtual={"112233445a": {"y": 1}},
        more={},
    )
    assert (conf.primary_port, conf.notes) == (
        1,
        (
            "physical.10.0.0.0/8.x is not known and has no effect",
            "virtual.112233445a.y is not known and has no effect",
            "more is not known and has no effect",
            "settings.colour is not known and has no effect",
        ),
    )


@pytest.mark.parametrize("key", ["portMappingEnabled", "allowTcpFallbackRelay", "forceTcpRelay"])
def test_what_has_no_effect_here_is_told(key: str) -> None:
    (note,) = parse(settings={key: True}).notes
    assert note.startswith(f"settings.{key} has no effect: ")


def test_what_is_switched_off_and_not_there_needs_no_note() -> None:
    said = {"portMappingEnabled": False, "allowTcpFallbackRelay": False}
    assert parse(settings=said).notes == ()


@pytest.mark.parametrize("content", [b"{", b"\xff", b"{} {}", b"[" * 100_000])
def test_what_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match=f"{WHERE} is not JSON"):
        parse_local_conf(content, WHERE)


@pytest.mark.parametrize("content", [b"[]", b"1", b"null", b'"x"'])
def test_json_that_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match=f"{WHERE}: the whole is .*, and must be an object"):
        parse_local_conf(content, WHERE)


def test_a_long_value_is_shown_in_part() -> None:
    assert len(refusal(settings={"primaryPort": "9" * 1000})) < 250


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["settings", "physical", "virtual"])
INNER = st.sampled_from(
    [
        "primaryPort",
        "bind",
        "interfacePrefixBlacklist",
        "allowSecondaryPort",
        "policies",
        "concurrency",
        "10.0.0.0/8",
        "112233445a",
    ]
)


@given(st.dictionaries(KEYS, JSON | st.dictionaries(INNER, JSON)))
def test_any_json_is_taken_or_refused_with_a_config_error(whole: dict[str, object]) -> None:
    try:
        parse_local_conf(json.dumps(whole).encode(), WHERE)
    except ConfigError as error:
        assert str(error).startswith(WHERE)  # noqa: PT017 - most values are good


# -- who may manage ------------------------------------------------------------------------------


def test_networks_that_may_manage_can_be_named() -> None:
    conf = parse(settings={"allowManagementFrom": ["10.1.2.3/16", "::/0", "0.0.0.0/0"]})
    wanted = ("10.1.0.0/16", "::/0", "0.0.0.0/0")
    assert conf.management == tuple(ip_network(text) for text in wanted)


def test_by_default_nobody_else_may_manage() -> None:
    assert LocalConf().management == ()


@pytest.mark.parametrize("value", ["10.1.0.0/16", ["10.1.2.3"], ["nonsense"], [5], ["10.1.0.0/33"]])
def test_what_is_no_network_that_may_manage_is_refused(value: object) -> None:
    assert "settings.allowManagementFrom" in refusal(settings={"allowManagementFrom": value})
