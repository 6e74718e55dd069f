"""What the network is told to carry to a stack."""

from ipaddress import ip_interface

from tests.unit.netstack.ether import ANY_4, START, at, make_stack
from ztlink.ids import BROADCAST_MAC, Mac, MulticastGroup


def group(mac: str, adi: int = 0) -> MulticastGroup:
    return MulticastGroup(Mac(bytes.fromhex(mac)), adi)


def test_an_ipv4_address_is_looked_for_in_the_group_of_broadcast_and_itself() -> None:
    assert MulticastGroup(BROADCAST_MAC, 0x0A000001) in make_stack().groups()


def test_an_ipv6_address_is_looked_for_in_its_group() -> None:
    stack = make_stack(addresses=("fd00::1:2345/64",))
    assert group("3333ff012345") in stack.groups()


def test_the_address_of_the_link_is_looked_for_in_its_group() -> None:
    assert group("3333ff000001") in make_stack(addresses=()).groups()


def test_all_hosts_and_all_nodes_are_listened_to() -> None:
    assert {group("01005e000001"), group("333300000001")} <= make_stack(addresses=()).groups()


def test_groups_follow_addresses() -> None:
    stack = make_stack()
    stack.set_addresses([ip_interface("10.0.0.9/24")], (), START)
    v4 = {one.adi for one in stack.groups() if one.mac == BROADCAST_MAC}
    assert v4 == {0x0A000009}


def test_groups_are_one_object_until_they_change() -> None:
    stack = make_stack()
    before = stack.groups()
    stack.close_udp(stack.bind_udp(at(ANY_4, 0)))
    assert stack.groups() is before
