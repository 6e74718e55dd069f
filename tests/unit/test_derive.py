"""What follows from a network id and an address."""

from collections.abc import Callable
from ipaddress import IPv6Interface, ip_address
from itertools import islice
from typing import Any

import pytest

from tests.vectors.loading import load
from ztlink.derive import (
    derived_member,
    group_for_ip,
    interface_names,
    rfc4193_address,
    sixplane_address,
)
from ztlink.ids import (
    Address,
    NetworkId,
    controller_of,
    format_address,
    format_mac,
    mac_member,
    member_mac,
    parse_address,
    parse_network_id,
)

MEMBERS = load("derive.json")["members"]
GROUPS = load("derive.json")["multicast_groups"]
Scheme = Callable[[NetworkId, Address], IPv6Interface]

NETWORK = NetworkId(0x112972485D000001)
MEMBER = Address(0x202FE49703)
OTHER = Address(0x89E92CEEE5)


def ids_of(case: dict[str, Any]) -> tuple[NetworkId, Address]:
    return parse_network_id(case["network_id"]), parse_address(case["address"])


@pytest.mark.parametrize("case", MEMBERS)
def test_mac_is_that_of_the_reference(case: dict[str, Any]) -> None:
    network_id, address = ids_of(case)
    assert format_mac(member_mac(address, network_id)) == case["mac"]


@pytest.mark.parametrize("case", MEMBERS)
def test_mac_leads_back_to_its_member(case: dict[str, Any]) -> None:
    network_id, address = ids_of(case)
    assert mac_member(bytes.fromhex(case["mac_bytes"]), network_id) == address


@pytest.mark.parametrize("case", MEMBERS)
def test_6plane_address_is_that_of_the_reference(case: dict[str, Any]) -> None:
    assert str(sixplane_address(*ids_of(case))) == case["ip6_6plane"]


@pytest.mark.parametrize("case", MEMBERS)
def test_rfc4193_address_is_that_of_the_reference(case: dict[str, Any]) -> None:
    assert str(rfc4193_address(*ids_of(case))) == case["ip6_rfc4193"]


@pytest.mark.parametrize("case", MEMBERS)
def test_controller_is_named_by_the_network_id(case: dict[str, Any]) -> None:
    assert format_address(controller_of(ids_of(case)[0])) == case["controller"]


@pytest.mark.parametrize("case", MEMBERS)
def test_interface_names_are_those_of_the_reference(case: dict[str, Any]) -> None:
    expected = [case["interface_name"], *case["interface_name_if_taken"]]
    assert list(islice(interface_names(ids_of(case)[0]), len(expected))) == expected


@pytest.mark.parametrize("case", GROUPS)
def test_group_of_an_ip_address_is_that_of_the_reference(case: dict[str, Any]) -> None:
    group = group_for_ip(ip_address(case["ip"]))
    assert (format_mac(group.mac), group.adi) == (case["group_mac"], case["adi"])


@pytest.mark.parametrize("scheme", [sixplane_address, rfc4193_address])
def test_derived_address_leads_back_to_its_member(scheme: Scheme) -> None:
    target = scheme(NETWORK, OTHER).ip
    assert derived_member(scheme(NETWORK, MEMBER), target) == OTHER


@pytest.mark.parametrize("scheme", [sixplane_address, rfc4193_address])
def test_derived_address_of_another_network_leads_nowhere(scheme: Scheme) -> None:
    target = scheme(NetworkId(NETWORK + 1), OTHER).ip
    assert derived_member(scheme(NETWORK, MEMBER), target) is None


@pytest.mark.parametrize("own", ["fd51::1/64", "fd51::1/88", "fd51::1/40"])
def test_ordinary_address_leads_nowhere(own: str) -> None:
    assert derived_member(IPv6Interface(own), IPv6Interface("fd51::2/64").ip) is None
