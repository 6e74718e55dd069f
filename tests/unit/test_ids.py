from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.loading import load
from ztlink.ids import (
    BROADCAST_MAC,
    Address,
    Endpoint,
    Mac,
    MulticastGroup,
    NetworkId,
    controller_of,
    first_mac_byte,
    format_address,
    format_mac,
    format_network_id,
    is_multicast,
    is_reserved,
    mac_member,
    member_mac,
    parse_address,
    parse_network_id,
)

MEMBERS: list[dict[str, Any]] = load("derive.json")["members"]
addresses = st.integers(0, 2**40 - 1).map(Address)
network_ids = st.integers(0, 2**64 - 1).map(NetworkId)


@pytest.mark.parametrize("address", [0, 0xFF00000000, 0xFF12345678, 0xFFFFFFFFFF])
def test_zero_and_the_addresses_that_begin_with_ff_are_reserved(address: int) -> None:
    assert is_reserved(Address(address))


@pytest.mark.parametrize("address", [1, 0xFEFFFFFFFF, 0x00FF000000])
def test_other_addresses_are_not_reserved(address: int) -> None:
    assert not is_reserved(Address(address))


def test_the_controller_is_the_upper_part_of_a_network_id() -> None:
    assert controller_of(NetworkId(0x112972485D000001)) == 0x112972485D


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: f"{m['address']}-{m['network_id']}")
def test_a_member_has_the_mac_that_the_reference_gives_it(member: dict[str, Any]) -> None:
    mac = member_mac(parse_address(member["address"]), parse_network_id(member["network_id"]))
    assert format_mac(mac) == member["mac"]


@given(addresses, network_ids)
def test_a_mac_leads_back_to_its_member(address: Address, network_id: NetworkId) -> None:
    assert mac_member(member_mac(address, network_id), network_id) == address


@given(addresses, network_ids)
def test_a_member_mac_is_local_and_not_a_group(address: Address, network_id: NetworkId) -> None:
    assert member_mac(address, network_id)[0] & 0b11 == 0b10


@pytest.mark.parametrize(("low_byte", "first"), [(0x00, 0x02), (0x01, 0x02), (0x52, 0x32)])
def test_the_first_mac_byte_comes_from_the_low_byte_of_the_network(
    low_byte: int, first: int
) -> None:
    assert first_mac_byte(NetworkId(0x1122334455667700 | low_byte)) == first


@given(addresses)
def test_an_address_survives_its_text(address: Address) -> None:
    assert parse_address(format_address(address)) == address


@given(network_ids)
def test_a_network_id_survives_its_text(network_id: NetworkId) -> None:
    assert parse_network_id(format_network_id(network_id)) == network_id


@pytest.mark.parametrize(
    "text", ["", "10d6ab15c", "10d6ab15cc0", "10d6ab15cg", "0x10d6ab15", "+0d6ab15cc", "10d6 b15cc"]
)
def test_an_address_is_ten_hex_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="ZeroTier address"):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "112972485d00000", "112972485d0000010", "112972485d_00001"])
def test_a_network_id_is_sixteen_hex_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="network id"):
        parse_network_id(text)


def test_text_may_be_upper_case() -> None:
    assert parse_address("10D6AB15CC") == 0x10D6AB15CC


def test_addresses_are_written_with_leading_zeros() -> None:
    assert format_address(Address(0xAB)) == "00000000ab"


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (Endpoint(IPv4Address("192.0.2.1"), 9993), "192.0.2.1/9993"),
        (Endpoint(IPv6Address("2001:db8::1"), 1), "2001:db8::1/1"),
    ],
)
def test_an_endpoint_is_written_as_ip_and_port(endpoint: Endpoint, text: str) -> None:
    assert str(endpoint) == text


@pytest.mark.parametrize("mac", [BROADCAST_MAC, bytes.fromhex("333300000001")])
def test_broadcast_and_groups_are_multicast(mac: bytes) -> None:
    assert is_multicast(mac)


def test_a_member_is_not_multicast() -> None:
    assert not is_multicast(bytes.fromhex("02202fb9df71"))


def test_groups_have_an_order_of_their_own() -> None:
    low = MulticastGroup(Mac(b"\x33\x33\x00\x00\x00\x01"), 7)
    assert low < MulticastGroup(BROADCAST_MAC, 0) < MulticastGroup(BROADCAST_MAC, 1)


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: f"{m['address']}-{m['network_id']}")
def test_a_network_id_names_the_controller_that_the_reference_sees(member: dict[str, Any]) -> None:
    controller = controller_of(parse_network_id(member["network_id"]))
    assert format_address(controller) == member["controller"]
