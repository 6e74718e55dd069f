"""The ICMP header: where its checksum is, and what it covers."""

from ipaddress import IPv6Address

import pytest

from tests.unit.inet.frames import plain_checksum
from ztlink.inet.icmp import (
    ICMPV6_MULTICAST_LISTENER_DONE,
    ICMPV6_MULTICAST_LISTENER_REPORT,
    ICMPV6_MULTICAST_LISTENER_REPORT_2,
    ICMPV6_NEIGHBOR_ADVERTISEMENT,
    ICMPV6_NEIGHBOR_SOLICITATION,
    OFFSET_CHECKSUM,
    icmpv6_checksum,
)

SOURCE = IPv6Address("fe80::1").packed
DESTINATION = IPv6Address("ff02::1:ff00:2").packed


def with_checksum(message: bytes) -> bytes:
    """Return a message with its checksum in place."""
    value = icmpv6_checksum(SOURCE, DESTINATION, message)
    return message[:OFFSET_CHECKSUM] + value.to_bytes(2, "big") + message[OFFSET_CHECKSUM + 2 :]


def pseudo_header(size: int) -> bytes:
    return SOURCE + DESTINATION + size.to_bytes(4, "big") + bytes([0, 0, 0, 58])


@pytest.mark.parametrize(
    "message",
    [
        bytes([135]) + bytes(7),
        bytes([128, 0, 0, 0]) + b"odd",
        bytes([128, 0, 0, 0]) + b"\xff" * 1400,
        bytes([128, 0, 0, 0]) + b"\xff" * 60_001,
    ],
    ids=["short", "odd", "long", "odd and long"],
)
def test_a_receiver_finds_the_checksum_good(message: bytes) -> None:
    assert plain_checksum(pseudo_header(len(message)) + with_checksum(message)) == 0


def test_a_message_to_somebody_else_has_another_checksum() -> None:
    message = bytes([128]) + bytes(7)
    to_others = icmpv6_checksum(SOURCE, IPv6Address("ff02::2").packed, message)
    assert to_others != icmpv6_checksum(SOURCE, DESTINATION, message)


def test_the_checksum_of_a_known_echo_request_is_as_worked_out_by_hand() -> None:
    loopback = IPv6Address("::1").packed
    echo = bytes.fromhex("8000000000010001")
    # 1 + 1 (addresses) + 8 (size) + 58 (protocol) + 0x8000 + 1 + 1
    assert icmpv6_checksum(loopback, loopback, echo) == 0xFFFF - 0x8046


def test_the_types_are_those_of_the_registry() -> None:
    assert (ICMPV6_MULTICAST_LISTENER_REPORT, ICMPV6_MULTICAST_LISTENER_DONE) == (131, 132)
    assert ICMPV6_MULTICAST_LISTENER_REPORT_2 == 143
    assert (ICMPV6_NEIGHBOR_SOLICITATION, ICMPV6_NEIGHBOR_ADVERTISEMENT) == (135, 136)
