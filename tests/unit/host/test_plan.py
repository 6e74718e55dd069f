"""From what is to what should be, without touching what already fits."""

from ipaddress import ip_address, ip_interface, ip_network

from ztlink.host.desired import Desired, HostRoute
from ztlink.host.plan import Plan, plan
from ztlink.ids import IpInterface, Mac

MAC = Mac(bytes.fromhex("32a0b0c0d0e0"))
ONE: IpInterface = ip_interface("10.1.2.1/24")
TWO: IpInterface = ip_interface("10.1.2.2/24")
SIX: IpInterface = ip_interface("fd12::1/64")
SEVEN: IpInterface = ip_interface("fd12::2/64")
DIRECT = HostRoute(ip_network("10.9.0.0/16"), None, ip_address("10.1.2.1"))
THROUGH = HostRoute(ip_network("10.8.0.0/16"), ip_address("10.1.2.9"), None, 5000)
THROUGH6 = HostRoute(ip_network("fd13::/32"), ip_address("fd12::9"), None, 5000)
DIRECT6 = HostRoute(ip_network("fd14::/32"), None, ip_address("fd12::1"))


def state(*parts: IpInterface | HostRoute, mtu: int = 2800) -> Desired:
    return Desired(
        MAC,
        mtu,
        tuple(part for part in parts if not isinstance(part, HostRoute)),
        tuple(part for part in parts if isinstance(part, HostRoute)),
    )


def test_what_fits_is_not_touched() -> None:
    there = state(ONE, SIX, DIRECT, THROUGH, DIRECT6)
    assert plan(there, there) == Plan()


def test_what_is_wanted_is_added() -> None:
    assert plan(state(ONE, DIRECT), state()) == Plan(add_addresses=(ONE,), add_routes=(DIRECT,))


def test_what_is_not_wanted_any_more_is_removed() -> None:
    found = plan(state(), state(ONE, DIRECT))
    assert found == Plan(remove_addresses=(ONE,), remove_routes=(DIRECT,))


def test_another_mtu_is_set() -> None:
    assert plan(state(ONE, mtu=1400), state(ONE)) == Plan(mtu=1400)


def test_an_address_with_another_prefix_is_another_address() -> None:
    wider: IpInterface = ip_interface("10.1.2.1/16")
    found = plan(state(wider), state(ONE))
    assert found == Plan(remove_addresses=(ONE,), add_addresses=(wider,))


def test_one_route_is_added_beside_another() -> None:
    assert plan(state(ONE, DIRECT, THROUGH), state(ONE, THROUGH)) == Plan(add_routes=(DIRECT,))


def test_a_route_with_another_gateway_is_another_route() -> None:
    other = HostRoute(THROUGH.target, ip_address("10.1.2.8"), None, 5000)
    found = plan(state(ONE, other), state(ONE, THROUGH))
    assert found == Plan(remove_routes=(THROUGH,), add_routes=(other,))


def test_an_address_is_added_beside_another() -> None:
    found = plan(state(ONE, TWO, DIRECT, THROUGH), state(ONE, DIRECT, THROUGH))
    assert found == Plan(add_addresses=(TWO,))


def test_what_may_not_have_been_applied_is_set_again() -> None:
    there = state(ONE, SIX, DIRECT, THROUGH6)
    found = plan(there, there, is_sure=False)
    assert found == Plan(2800, (), (), (ONE, SIX), (DIRECT, THROUGH6))


# What the kernel takes away by itself, seen in tests/host/test_netlink.py.


def test_a_route_that_vanishes_with_its_source_address_is_set_again() -> None:
    source: IpInterface = ip_interface("10.1.2.1/16")
    assert plan(state(source, DIRECT), state(ONE, DIRECT)).add_routes == (DIRECT,)


def test_a_route_that_vanishes_with_the_last_address_is_set_again() -> None:
    assert plan(state(TWO, THROUGH), state(ONE, THROUGH)).add_routes == (THROUGH,)


def test_an_address_that_vanishes_with_the_first_of_its_subnet_is_set_again() -> None:
    assert plan(state(TWO), state(ONE, TWO)).add_addresses == (TWO,)


def test_a_route_that_is_not_wanted_any_more_is_removed_although_its_source_is() -> None:
    found = plan(state(SEVEN), state(SIX, DIRECT6))
    assert found.remove_routes == (DIRECT6,)


def test_removing_an_address_does_not_touch_the_other_family() -> None:
    found = plan(state(TWO, SIX, THROUGH6), state(ONE, SIX, THROUGH6))
    assert found == Plan(remove_addresses=(ONE,), add_addresses=(TWO,))
