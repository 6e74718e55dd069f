"""The key-value text of configurations, requests and traces (wire.adoc#dictionary)."""

import re
from collections.abc import Iterator
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import Address

MAX_UINT: Final = (1 << 64) - 1
MAX_INT: Final = (1 << 63) - 1
_ESCAPES: Final = (
    (b"\\", b"\\\\"),  # first, or it would escape the escapes
    (b"\0", b"\\0"),
    (b"\n", b"\\n"),
    (b"\r", b"\\r"),
    (b"=", b"\\e"),
)
_UNESCAPES: Final = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"e": b"="}
_NOT_IN_KEYS: Final = frozenset("\0\n\r=\\")
_ESCAPED: Final = re.compile(rb"\\(.?)", re.DOTALL)
_LINE_END: Final = re.compile(rb"[\r\n]")
_HEX: Final = re.compile(rb"[ \t\v\f]*([+-]?)(?:0[xX](?=[0-9a-fA-F]))?([0-9a-fA-F]*)")
"""What C's strtoull takes of a text in base 16."""


class Dictionary:
    """Entries in order; of several with one key the first counts."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[str, bytes]] = []

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read a text; it ends at a NUL, and lines without a key are passed over."""
        dictionary = cls()
        text = text.partition(b"\0")[0]
        for line in _LINE_END.split(text):
            key, separator, value = line.partition(b"=")
            if separator:
                # latin-1: any bytes make a key, ours are ASCII
                dictionary._entries.append((key.decode("latin-1"), _unescape(value)))
        return dictionary

    def encode(self) -> bytes:
        """Write the text."""
        return b"\n".join(
            key.encode("latin-1") + b"=" + _escape(value) for key, value in self._entries
        )

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._entries)

    def __contains__(self, key: str) -> bool:
        return self.get_bytes(key) is not None

    # -- writing -----------------------------------------------------------------------------

    def add_bytes(self, key: str, value: bytes) -> None:
        """Add raw bytes."""
        if not key or not _NOT_IN_KEYS.isdisjoint(key):
            raise ValueError(f"dictionary: {key!r} cannot be a key")
        self._entries.append((key, value))

    def add_text(self, key: str, value: str) -> None:
        """Add text as UTF-8."""
        self.add_bytes(key, value.encode())

    def add_uint(self, key: str, value: int) -> None:
        """Add an integer as 16 hex digits; of a negative one the protocol loses the sign."""
        self.add_bytes(key, b"%016x" % abs(value))

    def add_bool(self, key: str, value: bool) -> None:
        """Add a truth value."""
        self.add_bytes(key, b"1" if value else b"0")

    def add_address(self, key: str, value: Address) -> None:
        """Add an address as 10 hex digits."""
        self.add_bytes(key, b"%010x" % value)

    # -- reading -----------------------------------------------------------------------------

    def get_bytes(self, key: str) -> bytes | None:
        """Return the first value of a key."""
        return next((value for name, value in self._entries if name == key), None)

    def get_uint(self, key: str, default: int = 0) -> int:
        """Read a value as hex digits up to the first other character; too large ones saturate."""
        value = self.get_bytes(key)
        if not value:
            return default
        sign, number = _parse_hex(value)
        if number > MAX_UINT:
            return MAX_UINT
        return (MAX_UINT + 1 - number) & MAX_UINT if sign else number

    def get_int(self, key: str, default: int = 0) -> int:
        """Read a value as a signed number in hex."""
        value = self.get_bytes(key)
        if not value:
            return default
        sign, number = _parse_hex(value)
        return max(-number, -MAX_INT - 1) if sign else min(number, MAX_INT)

    def get_bool(self, key: str, default: bool = False) -> bool:
        """Read a truth value: its first character tells."""
        value = self.get_bytes(key)
        return default if value is None else value[:1] in (b"1", b"t", b"T")

    def get_address(self, key: str) -> Address:
        """Read an address; 0 where there is none."""
        value = self.get_uint(key)
        if value >> 40:
            raise WireError(f"dictionary: {key}={value:x} is not an address")
        return Address(value)


def _parse_hex(value: bytes) -> tuple[bool, int]:
    match = _HEX.match(value)
    if match is None or not match[2]:
        return False, 0
    return match[1] == b"-", int(match[2], 16)


def _escape(value: bytes) -> bytes:
    for special, escaped in _ESCAPES:
        value = value.replace(special, escaped)
    return value


def _unescape(value: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: _UNESCAPES.get(match[1], match[1]), value)
