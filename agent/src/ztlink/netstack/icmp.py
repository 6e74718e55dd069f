"""ICMP for both versions of IP: echo is answered, errors are told and taken (RFC 1122, RFC 4443).

An error is believed as far as it quotes what we might have sent; what it means for a connection is
TCP's own matter (RFC 5927). Redirects and router advertisements are not looked at: addresses and
routes come from the network's configuration alone.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.inet.icmp import (
    CODE_FRAGMENTATION_NEEDED,
    CODE_PORT_UNREACHABLE,
    CODE_PROTOCOL_UNREACHABLE,
    CODE_REASSEMBLY_TIMEOUT,
    CODE_V6_PORT_UNREACHABLE,
    CODE_V6_UNKNOWN_HEADER,
    ICMP_ECHO_REPLY,
    ICMP_ECHO_REQUEST,
    ICMP_HEADER,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACHABLE,
    ICMPV6_ECHO_REPLY,
    ICMPV6_ECHO_REQUEST,
    ICMPV6_NEIGHBOR_ADVERTISEMENT,
    ICMPV6_NEIGHBOR_SOLICITATION,
    ICMPV6_PACKET_TOO_BIG,
    ICMPV6_PARAMETER_PROBLEM,
    ICMPV6_TIME_EXCEEDED,
    ICMPV6_UNREACHABLE,
    SIZE_ICMP,
    icmp_message,
    is_icmp_good,
)
from ztlink.inet.ip import (
    PROTOCOL_ICMP,
    PROTOCOL_ICMPV6,
    SIZE_IPV4,
    SIZE_IPV6,
    VERSION_4,
    VERSION_6,
)
from ztlink.netstack.counters import Counters, Discard
from ztlink.netstack.egress import Egress
from ztlink.netstack.events import Reason
from ztlink.netstack.ipv4 import MIN_PATH_MTU
from ztlink.netstack.ipv6 import MIN_MTU
from ztlink.netstack.packet import Packet
from ztlink.netstack.quoted import Quoted, read_quoted
from ztlink.netstack.resolver import Resolver
from ztlink.netstack.route import RouteTable
from ztlink.netstack.settings import StackSettings

PROTOCOL_OF: Final = {VERSION_4: PROTOCOL_ICMP, VERSION_6: PROTOCOL_ICMPV6}
_MAX_BODY: Final = {
    VERSION_4: MIN_PATH_MTU - SIZE_IPV4 - SIZE_ICMP,
    VERSION_6: MIN_MTU - SIZE_IPV6 - SIZE_ICMP,
}
"""What an error quotes, so that it passes everywhere."""
_PLATEAUS: Final = (65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 576)
"""MTUs to try where a router does not tell its own (RFC 1191 7.1)."""

_REASONS_V4: Final = {
    (ICMP_UNREACHABLE, 0): Reason.NETWORK_UNREACHABLE,
    (ICMP_UNREACHABLE, 1): Reason.HOST_UNREACHABLE,
    (ICMP_UNREACHABLE, 2): Reason.PROTOCOL_UNREACHABLE,
    (ICMP_UNREACHABLE, 3): Reason.PORT_UNREACHABLE,
    (ICMP_UNREACHABLE, 6): Reason.NETWORK_UNREACHABLE,
    (ICMP_UNREACHABLE, 7): Reason.HOST_UNREACHABLE,
    (ICMP_UNREACHABLE, 9): Reason.PROHIBITED,
    (ICMP_UNREACHABLE, 10): Reason.PROHIBITED,
    (ICMP_UNREACHABLE, 11): Reason.NETWORK_UNREACHABLE,
    (ICMP_UNREACHABLE, 12): Reason.HOST_UNREACHABLE,
    (ICMP_UNREACHABLE, 13): Reason.PROHIBITED,
    (ICMP_TIME_EXCEEDED, 0): Reason.HOP_LIMIT,
    (ICMP_TIME_EXCEEDED, 1): Reason.TIMED_OUT,
}
_REASONS_V6: Final = {
    (ICMPV6_UNREACHABLE, 0): Reason.NETWORK_UNREACHABLE,
    (ICMPV6_UNREACHABLE, 1): Reason.PROHIBITED,
    (ICMPV6_UNREACHABLE, 2): Reason.NETWORK_UNREACHABLE,
    (ICMPV6_UNREACHABLE, 3): Reason.HOST_UNREACHABLE,
    (ICMPV6_UNREACHABLE, 4): Reason.PORT_UNREACHABLE,
    (ICMPV6_UNREACHABLE, 5): Reason.PROHIBITED,
    (ICMPV6_UNREACHABLE, 6): Reason.PROHIBITED,
    (ICMPV6_TIME_EXCEEDED, 0): Reason.HOP_LIMIT,
    (ICMPV6_TIME_EXCEEDED, 1): Reason.TIMED_OUT,
    (ICMPV6_PARAMETER_PROBLEM, 1): Reason.PROTOCOL_UNREACHABLE,
}
_ERRORS_V4: Final = frozenset((3, 4, 5, 11, 12))


class _Kinds(NamedTuple):
    echo_request: int
    echo_reply: int
    unreachable: int
    port_unreachable: int
    time_exceeded: int


_KINDS: Final = {
    VERSION_4: _Kinds(
        ICMP_ECHO_REQUEST,
        ICMP_ECHO_REPLY,
        ICMP_UNREACHABLE,
        CODE_PORT_UNREACHABLE,
        ICMP_TIME_EXCEEDED,
    ),
    VERSION_6: _Kinds(
        ICMPV6_ECHO_REQUEST,
        ICMPV6_ECHO_REPLY,
        ICMPV6_UNREACHABLE,
        CODE_V6_PORT_UNREACHABLE,
        ICMPV6_TIME_EXCEEDED,
    ),
}


class Reports(Protocol):
    """Whoever sends packets, and hears what became of them."""

    def failed(self, quoted: Quoted, reason: Reason, now: Now) -> bool:
        """Take an error; False where nothing of ours is like what it quotes."""

    def too_big(self, quoted: Quoted, mtu: int, now: Now) -> bool:
        """Take what the way carries; False as above."""


class Icmp:
    """The ICMP of one stack."""

    def __init__(
        self,
        routes: RouteTable,
        egress: Egress,
        resolver: Resolver,
        settings: StackSettings,
        counters: Counters,
    ) -> None:
        self._routes = routes
        self._egress = egress
        self._resolver = resolver
        self._counters = counters
        self._echo_limit = Budget(settings.echo_rate, settings.echo_rate)
        self._error_limit = Budget(settings.error_rate, settings.error_rate)
        self.reports: dict[int, Reports] = {}
        """Who hears of errors, by the protocol of what they quote."""

    echo_answered: Callable[[Packet, Now], None]
    """Takes echo replies; set by the stack."""

    # -- in ----------------------------------------------------------------------------------

    def receive(self, packet: Packet, now: Now) -> None:
        """Take a message."""
        message, version = packet.payload, packet.source.version
        if len(message) < SIZE_ICMP:
            self._counters.discard(Discard.MALFORMED)
            return
        if not is_icmp_good(message, packet.source.packed, packet.destination.packed):
            self._counters.discard(Discard.BAD_CHECKSUM)
            return
        kind, kinds = message[0], _KINDS[version]
        if version == VERSION_6 and kind == ICMPV6_NEIGHBOR_SOLICITATION:
            self._resolver.receive_solicitation(packet, now)
        elif version == VERSION_6 and kind == ICMPV6_NEIGHBOR_ADVERTISEMENT:
            self._resolver.receive_advertisement(packet, now)
        elif packet.source.is_unspecified:
            self._counters.discard(Discard.SPOOFED)
        elif kind == kinds.echo_request:
            self._answer_echo(packet, kinds.echo_reply, now)
        elif kind == kinds.echo_reply:
            self.echo_answered(packet, now)
        elif is_error(version, kind):
            self._receive_error(packet, now)

    def _answer_echo(self, packet: Packet, kind: int, now: Now) -> None:
        if packet.is_to_group and packet.destination.version == VERSION_4:
            self._counters.discard(Discard.NOT_OURS)
            return
        way = self._routes.way(packet.source, None if packet.is_to_group else packet.destination)
        if way is None:
            self._counters.discard(Discard.NO_ROUTE)
            return
        if not self._echo_limit.spend(now):
            self._counters.discard(Discard.RATE_LIMITED)
            return
        rest = int.from_bytes(packet.payload[4:SIZE_ICMP], "big")
        body = packet.payload[SIZE_ICMP:]
        answer = icmp_message(kind, 0, rest, body, way.source.packed, packet.source.packed)
        protocol = PROTOCOL_OF[packet.source.version]
        self._egress.send(way, packet.source, protocol, answer, now)

    def _receive_error(self, packet: Packet, now: Now) -> None:
        version, message = packet.source.version, packet.payload
        quoted = read_quoted(message[SIZE_ICMP:], version)
        if quoted is None or not self._routes.is_own(quoted.local):
            self._counters.discard(Discard.IMPLAUSIBLE_ERROR)
            return
        reports = self.reports.get(quoted.protocol)
        mtu = _told_mtu(message, version, quoted)
        reasons = _REASONS_V4 if version == VERSION_4 else _REASONS_V6
        reason = reasons.get((message[0], message[1]))
        if reports is None:
            is_believed = False
        elif mtu is not None:
            is_believed = reports.too_big(quoted, mtu, now)
        else:
            is_believed = reason is not None and reports.failed(quoted, reason, now)
        if not is_believed:
            self._counters.discard(Discard.IMPLAUSIBLE_ERROR)

    # -- out ---------------------------------------------------------------------------------

    def port_unreachable(self, packet: Packet, now: Now) -> None:
        """Tell a sender that nobody listens at a port."""
        kinds = _KINDS[packet.source.version]
        self._send_error(packet, kinds.unreachable, kinds.port_unreachable, 0, now)

    def unknown_protocol(self, packet: Packet, now: Now) -> None:
        """Tell a sender that we do not speak a protocol."""
        if packet.source.version == VERSION_4:
            self._send_error(packet, ICMP_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, 0, now)
        else:
            pointer = len(packet.quote) - len(packet.payload)
            self.parameter_problem(packet, CODE_V6_UNKNOWN_HEADER, max(pointer, 0), now)

    def parameter_problem(
        self, packet: Packet, code: int, pointer: int, now: Now, *, answers_groups: bool = False
    ) -> None:
        """Tell the sender of an IPv6 packet what is wrong with it."""
        self._send_error(
            packet, ICMPV6_PARAMETER_PROBLEM, code, pointer, now, answers_groups=answers_groups
        )

    def reassembly_timeout(self, packet: Packet, now: Now) -> None:
        """Tell a sender that some of its fragments did not come."""
        kind = _KINDS[packet.source.version].time_exceeded
        self._send_error(packet, kind, CODE_REASSEMBLY_TIMEOUT, 0, now)

    def _send_error(
        self,
        packet: Packet,
        kind: int,
        code: int,
        rest: int,
        now: Now,
        *,
        answers_groups: bool = False,
    ) -> None:
        """Send an error about a packet, unless it is one of those that get none (RFC 4443 2.4)."""
        version = packet.source.version
        is_icmp = packet.protocol == PROTOCOL_OF[version]
        if is_icmp and (not packet.payload or is_error(version, packet.payload[0])):
            return
        if (packet.is_to_group and not answers_groups) or packet.source.is_unspecified:
            return
        way = self._routes.way(packet.source, None if packet.is_to_group else packet.destination)
        if way is None or way.is_to_group:
            return
        if not self._error_limit.spend(now):
            self._counters.discard(Discard.RATE_LIMITED)
            return
        body = packet.quote[: _MAX_BODY[version]]
        message = icmp_message(kind, code, rest, body, way.source.packed, packet.source.packed)
        self._egress.send(way, packet.source, PROTOCOL_OF[version], message, now)


def is_error(version: int, kind: int) -> bool:
    """Tell whether a type is that of an error; there is none about an error."""
    return kind in _ERRORS_V4 if version == VERSION_4 else kind < ICMPV6_ECHO_REQUEST


def _told_mtu(message: memoryview, version: int, quoted: Quoted) -> int | None:
    """Return the MTU that an error tells of; None where it tells of something else."""
    rest: int = ICMP_HEADER.unpack_from(message)[3]
    if version == VERSION_6:
        return rest if message[0] == ICMPV6_PACKET_TOO_BIG else None
    if message[0] != ICMP_UNREACHABLE or message[1] != CODE_FRAGMENTATION_NEEDED:
        return None
    mtu = rest & 0xFFFF
    return mtu or next((one for one in _PLATEAUS if one < quoted.size), MIN_PATH_MTU)
