"""Which addresses a node binds, and which random ports."""

import errno
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from ztlink.drivers.sockets import (
    MIN_RANDOM_PORT,
    LocalAddress,
    SocketPolicy,
    eligible,
    random_port,
    usual_ports,
    why_deaf,
)
from ztlink.drivers.udp import port_advice
from ztlink.ids import Address, IpAddress

POLICY = SocketPolicy(excluded_prefixes=("lo", "zt", "cali"))
ETHERNET: IpAddress = ip_address("10.1.2.3")


def texts(policy: SocketPolicy, *addresses: tuple[str, str]) -> list[str]:
    found = [LocalAddress(name, ip_address(ip)) for name, ip in addresses]
    return [str(ip) for ip in eligible(found, policy)]


def six(ip: str, device: str = "eth0", **flags: bool) -> LocalAddress:
    return LocalAddress(device, ip_address(ip), **flags)


@pytest.mark.parametrize("ip", ["10.1.2.3", "8.8.8.8", "25.1.2.3", "fd12::1", "2001:db8::1"])
def test_private_and_global_addresses_are_bound(ip: str) -> None:
    assert texts(POLICY, ("eth0", ip)) == [ip]


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "169.254.1.1", "fe80::1234", "0.0.0.0"])  # noqa: S104
def test_addresses_of_this_machine_or_link_are_not_bound(ip: str) -> None:
    assert texts(POLICY, ("eth0", ip)) == []


@pytest.mark.parametrize("device", ["lo", "zt0", "ztabcdefgh", "cali12345"])
def test_excluded_devices_are_not_bound(device: str) -> None:
    assert texts(POLICY, (device, "10.1.2.3")) == []


def test_a_device_whose_name_only_contains_an_excluded_one_is_bound() -> None:
    assert texts(POLICY, ("eth-zt0", "10.1.2.3")) == ["10.1.2.3"]


def test_nothing_is_excluded_without_prefixes() -> None:
    assert texts(SocketPolicy(), ("zt0", "10.1.2.3")) == ["10.1.2.3"]


def test_a_device_of_ours_is_not_bound_whatever_its_name() -> None:
    policy = SocketPolicy(excluded_devices=frozenset({"office"}))
    assert texts(policy, ("office", "10.1.2.3"), ("office2", "10.1.2.4")) == ["10.1.2.4"]


def test_addresses_of_excluded_networks_are_not_bound() -> None:
    policy = SocketPolicy(excluded_networks=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    found = texts(policy, ("eth0", "10.1.2.3"), ("eth0", "fd12::1"), ("eth0", "10.2.0.1"))
    assert found == ["10.2.0.1"]


def test_loopback_is_bound_when_told() -> None:
    policy = SocketPolicy(excluded_prefixes=("lo",), allow_loopback=True)
    assert texts(policy, ("lo", "127.0.0.1"), ("lo", "::1")) == ["127.0.0.1", "::1"]


def test_addresses_that_are_named_are_bound_and_no_others() -> None:
    policy = SocketPolicy(bind=(ip_address("127.0.0.1"),), excluded_prefixes=("lo",))
    assert texts(policy, ("eth0", "10.1.2.3")) == ["127.0.0.1"]


def test_an_address_on_two_devices_is_bound_once() -> None:
    assert texts(POLICY, ("eth0", "10.1.2.3"), ("eth1", "10.1.2.3")) == ["10.1.2.3"]


def test_the_order_does_not_depend_on_the_machine() -> None:
    found = texts(POLICY, ("a", "fd12::1"), ("b", "10.1.2.4"), ("c", "10.1.2.3"))
    assert found == ["10.1.2.3", "10.1.2.4", "fd12::1"]


def test_an_address_that_somebody_else_may_have_waits() -> None:
    assert eligible([six("fd12::1", is_tentative=True)], POLICY) == ()


def test_an_address_that_is_going_out_of_use_is_not_bound_beside_a_fresh_one() -> None:
    found = eligible([six("fd12::1", is_deprecated=True), six("fd12::2")], POLICY)
    assert found == (ip_address("fd12::2"),)


def test_an_address_that_is_going_out_of_use_stays_bound() -> None:
    old, new = six("fd12::1", is_deprecated=True), six("fd12::2")
    assert eligible([old, new], POLICY, {old.ip}) == (old.ip, new.ip)


def test_an_address_that_is_going_out_of_use_is_better_than_none() -> None:
    old = six("fd12::1", is_deprecated=True)
    assert eligible([old, six("fd13::1", "eth1")], POLICY) == (old.ip, ip_address("fd13::1"))


@pytest.mark.parametrize(
    ("drawn", "port"),
    [("00000000", MIN_RANDOM_PORT), ("0000b1bb", 65_499), ("0000b1bc", MIN_RANDOM_PORT)],
)
def test_random_ports_are_between_20000_and_65499(drawn: str, port: int) -> None:
    assert random_port(lambda size: bytes.fromhex(drawn)) == port


@pytest.mark.parametrize(
    ("address", "ports"),
    [
        (0, (20_000, 20_001)),
        (45_499, (65_499, 20_000)),
        (45_500 * 45_498 + 3, (20_003, 20_002)),
        (0xFEFFFFFFFF, (57_979, 59_704)),
    ],
)
def test_usual_ports_are_two_and_of_the_same_range(address: int, ports: tuple[int, int]) -> None:
    assert usual_ports(Address(address)) == ports


# -- why there is none ---------------------------------------------------------------------------


def reason(policy: SocketPolicy, *addresses: tuple[str, str]) -> str:
    found = [LocalAddress(name, ip_address(ip)) for name, ip in addresses]
    assert eligible(found, replace(policy, bind=())) == ()
    return why_deaf(found, policy).message


def test_an_address_of_an_excluded_device_is_named_with_the_prefix_that_excludes_it() -> None:
    assert reason(POLICY, ("cali1", "10.1.2.3")) == (
        "no address of this machine may be used: "
        "10.1.2.3 (cali1) is on a device whose name begins with cali"
    )


def test_an_address_of_a_device_of_ours_is_named() -> None:
    policy = SocketPolicy(excluded_devices=frozenset({"mine"}))
    assert "10.1.2.3 (mine) is on a device of ours" in reason(policy, ("mine", "10.1.2.3"))


def test_an_address_of_an_excluded_network_is_named_with_the_network() -> None:
    policy = SocketPolicy(excluded_networks=(ip_network("10.0.0.0/8"),))
    assert "10.1.2.3 (eth0) is in 10.0.0.0/8" in reason(policy, ("eth0", "10.1.2.3"))


def test_an_address_that_is_not_ready_yet_is_named() -> None:
    deafness = why_deaf([six("fd12::1", is_tentative=True)], POLICY)
    assert deafness.message.endswith("fd12::1 (eth0) is not ready yet")


def test_of_many_addresses_some_are_named() -> None:
    many = [(f"cali{n}", f"10.1.2.{n}") for n in range(1, 10)]
    assert reason(POLICY, *many).endswith(" and 5 more")


def test_a_machine_without_addresses_is_told_to_get_one() -> None:
    deafness = why_deaf([LocalAddress("lo", ip_address("127.0.0.1"))], POLICY)
    assert deafness.remedy == "give it an address that others can reach"


def test_addresses_to_bind_that_the_machine_does_not_have_are_named() -> None:
    policy = replace(POLICY, bind=(ip_address("203.0.113.9"),))
    deafness = why_deaf([LocalAddress("eth0", ETHERNET)], policy)
    assert "203.0.113.9" in deafness.message
    assert "--bind" in deafness.remedy


# -- ports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (errno.EADDRINUSE, "is another node running?"),
        (errno.EACCES, "choose a port above 1023"),
        (errno.EIO, ""),
    ],
)
def test_what_helps_where_a_port_cannot_be_had_follows_from_why(number: int, wanted: str) -> None:
    assert wanted in port_advice(OSError(number, "no"))
