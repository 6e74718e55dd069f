"""What of a configuration is done to the machine."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from ztlink.host.desired import (
    Desired,
    HostRoute,
    Policy,
    desire,
    led_through,
    may_manage,
    prefixes,
)
from ztlink.ids import Address, Mac, NetworkId
from ztlink.wire.netconf import NetworkConfig, Route

MAC = Mac(bytes.fromhex("32a0b0c0d0e0"))
ALL = Policy(allow_global=True, allow_default=True)
Text = str | tuple[str, str]
ANY = str(ip_address(0))


def config(
    addresses: Iterable[str] = (), routes: Iterable[Text] = (), mtu: int = 2800
) -> NetworkConfig:
    return NetworkConfig(
        network_id=NetworkId(0x8056C2E21C000001),
        timestamp=1,
        issued_to=Address(0xBA52BB0E23),
        mtu=mtu,
        addresses=tuple(ip_interface(text) for text in addresses),
        routes=tuple(
            Route(ip_interface(text))
            if isinstance(text, str)
            else Route(ip_interface(text[0]), ip_address(text[1]))
            for text in routes
        ),
    )


def wanted(
    addresses: Iterable[str] = (), routes: Iterable[Text] = (), policy: Policy | None = None
) -> Desired:
    return desire(config(addresses, routes), MAC, policy or Policy())


def targets(desired: Desired) -> list[str]:
    return [str(route.target) for route in desired.routes]


# -- the device ------------------------------------------------------------------------------


def test_the_device_has_the_mac_it_is_given() -> None:
    assert wanted().mac == MAC


def test_the_device_has_the_mtu_of_the_network() -> None:
    assert desire(config(mtu=1400), MAC, Policy()).mtu == 1400


# -- what is allowed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ip", ["10.1.2.3", "100.64.0.1", "192.168.1.1", "11.0.0.1", "fc00::1", "fd12::1"]
)
def test_private_addresses_are_allowed_by_default(ip: str) -> None:
    assert may_manage(ip_address(ip), 24, Policy())


@pytest.mark.parametrize("ip", ["10.1.2.3", "8.8.8.8", "fd12::1", ANY])
def test_without_managed_addresses_nothing_is_allowed(ip: str) -> None:
    policy = Policy(allow_managed=False, allow_global=True, allow_default=True)
    assert not may_manage(ip_address(ip), 0 if ip == ANY else 24, policy)


@pytest.mark.parametrize("ip", ["8.8.8.8", "2001:4860::1"])
def test_global_addresses_are_refused_by_default(ip: str) -> None:
    assert not may_manage(ip_address(ip), 24, Policy())


@pytest.mark.parametrize("ip", ["8.8.8.8", "2001:4860::1"])
def test_global_addresses_can_be_allowed(ip: str) -> None:
    assert may_manage(ip_address(ip), 24, Policy(allow_global=True))


@pytest.mark.parametrize(
    "ip",
    ["0.0.0.1", "224.0.0.1", "127.0.0.1", "169.254.1.1", "ff02::1", "::1", "fe80::5", "::"],
)
def test_what_is_of_this_machine_or_link_is_never_allowed(ip: str) -> None:
    assert not may_manage(ip_address(ip), 24, ALL)


@pytest.mark.parametrize("ip", [ANY, "::"])
def test_a_default_route_is_refused_by_default(ip: str) -> None:
    assert not may_manage(ip_address(ip), 0, Policy(allow_global=True))


@pytest.mark.parametrize("ip", [ANY, "::"])
def test_a_default_route_can_be_allowed(ip: str) -> None:
    assert may_manage(ip_address(ip), 0, Policy(allow_default=True))


@pytest.mark.parametrize(
    ("network", "is_allowed"),
    [
        ("10.1.2.3/24", True),
        ("10.1.2.3/16", True),
        ("10.1.2.3/15", False),
        ("10.2.0.0/24", False),
        ("fd12::1/64", True),
        ("fd13::1/64", False),
    ],
)
def test_managed_addresses_can_be_limited_to_ranges(network: str, is_allowed: bool) -> None:
    policy = Policy(managed_only_in=(ip_network("10.1.0.0/16"), ip_network("fd12::/16")))
    interface = ip_interface(network)
    assert may_manage(interface.ip, interface.network.prefixlen, policy) is is_allowed


def test_a_range_does_not_allow_what_else_is_refused() -> None:
    policy = Policy(managed_only_in=(ip_network("0.0.0.0/0"),))
    assert not may_manage(ip_address("8.8.8.8"), 24, policy)
    assert not may_manage(ip_address(0), 0, policy)


# -- addresses -------------------------------------------------------------------------------


def test_an_address_keeps_its_prefix() -> None:
    assert wanted(["10.1.2.3/23"]).addresses == (ip_interface("10.1.2.3/23"),)


def test_an_address_that_is_not_allowed_is_left_out() -> None:
    desired = wanted(["8.8.8.8/24", "10.1.2.3/24"])
    assert desired.addresses == (ip_interface("10.1.2.3/24"),)


def test_a_route_has_no_source_that_is_not_allowed() -> None:
    assert wanted(["8.8.8.8/24"], ["10.0.0.0/8"]).routes == ()


# -- routes ----------------------------------------------------------------------------------


def test_a_route_to_the_device_has_the_kernels_metric() -> None:
    desired = wanted(["10.1.2.3/24"], ["10.9.0.0/16"])
    assert desired.routes == (
        HostRoute(ip_network("10.9.0.0/16"), None, ip_address("10.1.2.3"), 0),
    )


def test_a_route_through_a_gateway_has_metric_5000_and_no_source() -> None:
    desired = wanted(["10.1.2.3/24"], [("10.9.0.0/16", "10.1.2.1")])
    assert desired.routes == (
        HostRoute(ip_network("10.9.0.0/16"), ip_address("10.1.2.1"), None, 5000),
    )


def test_host_bits_of_a_target_are_masked() -> None:
    assert targets(wanted(["10.1.2.3/24"], ["10.9.8.7/16"])) == ["10.9.0.0/16"]


def test_a_route_that_is_not_allowed_is_left_out() -> None:
    assert targets(wanted(["10.1.2.3/24"], ["8.8.8.0/24", "10.9.0.0/16"])) == ["10.9.0.0/16"]


def test_a_route_whose_gateway_is_us_is_left_out() -> None:
    assert wanted(["10.1.2.3/24"], [("10.9.0.0/16", "10.1.2.3")]).routes == ()


def test_a_route_that_the_kernel_makes_with_an_address_is_left_out() -> None:
    assert wanted(["10.1.2.3/24"], ["10.1.2.0/24"]).routes == ()


def test_a_route_wider_than_that_of_an_address_is_kept() -> None:
    assert targets(wanted(["10.1.2.3/24"], ["10.1.0.0/16"])) == ["10.1.0.0/16"]


def test_a_route_without_an_address_of_its_family_is_left_out() -> None:
    assert wanted(["10.1.2.3/24"], ["fd12::/16"]).routes == ()


def test_a_route_takes_the_address_that_shares_the_most_bits() -> None:
    desired = wanted(
        ["192.168.1.1/24", "10.8.0.1/24", "10.9.1.1/24", "fd12::1/64"], ["10.9.0.0/16"]
    )
    assert [route.source for route in desired.routes] == [ip_address("10.9.1.1")]


def test_a_route_of_ipv6_takes_an_address_of_ipv6() -> None:
    desired = wanted(["10.1.2.3/24", "fd12::1/64"], ["fd13::/32"])
    assert [route.source for route in desired.routes] == [ip_address("fd12::1")]


def test_a_default_route_is_two_halves() -> None:
    desired = wanted(["10.1.2.3/24"], [("0.0.0.0/0", "10.1.2.1")], ALL)
    assert targets(desired) == ["0.0.0.0/1", "128.0.0.0/1"]


def test_a_default_route_of_ipv6_is_two_halves() -> None:
    desired = wanted(["fd12::2/64"], [("::/0", "fd12::1")], ALL)
    assert targets(desired) == ["::/1", "8000::/1"]


def test_both_halves_go_through_the_gateway() -> None:
    desired = wanted(["10.1.2.3/24"], [("0.0.0.0/0", "10.1.2.1")], ALL)
    assert {route.gateway for route in desired.routes} == {ip_address("10.1.2.1")}


def test_routes_to_the_device_come_before_those_through_gateways() -> None:
    desired = wanted(["10.1.2.3/24"], [("10.9.0.0/16", "10.5.0.1"), "10.5.0.0/16"])
    assert targets(desired) == ["10.5.0.0/16", "10.9.0.0/16"]


def test_a_route_that_is_there_twice_is_set_once() -> None:
    assert targets(wanted(["10.1.2.3/24"], ["10.9.0.0/16", "10.9.1.1/16"])) == ["10.9.0.0/16"]


def test_without_managed_addresses_there_is_nothing_but_the_device() -> None:
    desired = wanted(["10.1.2.3/24"], ["10.9.0.0/16"], Policy(allow_managed=False))
    assert desired == Desired(MAC, 2800)


# -- where VL1 must not look -----------------------------------------------------------------


def test_the_ranges_of_a_network_are_those_of_its_addresses() -> None:
    found = prefixes(config(["10.1.2.3/24", "fd12::1/64"]))
    assert found == (ip_network("10.1.2.0/24"), ip_network("fd12::/64"))


# -- what leads through us -------------------------------------------------------------------


def test_a_managed_route_by_our_address_leads_through_us() -> None:
    found = led_through(config(["10.1.2.3/24"], [("10.42.0.0/16", "10.1.2.3")]))
    assert found == (ip_network("10.42.0.0/16"),)


def test_a_managed_route_by_another_does_not() -> None:
    routes: list[Text] = ["10.1.2.0/24", ("10.42.0.0/16", "10.1.2.4")]
    assert led_through(config(["10.1.2.3/24"], routes)) == ()
