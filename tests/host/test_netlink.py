"""Links, addresses and routes, as the kernel tells them afterwards."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from tests.host.machine import MAC, NEIGHBOUR, addresses, ask, bring_up, ip, routes
from ztlink.drivers.tap import Tap
from ztlink.errors import HostError
from ztlink.host.desired import Desired, HostRoute
from ztlink.host.netlink import GSO_MAX_SIZE, ROUTE_PROTOCOL, Netlink
from ztlink.host.plan import Plan, plan
from ztlink.ids import IpInterface

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

NAME = "zttest0"
OURS = ("proto", str(ROUTE_PROTOCOL))
ONE: IpInterface = ip_interface("10.1.2.1/24")
TWO: IpInterface = ip_interface("10.1.2.2/24")
SIX: IpInterface = ip_interface("fd12::1/64")
SEVEN: IpInterface = ip_interface("fd12::2/64")
DIRECT = HostRoute(ip_network("10.9.0.0/16"), None, ip_address("10.1.2.1"))
THROUGH = HostRoute(ip_network("10.8.0.0/16"), ip_address("10.1.2.9"), None, 5000)
NOWHERE = HostRoute(ip_network("10.7.0.0/16"), ip_address("10.66.0.1"), None, 5000)
DIRECT6 = HostRoute(ip_network("fd14::/32"), None, ip_address("fd12::1"))
FROM_SEVEN = HostRoute(ip_network("fd14::/32"), None, ip_address("fd12::2"))
THROUGH6 = HostRoute(ip_network("fd13::/32"), ip_address("fd12::9"), None, 5000)


@pytest.fixture
def netlink() -> Iterator[Netlink]:
    opened = Netlink()
    yield opened
    opened.close()


@pytest.fixture
def tap() -> Iterator[Tap]:
    opened = Tap(NAME)
    bring_up(opened)
    yield opened
    opened.close()


def state(*parts: IpInterface | HostRoute) -> Desired:
    return Desired(
        MAC,
        2800,
        tuple(part for part in parts if not isinstance(part, HostRoute)),
        tuple(part for part in parts if isinstance(part, HostRoute)),
    )


class Device:
    """A device that is changed by plans."""

    def __init__(self, netlink: Netlink, name: str = NAME) -> None:
        self._netlink = netlink
        self._name = name
        self.state = state()

    def become(self, *parts: IpInterface | HostRoute) -> None:
        wanted = state(*parts)
        self._netlink.apply(self._name, plan(wanted, self.state))
        self.state = wanted


@pytest.fixture
def device(tap: Tap, netlink: Netlink) -> Device:
    return Device(netlink)


# -- the link --------------------------------------------------------------------------------


def test_a_device_gets_its_mac(tap: Tap) -> None:
    assert ask("link", "show", tap.name)[0]["address"] == MAC.hex(":")


def test_a_device_gets_its_mtu(tap: Tap) -> None:
    assert ask("link", "show", tap.name)[0]["mtu"] == 2800


def test_a_device_is_taken_up(tap: Tap) -> None:
    assert "UP" in ask("link", "show", tap.name)[0]["flags"]


def test_super_frames_are_no_longer_than_leave_in_one_train(tap: Tap) -> None:
    assert ask("link", "show", tap.name)[0]["gso_max_size"] == GSO_MAX_SIZE


def test_a_device_gets_another_mtu(tap: Tap, netlink: Netlink) -> None:
    netlink.apply(NAME, Plan(mtu=1400))
    assert ask("link", "show", tap.name)[0]["mtu"] == 1400


def test_an_mtu_that_cannot_be_is_an_error(tap: Tap, netlink: Netlink) -> None:
    with pytest.raises(HostError, match="cannot set the MTU of zttest0: Invalid argument"):
        netlink.apply(tap.name, Plan(mtu=100_000))


def test_a_device_that_is_not_there_is_an_error(netlink: Netlink) -> None:
    with pytest.raises(HostError, match="there is no device zttest9"):
        netlink.apply("zttest9", Plan())


# -- addresses -------------------------------------------------------------------------------


def test_addresses_are_added(device: Device) -> None:
    device.become(ONE, SIX)
    assert addresses(NAME) == {"10.1.2.1/24", "fd12::1/64"}


def test_addresses_are_removed(device: Device) -> None:
    device.become(ONE, SIX)
    device.become()
    assert addresses(NAME) == set()


def test_an_ipv6_address_can_be_used_at_once(device: Device) -> None:
    device.become(SIX)
    found = [a for a in ask("address", "show", "dev", NAME)[0]["addr_info"] if a["prefixlen"] == 64]
    assert all(not a.get("tentative") for a in found if a["scope"] == "global")


def test_an_ipv4_address_has_its_broadcast_address(device: Device) -> None:
    device.become(ONE)
    assert ask("-4", "address", "show", "dev", NAME)[0]["addr_info"][0]["broadcast"] == "10.1.2.255"


def test_removing_an_address_that_is_gone_is_no_error(device: Device) -> None:
    device.become(ONE, SIX)
    ip("address", "flush", "dev", NAME)
    device.become()
    assert addresses(NAME) == set()


def test_an_address_stays_when_the_first_of_its_subnet_goes(device: Device) -> None:
    device.become(ONE, TWO)
    device.become(TWO)
    assert addresses(NAME) == {"10.1.2.2/24"}


# -- routes ----------------------------------------------------------------------------------


def test_routes_are_added_under_our_own_protocol_number(device: Device) -> None:
    device.become(ONE, SIX, DIRECT, THROUGH, DIRECT6, THROUGH6)
    assert routes(*OURS) == {"10.9.0.0/16", "10.8.0.0/16", "fd14::/32", "fd13::/32"}


def test_routes_are_removed(device: Device) -> None:
    device.become(ONE, SIX, DIRECT, THROUGH, DIRECT6, THROUGH6)
    device.become(ONE, SIX)
    assert routes(*OURS) == set()


def test_routes_are_removed_together_with_their_addresses(device: Device) -> None:
    device.become(ONE, SIX, DIRECT, THROUGH, DIRECT6, THROUGH6)
    device.become()
    assert routes(*OURS) == set()


def test_routes_go_with_the_device(device: Device, tap: Tap) -> None:
    device.become(ONE, SIX, DIRECT, THROUGH, DIRECT6, THROUGH6)
    tap.close()
    assert routes(*OURS) == set()


def test_a_route_through_a_gateway_has_its_metric(device: Device) -> None:
    device.become(ONE, THROUGH)
    route = ask("-4", "route", "show", *OURS)[0]
    assert (route["gateway"], route["metric"]) == ("10.1.2.9", 5000)


def test_a_route_to_the_device_has_its_source(device: Device) -> None:
    device.become(ONE, TWO, DIRECT)
    assert ask("-4", "route", "show", *OURS)[0]["prefsrc"] == "10.1.2.1"


def test_a_route_stays_when_the_last_address_is_replaced(device: Device) -> None:
    device.become(ONE, THROUGH)
    device.become(TWO, THROUGH)
    assert routes(*OURS) == {"10.8.0.0/16"}


def test_a_route_stays_when_its_source_gets_another_prefix(device: Device) -> None:
    device.become(ONE, DIRECT)
    device.become(ip_interface("10.1.2.1/16"), DIRECT)
    assert routes(*OURS) == {"10.9.0.0/16"}


def test_an_ipv6_route_keeps_its_source_when_that_gets_another_prefix(device: Device) -> None:
    device.become(SIX, DIRECT6)
    device.become(ip_interface("fd12::1/48"), DIRECT6)
    assert ask("-6", "route", "show", *OURS)[0]["prefsrc"] == "fd12::1"


def test_a_route_gets_another_source(device: Device) -> None:
    device.become(SIX, SEVEN, DIRECT6)
    device.become(SEVEN, FROM_SEVEN)
    assert [route["prefsrc"] for route in ask("-6", "route", "show", *OURS)] == ["fd12::2"]


def test_removing_a_route_that_is_gone_is_no_error(device: Device) -> None:
    device.become(ONE, DIRECT)
    ip("route", "flush", *OURS)
    device.become(ONE)
    assert routes(*OURS) == set()


def test_a_route_that_is_ours_already_is_no_error(device: Device, netlink: Netlink) -> None:
    device.become(ONE, DIRECT)
    netlink.apply(NAME, Plan(add_routes=(DIRECT,)))
    assert routes(*OURS) == {"10.9.0.0/16"}


def test_a_route_through_an_unreachable_gateway_is_an_error(device: Device) -> None:
    with pytest.raises(HostError, match=r"add the route to 10\.7\.0\.0/16: Network is unreachable"):
        device.become(ONE, NOWHERE)


def test_what_fails_does_not_hold_up_the_rest(device: Device) -> None:
    with pytest.raises(HostError):
        device.become(ONE, NOWHERE, THROUGH)
    assert routes(*OURS) == {"10.8.0.0/16"}


def test_a_route_that_the_machine_has_already_is_an_error(device: Device) -> None:
    ip("route", "add", "10.9.0.0/16", "dev", "lo")
    with pytest.raises(HostError, match=r"cannot add the route to 10\.9\.0\.0/16: File exists"):
        device.become(ONE, DIRECT)


def test_a_route_that_the_machine_has_already_stays(device: Device) -> None:
    ip("route", "add", "10.9.0.0/16", "dev", "lo")
    with pytest.raises(HostError):
        device.become(ONE, DIRECT)
    assert ask("-4", "route", "show", "10.9.0.0/16")[0]["dev"] == "lo"


def make_second(netlink: Netlink) -> tuple[Tap, Device]:
    """Make the device of another network, whose ranges overlap."""
    other = Tap("zttest1")
    netlink.bring_up(other.name, NEIGHBOUR, 2800)
    return other, Device(netlink, other.name)


def devices_to(target: str, family: str = "-4") -> list[str]:
    """Return the devices that lead to a target, the preferred first."""
    found = ask(family, "route", "show", target, *OURS)
    return [route["dev"] for route in sorted(found, key=lambda r: int(r.get("metric", 0)))]


@pytest.mark.parametrize(
    ("address", "other", "route", "family"),
    [(ONE, TWO, DIRECT, "-4"), (SIX, SEVEN, DIRECT6, "-6")],
    ids=["IPv4", "IPv6"],
)
def test_of_two_networks_with_one_target_the_first_is_preferred(
    device: Device,
    netlink: Netlink,
    address: IpInterface,
    other: IpInterface,
    route: HostRoute,
    family: str,
) -> None:
    tap, second = make_second(netlink)
    device.become(address, route)
    theirs = replace(route, source=other.ip)
    second.become(other, theirs)
    assert devices_to(str(route.target), family) == [NAME, "zttest1"]
    second.become(other, theirs)  # nothing to do
    device.become(address)
    assert devices_to(str(route.target), family) == ["zttest1"]
    device.become(address, route)
    assert sorted(devices_to(str(route.target), family)) == [NAME, "zttest1"]
    second.become(other)
    assert devices_to(str(route.target), family) == [NAME]
    tap.close()


def test_a_renewed_route_takes_no_other_networks_place(device: Device, netlink: Netlink) -> None:
    tap, second = make_second(netlink)
    device.become(ONE, DIRECT)
    theirs = replace(DIRECT, source=TWO.ip)
    second.become(TWO, theirs)
    netlink.apply("zttest1", plan(state(TWO, theirs), state(TWO, theirs), is_sure=False))
    netlink.apply("zttest1", Plan(add_routes=(theirs,)))
    assert devices_to("10.9.0.0/16") == [NAME, "zttest1"]
    tap.close()


def test_gateways_of_two_networks_are_reached_through_their_devices(
    device: Device, netlink: Netlink
) -> None:
    tap, second = make_second(netlink)
    device.become(ONE, THROUGH)
    second.become(TWO, THROUGH)
    assert devices_to("10.8.0.0/16") == [NAME, "zttest1"]
    tap.close()


def test_a_default_route_of_the_machine_stays_beside_our_halves(device: Device) -> None:
    ip("route", "add", "default", "dev", "lo")
    gateway = ip_address("10.1.2.9")
    halves = [HostRoute(n, gateway, None, 5000) for n in ip_network("0.0.0.0/0").subnets()]
    device.become(ONE, *halves)
    assert {"default", "0.0.0.0/1", "128.0.0.0/1"} <= routes()
