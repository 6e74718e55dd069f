"""Reading the fields of a request: each is what it should be, or the request is refused whole.

The original takes what it can of a value and goes on with the rest; here nothing is guessed.
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_interface
from typing import Any, Final

from ztlink.errors import ZtError
from ztlink.ids import Address, IpAddress, IpInterface, parse_address
from ztlink.wire.rules_json import shortened

Reading = Callable[[str, object], dict[str, Any]]
"""Takes a field's name and value, returns attributes; raises FieldError."""

MAX_ITEMS: Final = 128
MAX_NAME: Final = 127
MAX_UINT32: Final = 0xFFFF_FFFF


class FieldError(ZtError, ValueError):
    """A field of a request is not good; the message names it, its value and the reason."""


def refuse(key: str, value: object, wanted: str) -> FieldError:
    """Return the refusal of a value: what was wanted in its place."""
    return FieldError(f"{key}: {shortened(value)} is not {wanted}")


def read_fields(body: Mapping[str, Any], fields: Mapping[str, Reading]) -> dict[str, Any]:
    """Return the attributes that a request sets; what is no field of ours is passed over."""
    attributes: dict[str, Any] = {}
    for key, reading in fields.items():
        if key in body:
            attributes |= reading(key, body[key])
    return attributes


def as_attribute(attribute: str, read: Callable[[str, object], object]) -> Reading:
    """Return a reading that sets one attribute."""
    return lambda key, value: {attribute: read(key, value)}


def as_number(attribute: str, low: int, high: int) -> Reading:
    """Return a reading of an integer in a range."""
    return lambda key, value: {attribute: integer(key, value, low, high)}


def boolean(key: str, value: object) -> bool:
    """Read a truth value: no word and no number will do."""
    if not isinstance(value, bool):
        raise refuse(key, value, "true or false")
    return value


def integer(key: str, value: object, low: int, high: int) -> int:
    """Read an integer in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refuse(key, value, f"an integer from {low} to {high}")
    return value


def text(key: str, value: object, most: int = MAX_NAME) -> str:
    """Read a text of so many bytes at most; members take it as one that ends at a NUL."""
    # Half of a surrogate pair may stand in JSON, but it is no text.
    if not isinstance(value, str) or len(value.encode(errors="replace")) > most:
        raise refuse(key, value, f"a text of at most {most} bytes")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise refuse(key, value, "a text in Unicode, without NUL")
    return value


def items(key: str, value: object, most: int = MAX_ITEMS) -> list[Any]:
    """Read a list of so many items at most."""
    if not isinstance(value, list) or len(value) > most:
        raise refuse(key, value, f"a list of at most {most} items")
    return value


def mapping(key: str, value: object) -> dict[str, Any]:
    """Read an object."""
    if not isinstance(value, dict):
        raise refuse(key, value, "an object")
    return value


def ip(key: str, value: object) -> IpAddress:
    """Read an IP address."""
    try:
        found = ip_address(value if isinstance(value, str) else "")
    except ValueError as error:
        raise refuse(key, value, "an IP address") from error
    if "%" in str(found):  # the name of an interface of ours means nothing to members
        raise refuse(key, value, "an IP address without a scope")
    return found


def interface(key: str, value: object) -> IpInterface:
    """Read an IP range, which may have bits of a host."""
    if not isinstance(value, str) or "/" not in value or "%" in value:
        raise refuse(key, value, "an IP range such as 10.1.0.0/16")
    try:
        return ip_interface(value)
    except ValueError as error:
        raise refuse(key, value, "an IP range such as 10.1.0.0/16") from error


def trace_target(key: str, value: object) -> Address | None:
    """Read a ZeroTier address, or none."""
    if value in (None, ""):
        return None
    try:
        return parse_address(value if isinstance(value, str) else "")
    except ValueError as error:
        raise refuse(key, value, "a ZeroTier address") from error
