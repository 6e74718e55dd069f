"""Frames as another machine sends them to the stack under test, field by field."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from tests.unit.netstack.ether import OWN_4, OWN_6, PEER_4, PEER_6, THEM, US, ethernet
from ztlink.ids import Mac
from ztlink.inet.icmp import icmp_message
from ztlink.inet.ip import ipv4_header, ipv6_header
from ztlink.inet.ndp import neighbor_advertisement, neighbor_solicitation
from ztlink.inet.udp import udp_packet

ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
ECHO_4, ECHO_REPLY_4, ECHO_6, ECHO_REPLY_6 = 8, 0, 128, 129


def v4(
    protocol: int,
    payload: bytes,
    *,
    source: str = PEER_4,
    destination: str = OWN_4,
    mac: Mac = THEM,
    to: Mac = US,
    fragment: int = 0,
    identification: int = 7,
    ttl: int = 64,
) -> bytes:
    header = ipv4_header(
        int(ip_address(source)),
        int(ip_address(destination)),
        protocol,
        len(payload),
        ttl=ttl,
        fragment=fragment,
        identification=identification,
    )
    return ethernet(mac, to, 0x0800, header + payload)


def v6(
    protocol: int,
    payload: bytes,
    *,
    source: str = PEER_6,
    destination: str = OWN_6,
    mac: Mac = THEM,
    to: Mac = US,
    hop_limit: int = 64,
) -> bytes:
    header = ipv6_header(
        int(ip_address(source)),
        int(ip_address(destination)),
        protocol,
        len(payload),
        hop_limit=hop_limit,
    )
    return ethernet(mac, to, 0x86DD, header + payload)


def icmp_4(
    kind: int, code: int = 0, rest: int = 0, body: bytes = b"", *, source: str = PEER_4
) -> bytes:
    return v4(ICMP, icmp_message(kind, code, rest, body, bytes(4), bytes(4)), source=source)


def icmp_6(
    kind: int,
    code: int = 0,
    rest: int = 0,
    body: bytes = b"",
    *,
    source: str = PEER_6,
    destination: str = OWN_6,
    to: Mac = US,
    hop_limit: int = 64,
) -> bytes:
    ends = ip_address(source).packed, ip_address(destination).packed
    message = icmp_message(kind, code, rest, body, *ends)
    return v6(ICMPV6, message, source=source, destination=destination, to=to, hop_limit=hop_limit)


def udp_4(port: int, data: bytes = b"", *, source: str = PEER_4, source_port: int = 5000) -> bytes:
    ends = ip_address(source).packed, ip_address(OWN_4).packed
    return v4(UDP, udp_packet(*ends, source_port, port, data), source=source)


def udp_6(port: int, data: bytes = b"", *, source: str = PEER_6, source_port: int = 5000) -> bytes:
    ends = ip_address(source).packed, ip_address(OWN_6).packed
    return v6(UDP, udp_packet(*ends, source_port, port, data), source=source)


def fragment_header(protocol: int, start: int, *, more: bool, identification: int = 9) -> bytes:
    return (
        bytes([protocol, 0]) + (start | more).to_bytes(2, "big") + identification.to_bytes(4, "big")
    )


def solicitation(
    target: str = OWN_6,
    *,
    source: str = PEER_6,
    destination: str = OWN_6,
    mac: Mac = THEM,
    said: Mac | None = THEM,
    to: Mac = US,
) -> bytes:
    packet = neighbor_solicitation(
        IPv6Address(target), IPv6Address(source), IPv6Address(destination), said
    )
    return ethernet(mac, to, 0x86DD, packet)


def advertisement(
    target: str = PEER_6,
    *,
    destination: str = OWN_6,
    mac: Mac = THEM,
    said: Mac | None = None,
    to: Mac = US,
    is_solicited: bool = True,
) -> bytes:
    packet = neighbor_advertisement(
        IPv6Address(target), IPv6Address(destination), said or mac, is_solicited=is_solicited
    )
    return ethernet(mac, to, 0x86DD, packet)


@dataclass(frozen=True)
class Heard:
    """A frame that the stack sent, in parts."""

    destination: bytes
    ethertype: int
    packet: bytes

    @property
    def protocol(self) -> int:
        return self.packet[9] if self.ethertype == 0x0800 else self.packet[6]

    @property
    def payload(self) -> bytes:
        """What follows the (fixed) IP header."""
        return self.packet[20 if self.ethertype == 0x0800 else 40 :]


def heard(frame: bytes) -> Heard:
    return Heard(frame[:6], int.from_bytes(frame[12:14], "big"), frame[14:])
