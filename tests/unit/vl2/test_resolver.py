"""What a port's own ARP, NDP, IGMP and MLD tell."""

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Interface

import pytest

from ztlink.derive import rfc4193_address, sixplane_address
from ztlink.ids import Address, Mac, MulticastGroup, NetworkId, member_mac
from ztlink.inet.checksum import checksum
from ztlink.inet.flow import parse_frame
from ztlink.vl2.resolver import answer_solicitation, arp_target, port_groups
from ztlink.wire.netconf import NetworkConfig

NETWORK = NetworkId(0x8056C2E21C000001)
OWN = Address(0x1111111111)
OTHER = Address(0x2222222222)
OWN_MAC = member_mac(OWN, NETWORK)
Scheme = Callable[[NetworkId, Address], IPv6Interface]
SCHEMES: list[Scheme] = [rfc4193_address, sixplane_address]


def config(*addresses: IPv6Interface) -> NetworkConfig:
    return NetworkConfig(
        network_id=NETWORK,
        timestamp=1,
        credential_time_max_delta=1,
        revision=1,
        issued_to=OWN,
        addresses=addresses,
    )


def solicitation(target: IPv6Address, *, kind: int = 135, next_header: int = 58) -> memoryview:
    """Return a neighbour solicitation as a frame."""
    ip = bytes.fromhex("6000000000") + bytes([24, next_header, 255])
    ip += IPv6Address("fe80::1").packed + IPv6Address("ff02::1:ff00:1").packed
    body = bytes([kind]) + bytes(7) + target.packed
    return memoryview(bytes.fromhex("3333ff000001") + OWN_MAC + b"\x86\xdd" + ip + body)


def answer(target: IPv6Address, *own: IPv6Interface, **how: int) -> bytearray | None:
    return answer_solicitation(solicitation(target, **how), NETWORK, OWN, config(*own))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_derived_address_is_answered_for_its_member(scheme: Scheme) -> None:
    own, target = scheme(NETWORK, OWN), scheme(NETWORK, OTHER).ip
    frame = answer(target, own)
    assert frame is not None
    mac = member_mac(OTHER, NETWORK)
    assert frame[:14] == OWN_MAC + mac + b"\x86\xdd"
    ip = frame[14:]
    assert ip[:8] == bytes.fromhex("60000000 0020 3a ff")
    assert ip[8:24] == target.packed
    assert ip[24:40] == own.ip.packed
    assert ip[40:42] == b"\x88\0"
    assert ip[44:48] == bytes.fromhex("60000000")
    assert ip[48:64] == target.packed
    assert ip[64:] == b"\x02\x01" + mac


def test_the_checksum_of_an_answer_is_good() -> None:
    frame = answer(sixplane_address(NETWORK, OTHER).ip, sixplane_address(NETWORK, OWN))
    assert frame is not None
    pseudo = bytes(frame[22:54]) + (32).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    assert checksum(pseudo + bytes(frame[54:])) == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_our_own_address_is_not_answered(scheme: Scheme) -> None:
    own = scheme(NETWORK, OWN)
    assert answer(own.ip, own) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_member_of_another_network_is_not_answered(scheme: Scheme) -> None:
    assert answer(scheme(NetworkId(NETWORK ^ 1), OTHER).ip, scheme(NETWORK, OWN)) is None


def test_a_sixplane_prefix_of_another_network_is_not_ours_because_we_hold_it() -> None:
    foreign = NetworkId(NETWORK ^ 1)
    assert answer(sixplane_address(foreign, OTHER).ip, sixplane_address(foreign, OWN)) is None


def test_an_ordinary_address_is_not_answered() -> None:
    assert answer(IPv6Address("2001:db8::1"), IPv6Interface("2001:db8::2/64")) is None


def test_another_message_is_not_answered() -> None:
    target = sixplane_address(NETWORK, OTHER).ip
    own = sixplane_address(NETWORK, OWN)
    assert answer(target, own, kind=136) is None
    assert answer(target, own, next_header=17) is None


def test_a_cut_solicitation_is_not_answered() -> None:
    frame = solicitation(sixplane_address(NETWORK, OTHER).ip)
    own = config(sixplane_address(NETWORK, OWN))
    answers = [answer_solicitation(frame[:n], NETWORK, OWN, own) for n in range(14, len(frame))]
    assert not any(answers)


ARP_REQUEST = bytes.fromhex("0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")


def test_the_target_of_an_arp_request_is_read() -> None:
    frame = b"\xff" * 6 + OWN_MAC + b"\x08\x06" + ARP_REQUEST
    assert arp_target(memoryview(frame)) == 0x0A000002


@pytest.mark.parametrize("offset", [2, 4, 5, 7])
def test_what_is_no_arp_request_for_ipv4_over_ethernet_has_no_target(offset: int) -> None:
    request = bytearray(ARP_REQUEST)
    request[offset] ^= 0x10
    frame = b"\xff" * 6 + OWN_MAC + b"\x08\x06" + request
    assert arp_target(memoryview(frame)) is None


def test_a_cut_arp_request_has_no_target() -> None:
    frame = memoryview(b"\xff" * 6 + OWN_MAC + b"\x08\x06" + ARP_REQUEST)
    assert not any(arp_target(frame[:size]) for size in range(14, len(frame)))


def test_an_igmp_report_joins_a_group() -> None:
    ip = bytes.fromhex("46c0002000004000 0102 0000 0a000001 e0000105 94040000".replace(" ", ""))
    igmp = bytes.fromhex("1600 0000 e0000105".replace(" ", ""))
    frame = memoryview(bytes.fromhex("01005e000105") + OWN_MAC + b"\x08\0" + ip + igmp)
    joined, left = port_groups(frame, parse_frame(frame))
    group = MulticastGroup(Mac(bytes.fromhex("01005e000105")))
    assert (joined, left) == (frozenset({group}), frozenset())
