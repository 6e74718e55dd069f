"""Packets of ours that an ICMP error quotes."""

from ipaddress import ip_address

import pytest

from tests.unit.netstack.ether import OWN_4, OWN_6, PEER_4, PEER_6
from tests.unit.netstack.packets import FRAGMENT, UDP, fragment_header, v4, v6
from ztlink.netstack.quoted import read_quoted

L4 = bytes.fromhex("0fa0003500100000") + b"data"


def packet_4(fragment: int = 0) -> bytes:
    return v4(UDP, L4, source=OWN_4, destination=PEER_4, fragment=fragment)[14:]


def packet_6(headers: bytes = b"", first: int = UDP) -> bytes:
    return v6(first, headers + L4, source=OWN_6, destination=PEER_6)[14:]


@pytest.mark.parametrize(
    ("packet", "version", "ips"),
    [
        (packet_4(), 4, (OWN_4, PEER_4)),
        (packet_6(), 6, (OWN_6, PEER_6)),
        (packet_6(bytes([UDP, 0, 1, 4, 0, 0, 0, 0]), 60), 6, (OWN_6, PEER_6)),
        (packet_6(fragment_header(UDP, 0, more=True), FRAGMENT), 6, (OWN_6, PEER_6)),
    ],
    ids=["IPv4", "IPv6", "behind an extension header", "first fragment"],
)
def test_a_quoted_packet_tells_whose_it_was(
    packet: bytes, version: int, ips: tuple[str, str]
) -> None:
    quoted = read_quoted(memoryview(packet), version)
    assert quoted is not None
    assert (quoted.local, quoted.remote) == (ip_address(ips[0]), ip_address(ips[1]))
    assert (quoted.protocol, bytes(quoted.l4[:8])) == (UDP, L4[:8])
    assert quoted.size == len(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_eight_bytes_of_what_is_above_ip_must_be_there(version: int) -> None:
    packet = packet_4() if version == 4 else packet_6()
    enough = len(packet) - len(L4) + 8
    for size in range(len(packet) + 1):
        is_read = read_quoted(memoryview(packet)[:size], version) is not None
        assert is_read == (size >= enough)


@pytest.mark.parametrize(
    ("packet", "version"),
    [
        (packet_4(fragment=5), 4),
        (packet_6(fragment_header(UDP, 8, more=True), FRAGMENT), 6),
        (packet_6(), 4),
        (packet_4(), 6),
        (b"\x44" + packet_4()[1:], 4),
        (packet_6(bytes([UDP, 0, 0xC5, 2, 0, 0, 0, 0]), 60), 6),
    ],
    ids=[
        "a later fragment",
        "a later fragment, IPv6",
        "IPv6 for IPv4",
        "IPv4 for IPv6",
        "a header too small",
        "an option to be refused",
    ],
)
def test_what_tells_nothing_is_none(packet: bytes, version: int) -> None:
    assert read_quoted(memoryview(packet), version) is None
