from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.unit.inet.frames import plain_checksum
from ztlink.ids import IpAddress, Mac, format_mac
from ztlink.inet.arp import requested_ip
from ztlink.inet.ether import ethertype_of, group_mac
from ztlink.inet.ip import IPV4_HEADER, IPV6_HEADER, SIZE_IPV4, SIZE_IPV6, ipv6_payload
from ztlink.inet.ndp import neighbor_advertisement, solicitation_target
from ztlink.inet.tcp import SIZE_TCP, TCP_HEADER, header_size
from ztlink.inet.udp import SIZE_UDP, UDP_HEADER

TARGET = IPv6Address("fd11:2233:4455:6677:8899:9315:98c1:bf84")
ASKER = IPv6Address("fd11:2233:4455:6677:8899:9353:be9b:7b42")
MAC = Mac(bytes.fromhex("32fe8f79aad6"))
REQUEST = bytes.fromhex("0001080006040001" + "020000000001" + "0a000001" + "00" * 6 + "0a000002")


def test_the_structures_have_the_sizes_of_the_headers() -> None:
    sizes = [IPV4_HEADER.size, IPV6_HEADER.size, TCP_HEADER.size, UDP_HEADER.size]
    assert sizes == [SIZE_IPV4, SIZE_IPV6, SIZE_TCP, SIZE_UDP]


def test_an_ethertype_is_behind_the_macs() -> None:
    assert ethertype_of(memoryview(bytes(12) + b"\x86\xdd")) == 0x86DD


@pytest.mark.parametrize(
    ("group", "mac"),
    [
        (IPv4Address("224.0.0.251"), "01:00:5e:00:00:fb"),
        (IPv4Address("239.255.1.2"), "01:00:5e:7f:01:02"),
        (IPv6Address("ff02::1:ff00:1"), "33:33:ff:00:00:01"),
    ],
)
def test_a_group_has_its_mac(group: IpAddress, mac: str) -> None:
    assert format_mac(group_mac(group)) == mac


def test_an_arp_request_asks_for_its_target() -> None:
    assert requested_ip(memoryview(REQUEST)) == int(IPv4Address("10.0.0.2"))


@pytest.mark.parametrize(
    ("offset", "value"), [(2, 0x86), (4, 8), (5, 16), (7, 2)], ids=["type", "mac", "ip", "reply"]
)
def test_other_arp_packets_ask_for_nothing(offset: int, value: int) -> None:
    packet = bytearray(REQUEST)
    packet[offset] = value
    assert requested_ip(memoryview(packet)) is None


def test_an_arp_request_that_is_cut_short_asks_for_nothing() -> None:
    assert requested_ip(memoryview(REQUEST)[:27]) is None


def test_the_high_byte_of_an_arp_operation_is_not_looked_at() -> None:
    packet = bytearray(REQUEST)
    packet[6] = 1
    assert requested_ip(memoryview(packet)) is not None


@pytest.mark.parametrize(
    ("following", "extensions", "found"),
    [
        (6, "", (6, 40)),
        (0, "0600000000000000", (6, 48)),
        (60, "2b00000000000000" + "1101" + "00" * 14, (17, 64)),
        (0, "06000000000000", (-1, 0)),
        (0, "06010000000000000000", (-1, 0)),
        (44, "0600000000000000", (44, 40)),
    ],
    ids=["none", "one", "two", "cut short", "past the end", "fragment"],
)
def test_extension_headers_are_passed_over(
    following: int, extensions: str, found: tuple[int, int]
) -> None:
    packet = bytes(6) + bytes([following, 64]) + bytes(32) + bytes.fromhex(extensions)
    assert ipv6_payload(memoryview(packet), 0) == found


def test_a_tcp_header_tells_its_size() -> None:
    assert header_size(memoryview(bytes(12) + b"\x80" + bytes(7)), 0) == 32


def solicitation(kind: int = 135, following: int = 58) -> bytes:
    header = bytes(4) + b"\0\x18" + bytes([following, 255]) + bytes(32)
    return header + bytes([kind]) + bytes(7) + TARGET.packed


def test_a_solicitation_asks_for_its_target() -> None:
    assert solicitation_target(memoryview(solicitation())) == TARGET


@pytest.mark.parametrize(
    "packet", [solicitation()[:63], solicitation(kind=136), solicitation(following=6)]
)
def test_nothing_else_asks_for_a_target(packet: bytes) -> None:
    assert solicitation_target(memoryview(packet)) is None


def test_an_advertisement_has_the_bytes_of_the_wire_document() -> None:
    packet = neighbor_advertisement(TARGET, ASKER, MAC)
    without_checksum = packet[:42] + packet[44:]
    assert without_checksum == (
        bytes.fromhex("6000000000203aff")
        + TARGET.packed
        + ASKER.packed
        + bytes.fromhex("880060000000")
        + TARGET.packed
        + b"\x02\x01"
        + MAC
    )


def test_an_advertisement_has_a_good_checksum() -> None:
    packet = neighbor_advertisement(TARGET, ASKER, MAC)
    pseudo = packet[8:40] + bytes([0, 0, 0, 32, 0, 0, 0, 58])
    assert plain_checksum(pseudo + packet[40:]) == 0
