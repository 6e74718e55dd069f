"""The rule table of networks and capabilities, as bytes (wire.adoc#rules)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

from ztlink.errors import WireError
from ztlink.ids import ADDRESS_SIZE, MAC_SIZE, Address, IpAddress, Mac
from ztlink.wire.buffer import Reader, Writer
from ztlink.wire.message import Message

FLAG_NOT: Final = 0x80
FLAG_OR: Final = 0x40
MASK_TYPE: Final = 0x3F
FIRST_MATCH_TYPE: Final = 16
"""Types below are actions, known or not."""
MAX_NETWORK_RULES: Final = 1024
MAX_CAPABILITY_RULES: Final = 64


class RuleType(IntEnum):
    """What a rule does or looks at; names as the controller's API spells them."""

    ACTION_DROP = 0
    ACTION_ACCEPT = 1
    ACTION_TEE = 2
    ACTION_WATCH = 3
    ACTION_REDIRECT = 4
    ACTION_BREAK = 5
    ACTION_PRIORITY = 6
    MATCH_SOURCE_ZEROTIER_ADDRESS = 24
    MATCH_DEST_ZEROTIER_ADDRESS = 25
    MATCH_VLAN_ID = 26
    MATCH_VLAN_PCP = 27
    MATCH_VLAN_DEI = 28
    MATCH_MAC_SOURCE = 29
    MATCH_MAC_DEST = 30
    MATCH_IPV4_SOURCE = 31
    MATCH_IPV4_DEST = 32
    MATCH_IPV6_SOURCE = 33
    MATCH_IPV6_DEST = 34
    MATCH_IP_TOS = 35
    MATCH_IP_PROTOCOL = 36
    MATCH_ETHERTYPE = 37
    MATCH_ICMP = 38
    MATCH_IP_SOURCE_PORT_RANGE = 39
    MATCH_IP_DEST_PORT_RANGE = 40
    MATCH_CHARACTERISTICS = 41
    MATCH_FRAME_SIZE_RANGE = 42
    MATCH_RANDOM = 43
    MATCH_TAGS_DIFFERENCE = 44
    MATCH_TAGS_BITWISE_AND = 45
    MATCH_TAGS_BITWISE_OR = 46
    MATCH_TAGS_BITWISE_XOR = 47
    MATCH_TAGS_EQUAL = 48
    MATCH_TAG_SENDER = 49
    MATCH_TAG_RECEIVER = 50
    INTEGER_RANGE = 51


@dataclass(frozen=True, slots=True)
class Forward:
    """TEE, WATCH, REDIRECT: whom a copy or the frame itself goes to."""

    address: Address
    flags: int = 0
    length: int = 0
    """Bytes of the frame to copy; 0 for all."""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(Address(reader.pull_uint(8)), reader.pull_uint(4), reader.pull_uint(2))

    def encode(self, writer: Writer) -> None:
        writer.push_uint(self.address, 8)
        writer.push_uint(self.flags, 4)
        writer.push_uint(self.length, 2)


@dataclass(frozen=True, slots=True)
class Number:
    """An address, VLAN field, IP protocol, ethertype, characteristics mask or probability."""

    value: int


@dataclass(frozen=True, slots=True)
class MacMatch:
    """A MAC to compare with."""

    mac: Mac


@dataclass(frozen=True, slots=True)
class Prefix:
    """An IP range; the address keeps its host bits, which decide the outcome for IPv6."""

    ip: IpAddress
    bits: int


@dataclass(frozen=True, slots=True)
class Tos:
    """A range of the masked type of service or traffic class."""

    mask: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP type, and a code where bit 0 of `flags` says so."""

    icmp_type: int
    icmp_code: int
    flags: int

    @property
    def checks_code(self) -> bool:
        """Whether the code is compared too."""
        return bool(self.flags & 1)


@dataclass(frozen=True, slots=True)
class Range:
    """Ports or frame sizes from `start` to `end`, both included."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TagMatch:
    """A tag id and the value that it is compared with."""

    tag_id: int
    value: int


@dataclass(frozen=True, slots=True)
class IntegerRange:
    """An integer of up to 64 bits at a place in the frame, compared with a range."""

    start: int
    end: int
    index: int
    """Offset in the Ethernet payload."""
    format: int
    """Bit 7: little-endian; low six bits: size in bits, less one."""

    @property
    def bits(self) -> int:
        """The size of the integer."""
        return (self.format & 0x3F) + 1

    @property
    def is_little_endian(self) -> bool:
        """The byte order of the integer."""
        return bool(self.format & 0x80)


@dataclass(frozen=True, slots=True)
class Opaque:
    """The field of a type that is not known here."""

    data: bytes = b""


Field = (
    None
    | Forward
    | Number
    | MacMatch
    | Prefix
    | Tos
    | Icmp
    | Range
    | TagMatch
    | IntegerRange
    | Opaque
)


@dataclass(frozen=True, slots=True)
class Rule(Message):
    """One entry of a rule table."""

    type: int
    """A RuleType where it is known, else the bare number."""
    field: Field = None
    negate: bool = False
    or_flag: bool = False
    extra: bytes = b""
    """What follows the field within its length: kept, since signatures cover it."""

    @property
    def is_action(self) -> bool:
        """Whether this is an action, known or not."""
        return self.type < FIRST_MATCH_TYPE

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """Pull one entry; the field must be at least as long as its type needs."""
        flags = reader.pull_uint(1)
        data = reader.pull_bytes(reader.pull_uint(1))
        number = flags & MASK_TYPE
        negate, or_flag = bool(flags & FLAG_NOT), bool(flags & FLAG_OR)
        decode = _DECODERS.get(number)
        if decode is None:
            return cls(number, Opaque(data), negate, or_flag)
        inner = Reader(data)
        field = decode(inner)
        return cls(RuleType(number), field, negate, or_flag, inner.pull_rest())

    def encode(self, writer: Writer) -> None:
        flags = (FLAG_NOT if self.negate else 0) | (FLAG_OR if self.or_flag else 0)
        inner = Writer()
        _push_field(self.type, self.field, inner)
        inner.push_bytes(self.extra)
        writer.push_uint(self.type | flags, 1)
        writer.push_uint(len(inner), 1)
        writer.push_bytes(inner.getvalue())


def decode_rules(data: bytes, limit: int = MAX_NETWORK_RULES) -> tuple[Rule, ...]:
    """Read a table to its end; entries beyond `limit` are left out."""
    reader = Reader(data)
    rules: list[Rule] = []
    while reader and len(rules) < limit:
        rules.append(Rule.decode(reader))
    return tuple(rules)


def encode_rules(rules: Iterable[Rule]) -> bytes:
    """Write a table."""
    writer = Writer()
    for rule in rules:
        rule.encode(writer)
    return writer.getvalue()


def _number(size: int) -> Callable[[Reader], Field]:
    return lambda reader: Number(reader.pull_uint(size))


def _mac(reader: Reader) -> Field:
    return MacMatch(Mac(reader.pull_bytes(MAC_SIZE)))


def _prefix(size: int) -> Callable[[Reader], Field]:
    def decode(reader: Reader) -> Field:
        packed = reader.pull_bytes(size)
        bits = reader.pull_uint(1)
        if bits > 8 * size:
            raise WireError(f"rule: prefix /{bits} of a {size}-byte IP address")
        return Prefix(IPv4Address(packed) if size == 4 else IPv6Address(packed), bits)

    return decode


def _tos(reader: Reader) -> Field:
    return Tos(reader.pull_uint(1), reader.pull_uint(1), reader.pull_uint(1))


def _icmp(reader: Reader) -> Field:
    return Icmp(reader.pull_uint(1), reader.pull_uint(1), reader.pull_uint(1))


def _range(reader: Reader) -> Field:
    return Range(reader.pull_uint(2), reader.pull_uint(2))


def _tag(reader: Reader) -> Field:
    return TagMatch(reader.pull_uint(4), reader.pull_uint(4))


def _integer(reader: Reader) -> Field:
    return IntegerRange(
        reader.pull_uint(8), reader.pull_uint(8), reader.pull_uint(2), reader.pull_uint(1)
    )


def _nothing(reader: Reader) -> Field:
    return None


NUMBER_SIZES: Final[dict[int, int]] = {
    RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS: ADDRESS_SIZE,
    RuleType.MATCH_DEST_ZEROTIER_ADDRESS: ADDRESS_SIZE,
    RuleType.MATCH_VLAN_ID: 2,
    RuleType.MATCH_VLAN_PCP: 1,
    RuleType.MATCH_VLAN_DEI: 1,
    RuleType.MATCH_IP_PROTOCOL: 1,
    RuleType.MATCH_ETHERTYPE: 2,
    RuleType.MATCH_CHARACTERISTICS: 8,
    RuleType.MATCH_RANDOM: 4,
}
_DECODERS: Final[dict[int, Callable[[Reader], Field]]] = {
    **dict.fromkeys((0, 1, 5, 6), _nothing),
    **dict.fromkeys((2, 3, 4), Forward.decode),
    **{number: _number(size) for number, size in NUMBER_SIZES.items()},
    **dict.fromkeys((29, 30), _mac),
    **dict.fromkeys((31, 32), _prefix(4)),
    **dict.fromkeys((33, 34), _prefix(16)),
    RuleType.MATCH_IP_TOS: _tos,
    RuleType.MATCH_ICMP: _icmp,
    **dict.fromkeys((39, 40, 42), _range),
    **dict.fromkeys(range(44, 51), _tag),
    RuleType.INTEGER_RANGE: _integer,
}


def _push_field(number: int, field: Field, writer: Writer) -> None:
    match field:
        case None:
            pass
        case Forward():
            field.encode(writer)
        case Number(value):
            writer.push_uint(value, NUMBER_SIZES[number])
        case MacMatch(mac):
            writer.push_bytes(mac)
        case Prefix(ip, bits):
            writer.push_bytes(ip.packed)
            writer.push_uint(bits, 1)
        case Tos(first, second, third) | Icmp(first, second, third):
            writer.push_bytes(bytes((first, second, third)))
        case Range(start, end):
            writer.push_uint(start, 2)
            writer.push_uint(end, 2)
        case TagMatch(tag_id, value):
            writer.push_uint(tag_id, 4)
            writer.push_uint(value, 4)
        case IntegerRange(start, end, index, form):
            writer.push_uint(start, 8)
            writer.push_uint(end, 8)
            writer.push_uint(index, 2)
            writer.push_uint(form, 1)
        case _:
            writer.push_bytes(field.data)
