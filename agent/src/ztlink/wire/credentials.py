"""What a controller signs for its members (wire.adoc#credentials).

Decoding checks form alone; who signed, and whether for us, is judged elsewhere.
"""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import ADDRESS_SIZE, Address, IpAddress, Mac, NetworkId
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.identity import Identity
from ztlink.wire.message import Message
from ztlink.wire.rules import MAX_CAPABILITY_RULES, Rule

SIGNATURE_SIZE: Final = 96
SIGNATURE_ED25519: Final = 1
MAX_QUALIFIERS: Final = 8
MAX_CHAIN: Final = 7
MAX_THINGS: Final = 16
THING_SIZE: Final = 16
ANY_DELTA: Final = (1 << 64) - 1
REVOCATION_FAST_PROPAGATE: Final = 0x01
UNSIGNED: Final = Address(0)
"""In place of a signer."""
_COM_MARKER: Final = 1
_FENCE: Final = b"\x7f" * 8
"""Before and after what the signatures of all but the COM cover."""


class CredentialType(IntEnum):
    """Numbers of credentials in revocations."""

    COM = 1
    CAPABILITY = 2
    TAG = 3
    COO = 4
    REVOCATION = 6


class QualifierId(IntEnum):
    """What the qualifiers of a COM say."""

    TIMESTAMP = 0
    NETWORK_ID = 1
    ISSUED_TO = 2
    IDENTITY_HASH = 3
    """The first of four."""


class ThingType(IntEnum):
    """What a certificate of ownership lists."""

    MAC = 1
    IPV4 = 2
    IPV6 = 3


def identity_hash(identity: Identity) -> tuple[int, int, int, int]:
    """Return the four numbers that tie a COM to an identity."""
    digest = hashlib.sha384(identity.address.to_bytes(ADDRESS_SIZE, "big") + identity.public_key)
    first = digest.digest()
    a, b, c, d = (int.from_bytes(first[i : i + 8], "big") for i in range(0, 32, 8))
    return a, b, c, d


def _pull_signature(reader: Reader) -> bytes:
    """Pull a signature; one of unknown type is passed over and reads as empty."""
    kind = reader.pull_uint(1)
    size = reader.pull_uint(2)
    if kind != SIGNATURE_ED25519:
        reader.skip(size)
        return b""
    if size != SIGNATURE_SIZE:
        raise WireError(f"credential: {size}-byte signature")
    return reader.pull_bytes(size)


def _push_signature(signature: bytes, writer: Writer) -> None:
    writer.push_uint(SIGNATURE_ED25519 if signature else 0, 1)
    writer.push_uint(len(signature), 2)
    writer.push_bytes(signature)


def _skip_extension(reader: Reader) -> None:
    reader.skip(reader.pull_uint(2))


def _fenced(body: Writer) -> bytes:
    return _FENCE + body.getvalue() + b"\0\0" + _FENCE


@dataclass(frozen=True, slots=True)
class Qualifier:
    """A number, and how far that of another member's COM may differ from it."""

    qualifier_id: int
    value: int
    max_delta: int


@dataclass(frozen=True, slots=True)
class Com(Message):
    """Certificate of membership: whose agree, they belong to one network at one time."""

    qualifiers: tuple[Qualifier, ...] = ()
    signer: Address = UNSIGNED
    signature: bytes = b""

    @classmethod
    def issue(cls, network_id: NetworkId, timestamp: int, max_delta: int, member: Identity) -> Self:
        """Return a COM for a member, yet to be signed."""
        hashes = (
            Qualifier(QualifierId.IDENTITY_HASH + index, value, ANY_DELTA)
            for index, value in enumerate(identity_hash(member))
        )
        return cls(
            (
                Qualifier(QualifierId.TIMESTAMP, timestamp, max_delta),
                Qualifier(QualifierId.NETWORK_ID, network_id, 0),
                Qualifier(QualifierId.ISSUED_TO, member.address, ANY_DELTA),
                *hashes,
            )
        )

    def get(self, qualifier_id: int) -> int | None:
        """Return the value of a qualifier."""
        return next((q.value for q in self.qualifiers if q.qualifier_id == qualifier_id), None)

    @property
    def timestamp(self) -> int:
        """When it was issued; 0 where it does not say."""
        return self.get(QualifierId.TIMESTAMP) or 0

    @property
    def max_delta(self) -> int:
        """Milliseconds by which it may differ from one that agrees; 0 where it does not say."""
        stamps = (q.max_delta for q in self.qualifiers if q.qualifier_id == QualifierId.TIMESTAMP)
        return next(stamps, 0)

    @property
    def network_id(self) -> NetworkId:
        """The network; 0 where it does not say."""
        return NetworkId(self.get(QualifierId.NETWORK_ID) or 0)

    @property
    def issued_to(self) -> Address:
        """The member; 0 where it does not say."""
        return Address(self.get(QualifierId.ISSUED_TO) or 0)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        marker = reader.pull_uint(1)
        if marker != _COM_MARKER:
            raise WireError(f"COM: starts with {marker}")
        return cls.decode_body(reader)

    @classmethod
    def decode_body(cls, reader: Reader) -> Self:
        """Pull what follows the first byte."""
        count = reader.pull_uint(2)
        if count > MAX_QUALIFIERS:
            raise WireError(f"COM: {count} qualifiers")
        qualifiers: list[Qualifier] = []
        for _ in range(count):
            qualifier = Qualifier(reader.pull_uint(8), reader.pull_uint(8), reader.pull_uint(8))
            if qualifiers and qualifier.qualifier_id <= qualifiers[-1].qualifier_id:
                raise WireError(f"COM: qualifier {qualifier.qualifier_id} out of order")
            qualifiers.append(qualifier)
        signer = Address(reader.pull_uint(ADDRESS_SIZE))
        signature = reader.pull_bytes(SIGNATURE_SIZE) if signer else b""
        return cls(tuple(qualifiers), signer, signature)

    def encode(self, writer: Writer) -> None:
        writer.push_uint(_COM_MARKER, 1)
        writer.push_uint(len(self.qualifiers), 2)
        writer.push_bytes(self.signing_input())
        writer.push_uint(self.signer, ADDRESS_SIZE)
        writer.push_bytes(self.signature)

    def signing_input(self) -> bytes:
        """Return what the signature covers: the qualifiers, without any fence."""
        return b"".join(
            number.to_bytes(8, "big")
            for q in self.qualifiers
            for number in (q.qualifier_id, q.value, q.max_delta)
        )

    @property
    def size(self) -> int:
        """Bytes when encoded."""
        return 3 + 24 * len(self.qualifiers) + ADDRESS_SIZE + len(self.signature)


class _Signed(Message):
    """A credential with one signature, which stands behind all that it covers."""

    __slots__ = ()
    signature: bytes

    def encode(self, writer: Writer) -> None:
        self._push_body(writer)
        _push_signature(self.signature, writer)
        writer.push_uint(0, 2)

    def signing_input(self) -> bytes:
        """Return what the signature covers."""
        body = Writer()
        self._push_body(body)
        return _fenced(body)

    @abstractmethod
    def _push_body(self, writer: Writer) -> None:
        """Push what the signature covers."""


@dataclass(frozen=True, slots=True)
class Tag(_Signed):
    """A number that rules compare between members."""

    network_id: NetworkId
    timestamp: int
    tag_id: int
    value: int
    issued_to: Address
    signer: Address = UNSIGNED
    signature: bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        tag = cls(
            NetworkId(reader.pull_uint(8)),
            reader.pull_uint(8),
            reader.pull_uint(4),
            reader.pull_uint(4),
            Address(reader.pull_uint(ADDRESS_SIZE)),
            Address(reader.pull_uint(ADDRESS_SIZE)),
            _pull_signature(reader),
        )
        _skip_extension(reader)
        return tag

    @property
    def size(self) -> int:
        """Bytes when encoded."""
        return 39 + len(self.signature)

    def _push_body(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(self.timestamp, 8)
        writer.push_uint(self.tag_id, 4)
        writer.push_uint(self.value, 4)
        writer.push_uint(self.issued_to, ADDRESS_SIZE)
        writer.push_uint(self.signer, ADDRESS_SIZE)


@dataclass(frozen=True, slots=True)
class Custody:
    """One step in which a capability was handed on."""

    issued_to: Address
    issuer: Address
    signature: bytes


@dataclass(frozen=True, slots=True)
class Capability(Message):
    """Rules that a member may show where the network's own do not decide."""

    network_id: NetworkId
    timestamp: int
    capability_id: int
    rules: tuple[Rule, ...]
    max_chain: int = 1
    custody: tuple[Custody, ...] = ()

    @property
    def issued_to(self) -> Address:
        """The last holder; 0 where there is none."""
        return self.custody[-1].issued_to if self.custody else Address(0)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        network_id = NetworkId(reader.pull_uint(8))
        timestamp = reader.pull_uint(8)
        capability_id = reader.pull_uint(4)
        count = reader.pull_uint(2)
        if count > MAX_CAPABILITY_RULES:
            raise WireError(f"capability: {count} rules")
        rules = tuple(Rule.decode(reader) for _ in range(count))
        max_chain = reader.pull_uint(1)
        if not 1 <= max_chain <= MAX_CHAIN:
            raise WireError(f"capability: a chain of at most {max_chain}")
        custody: list[Custody] = []
        while issued_to := Address(reader.pull_uint(ADDRESS_SIZE)):
            if len(custody) >= max_chain:
                raise WireError(f"capability: a chain longer than {max_chain}")
            issuer = Address(reader.pull_uint(ADDRESS_SIZE))
            custody.append(Custody(issued_to, issuer, _pull_signature(reader)))
        _skip_extension(reader)
        return cls(network_id, timestamp, capability_id, rules, max_chain, tuple(custody))

    def encode(self, writer: Writer) -> None:
        self._push_body(writer)
        for step in self.custody:
            writer.push_uint(step.issued_to, ADDRESS_SIZE)
            writer.push_uint(step.issuer, ADDRESS_SIZE)
            _push_signature(step.signature, writer)
        writer.push_uint(0, ADDRESS_SIZE)
        writer.push_uint(0, 2)

    def signing_input(self) -> bytes:
        """Return what every signature of the chain covers; the holders are not part of it."""
        body = Writer()
        self._push_body(body)
        return _fenced(body)

    @property
    def size(self) -> int:
        """Bytes when encoded."""
        return len(self.to_bytes())

    def _push_body(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(self.timestamp, 8)
        writer.push_uint(self.capability_id, 4)
        writer.push_uint(len(self.rules), 2)
        for rule in self.rules:
            rule.encode(writer)
        writer.push_uint(self.max_chain, 1)


@dataclass(frozen=True, slots=True)
class Thing:
    """What somebody owns; the value is padded with zeros to 16 bytes."""

    thing_type: int
    """A ThingType where it is known."""
    value: bytes

    @classmethod
    def of_ip(cls, ip: IpAddress) -> Self:
        """Return the ownership of an IP address."""
        kind = ThingType.IPV4 if isinstance(ip, IPv4Address) else ThingType.IPV6
        return cls(kind, ip.packed.ljust(THING_SIZE, b"\0"))

    @classmethod
    def of_mac(cls, mac: Mac) -> Self:
        """Return the ownership of a MAC."""
        return cls(ThingType.MAC, mac.ljust(THING_SIZE, b"\0"))


@dataclass(frozen=True, slots=True)
class CertificateOfOwnership(_Signed):
    """A COO: IP and MAC addresses that are a member's own."""

    network_id: NetworkId
    timestamp: int
    flags: int
    coo_id: int
    things: tuple[Thing, ...]
    issued_to: Address
    signer: Address = UNSIGNED
    signature: bytes = b""

    def owns_ip(self, ip: IpAddress) -> bool:
        """Tell whether an IP address is listed."""
        return self._owns(ThingType.IPV4 if ip.version == 4 else ThingType.IPV6, ip.packed)

    def owns_mac(self, mac: bytes) -> bool:
        """Tell whether a MAC is listed."""
        return self._owns(ThingType.MAC, mac)

    def _owns(self, kind: ThingType, value: bytes) -> bool:
        return any(t.thing_type == kind and t.value.startswith(value) for t in self.things)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        network_id = NetworkId(reader.pull_uint(8))
        timestamp = reader.pull_uint(8)
        flags = reader.pull_uint(8)
        coo_id = reader.pull_uint(4)
        count = reader.pull_uint(2)
        if count > MAX_THINGS:
            raise WireError(f"COO: {count} things")
        coo = cls(
            network_id,
            timestamp,
            flags,
            coo_id,
            tuple(Thing(reader.pull_uint(1), reader.pull_bytes(THING_SIZE)) for _ in range(count)),
            Address(reader.pull_uint(ADDRESS_SIZE)),
            Address(reader.pull_uint(ADDRESS_SIZE)),
            _pull_signature(reader),
        )
        _skip_extension(reader)
        return coo

    @property
    def size(self) -> int:
        """Bytes when encoded."""
        return 45 + 17 * len(self.things) + len(self.signature)

    def _push_body(self, writer: Writer) -> None:
        writer.push_uint(self.network_id, 8)
        writer.push_uint(self.timestamp, 8)
        writer.push_uint(self.flags, 8)
        writer.push_uint(self.coo_id, 4)
        writer.push_uint(len(self.things), 2)
        for thing in self.things:
            writer.push_uint(thing.thing_type, 1)
            writer.push_bytes(thing.value)
        writer.push_uint(self.issued_to, ADDRESS_SIZE)
        writer.push_uint(self.signer, ADDRESS_SIZE)


@dataclass(frozen=True, slots=True)
class Revocation(_Signed):
    """Makes void what a member was issued up to a time."""

    revocation_id: int
    network_id: NetworkId
    credential_id: int
    """0 for the COM."""
    threshold: int
    """Credentials of this timestamp and older are void."""
    flags: int
    target: Address
    signer: Address
    credential_type: int
    """A CredentialType where it is known."""
    signature: bytes = b""

    @property
    def is_fast_propagate(self) -> bool:
        """Whoever learns of it passes it on at once."""
        return bool(self.flags & REVOCATION_FAST_PROPAGATE)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        reader.skip(4)  # always 0
        revocation_id = reader.pull_uint(4)
        network_id = NetworkId(reader.pull_uint(8))
        reader.skip(4)  # always 0
        revocation = cls(
            revocation_id,
            network_id,
            reader.pull_uint(4),
            reader.pull_uint(8),
            reader.pull_uint(8),
            Address(reader.pull_uint(ADDRESS_SIZE)),
            Address(reader.pull_uint(ADDRESS_SIZE)),
            reader.pull_uint(1),
            _pull_signature(reader),
        )
        _skip_extension(reader)
        return revocation

    def _push_body(self, writer: Writer) -> None:
        writer.push_uint(0, 4)
        writer.push_uint(self.revocation_id, 4)
        writer.push_uint(self.network_id, 8)
        writer.push_uint(0, 4)
        writer.push_uint(self.credential_id, 4)
        writer.push_uint(self.threshold, 8)
        writer.push_uint(self.flags, 8)
        writer.push_uint(self.target, ADDRESS_SIZE)
        writer.push_uint(self.signer, ADDRESS_SIZE)
        writer.push_uint(self.credential_type, 1)


Credential = Com | Capability | Tag | CertificateOfOwnership | Revocation
