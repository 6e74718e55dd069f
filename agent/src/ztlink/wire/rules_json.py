"""Rules as the controller's API writes them (wire.adoc#rules-json)."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from reprlib import Repr
from typing import Final

from ztlink.errors import WireError
from ztlink.ids import (
    ADDRESS_SIZE,
    MAC_SIZE,
    Address,
    Mac,
    format_address,
    format_mac,
    parse_address,
)
from ztlink.wire.rules import (
    NUMBER_SIZES,
    Field,
    Forward,
    Icmp,
    IntegerRange,
    MacMatch,
    Number,
    Opaque,
    Prefix,
    Range,
    Rule,
    RuleType,
    TagMatch,
    Tos,
)

JsonValue = bool | int | str | None
JsonRule = dict[str, JsonValue]

_NUMBER_KEYS: Final[dict[int, str]] = {
    RuleType.MATCH_VLAN_ID: "vlanId",
    RuleType.MATCH_VLAN_PCP: "vlanPcp",
    RuleType.MATCH_VLAN_DEI: "vlanDei",
    RuleType.MATCH_IP_PROTOCOL: "ipProtocol",
    RuleType.MATCH_ETHERTYPE: "etherType",
    RuleType.MATCH_RANDOM: "probability",
}
_ZT_TYPES: Final = frozenset(
    {RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS, RuleType.MATCH_DEST_ZEROTIER_ADDRESS}
)
_FORWARD_TYPES: Final = frozenset(
    {RuleType.ACTION_TEE, RuleType.ACTION_WATCH, RuleType.ACTION_REDIRECT}
)
_BARE_TYPES: Final = frozenset(
    {
        RuleType.ACTION_DROP,
        RuleType.ACTION_ACCEPT,
        RuleType.ACTION_BREAK,
        RuleType.ACTION_PRIORITY,
    }
)
_IPV4_TYPES: Final = frozenset({RuleType.MATCH_IPV4_SOURCE, RuleType.MATCH_IPV4_DEST})
_IPV6_TYPES: Final = frozenset({RuleType.MATCH_IPV6_SOURCE, RuleType.MATCH_IPV6_DEST})
_RANGE_TYPES: Final = frozenset(
    {
        RuleType.MATCH_IP_SOURCE_PORT_RANGE,
        RuleType.MATCH_IP_DEST_PORT_RANGE,
        RuleType.MATCH_FRAME_SIZE_RANGE,
    }
)


def shortened(value: object) -> str:
    """Return a value for a message: in short, however large or deep it is."""
    short = Repr()
    short.maxlevel, short.maxlist, short.maxdict = 2, 3, 3
    short.maxstring = short.maxother = short.maxlong = 80
    return short.repr(value)


def rule_to_json(rule: Rule) -> JsonRule:
    """Return the API's form of a rule; types that it does not know become UNKNOWN_n."""
    known = rule.type in set(RuleType)
    name = RuleType(rule.type).name if known else f"UNKNOWN_{rule.type}"
    result: JsonRule = {"type": name, "not": rule.negate, "or": rule.or_flag}
    result.update(_field_to_json(rule.type, rule.field))
    return result


def _field_to_json(kind: int, field: Field) -> JsonRule:
    match field:
        case Forward(address, flags, length):
            forward: JsonRule = {"address": format_address(address), "flags": flags}
            if kind != RuleType.ACTION_REDIRECT:
                forward["length"] = length
            return forward
        case Number(value) if kind in _ZT_TYPES:
            return {"zt": format_address(Address(value))}
        case Number(value) if kind == RuleType.MATCH_CHARACTERISTICS:
            return {"mask": f"{value:016x}"}
        case Number(value):
            return {_NUMBER_KEYS[kind]: value}
        case MacMatch(mac):
            return {"mac": format_mac(mac)}
        case Prefix(ip, bits):
            return {"ip": f"{ip}/{bits}"}
        case Tos(mask, start, end):
            return {"mask": mask, "start": start, "end": end}
        case Icmp(icmp_type, icmp_code):
            return {"icmpType": icmp_type, "icmpCode": icmp_code if field.checks_code else None}
        case Range(start, end):
            return {"start": start, "end": end}
        case TagMatch(tag_id, value):
            return {"id": tag_id, "value": value}
        case None | Opaque():
            return {}
        case _:
            return {
                "start": f"{field.start:016x}",
                "end": f"{field.end:016x}",
                "idx": field.index,
                "little": field.is_little_endian,
                "bits": field.bits,
            }


def rule_from_json(entry: Mapping[str, object]) -> Rule:
    """Read the API's form of a rule; raises WireError with what is wrong."""
    name = entry.get("type")
    if not isinstance(name, str) or name not in RuleType.__members__:
        raise WireError(f"rule: type {shortened(name)} is unknown")
    kind = RuleType[name]
    field = _field_from_json(kind, entry)
    return Rule(kind, field, _flag(entry, "not"), _flag(entry, "or"))


def _field_from_json(kind: RuleType, entry: Mapping[str, object]) -> Field:
    if kind in _BARE_TYPES:
        return None
    if kind in _FORWARD_TYPES:
        flags, length = _integer(entry, "flags", 4, 0), _integer(entry, "length", 2, 0)
        return Forward(_address(entry, "address"), flags, length)
    if kind in _ZT_TYPES:
        return Number(_address(entry, "zt"))
    if kind in _NUMBER_KEYS:
        return Number(_integer(entry, _NUMBER_KEYS[kind], NUMBER_SIZES[kind]))
    if kind in _IPV4_TYPES or kind in _IPV6_TYPES:
        return _prefix(entry, is_v4=kind in _IPV4_TYPES)
    if kind in _RANGE_TYPES:
        start = _integer(entry, "start", 2)
        return Range(start, _integer(entry, "end", 2, start))
    match kind:
        case RuleType.MATCH_MAC_SOURCE | RuleType.MATCH_MAC_DEST:
            return _mac(entry)
        case RuleType.MATCH_IP_TOS:
            mask, start, end = (_integer(entry, key, 1) for key in ("mask", "start", "end"))
            return Tos(mask, start, end)
        case RuleType.MATCH_ICMP:
            return _icmp(entry)
        case RuleType.MATCH_CHARACTERISTICS:
            return Number(_hex_or_integer(entry, "mask"))
        case RuleType.INTEGER_RANGE:
            return _integer_range(entry)
        case _:
            return TagMatch(_integer(entry, "id", 4), _integer(entry, "value", 4))


def _icmp(entry: Mapping[str, object]) -> Icmp:
    checks_code = entry.get("icmpCode") is not None
    code = _integer(entry, "icmpCode", 1) if checks_code else 0
    return Icmp(_integer(entry, "icmpType", 1), code, int(checks_code))


def _integer_range(entry: Mapping[str, object]) -> IntegerRange:
    bits = _integer(entry, "bits", 1)
    if not 1 <= bits <= 64:
        raise WireError(f"rule: bits {bits} is not from 1 to 64")
    form = bits - 1 | (0x80 if _flag(entry, "little") else 0)
    start, end = _hex_or_integer(entry, "start"), _hex_or_integer(entry, "end")
    return IntegerRange(start, end, _integer(entry, "idx", 2), form)


def _prefix(entry: Mapping[str, object], *, is_v4: bool) -> Prefix:
    text, separator, bits = _text(entry, "ip").partition("/")
    try:
        ip = ip_address(text)
        size = int(bits) if separator else ip.max_prefixlen
    except ValueError as error:
        raise WireError(f"rule: ip {shortened(text)}/{bits[:20]}") from error
    if not isinstance(ip, IPv4Address if is_v4 else IPv6Address) or not (
        0 <= size <= ip.max_prefixlen
    ):
        raise WireError(
            f"rule: ip {shortened(text)}/{bits[:20]} is not an IPv{4 if is_v4 else 6} range"
        )
    return Prefix(ip, size)


def _mac(entry: Mapping[str, object]) -> MacMatch:
    text = _text(entry, "mac")
    try:
        packed = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError as error:
        raise WireError(f"rule: mac {shortened(text)}") from error
    if len(packed) != MAC_SIZE:
        raise WireError(f"rule: mac {shortened(text)}")
    return MacMatch(Mac(packed))


def _flag(entry: Mapping[str, object], key: str) -> bool:
    """Read a truth value, false where it is left out: the word "false" would be true in Python."""
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise WireError(f"rule: {key} {shortened(value)} is not true or false")
    return value


def _text(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise WireError(f"rule: {key} {shortened(value)} is not a text")
    return value


def _address(entry: Mapping[str, object], key: str) -> Address:
    text = _text(entry, key)
    try:
        return parse_address(text.zfill(2 * ADDRESS_SIZE))
    except ValueError as error:
        raise WireError(f"rule: {key} {shortened(text)} is not an address") from error


def _integer(entry: Mapping[str, object], key: str, size: int, default: int | None = None) -> int:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
        raise WireError(f"rule: {key} {shortened(value)} is not a number of {8 * size} bits")
    return value


def _hex_or_integer(entry: Mapping[str, object], key: str) -> int:
    value = entry.get(key)
    if isinstance(value, str):
        try:
            number = int(value, 16)
        except ValueError as error:
            raise WireError(f"rule: {key} {shortened(value)} is not hex") from error
        return _integer({key: number}, key, 8)
    return _integer(entry, key, 8)
