"""Worlds: the planet and moons that name the roots (wire.adoc#world)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import Endpoint
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.identity import PUBLIC_KEY_SIZE, Identity
from ztlink.wire.inet_address import pull_endpoint, push_endpoint
from ztlink.wire.message import Message

MAX_ROOTS: Final = 4
MAX_ENDPOINTS: Final = 32
MAX_WORLD_SIZE: Final = 8480
SIGNATURE_SIZE: Final = 96
_SIGNED_PREFIX: Final = b"\x7f" * 8
_SIGNED_SUFFIX: Final = b"\xf7" * 8


class WorldType(IntEnum):
    """What a world is."""

    PLANET = 1
    MOON = 127


@dataclass(frozen=True, slots=True)
class Root(Message):
    """A root of a world."""

    identity: Identity
    stable_endpoints: tuple[Endpoint | None, ...] = ()
    """As on the wire: None where an entry names none, since the signature covers it."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the root is found; empty where any address of it is good."""
        return tuple(endpoint for endpoint in self.stable_endpoints if endpoint is not None)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        identity = Identity.decode(reader)
        count = reader.pull_uint(1)
        if count > MAX_ENDPOINTS:
            raise WireError(f"world: {count} endpoints of one root")
        return cls(identity, tuple(pull_endpoint(reader) for _ in range(count)))

    def encode(self, writer: Writer) -> None:
        self.identity.encode(writer)
        writer.push_uint(len(self.stable_endpoints), 1)
        for endpoint in self.stable_endpoints:
            push_endpoint(endpoint, writer)


@dataclass(frozen=True, slots=True)
class World(Message):
    """A planet or a moon, signed by the key that its former revision names."""

    world_type: WorldType
    world_id: int
    timestamp: int
    """Milliseconds since the epoch; later worlds replace earlier ones."""
    next_update_key: bytes
    """The public key (64 bytes) that must sign the next revision."""
    signature: bytes
    roots: tuple[Root, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        start = reader.position
        number = reader.pull_uint(1)
        if number not in (WorldType.PLANET, WorldType.MOON):
            raise WireError(f"world: type {number} is unknown")
        world_id = reader.pull_uint(8)
        timestamp = reader.pull_uint(8)
        next_update_key = reader.pull_bytes(PUBLIC_KEY_SIZE)
        signature = reader.pull_bytes(SIGNATURE_SIZE)
        count = reader.pull_uint(1)
        if count > MAX_ROOTS:
            raise WireError(f"world: {count} roots")
        roots = tuple(Root.decode(reader) for _ in range(count))
        if number == WorldType.MOON:
            reader.skip(reader.pull_uint(2))  # a dictionary: nothing is defined in it
        if reader.position - start > MAX_WORLD_SIZE:
            raise WireError(f"world: {reader.position - start} bytes")
        return cls(WorldType(number), world_id, timestamp, next_update_key, signature, roots)

    def encode(self, writer: Writer) -> None:
        self._push(writer, self.signature)

    def signing_input(self) -> bytes:
        """Return what the signature covers."""
        writer = Writer()
        writer.push_bytes(_SIGNED_PREFIX)
        self._push(writer, b"")
        writer.push_bytes(_SIGNED_SUFFIX)
        return writer.getvalue()

    def _push(self, writer: Writer, signature: bytes) -> None:
        writer.push_uint(self.world_type, 1)
        writer.push_uint(self.world_id, 8)
        writer.push_uint(self.timestamp, 8)
        writer.push_bytes(self.next_update_key)
        writer.push_bytes(signature)
        writer.push_uint(len(self.roots), 1)
        for root in self.roots:
            root.encode(writer)
        if self.world_type is WorldType.MOON:
            writer.push_uint(0, 2)
