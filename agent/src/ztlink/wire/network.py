"""VL2's messages: frames, configurations, credentials, multicast (wire.adoc#vl2-verbs).

Replies are decoded here from what follows the header that all OKs share (`OkHeader`).
"""

from dataclasses import dataclass, replace
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import ADDRESS_SIZE, MAC_SIZE, Address, Mac, MulticastGroup, NetworkId
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    Revocation,
    Tag,
)
from ztlink.wire.message import Message

FRAME_FLAG_COM: Final = 0x01
EXT_FRAME_FLAG_ACK: Final = 0x10
GATHER_FLAG_COM: Final = 0x01
MULTICAST_FLAG_COM: Final = 0x01
MULTICAST_FLAG_GATHER_LIMIT: Final = 0x02
MULTICAST_FLAG_SOURCE_MAC: Final = 0x04
MULTICAST_FLAG_REPLICATE: Final = 0x08
OK_MULTICAST_FLAG_COM: Final = 0x01
OK_MULTICAST_FLAG_RESULTS: Final = 0x02
CHUNK_FLAG_FAST_PROPAGATE: Final = 0x01
MAX_CHUNK_SIZE: Final = 9740
CHUNK_SIGNATURE_TYPE: Final = 1
CHUNK_SIGNATURE_SIZE: Final = 96
_LIKE_SIZE: Final = 18


def _pull_network_id(reader: Reader) -> NetworkId:
    return NetworkId(reader.pull_uint(8))


def _pull_mac(reader: Reader) -> Mac:
    return Mac(reader.pull_bytes(MAC_SIZE))


def _pull_group(reader: Reader) -> MulticastGroup:
    return MulticastGroup(_pull_mac(reader), reader.pull_uint(4))


def _push_group(group: MulticastGroup, writer: Writer) -> None:
    writer.push_bytes(group.mac)
    writer.push_uint(group.adi, 4)


@dataclass(frozen=True, slots=True)
class Frame(Message):
    """An Ethernet frame between two members, without MACs: these follow from the addresses."""

    network_id: NetworkId
    ethertype: int
    payload: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(_pull_network_id(reader), reader.pull_uint(2), reader.pull_rest())

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(self.ethertype, 2)
        writer.push_bytes(self.payload)


@dataclass(frozen=True, slots=True)
class ExtFrame(Message):
    """An Ethernet frame with its MACs: bridged, copied or redirected."""

    network_id: NetworkId
    flags: int
    """Without the one that tells of a COM."""
    com: Com | None
    destination: Mac
    source: Mac
    ethertype: int
    payload: bytes

    @property
    def wants_ack(self) -> bool:
        """The sender asks for an OK."""
        return bool(self.flags & EXT_FRAME_FLAG_ACK)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        network_id = _pull_network_id(reader)
        flags = reader.pull_uint(1)
        com = Com.decode(reader) if flags & FRAME_FLAG_COM else None
        return cls(
            network_id,
            flags & ~FRAME_FLAG_COM,
            com,
            _pull_mac(reader),
            _pull_mac(reader),
            reader.pull_uint(2),
            reader.pull_rest(),
        )

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(self.flags | (FRAME_FLAG_COM if self.com else 0), 1)
        if self.com is not None:
            self.com.encode(writer)
        writer.push_bytes(self.destination)
        writer.push_bytes(self.source)
        writer.push_uint(self.ethertype, 2)
        writer.push_bytes(self.payload)


@dataclass(frozen=True, slots=True)
class OkExtFrame(Message):
    """The body of the OK that an EXT_FRAME may ask for."""

    network_id: NetworkId

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(_pull_network_id(reader))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)


@dataclass(frozen=True, slots=True)
class NetworkConfigRequest(Message):
    """Asks a controller for our configuration of its network."""

    network_id: NetworkId
    metadata: bytes = b""
    """A dictionary about the member."""
    revision: int | None = None
    """Of the configuration held; None where the sender does not tell."""
    timestamp: int | None = None

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull a request, which may end early."""
        network_id = _pull_network_id(reader)
        metadata = reader.pull_bytes(reader.pull_uint(2)) if reader else b""
        if reader.remaining < 16:
            return cls(network_id, metadata)
        return cls(network_id, metadata, reader.pull_uint(8), reader.pull_uint(8))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(len(self.metadata), 2)
        writer.push_bytes(self.metadata)
        if self.revision is not None or self.timestamp is not None:
            writer.push_uint(self.revision or 0, 8)
            writer.push_uint(self.timestamp or 0, 8)


@dataclass(frozen=True, slots=True)
class ConfigChunk(Message):
    """A slice of a configuration: all of NETWORK_CONFIG, or the body of the OK to a request."""

    network_id: NetworkId
    data: bytes
    flags: int = 0
    update_id: int = 0
    """The same in all chunks of one update."""
    total_size: int = 0
    index: int = 0
    """Offset of `data` in the whole."""
    signature: bytes = b""
    """Empty in the legacy form: the whole configuration, from the controller itself."""

    @property
    def is_fast_propagate(self) -> bool:
        """Whoever receives it passes it on at once."""
        return bool(self.flags & CHUNK_FLAG_FAST_PROPAGATE)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        network_id = _pull_network_id(reader)
        data = reader.pull_bytes(reader.pull_uint(2))
        if not reader:
            return cls(network_id, data, total_size=len(data))
        flags = reader.pull_uint(1)
        update_id = reader.pull_uint(8)
        total_size = reader.pull_uint(4)
        index = reader.pull_uint(4)
        kind, size = reader.pull_uint(1), reader.pull_uint(2)
        if kind != CHUNK_SIGNATURE_TYPE or size != CHUNK_SIGNATURE_SIZE:
            raise WireError(f"NETWORK_CONFIG: {size}-byte signature of type {kind}")
        if index + len(data) > total_size:
            raise WireError(f"NETWORK_CONFIG: {len(data)} bytes at {index} of {total_size}")
        signature = reader.pull_bytes(size)
        return cls(network_id, data, flags, update_id, total_size, index, signature)

    def encode(self, writer: Writer) -> None:
        if not self.signature:
            self._push_slice(writer)
            return
        writer.push_bytes(self.signed_bytes())
        writer.push_uint(CHUNK_SIGNATURE_TYPE, 1)
        writer.push_uint(CHUNK_SIGNATURE_SIZE, 2)
        writer.push_bytes(self.signature)

    def signed_bytes(self) -> bytes:
        """Return what the signature covers."""
        writer = Writer()
        self._push_slice(writer)
        writer.push_uint(self.flags, 1)
        writer.push_uint(self.update_id, 8)
        writer.push_uint(self.total_size, 4)
        writer.push_uint(self.index, 4)
        return writer.getvalue()

    def _push_slice(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(len(self.data), 2)
        writer.push_bytes(self.data)


@dataclass(frozen=True, slots=True)
class ConfigAck(Message):
    """The body of the OK to a NETWORK_CONFIG push; its header names the verb ECHO."""

    network_id: NetworkId
    update_id: int

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(_pull_network_id(reader), reader.pull_uint(8))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(self.update_id, 8)


@dataclass(frozen=True, slots=True)
class NetworkCredentials(Message):
    """Credentials of anybody, on any networks."""

    coms: tuple[Com, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    tags: tuple[Tag, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    coos: tuple[CertificateOfOwnership, ...] = ()

    def adding(
        self, credential: Com | Capability | Tag | Revocation | CertificateOfOwnership
    ) -> Self:
        """Return a copy with one credential more."""
        match credential:
            case Com():
                return replace(self, coms=(*self.coms, credential))
            case Capability():
                return replace(self, capabilities=(*self.capabilities, credential))
            case Tag():
                return replace(self, tags=(*self.tags, credential))
            case Revocation():
                return replace(self, revocations=(*self.revocations, credential))
            case _:
                return replace(self, coos=(*self.coos, credential))

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull the lists; the message may end after any of them."""
        coms: list[Com] = []
        while marker := reader.pull_uint(1):
            if marker != 1:
                raise WireError(f"NETWORK_CREDENTIALS: a COM starts with {marker}")
            coms.append(Com.decode_body(reader))
        capabilities: tuple[Capability, ...] = ()
        tags: tuple[Tag, ...] = ()
        revocations: tuple[Revocation, ...] = ()
        coos: tuple[CertificateOfOwnership, ...] = ()
        if reader:
            capabilities = tuple(Capability.decode(reader) for _ in range(reader.pull_uint(2)))
        if reader:
            tags = tuple(Tag.decode(reader) for _ in range(reader.pull_uint(2)))
        if reader:
            revocations = tuple(Revocation.decode(reader) for _ in range(reader.pull_uint(2)))
        if reader:
            coos = tuple(CertificateOfOwnership.decode(reader) for _ in range(reader.pull_uint(2)))
        return cls(tuple(coms), capabilities, tags, revocations, coos)

    def encode(self, writer: Writer) -> None:
        for com in self.coms:
            com.encode(writer)
        writer.push_uint(0, 1)
        for credentials in (self.capabilities, self.tags, self.revocations, self.coos):
            writer.push_uint(len(credentials), 2)
            for credential in credentials:
                credential.encode(writer)


@dataclass(frozen=True, slots=True)
class Like:
    """A group that the sender listens to."""

    network_id: NetworkId
    group: MulticastGroup


@dataclass(frozen=True, slots=True)
class MulticastLike(Message):
    """The groups that the sender listens to."""

    likes: tuple[Like, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull all entries; a part of one at the end is ignored."""
        count = reader.remaining // _LIKE_SIZE
        return cls(tuple(Like(_pull_network_id(reader), _pull_group(reader)) for _ in range(count)))

    def encode(self, writer: Writer) -> None:
        for like in self.likes:
            writer.push_uint(like.network_id, 8)
            _push_group(like.group, writer)


@dataclass(frozen=True, slots=True)
class MulticastGather(Message):
    """Asks who listens to a group."""

    network_id: NetworkId
    group: MulticastGroup
    limit: int
    com: Com | None = None

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull a request; a COM that does not decode counts as none."""
        network_id = _pull_network_id(reader)
        flags = reader.pull_uint(1)
        group = _pull_group(reader)
        limit = reader.pull_uint(4)
        com = None
        if flags & GATHER_FLAG_COM:
            try:
                com = Com.decode(reader)
            except WireError:
                reader.skip(reader.remaining)
        return cls(network_id, group, limit, com)

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(GATHER_FLAG_COM if self.com else 0, 1)
        _push_group(self.group, writer)
        writer.push_uint(self.limit, 4)
        if self.com is not None:
            self.com.encode(writer)


@dataclass(frozen=True, slots=True)
class GatherResults(Message):
    """Members of a group, and how many the responder knows in all."""

    total_known: int
    members: tuple[Address, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        total_known, count = reader.pull_uint(4), reader.pull_uint(2)
        return cls(
            total_known, tuple(Address(reader.pull_uint(ADDRESS_SIZE)) for _ in range(count))
        )

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.total_known, 4)
        writer.push_uint(len(self.members), 2)
        for member in self.members:
            writer.push_uint(member, ADDRESS_SIZE)


@dataclass(frozen=True, slots=True)
class OkMulticastGather(Message):
    """The body of the OK to MULTICAST_GATHER."""

    network_id: NetworkId
    group: MulticastGroup
    results: GatherResults

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(_pull_network_id(reader), _pull_group(reader), GatherResults.decode(reader))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        _push_group(self.group, writer)
        self.results.encode(writer)


@dataclass(frozen=True, slots=True)
class MulticastFrame(Message):
    """A frame for a group."""

    network_id: NetworkId
    group: MulticastGroup
    ethertype: int
    payload: bytes
    source: Mac | None = None
    """None: the sender's own MAC."""
    gather_limit: int | None = None
    """How many further members the sender would like to learn of."""
    wants_replication: bool = False
    """The receiver is to pass it on to the group."""
    com: Com | None = None

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        network_id = _pull_network_id(reader)
        flags = reader.pull_uint(1)
        com = Com.decode(reader) if flags & MULTICAST_FLAG_COM else None
        limit = reader.pull_uint(4) if flags & MULTICAST_FLAG_GATHER_LIMIT else None
        source = _pull_mac(reader) if flags & MULTICAST_FLAG_SOURCE_MAC else None
        group = _pull_group(reader)
        ethertype = reader.pull_uint(2)
        replicate = bool(flags & MULTICAST_FLAG_REPLICATE)
        payload = reader.pull_rest()
        return cls(network_id, group, ethertype, payload, source, limit, replicate, com)

    def encode(self, writer: Writer) -> None:
        flags = MULTICAST_FLAG_COM if self.com is not None else 0
        flags |= MULTICAST_FLAG_GATHER_LIMIT if self.gather_limit is not None else 0
        flags |= MULTICAST_FLAG_SOURCE_MAC if self.source is not None else 0
        flags |= MULTICAST_FLAG_REPLICATE if self.wants_replication else 0
        writer.push_uint(self.network_id, 8)
        writer.push_uint(flags, 1)
        if self.com is not None:
            self.com.encode(writer)
        if self.gather_limit is not None:
            writer.push_uint(self.gather_limit, 4)
        if self.source is not None:
            writer.push_bytes(self.source)
        _push_group(self.group, writer)
        writer.push_uint(self.ethertype, 2)
        writer.push_bytes(self.payload)


@dataclass(frozen=True, slots=True)
class OkMulticastFrame(Message):
    """The body of the OK to MULTICAST_FRAME."""

    network_id: NetworkId
    group: MulticastGroup
    com: Com | None = None
    results: GatherResults | None = None

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        network_id = _pull_network_id(reader)
        group = _pull_group(reader)
        flags = reader.pull_uint(1)
        com = Com.decode(reader) if flags & OK_MULTICAST_FLAG_COM else None
        results = GatherResults.decode(reader) if flags & OK_MULTICAST_FLAG_RESULTS else None
        return cls(network_id, group, com, results)

    def encode(self, writer: Writer) -> None:
        flags = OK_MULTICAST_FLAG_COM if self.com is not None else 0
        flags |= OK_MULTICAST_FLAG_RESULTS if self.results is not None else 0
        writer.push_uint(self.network_id, 8)
        _push_group(self.group, writer)
        writer.push_uint(flags, 1)
        if self.com is not None:
            self.com.encode(writer)
        if self.results is not None:
            self.results.encode(writer)
