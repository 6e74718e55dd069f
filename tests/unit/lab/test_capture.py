"""Reading packets off a wire."""

import pytest

from tests.lab.capture import Seen, read_packet, udp_payload
from tests.vectors.loading import load

ETHERNET = bytes(12)
IPV4_UDP = bytes([0x45, *bytes(8), 17, *bytes(10)])
IPV4_TCP = bytes([0x45, *bytes(8), 6, *bytes(10)])
IPV6_UDP = bytes([0x60, *bytes(5), 17, *bytes(33)])
UDP = bytes(8)


def test_a_datagram_over_ipv4_is_found() -> None:
    assert udp_payload(ETHERNET + b"\x08\x00" + IPV4_UDP + UDP + b"data") == b"data"


def test_a_datagram_over_ipv6_is_found() -> None:
    assert udp_payload(ETHERNET + b"\x86\xdd" + IPV6_UDP + UDP + b"data") == b"data"


def test_other_protocols_are_left_out() -> None:
    assert udp_payload(ETHERNET + b"\x08\x00" + IPV4_TCP + bytes(20) + b"data") == b""


def test_the_suite_and_both_addresses_of_a_packet_are_read() -> None:
    packet = bytes(8) + bytes.fromhex("feeb61c2ed10d6ab15cc18") + bytes(9)
    assert read_packet(packet) == Seen("10d6ab15cc", "feeb61c2ed", 3)


def test_a_fragment_is_left_out() -> None:
    fragment = bytes(8) + bytes.fromhex("feeb61c2ed") + b"\xff\x21\x00" + bytes(100)
    assert read_packet(fragment) is None


def test_what_is_too_short_for_a_packet_is_left_out() -> None:
    assert read_packet(bytes(27)) is None


@pytest.mark.parametrize("recorded", load("echo.json")["packets"])
def test_recorded_packets_are_read_as_they_were_recorded(recorded: dict[str, str | int]) -> None:
    source, destination = str(recorded["source"])[:10], str(recorded["destination"])[:10]
    expected = Seen(source, destination, int(recorded["suite"]))
    assert read_packet(bytes.fromhex(str(recorded["packet"]))) == expected
