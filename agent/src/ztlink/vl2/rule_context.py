"""What rules look at: a frame, and the two members it goes between."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ztlink.derive import RFC4193_PREFIX, SIXPLANE_PREFIX, rfc4193_address, sixplane_address
from ztlink.ids import BROADCAST_MAC, Address, IpInterface, NetworkId
from ztlink.inet.arp import OFFSET_SENDER_IP, SIZE_ARP
from ztlink.inet.ether import ETHERTYPE_ARP, OFFSET_SOURCE, SIZE_ETHERNET
from ztlink.inet.flow import NONE, Flow
from ztlink.inet.icmp import ICMPV6_NEIGHBOR_ADVERTISEMENT, ICMPV6_NEIGHBOR_SOLICITATION
from ztlink.inet.ip import (
    OFFSET_IPV4_SOURCE,
    OFFSET_IPV6_NEXT_HEADER,
    OFFSET_IPV6_SOURCE,
    PROTOCOL_ICMPV6,
    PROTOCOL_TCP,
    PROTOCOLS_WITH_PORTS,
    SIZE_IPV6,
    VERSION_4,
    VERSION_6,
)
from ztlink.inet.ndp import OFFSET_TARGET, SIZE_SOLICITATION
from ztlink.inet.tcp import OFFSET_DATA_OFFSET, OFFSET_FLAGS
from ztlink.wire.credentials import CertificateOfOwnership, ThingType

Things = frozenset[tuple[int, bytes]]
"""MACs and IP addresses, each with its ThingType, that certificates of ownership list."""

CHARACTERISTIC_INBOUND: Final = 1 << 63
CHARACTERISTIC_MULTICAST: Final = 1 << 62
CHARACTERISTIC_BROADCAST: Final = 1 << 61
CHARACTERISTIC_SENDER_IP_AUTHENTICATED: Final = 1 << 60
CHARACTERISTIC_MAC_AUTHENTICATED: Final = 1 << 59
"""The low 12 bits are the flags of TCP."""

_THING_SIZES: Final = {ThingType.MAC: 6, ThingType.IPV4: 4, ThingType.IPV6: 16}
_SIZE_PORTS: Final = 4
_SIZE_TO_TCP_FLAGS: Final = 14


def things_of(certificates: Iterable[CertificateOfOwnership]) -> Things:
    """Return all that some certificates of ownership list."""
    return frozenset(
        (thing.thing_type, thing.value[: _THING_SIZES[ThingType(thing.thing_type)]])
        for certificate in certificates
        for thing in certificate.things
        if thing.thing_type in _THING_SIZES
    )


def trusted_prefixes(
    network_id: NetworkId, own: Address, addresses: Iterable[IpInterface]
) -> tuple[bytes, ...]:
    """Return the prefixes of senders' IPv6 addresses that need no certificate.

    To be used where the network emulates NDP: each scheme counts of which we hold our own address.
    """
    held = {interface.ip for interface in addresses}
    schemes = (
        (sixplane_address(network_id, own), SIXPLANE_PREFIX),
        (rfc4193_address(network_id, own), RFC4193_PREFIX),
    )
    return tuple(ours.ip.packed[: bits // 8] for ours, bits in schemes if ours.ip in held)


@dataclass(frozen=True, slots=True)
class LocalParty:
    """What of ourselves the rules of a network know; made once for each configuration."""

    address: Address
    random_bytes: Callable[[int], bytes]
    tags: Mapping[int, int] = field(default_factory=dict)
    things: Things = frozenset()
    prefixes: tuple[bytes, ...] = ()
    """See `trusted_prefixes`; none where the network does not emulate NDP."""
    unknown_matches: bool = False
    """Whether a match of a type that we do not know is a match."""


@dataclass(frozen=True, slots=True)
class RemoteParty:
    """What of a peer the rules know: only credentials that are in force."""

    tags: Mapping[int, int] = field(default_factory=dict)
    things: Things = frozenset()


NOBODY: Final = RemoteParty()
"""A peer without a membership record, and the recipient that is not known yet."""


class FrameContext:
    """One frame on its way, or a super-frame, and what the evaluation of a table leaves behind.

    `frame` is borrowed and begins with its Ethernet header. `destination` is 0 while the recipient
    is not known.
    """

    __slots__ = (
        "characteristics",
        "copy_is_watch",
        "copy_size",
        "copy_to",
        "destination",
        "destination_mac",
        "destination_port",
        "ethertype",
        "flow",
        "frame",
        "has_l4",
        "is_inbound",
        "is_prepared",
        "is_super",
        "local",
        "protocol",
        "redirected_to",
        "remote",
        "size",
        "skip_drop",
        "source",
        "source_mac",
        "source_port",
        "version",
    )

    def __init__(
        self,
        frame: memoryview,
        flow: Flow,
        local: LocalParty,
        remote: RemoteParty = NOBODY,
        *,
        source: Address,
        destination: Address,
        is_inbound: bool,
    ) -> None:
        self.frame = frame
        self.flow = flow
        self.local = local
        self.remote = remote
        self.source = source
        self.destination = destination
        self.is_inbound = is_inbound
        self.is_prepared = False
        self.begin()

    def begin(self) -> None:
        """Forget what the last table left behind."""
        self.skip_drop = False
        self.is_super = False
        self.copy_to: Address | None = None
        self.copy_size = 0
        self.copy_is_watch = False
        self.redirected_to: Address | None = None

    def prepare(self) -> None:
        """Read what most matches look at."""
        frame, flow = self.frame, self.flow
        self.is_prepared = True
        self.size = len(frame) - SIZE_ETHERNET
        self.ethertype = flow.ethertype
        self.destination_mac = bytes(frame[:OFFSET_SOURCE])
        self.source_mac = bytes(frame[OFFSET_SOURCE : 2 * OFFSET_SOURCE])
        self.version = flow.version
        self.protocol = flow.protocol
        self.has_l4 = flow.version != 0 and flow.protocol != NONE
        self.source_port = self.destination_port = NONE
        self.characteristics: int | None = None
        offset = flow.l4_offset
        if self.protocol in PROTOCOLS_WITH_PORTS and len(frame) > offset + _SIZE_PORTS:
            # Fragments are not told apart, as in the original; port 0 over IPv6 is no port to it.
            source = frame[offset] << 8 | frame[offset + 1]
            destination = frame[offset + 2] << 8 | frame[offset + 3]
            is_v6 = flow.version == VERSION_6
            self.source_port = NONE if is_v6 and not source else source
            self.destination_port = NONE if is_v6 and not destination else destination

    def read_characteristics(self) -> int:
        """Work out the bits of MATCH_CHARACTERISTICS (wire.adoc#characteristics)."""
        bits = self._tcp_flags()
        if self.is_inbound:
            bits |= CHARACTERISTIC_INBOUND
        if self.destination_mac[0] & 1:
            bits |= CHARACTERISTIC_MULTICAST
            if self.destination_mac == BROADCAST_MAC:
                bits |= CHARACTERISTIC_BROADCAST
        if self._is_sender_ip_authenticated():
            bits |= CHARACTERISTIC_SENDER_IP_AUTHENTICATED
        if (ThingType.MAC, self.source_mac) in self._sender_things():
            bits |= CHARACTERISTIC_MAC_AUTHENTICATED
        self.characteristics = bits
        return bits

    def _sender_things(self) -> Things:
        return self.remote.things if self.is_inbound else self.local.things

    def _tcp_flags(self) -> int:
        frame, offset = self.frame, self.flow.l4_offset
        if self.protocol != PROTOCOL_TCP:
            return 0
        needed = _SIZE_TO_TCP_FLAGS + (1 if self.version == VERSION_6 else 0)
        if len(frame) < offset + needed:
            return 0
        return (frame[offset + OFFSET_DATA_OFFSET] & 0x0F) << 8 | frame[offset + OFFSET_FLAGS]

    def _is_sender_ip_authenticated(self) -> bool:
        payload = self.frame[SIZE_ETHERNET:]
        if self.version == VERSION_4:
            ip = bytes(payload[OFFSET_IPV4_SOURCE : OFFSET_IPV4_SOURCE + 4])
            return (ThingType.IPV4, ip) in self._sender_things()
        if self.ethertype == ETHERTYPE_ARP and self.size >= SIZE_ARP:
            ip = bytes(payload[OFFSET_SENDER_IP : OFFSET_SENDER_IP + 4])
            return (ThingType.IPV4, ip) in self._sender_things()
        if self.version != VERSION_6:
            return False
        kind = payload[SIZE_IPV6] if self.size >= SIZE_SOLICITATION else 0
        if payload[OFFSET_IPV6_NEXT_HEADER] != PROTOCOL_ICMPV6:
            kind = 0
        if kind == ICMPV6_NEIGHBOR_SOLICITATION:
            return True
        offset = OFFSET_TARGET if kind == ICMPV6_NEIGHBOR_ADVERTISEMENT else OFFSET_IPV6_SOURCE
        ip = bytes(payload[offset : offset + 16])
        if self.is_inbound and ip.startswith(self.local.prefixes):
            return True
        return (ThingType.IPV6, ip) in self._sender_things()
