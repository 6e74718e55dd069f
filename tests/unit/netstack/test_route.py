"""Ways to destinations, and the address that is the sender (RFC 6724)."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from tests.unit.netstack.ether import US, Alone, arp_frame, make_stack
from ztlink.ids import Mac
from ztlink.inet.arp import ARP_REPLY, Arp
from ztlink.netstack.route import Route, RouteTable, link_local
from ztlink.netstack.source import choose_source

LINK_LOCAL = "fe80::ff:fe00:1"
GATEWAY = ip_address("10.0.0.254")


def table(*addresses: str, routes: tuple[Route, ...] = ()) -> RouteTable:
    made = RouteTable(US)
    made.set([ip_interface(one) for one in addresses], routes)
    return made


def source(destination: str, *own: str) -> str:
    return str(choose_source(ip_address(destination), [ip_interface(one) for one in own]))


# -- the sender ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "own", "best"),
    [
        ("2001:db8:1::1", ("2001:db8:3::1/64", "fe80::1/64"), "2001:db8:3::1"),
        ("ff05::1", ("2001:db8:3::1/64", "fe80::1/64"), "2001:db8:3::1"),
        ("fe80::9", ("2001:db8:3::1/64", "fe80::1/64"), "fe80::1"),
        ("ff02::9", ("2001:db8:3::1/64", "fe80::1/64"), "fe80::1"),
        ("2001:db8:1::1", ("2001:db8:1::2/64", "2001:db8:3::2/64"), "2001:db8:1::2"),
        (
            "2002:c633:6401::1",
            ("2001:db8:1::2/64", "2002:c633:6401:0:d5e3:7953:13eb:22e8/64"),
            "2002:c633:6401:0:d5e3:7953:13eb:22e8",
        ),
        ("fd00::9", ("2001:db8:3::1/64", "fc4c::1/40"), "fc4c::1"),
        ("fd00::2", ("fd00::1/64", "fd00::2/64"), "fd00::2"),
        ("10.1.2.3", ("10.9.0.1/24", "10.1.0.1/16"), "10.1.0.1"),
        ("10.1.2.3", ("169.254.1.1/16", "10.9.0.1/24"), "10.9.0.1"),
        ("10.1.2.3", ("fd00::1/64",), "None"),
    ],
    ids=[
        "scope that suffices",
        "scope of a group",
        "smallest scope",
        "smallest scope of a group",
        "longest prefix",
        "label",
        "label of unique local addresses",
        "the same address",
        "IPv4, longest prefix",
        "IPv4, scope",
        "none of the version",
    ],
)
def test_the_sender_is_who_the_rules_say(destination: str, own: tuple[str, ...], best: str) -> None:
    assert source(destination, *own) == best
    assert source(destination, *reversed(own)) == best


# -- ways ------------------------------------------------------------------------------------


def test_a_neighbour_is_reached_directly() -> None:
    way = table("10.0.0.1/24").way(ip_address("10.0.0.2"))
    assert way is not None
    assert (way.source, way.next_hop) == (ip_address("10.0.0.1"), ip_address("10.0.0.2"))


def test_no_way_leads_beyond_the_link_without_a_route() -> None:
    assert table("10.0.0.1/24").way(ip_address("10.0.1.2")) is None


def test_a_gateway_is_the_next_hop_of_what_it_leads_to() -> None:
    routes = (Route(ip_network("192.0.2.0/24"), GATEWAY),)
    way = table("10.0.0.1/24", routes=routes).way(ip_address("192.0.2.9"))
    assert way is not None
    assert way.next_hop == GATEWAY


def test_a_route_without_a_gateway_makes_neighbours() -> None:
    routes = (Route(ip_network("10.0.0.0/16")),)
    made = table("10.0.0.1/32", routes=routes)
    assert made.is_on_link(ip_address("10.0.7.7"))


def test_the_longest_prefix_counts() -> None:
    other = ip_address("10.0.0.253")
    routes = (Route(ip_network("0.0.0.0/0"), GATEWAY), Route(ip_network("192.0.2.0/24"), other))
    made = table("10.0.0.1/24", routes=routes)
    assert [
        way.next_hop for ip in ("192.0.2.9", "198.51.100.9") if (way := made.way(ip_address(ip)))
    ] == [other, GATEWAY]


def test_of_equal_routes_the_lower_metric_counts() -> None:
    other, target = ip_address("10.0.0.253"), ip_network("192.0.2.0/24")
    routes = (Route(target, GATEWAY, 200), Route(target, other, 100))
    way = table("10.0.0.1/24", routes=routes).way(ip_address("192.0.2.9"))
    assert way is not None
    assert way.next_hop == other


@pytest.mark.parametrize("gateway", ["10.9.9.9", "10.0.0.1"], ids=["elsewhere", "ourselves"])
def test_a_gateway_that_is_no_neighbour_is_none(gateway: str) -> None:
    routes = (Route(ip_network("192.0.2.0/24"), ip_address(gateway)),)
    assert table("10.0.0.1/24", routes=routes).way(ip_address("192.0.2.9")) is None


@pytest.mark.parametrize("ip", [str(ip_address(0)), "127.0.0.1", "::", "::1"])
def test_no_way_leads_to_nobody(ip: str) -> None:
    routes = (Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))
    assert table("10.0.0.1/24", "fd00::1/64", routes=routes).way(ip_address(ip)) is None


@pytest.mark.parametrize("ip", ["10.0.0.1", "fd00::1", LINK_LOCAL])
def test_our_own_addresses_are_reached_from_themselves(ip: str) -> None:
    way = table("10.0.0.1/24", "fd00::1/64").way(ip_address(ip))
    assert way is not None
    assert (way.is_own, way.source) == (True, ip_address(ip))


@pytest.mark.parametrize("ip", ["10.0.0.255", "255.255.255.255", "239.1.1.1", "ff02::5"])
def test_groups_and_all_need_no_neighbour(ip: str) -> None:
    way = table("10.0.0.1/24").way(ip_address(ip))
    assert way is not None
    assert way.is_to_group


@pytest.mark.parametrize("bits", [31, 32])
def test_a_network_of_two_has_no_address_for_all(bits: int) -> None:
    assert not table(f"10.0.0.1/{bits}").is_broadcast(ip_address("10.0.0.1"))


def test_the_address_of_the_link_follows_from_the_mac() -> None:
    assert link_local(US) == ip_interface(f"{LINK_LOCAL}/64")


def test_the_address_of_the_link_stays() -> None:
    stack = make_stack(addresses=())
    assert [str(one) for one in stack.addresses] == [f"{LINK_LOCAL}/64"]


def test_an_address_that_is_named_twice_is_there_once() -> None:
    assert len(table("10.0.0.1/24", "10.0.0.1/24").interfaces) == 2


def test_ways_are_found_anew_when_addresses_change() -> None:
    made = table("10.0.0.1/24")
    made.way(ip_address("10.0.0.9"))
    made.set([ip_interface("10.1.0.1/24")], ())
    assert made.way(ip_address("10.0.0.9")) is None


def test_packets_for_elsewhere_go_to_the_gateways_mac() -> None:
    routes = (Route(ip_network("192.0.2.0/24"), GATEWAY),)
    alone = Alone(make_stack(routes=routes))
    alone.stack.ping(ip_address("192.0.2.9"), 8, alone.now)
    (question,) = alone.hear()
    assert Arp.decode(memoryview(question)[14:]).target_ip == GATEWAY
    mac = Mac(bytes.fromhex("0200000000fe"))
    (packet,) = alone.say(arp_frame(ARP_REPLY, mac, str(GATEWAY), "10.0.0.1"))
    assert packet[:6] == mac


def test_the_sender_to_a_destination_can_be_asked_for() -> None:
    stack = make_stack()
    assert stack.source_for(ip_address("10.0.0.9")) == ip_address("10.0.0.1")
    assert stack.source_for(ip_address("192.0.2.9")) is None
