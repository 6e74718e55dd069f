"""The matches of a rule table, each compiled to a function of the frame (wire.adoc#rules).

Some answers are final: where a frame has no such field at all, the answer is no, with NOT or
without. So NOT is part of the function, and not applied to what it returns.
"""

from collections.abc import Callable
from typing import Final

from ztlink.inet.ether import SIZE_ETHERNET
from ztlink.inet.ip import PROTOCOL_ICMP, PROTOCOL_ICMPV6, VERSION_4, VERSION_6
from ztlink.vl2.rule_context import FrameContext
from ztlink.wire.rules import (
    Icmp,
    IntegerRange,
    MacMatch,
    Number,
    Prefix,
    Range,
    Rule,
    RuleType,
    TagMatch,
    Tos,
)

Match = Callable[[FrameContext], bool]

_IPV4_BITS: Final = 32
_IPV6_BITS: Final = 128
_MASK_64: Final = (1 << 64) - 1
_MASK_32: Final = (1 << 32) - 1
_SIZE_RANDOM: Final = 4
_SIZE_INTEGER: Final = 8


def compile_match(rule: Rule) -> Match:
    """Return the function that tells whether a frame matches."""
    negate = rule.negate
    match rule.field:
        case Number(value):
            return _number(rule.type, value, negate)
        case MacMatch(mac):
            if rule.type == RuleType.MATCH_MAC_SOURCE:
                return lambda context: (context.source_mac == mac) != negate
            return lambda context: (context.destination_mac == mac) != negate
        case Prefix():
            return _prefix(rule.type, rule.field, negate)
        case Tos():
            return _tos(rule.field, negate)
        case Icmp():
            return _icmp(rule.field, negate)
        case Range():
            return _range(rule.type, rule.field, negate)
        case TagMatch():
            return _tag(rule.type, rule.field, negate)
        case IntegerRange():
            return _integer(rule.field, negate)
        case _:
            return lambda context: context.local.unknown_matches != negate


def _number(kind: int, value: int, negate: bool) -> Match:
    match kind:
        case RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS:
            return lambda context: (context.source == value) != negate
        case RuleType.MATCH_DEST_ZEROTIER_ADDRESS:
            return lambda context: (context.destination == value) != negate
        case RuleType.MATCH_ETHERTYPE:
            return lambda context: (context.ethertype == value) != negate
        case RuleType.MATCH_IP_PROTOCOL:
            return lambda context: context.has_l4 and (context.protocol == value) != negate
        case RuleType.MATCH_CHARACTERISTICS:
            return _characteristics(value, negate)
        case RuleType.MATCH_RANDOM:
            return lambda context: (_chance(context) <= value) != negate
        case _:  # VLAN tags are not looked into: every frame counts as one of VLAN 0
            is_match = (value == 0) != negate
            return lambda context: is_match


def _chance(context: FrameContext) -> int:
    return int.from_bytes(context.local.random_bytes(_SIZE_RANDOM), "big")


def _characteristics(mask: int, negate: bool) -> Match:
    def matches(context: FrameContext) -> bool:
        bits = context.characteristics
        if bits is None:
            bits = context.read_characteristics()
        return (bits & mask != 0) != negate

    return matches


def _prefix(kind: int, prefix: Prefix, negate: bool) -> Match:
    value = int(prefix.ip)
    if kind in (RuleType.MATCH_IPV4_SOURCE, RuleType.MATCH_IPV4_DEST):
        version, shift = VERSION_4, _IPV4_BITS - prefix.bits
        value = value >> shift << shift
    else:
        version, shift = VERSION_6, _IPV6_BITS - prefix.bits
        # Host bits of an IPv6 rule are not masked out: with any of them, it never matches.
    if kind in (RuleType.MATCH_IPV4_SOURCE, RuleType.MATCH_IPV6_SOURCE):
        return lambda context: (
            context.version == version
            and (context.flow.source >> shift << shift == value) != negate
        )
    return lambda context: (
        context.version == version
        and (context.flow.destination >> shift << shift == value) != negate
    )


def _tos(tos: Tos, negate: bool) -> Match:
    mask, start, end = tos.mask, tos.start, tos.end
    return lambda context: (
        context.version != 0 and (start <= context.flow.tos & mask <= end) != negate
    )


def _icmp(icmp: Icmp, negate: bool) -> Match:
    kind, code, checks_code = icmp.icmp_type, icmp.icmp_code, icmp.checks_code

    def matches(context: FrameContext) -> bool:
        protocol = PROTOCOL_ICMP if context.version == VERSION_4 else PROTOCOL_ICMPV6
        offset = context.flow.l4_offset
        if not context.has_l4 or context.protocol != protocol:
            return False
        if offset + 2 > len(context.frame) or context.frame[offset] != kind:
            return False
        return not checks_code or (context.frame[offset + 1] == code) != negate

    return matches


def _range(kind: int, limits: Range, negate: bool) -> Match:
    start, end = limits.start, limits.end
    match kind:
        case RuleType.MATCH_IP_SOURCE_PORT_RANGE:
            return lambda context: (
                context.has_l4 and (start <= context.source_port <= end) != negate
            )
        case RuleType.MATCH_IP_DEST_PORT_RANGE:
            return lambda context: (
                context.has_l4 and (start <= context.destination_port <= end) != negate
            )
        case _:
            return lambda context: (start <= context.size <= end) != negate


_Compare = Callable[[int, int, int], bool]

_COMPARISONS: Final[dict[int, _Compare]] = {
    RuleType.MATCH_TAGS_DIFFERENCE: lambda ours, theirs, value: abs(ours - theirs) <= value,
    RuleType.MATCH_TAGS_BITWISE_AND: lambda ours, theirs, value: ours & theirs == value,
    RuleType.MATCH_TAGS_BITWISE_OR: lambda ours, theirs, value: ours | theirs == value,
    RuleType.MATCH_TAGS_BITWISE_XOR: lambda ours, theirs, value: ours ^ theirs == value,
    RuleType.MATCH_TAGS_EQUAL: lambda ours, theirs, value: ours == value == theirs,
}


def _tag(kind: int, tag: TagMatch, negate: bool) -> Match:
    compare = _COMPARISONS.get(kind)
    if compare is None:
        return _one_sided_tag(tag, negate, is_sender=kind == RuleType.MATCH_TAG_SENDER)
    return _two_sided_tag(tag, negate, compare)


def _two_sided_tag(tag: TagMatch, negate: bool, compare: _Compare) -> Match:
    tag_id, value = tag.tag_id, tag.value

    def matches(context: FrameContext) -> bool:
        ours = context.local.tags.get(tag_id)
        if ours is None:
            return False
        theirs = context.remote.tags.get(tag_id)
        if theirs is not None:
            return compare(ours, theirs, value) != negate
        if context.is_inbound and not context.is_super:
            return False
        context.skip_drop = True  # the other side knows its own tag, and judges by it
        return True

    return matches


def _one_sided_tag(tag: TagMatch, negate: bool, *, is_sender: bool) -> Match:
    tag_id, value = tag.tag_id, tag.value

    def matches(context: FrameContext) -> bool:
        if context.is_super:
            context.skip_drop = True
            return True
        is_ours = is_sender != context.is_inbound
        held = (context.local if is_ours else context.remote).tags.get(tag_id)
        if held is not None:
            return (held == value) != negate
        if is_ours or is_sender:
            return False
        context.skip_drop = True
        return True

    return matches


def _integer(integer: IntegerRange, negate: bool) -> Match:
    start = integer.start
    end = start + (integer.end - start & _MASK_32) & _MASK_64
    bits = integer.bits
    size = (bits + 7) // 8
    is_little_endian = integer.is_little_endian
    first = SIZE_ETHERNET + integer.index + (0 if is_little_endian else _SIZE_INTEGER - size)
    after = first + size
    mask, shift = (1 << bits) - 1, 8 * size - bits

    def matches(context: FrameContext) -> bool:
        if after > len(context.frame):
            value = 0
        elif is_little_endian:
            value = int.from_bytes(context.frame[first:after], "little") >> shift
        else:
            value = int.from_bytes(context.frame[first:after], "big") & mask
        return (start <= value <= end) != negate

    return matches
