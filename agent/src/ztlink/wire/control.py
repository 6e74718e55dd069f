"""VL1's own messages: greeting, replies, WHOIS, introductions (wire.adoc#verbs)."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import ADDRESS_SIZE, Address, Endpoint, PacketId
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.identity import Identity
from ztlink.wire.inet_address import pull_endpoint, push_endpoint
from ztlink.wire.message import Message
from ztlink.wire.packet import OFFSET_PAYLOAD
from ztlink.wire.verbs import Verb
from ztlink.wire.world import World, WorldType

PUSH_FLAG_FORGET: Final = 0x01
PUSH_FLAG_REDIRECT: Final = 0x02
_WORLD_FIELDS_SIZE: Final = 16
_MOON_ENTRY_SIZE: Final = 17

Version = tuple[int, int, int]
"""Major, minor, revision."""


def _pull_version(reader: Reader) -> Version:
    return reader.pull_uint(1), reader.pull_uint(1), reader.pull_uint(2)


def _push_version(version: Version, writer: Writer) -> None:
    major, minor, revision = version
    writer.push_uint(major, 1)
    writer.push_uint(minor, 1)
    writer.push_uint(revision, 2)


@dataclass(frozen=True, slots=True)
class Nop(Message):
    """Nothing but a sign of life."""

    payload: bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.pull_rest())

    def encode(self, writer: Writer) -> None:
        writer.push_bytes(self.payload)


@dataclass(frozen=True, slots=True)
class Echo(Message):
    """Bytes to be sent back."""

    payload: bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.pull_rest())

    def encode(self, writer: Writer) -> None:
        writer.push_bytes(self.payload)


@dataclass(frozen=True, slots=True)
class HelloMoon:
    """A moon that the sender of a HELLO has, or wants."""

    world_id: int
    timestamp: int
    """0: wanted, there is none yet."""


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """The clear part of a greeting; the moons follow, encrypted (wire.adoc#hello)."""

    protocol: int
    version: Version
    timestamp: int
    """The sender's clock, only to be sent back."""
    identity: Identity
    destination: Endpoint | None = None
    """Where the sender aimed this datagram."""
    planet_id: int | None = 0
    """None where the sender, of an old version, does not tell."""
    planet_timestamp: int = 0

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull the clear part; `reader.position` is then where the encrypted tail starts."""
        protocol = reader.pull_uint(1)
        version = _pull_version(reader)
        timestamp = reader.pull_uint(8)
        identity = Identity.decode(reader)
        destination = pull_endpoint(reader) if reader else None
        planet_id, planet_timestamp = None, 0
        if reader.remaining >= _WORLD_FIELDS_SIZE:
            planet_id, planet_timestamp = reader.pull_uint(8), reader.pull_uint(8)
        else:
            reader.skip(reader.remaining)
        return cls(protocol, version, timestamp, identity, destination, planet_id, planet_timestamp)

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.protocol, 1)
        _push_version(self.version, writer)
        writer.push_uint(self.timestamp, 8)
        self.identity.encode(writer)
        if self.destination is not None or self.planet_id is not None:
            push_endpoint(self.destination, writer)
        if self.planet_id is not None:
            writer.push_uint(self.planet_id, 8)
            writer.push_uint(self.planet_timestamp, 8)

    @classmethod
    def decode_packet(cls, packet: bytes | bytearray | memoryview) -> tuple[Self, int]:
        """Decode a whole packet; return also the offset in it where the encrypted tail starts."""
        reader = Reader(memoryview(packet)[OFFSET_PAYLOAD:])
        hello = cls.decode(reader)
        return hello, OFFSET_PAYLOAD + reader.position

    @staticmethod
    def encode_tail(moons: Iterable[HelloMoon], writer: Writer) -> None:
        """Push the tail, which is then to be encrypted."""
        entries = tuple(moons)
        writer.push_uint(len(entries), 2)
        for moon in entries:
            writer.push_uint(WorldType.MOON, 1)
            writer.push_uint(moon.world_id, 8)
            writer.push_uint(moon.timestamp, 8)

    @staticmethod
    def decode_tail(reader: Reader) -> list[HelloMoon]:
        """Pull the decrypted tail; senders of old versions have none."""
        moons: list[HelloMoon] = []
        if reader.remaining < 2:
            return moons
        count = reader.pull_uint(2)
        if count * _MOON_ENTRY_SIZE > reader.remaining:
            raise WireError(f"HELLO: {count} moons in {reader.remaining} bytes")
        for _ in range(count):
            kind = reader.pull_uint(1)
            moon = HelloMoon(reader.pull_uint(8), reader.pull_uint(8))
            if kind == WorldType.MOON:
                moons.append(moon)
        return moons


@dataclass(frozen=True, slots=True)
class OkHeader(Message):
    """What every OK starts with: the message that it answers."""

    in_re_verb: int
    in_re_packet_id: PacketId

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.pull_uint(1), PacketId(reader.pull_uint(8)))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.in_re_verb, 1)
        writer.push_uint(self.in_re_packet_id, 8)


def _pull_in_re(reader: Reader, verb: Verb) -> PacketId:
    header = OkHeader.decode(reader)
    if header.in_re_verb != verb:
        raise WireError(f"OK: in reply to verb {header.in_re_verb}, not to {verb.name}")
    return header.in_re_packet_id


@dataclass(frozen=True, slots=True)
class OkHello(Message):
    """The whole OK that answers a HELLO."""

    in_re_packet_id: PacketId
    timestamp: int
    """That of the HELLO."""
    protocol: int
    version: Version
    source: Endpoint | None = None
    """Where the HELLO came from."""
    worlds: tuple[World, ...] = ()
    """Newer than those that the HELLO named."""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        in_re_packet_id = _pull_in_re(reader, Verb.HELLO)
        timestamp = reader.pull_uint(8)
        protocol = reader.pull_uint(1)
        version = _pull_version(reader)
        source = pull_endpoint(reader) if reader else None
        worlds: list[World] = []
        if reader.remaining >= 2:
            updates = Reader(reader.pull_bytes(reader.pull_uint(2)))
            while updates:
                worlds.append(World.decode(updates))
        return cls(in_re_packet_id, timestamp, protocol, version, source, tuple(worlds))

    def encode(self, writer: Writer) -> None:
        OkHeader(Verb.HELLO, self.in_re_packet_id).encode(writer)
        writer.push_uint(self.timestamp, 8)
        writer.push_uint(self.protocol, 1)
        _push_version(self.version, writer)
        push_endpoint(self.source, writer)
        updates = Writer()
        for world in self.worlds:
            world.encode(updates)
        writer.push_uint(len(updates), 2)
        writer.push_bytes(updates.getvalue())


@dataclass(frozen=True, slots=True)
class Error(Message):
    """A refusal; what follows the code depends on it (wire.adoc#errors)."""

    in_re_verb: int
    in_re_packet_id: PacketId
    code: int
    """An ErrorCode where it is known."""
    body: bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(
            reader.pull_uint(1),
            PacketId(reader.pull_uint(8)),
            reader.pull_uint(1),
            reader.pull_rest(),
        )

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.in_re_verb, 1)
        writer.push_uint(self.in_re_packet_id, 8)
        writer.push_uint(self.code, 1)
        writer.push_bytes(self.body)


@dataclass(frozen=True, slots=True)
class Whois(Message):
    """Asks a root for identities."""

    addresses: tuple[Address, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull the addresses; fewer than five bytes at the end are ignored."""
        count = reader.remaining // ADDRESS_SIZE
        return cls(tuple(Address(reader.pull_uint(ADDRESS_SIZE)) for _ in range(count)))

    def encode(self, writer: Writer) -> None:
        for address in self.addresses:
            writer.push_uint(address, ADDRESS_SIZE)


@dataclass(frozen=True, slots=True)
class OkWhois(Message):
    """The whole OK that answers a WHOIS."""

    in_re_packet_id: PacketId
    identities: tuple[Identity, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        in_re_packet_id = _pull_in_re(reader, Verb.WHOIS)
        identities: list[Identity] = []
        while reader:
            identities.append(Identity.decode(reader))
        return cls(in_re_packet_id, tuple(identities))

    def encode(self, writer: Writer) -> None:
        OkHeader(Verb.WHOIS, self.in_re_packet_id).encode(writer)
        for identity in self.identities:
            identity.encode(writer)


@dataclass(frozen=True, slots=True)
class Rendezvous(Message):
    """A root asks us to try `endpoint` for `peer`, now and at once."""

    peer: Address
    endpoint: Endpoint

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        reader.skip(1)  # flags: none defined
        peer = Address(reader.pull_uint(ADDRESS_SIZE))
        port = reader.pull_uint(2)
        size = reader.pull_uint(1)
        if size == 4:
            return cls(peer, Endpoint(IPv4Address(reader.pull_bytes(size)), port))
        if size == 16:
            return cls(peer, Endpoint(IPv6Address(reader.pull_bytes(size)), port))
        raise WireError(f"RENDEZVOUS: {size}-byte IP address")

    def encode(self, writer: Writer) -> None:
        writer.push_uint(0, 1)
        writer.push_uint(self.peer, ADDRESS_SIZE)
        writer.push_uint(self.endpoint.port, 2)
        writer.push_uint(len(self.endpoint.ip.packed), 1)
        writer.push_bytes(self.endpoint.ip.packed)


@dataclass(frozen=True, slots=True)
class DirectPath(Message):
    """One record of PUSH_DIRECT_PATHS."""

    endpoint: Endpoint | None
    """None where the record holds a kind of address that is not known here."""
    flags: int = 0
    extension: bytes = b""
    other: tuple[int, bytes] | None = None
    """Kind and bytes of an address that is not an endpoint."""

    @property
    def is_forget(self) -> bool:
        """The path is gone: receivers pass over such records."""
        return bool(self.flags & PUSH_FLAG_FORGET)

    @property
    def is_redirect(self) -> bool:
        """This path is to be preferred."""
        return bool(self.flags & PUSH_FLAG_REDIRECT)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        flags = reader.pull_uint(1)
        extension = reader.pull_bytes(reader.pull_uint(2))
        kind = reader.pull_uint(1)
        data = reader.pull_bytes(reader.pull_uint(1))
        port = int.from_bytes(data[-2:], "big")
        if kind == 4 and len(data) == 6:
            return cls(Endpoint(IPv4Address(data[:4]), port), flags, extension)
        if kind == 6 and len(data) == 18:
            return cls(Endpoint(IPv6Address(data[:16]), port), flags, extension)
        if kind in (4, 6):
            raise WireError(f"PUSH_DIRECT_PATHS: {len(data)}-byte address of kind {kind}")
        return cls(None, flags, extension, (kind, data))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.flags, 1)
        writer.push_uint(len(self.extension), 2)
        writer.push_bytes(self.extension)
        kind, data = self.other or (0, b"")
        if self.endpoint is not None:
            kind = self.endpoint.ip.version
            data = self.endpoint.ip.packed + self.endpoint.port.to_bytes(2, "big")
        writer.push_uint(kind, 1)
        writer.push_uint(len(data), 1)
        writer.push_bytes(data)


@dataclass(frozen=True, slots=True)
class PushDirectPaths(Message):
    """Endpoints at which the sender says it may be reached; nothing proves them."""

    paths: tuple[DirectPath, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        count = reader.pull_uint(2)
        return cls(tuple(DirectPath.decode(reader) for _ in range(count)))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(len(self.paths), 2)
        for path in self.paths:
            path.encode(writer)
