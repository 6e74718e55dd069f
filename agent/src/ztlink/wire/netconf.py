"""A member's configuration of one network, as its controller writes it (wire.adoc#config)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, Self, TypeVar

from ztlink.errors import WireError
from ztlink.ids import Address, IpAddress, IpInterface, NetworkId
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.credentials import Capability, CertificateOfOwnership, Com, Tag
from ztlink.wire.dictionary import Dictionary
from ztlink.wire.inet_address import (
    pull_endpoint,
    pull_interface,
    push_interface,
    push_ip,
)
from ztlink.wire.message import Message
from ztlink.wire.rules import MAX_NETWORK_RULES, Rule, decode_rules, encode_rules

FORMAT_VERSION: Final = 7
MIN_FORMAT_VERSION: Final = 6
MAX_CONFIG_SIZE: Final = 484_519
"""Bytes of the text, escapes included."""
MIN_MTU: Final = 1280
MAX_MTU: Final = 10_000
DEFAULT_MTU: Final = 2800
MAX_CAPABILITIES: Final = 128
MAX_TAGS: Final = 128
MAX_COOS: Final = 4
MAX_SPECIALISTS: Final = 256
MAX_ROUTES: Final = 128
MAX_ADDRESSES: Final = 32
MAX_NAME_SIZE: Final = 127
MAX_DOMAIN_SIZE: Final = 127
DNS_DOMAIN_FIELD_SIZE: Final = 128
DNS_SERVERS: Final = 4
LEGACY_KEYS: Final = ("eb", "p", "v4s", "v6s", "et", "com", "ab", "rl")
"""Of formats below 6, which nobody writes any more."""
_ADDRESS_BITS: Final = 40

T = TypeVar("T")


class NetworkType(IntEnum):
    """Whether members must show a certificate."""

    PRIVATE = 0
    PUBLIC = 1


class ConfigFlag(IntFlag):
    """Bits of the key `f`."""

    BROADCAST = 0x02
    NDP_EMULATION = 0x04
    UNKNOWN_RULES_MATCH = 0x08
    NO_COMPRESSION = 0x10


class SpecialistRole(IntFlag):
    """What a member does for the others."""

    ACTIVE_BRIDGE = 0x02
    ANCHOR = 0x04
    REPLICATOR = 0x08


@dataclass(frozen=True, slots=True)
class Specialist:
    """A member with a role."""

    address: Address
    roles: SpecialistRole


@dataclass(frozen=True, slots=True)
class Route:
    """A route that members install if they are allowed to."""

    target: IpInterface
    """May have host bits set: whoever installs it masks them."""
    via: IpAddress | None = None
    """None: the network's own interface."""
    flags: int = 0
    metric: int = 0

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        target = pull_interface(reader)
        via = pull_endpoint(reader)
        flags, metric = reader.pull_uint(2), reader.pull_uint(2)
        if target is None:
            raise WireError("config: a route without a target")
        return cls(target, via.ip if via else None, flags, metric)

    def encode(self, writer: Writer) -> None:
        push_interface(self.target, writer)
        push_ip(self.via, writer)
        writer.push_uint(self.flags, 2)
        writer.push_uint(self.metric, 2)


@dataclass(frozen=True, slots=True)
class Dns:
    """Name servers for a domain."""

    domain: bytes = b""
    """As sent: untrusted text, without NUL."""
    servers: tuple[IpAddress, ...] = ()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        domain = reader.pull_bytes(DNS_DOMAIN_FIELD_SIZE).partition(b"\0")[0]
        servers = [pull_endpoint(reader) for _ in range(DNS_SERVERS)]
        return cls(
            domain[:MAX_DOMAIN_SIZE], tuple(server.ip for server in servers if server is not None)
        )

    def encode(self, writer: Writer) -> None:
        writer.push_bytes(self.domain.ljust(DNS_DOMAIN_FIELD_SIZE, b"\0"))
        for index in range(DNS_SERVERS):
            push_ip(self.servers[index] if index < len(self.servers) else None, writer)


_SSO_TEXTS: Final = (
    ("iurl", "issuer_url", 2047),
    ("ssoce", "central_url", 2047),
    ("sson", "nonce", 127),
    ("ssos", "state", 255),
    ("ssocid", "client_id", 255),
    ("ssop", "provider", 63),
)
"""Key, field, most bytes; in the order of the fields."""
_MAX_URL_SIZE: Final = 2047


@dataclass(frozen=True, slots=True)
class Sso:
    """How a member logs in by single sign-on; all texts are untrusted bytes."""

    version: int = 0
    enabled: bool = False
    authentication_url: bytes = b""
    """Version 0, with the expiry; the rest version 1."""
    authentication_expiry: int = 0
    issuer_url: bytes = b""
    central_url: bytes = b""
    nonce: bytes = b""
    state: bytes = b""
    client_id: bytes = b""
    provider: bytes = b""

    @classmethod
    def decode(cls, dictionary: Dictionary) -> Self:
        version, enabled = dictionary.get_uint("ssov"), dictionary.get_bool("ssoe")
        if not enabled:
            return cls(version)
        if version == 0:
            url = _text(dictionary, "aurl", _MAX_URL_SIZE)
            return cls(version, enabled, url, dictionary.get_uint("aexpt"))
        if version == 1:
            texts = [_text(dictionary, key, most) for key, _, most in _SSO_TEXTS]
            return cls(version, enabled, b"", 0, *texts)
        return cls(version, enabled)

    def encode(self, dictionary: Dictionary) -> None:
        dictionary.add_uint("ssov", self.version)
        dictionary.add_bool("ssoe", self.enabled)
        if not self.enabled:
            return
        if self.version == 0:
            if self.authentication_url:
                dictionary.add_bytes("aurl", self.authentication_url)
            dictionary.add_uint("aexpt", self.authentication_expiry)
        elif self.version == 1:
            for key, field, _ in _SSO_TEXTS:
                dictionary.add_bytes(key, getattr(self, field))


NOBODY: Final = Address(0)
NO_FLAGS: Final = ConfigFlag(0)
NO_DNS: Final = Dns()
NO_SSO: Final = Sso()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Everything that a controller tells one member about a network."""

    network_id: NetworkId
    timestamp: int
    """When the controller wrote it, in milliseconds by its clock."""
    credential_time_max_delta: int = 0
    """Milliseconds by which credentials may be older or newer than this configuration."""
    revision: int = 0
    issued_to: Address
    trace_target: Address = NOBODY
    """Whom to send traces; 0 for nobody."""
    trace_level: int = 0
    flags: ConfigFlag = NO_FLAGS
    multicast_limit: int = 0
    """Recipients of a multicast frame; 0: there is no multicast."""
    type: NetworkType = NetworkType.PRIVATE
    name: bytes = b""
    """As sent: untrusted text."""
    mtu: int = DEFAULT_MTU
    com: Com | None = None
    capabilities: tuple[Capability, ...] = ()
    """Ascending by id, as are the tags."""
    tags: tuple[Tag, ...] = ()
    coos: tuple[CertificateOfOwnership, ...] = ()
    specialists: tuple[Specialist, ...] = ()
    routes: tuple[Route, ...] = ()
    addresses: tuple[IpInterface, ...] = ()
    """Our own IP addresses on the network."""
    rules: tuple[Rule, ...] = ()
    dns: Dns = NO_DNS
    sso: Sso = NO_SSO

    @property
    def is_public(self) -> bool:
        """Anybody may take part, without a certificate."""
        return self.type is NetworkType.PUBLIC

    @property
    def allows_broadcast(self) -> bool:
        """Frames to all may be sent."""
        return bool(self.flags & ConfigFlag.BROADCAST)

    @property
    def emulates_ndp(self) -> bool:
        """Neighbour solicitations for derived IPv6 addresses are answered locally."""
        return bool(self.flags & ConfigFlag.NDP_EMULATION)

    @property
    def unknown_rules_match(self) -> bool:
        """Matches of an unknown type count as fulfilled."""
        return bool(self.flags & ConfigFlag.UNKNOWN_RULES_MATCH)

    @property
    def compresses_frames(self) -> bool:
        """Multicast frames may be compressed."""
        return not self.flags & ConfigFlag.NO_COMPRESSION

    @property
    def active_bridges(self) -> tuple[Address, ...]:
        """Members that may speak for hosts behind them."""
        return self._with_role(SpecialistRole.ACTIVE_BRIDGE)

    @property
    def anchors(self) -> tuple[Address, ...]:
        """Members that are always kept in touch with."""
        return self._with_role(SpecialistRole.ANCHOR)

    @property
    def informed(self) -> tuple[Address, ...]:
        """Members that are asked for groups and told of ours: anchors and replicators."""
        return self._with_role(SpecialistRole.ANCHOR | SpecialistRole.REPLICATOR)

    @property
    def replicators(self) -> tuple[Address, ...]:
        """Members that pass multicast on for others."""
        return self._with_role(SpecialistRole.REPLICATOR)

    def _with_role(self, role: SpecialistRole) -> tuple[Address, ...]:
        return tuple(s.address for s in self.specialists if s.roles & role)

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read the dictionary; raises WireError for all that makes the whole unusable."""
        if len(text) > MAX_CONFIG_SIZE:
            raise WireError(f"config: {len(text)} bytes")
        entries = Dictionary.decode(text)
        _check_version(entries)
        network_id = NetworkId(entries.get_uint("nwid"))
        issued_to = entries.get_address("id")
        if not network_id or not issued_to:
            raise WireError(f"config: network {network_id:x} for member {issued_to:x}")
        com = entries.get_bytes("C")
        capabilities = _take(entries, "CAP", Capability.decode, MAX_CAPABILITIES, lenient=True)
        tags = _take(entries, "TAG", Tag.decode, MAX_TAGS, lenient=True)
        mtu = entries.get_uint("mtu", DEFAULT_MTU)
        dns = entries.get_bytes("DNS")
        return cls(
            network_id=network_id,
            timestamp=entries.get_uint("ts"),
            credential_time_max_delta=entries.get_uint("ctmd"),
            revision=entries.get_uint("r"),
            issued_to=issued_to,
            trace_target=entries.get_address("tt"),
            trace_level=entries.get_uint("tl"),
            flags=ConfigFlag(entries.get_uint("f")),
            multicast_limit=entries.get_uint("ml"),
            type=NetworkType.PUBLIC if entries.get_uint("t") == 1 else NetworkType.PRIVATE,
            name=_text(entries, "n", MAX_NAME_SIZE),
            mtu=min(max(mtu, MIN_MTU), MAX_MTU),
            com=Com.from_bytes(com) if com else None,
            capabilities=tuple(sorted(capabilities, key=lambda c: c.capability_id)),
            tags=tuple(sorted(tags, key=lambda t: t.tag_id)),
            coos=_take(entries, "COO", CertificateOfOwnership.decode, MAX_COOS),
            specialists=_specialists(entries.get_bytes("S") or b""),
            routes=_take(entries, "RT", Route.decode, MAX_ROUTES),
            addresses=_take(entries, "I", _pull_address, MAX_ADDRESSES),
            rules=decode_rules(entries.get_bytes("R") or b"", MAX_NETWORK_RULES),
            dns=Dns.decode(Reader(dns)) if dns is not None else Dns(),
            sso=Sso.decode(entries),
        )

    def encode(self) -> bytes:
        """Write the dictionary, in the order that controllers use."""
        entries = Dictionary()
        entries.add_uint("v", FORMAT_VERSION)
        entries.add_uint("nwid", self.network_id)
        entries.add_uint("ts", self.timestamp)
        entries.add_uint("ctmd", self.credential_time_max_delta)
        entries.add_uint("r", self.revision)
        entries.add_address("id", self.issued_to)
        entries.add_address("tt", self.trace_target)
        entries.add_uint("tl", self.trace_level)
        entries.add_uint("f", self.flags)
        entries.add_uint("ml", self.multicast_limit)
        entries.add_uint("t", self.type)
        entries.add_bytes("n", self.name)
        entries.add_uint("mtu", self.mtu)
        if self.com is not None:
            entries.add_bytes("C", self.com.to_bytes())
        for key, blob in self._blobs():
            if blob:
                entries.add_bytes(key, blob)
        writer = Writer()
        self.dns.encode(writer)
        entries.add_bytes("DNS", writer.getvalue())
        self.sso.encode(entries)
        return entries.encode()

    def _blobs(self) -> Iterable[tuple[str, bytes]]:
        yield "CAP", _join(self.capabilities)
        yield "TAG", _join(self.tags)
        yield "COO", _join(self.coos)
        specialists = (s.roles << _ADDRESS_BITS | s.address for s in self.specialists)
        yield "S", b"".join(number.to_bytes(8, "big") for number in specialists)
        routes, addresses = Writer(), Writer()
        for route in self.routes:
            route.encode(routes)
        yield "RT", routes.getvalue()
        for address in self.addresses:
            push_interface(address, addresses)
        yield "I", addresses.getvalue()
        yield "R", encode_rules(self.rules)


def _check_version(entries: Dictionary) -> None:
    version = entries.get_uint("v")
    if version >= MIN_FORMAT_VERSION:
        return
    legacy = [key for key in LEGACY_KEYS if key in entries]
    hint = f", with keys {' '.join(legacy)} of the legacy format" if legacy else ""
    raise WireError(f"config: format version {version}{hint}")


def _text(entries: Dictionary, key: str, most: int) -> bytes:
    return (entries.get_bytes(key) or b"")[:most]


def _take(
    entries: Dictionary,
    key: str,
    decode: Callable[[Reader], T],
    most: int,
    *,
    lenient: bool = False,
) -> tuple[T, ...]:
    """Read a list: the first `most`; in a lenient one, those before what does not decode."""
    reader = Reader(entries.get_bytes(key) or b"")
    found: list[T] = []
    while reader and len(found) < most:
        try:
            found.append(decode(reader))
        except WireError:
            if lenient:
                break
            raise
    return tuple(found)


def _pull_address(reader: Reader) -> IpInterface:
    interface = pull_interface(reader)
    if interface is None:
        raise WireError("config: an empty address")
    return interface


def _specialists(blob: bytes) -> tuple[Specialist, ...]:
    reader = Reader(blob)
    found: list[Specialist] = []
    while reader.remaining >= 8 and len(found) < MAX_SPECIALISTS:
        number = reader.pull_uint(8)
        address = Address(number & ((1 << _ADDRESS_BITS) - 1))
        found.append(Specialist(address, SpecialistRole(number >> _ADDRESS_BITS)))
    return tuple(found)


def _join(messages: Iterable[Message]) -> bytes:
    return b"".join(message.to_bytes() for message in messages)
