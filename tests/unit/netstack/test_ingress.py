"""What a protocol is handed."""

from ipaddress import ip_address, ip_interface

import pytest

from tests.unit.netstack.ether import OWN_4, OWN_6, PEER_4, PEER_6, START, THEM, US, seeded
from tests.unit.netstack.packets import v4, v6
from ztlink.batch import SuperFrame
from ztlink.netstack.counters import Counters
from ztlink.netstack.egress import Egress
from ztlink.netstack.groups import GroupSet
from ztlink.netstack.icmp import Icmp
from ztlink.netstack.ingress import Ingress
from ztlink.netstack.packet import Packet
from ztlink.netstack.pmtu import PathMtus
from ztlink.netstack.resolver import Resolver
from ztlink.netstack.route import RouteTable
from ztlink.netstack.settings import StackSettings

PROTOCOL = 253
"""For experiments (RFC 3692)."""


class Taker:
    """An ingress with one protocol, and what that got."""

    def __init__(self) -> None:
        settings, counters = StackSettings(), Counters()
        self.routes = routes = RouteTable(US)
        routes.set([ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64")], ())
        egress = Egress(US, routes, PathMtus(2800), settings, counters, seeded())
        resolver = Resolver(
            US,
            routes,
            settings,
            counters,
            send=egress.send_frame,
            release=egress.release,
            emit=lambda event: None,
        )
        groups = GroupSet()
        groups.update(routes, ())
        icmp = Icmp(routes, egress, resolver, settings, counters)
        self.ingress = Ingress(US, routes, groups, resolver, icmp, settings, counters)
        self.got: list[tuple[Packet, int]] = []
        self.ingress.receivers[PROTOCOL] = lambda packet, size, now: self.got.append((packet, size))

    def take(self, frame: bytes, *, needs_checksum: bool = False) -> Packet:
        buffer = memoryview(bytearray(frame))
        self.ingress.receive(SuperFrame(buffer, needs_checksum=needs_checksum), START)
        ((packet, _),) = self.got
        return packet


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.mark.parametrize(
    ("frame", "source", "destination"),
    [
        (v4(PROTOCOL, b"hello"), PEER_4, OWN_4),
        (v6(PROTOCOL, b"hello"), PEER_6, OWN_6),
        (v6(60, bytes([PROTOCOL, 0, 1, 4, 0, 0, 0, 0]) + b"hello"), PEER_6, OWN_6),
    ],
    ids=["IPv4", "IPv6", "IPv6 with an extension header"],
)
def test_a_protocol_gets_addresses_and_payload(
    taker: Taker, frame: bytes, source: str, destination: str
) -> None:
    packet = taker.take(frame)
    assert (packet.source, packet.destination) == (ip_address(source), ip_address(destination))
    assert (packet.protocol, bytes(packet.payload)) == (PROTOCOL, b"hello")
    assert (packet.link_source, packet.is_to_group) == (THEM, False)


def test_a_packet_quotes_itself_from_its_ip_header_on(taker: Taker) -> None:
    frame = v4(PROTOCOL, b"hello")
    assert bytes(taker.take(frame).quote) == frame[14:]


@pytest.mark.parametrize("needs_checksum", [True, False])
def test_only_what_this_machine_made_is_verified_already(
    taker: Taker, needs_checksum: bool
) -> None:
    packet = taker.take(v4(PROTOCOL, b"hello"), needs_checksum=needs_checksum)
    assert packet.is_verified == needs_checksum


@pytest.mark.parametrize("version", [4, 6])
def test_who_has_been_heard_is_refused_with_an_address_that_became_ours(
    taker: Taker, version: int
) -> None:
    frame = v4(PROTOCOL, b"hello") if version == 4 else v6(PROTOCOL, b"hello")
    peer = ip_interface(f"{PEER_4 if version == 4 else PEER_6}/24")
    taker.take(frame)
    taker.routes.set((*taker.routes.interfaces[:-1], peer), ())
    taker.ingress.receive(SuperFrame(memoryview(bytearray(frame))), START)
    assert len(taker.got) == 1


def test_who_has_been_heard_is_refused_in_a_frame_to_a_group(taker: Taker) -> None:
    frame = bytearray(v4(PROTOCOL, b"hello"))
    taker.take(bytes(frame))
    frame[:6] = b"\xff" * 6
    taker.ingress.receive(SuperFrame(memoryview(frame)), START)
    assert len(taker.got) == 1


def test_who_was_heard_and_forgotten_is_heard_again(taker: Taker) -> None:
    sources = [f"10.1.{number >> 8}.{number & 255}" for number in range(1500)]
    for source in [*sources, sources[0]]:
        frame = v4(PROTOCOL, b"", source=source)
        taker.ingress.receive(SuperFrame(memoryview(bytearray(frame))), START)
    assert len(taker.got) == 1501
