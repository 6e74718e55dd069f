"""Identities as text and as bytes (wire.adoc#identity)."""

from dataclasses import dataclass, field
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import ADDRESS_SIZE, Address, format_address, is_reserved
from ztlink.wire.buffer import Reader, Writer

PUBLIC_KEY_SIZE: Final = 64
PRIVATE_KEY_SIZE: Final = 64
IDENTITY_SIZE: Final = 71
"""An identity on the wire, without its private key."""
MAX_TEXT_SIZE: Final = 383
_HEX: Final = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Identity:
    """An address and the two public keys that it was derived from."""

    address: Address
    public_key: bytes
    """X25519 public key (32 bytes), then Ed25519 public key (32)."""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull an identity; a private key that follows is passed over."""
        address = Address(reader.pull_uint(ADDRESS_SIZE))
        kind = reader.pull_uint(1)
        if kind != 0:
            raise WireError(f"identity: type {kind} is unknown")
        public_key = reader.pull_bytes(PUBLIC_KEY_SIZE)
        private_size = reader.pull_uint(1)
        if private_size not in (0, PRIVATE_KEY_SIZE):
            raise WireError(f"identity: {private_size}-byte private key")
        reader.skip(private_size)
        return cls(address, public_key)

    def encode(self, writer: Writer) -> None:
        """Push the 71-byte form."""
        writer.push_uint(self.address, ADDRESS_SIZE)
        writer.push_uint(0, 1)
        writer.push_bytes(self.public_key)
        writer.push_uint(0, 1)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text form; a private key in it is checked for form and left out."""
        address, public_key, _ = _parse_text(text)
        return cls(address, public_key)

    def __str__(self) -> str:
        return f"{format_address(self.address)}:0:{self.public_key.hex()}"


@dataclass(frozen=True, slots=True)
class SecretIdentity:
    """An identity with its private keys; never shown by repr."""

    public: Identity
    private_key: bytes = field(repr=False)
    """X25519 scalar, unclamped (32 bytes), then Ed25519 seed (32)."""

    @property
    def address(self) -> Address:
        """The address of the public half."""
        return self.public.address

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text form of `identity.secret`."""
        address, public_key, private_key = _parse_text(text)
        if private_key is None:
            raise WireError("identity: the private key is missing")
        return cls(Identity(address, public_key), private_key)

    def to_text(self) -> str:
        """Write the text form of `identity.secret`: this shows the private keys."""
        return f"{self.public}:{self.private_key.hex()}"


def _parse_text(text: str) -> tuple[Address, bytes, bytes | None]:
    if len(text) > MAX_TEXT_SIZE:
        raise WireError(f"identity: {len(text)} characters are too many")
    fields = text.split(":")
    if not 3 <= len(fields) <= 4:
        raise WireError(f"identity: {len(fields)} fields, wanted 3 or 4")
    if fields[1] != "0":
        raise WireError(f"identity: type {fields[1][:8]!r} is unknown")
    address = Address(int.from_bytes(_parse_hex(fields[0], ADDRESS_SIZE, exact=True), "big"))
    if is_reserved(address):
        raise WireError(f"identity: address {format_address(address)} is reserved")
    last = len(fields) - 1
    public_key = _parse_hex(fields[2], PUBLIC_KEY_SIZE, exact=last != 2)
    private_key = _parse_hex(fields[3], PRIVATE_KEY_SIZE, exact=False) if last == 3 else None
    return address, public_key, private_key


def _parse_hex(text: str, size: int, *, exact: bool) -> bytes:
    digits = text if exact else text[: 2 * size]  # a newline may follow the last field
    if len(digits) != 2 * size or not _HEX.issuperset(digits):
        raise WireError(f"identity: a field is not {2 * size} hex digits")
    return bytes.fromhex(digits)
