"""What packets of a service look like."""

from ipaddress import ip_network

from ztlink.host.firewall.matches import of_service
from ztlink.host.firewall.wanted import Guarded, PortRange, Protocol, Service
from ztlink.ids import NetworkId

DEVICES = (Guarded(NetworkId(1), "zt0"), Guarded(NetworkId(2), "zt1"))
FOUR = ip_network("10.1.0.0/16")
SIX = ip_network("fd00::/8")


def matches(service: Service) -> list[str]:
    return list(of_service(service, DEVICES))


def of_ports(*ports: tuple[int, int]) -> list[str]:
    return matches(Service(Protocol.TCP, tuple(PortRange(*one) for one in ports)))


def test_a_port() -> None:
    assert of_ports((80, 80)) == ["tcp dport { 80 }"]


def test_ports_and_ranges() -> None:
    assert of_ports((80, 80), (8000, 8100)) == ["tcp dport { 80, 8000-8100 }"]


def test_ranges_that_overlap_are_one() -> None:
    assert of_ports((8050, 8200), (8000, 8100)) == ["tcp dport { 8000-8200 }"]


def test_ranges_that_touch_are_one() -> None:
    assert of_ports((80, 80), (81, 90)) == ["tcp dport { 80-90 }"]


def test_a_range_inside_another_is_not_named() -> None:
    assert of_ports((1, 100), (5, 6)) == ["tcp dport { 1-100 }"]


def test_all_ports_of_a_protocol() -> None:
    assert matches(Service(Protocol.UDP)) == ["meta l4proto udp"]


def test_ports_of_any_protocol_are_those_of_tcp_and_udp() -> None:
    (match,) = matches(Service(Protocol.ANY, (PortRange(53, 53),)))
    assert match == "meta l4proto { tcp, udp } th dport { 53 }"


def test_all_of_any_protocol_has_no_match() -> None:
    assert matches(Service(Protocol.ANY)) == [""]


def test_echo_requests_of_both_families() -> None:
    assert matches(Service(Protocol.ICMP)) == ["icmp type echo-request", "icmpv6 type echo-request"]


def test_echo_requests_of_the_family_of_a_source() -> None:
    (match,) = matches(Service(Protocol.ICMP, sources=(SIX,)))
    assert match == "ip6 saddr { fd00::/8 } icmpv6 type echo-request"


def test_sources_of_both_families_take_two_matches() -> None:
    assert matches(Service(Protocol.TCP, sources=(FOUR, SIX))) == [
        "ip saddr { 10.1.0.0/16 } meta l4proto tcp",
        "ip6 saddr { fd00::/8 } meta l4proto tcp",
    ]


def test_a_network_is_its_device() -> None:
    (match,) = matches(Service(Protocol.TCP, networks=(NetworkId(2),)))
    assert match == 'iifname { "zt1" } meta l4proto tcp'


def test_a_network_without_a_device_lets_nothing_in() -> None:
    assert matches(Service(Protocol.TCP, networks=(NetworkId(3),))) == []
