"""The rules of a network: compiled once for each configuration, then applied to every frame.

A table is a list of matches and actions. Matches since the last action decide together whether the
next action is taken; the first that ends the evaluation is the table's verdict. A network has its
base rules; what they leave undecided, one of the sender's capabilities may still accept
(wire.adoc#rules).

A rule may also have a copy of the frame sent to a third member (TEE, WATCH), or the frame itself
(REDIRECT). Nothing is sent here: a decision says what is to be sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final

from ztlink.ids import ADDRESS_SIZE, Address
from ztlink.inet.ether import SIZE_ETHERNET
from ztlink.inet.tcp import FLAG_CWR, FLAG_FIN, FLAG_PSH
from ztlink.vl2.rule_context import FrameContext
from ztlink.vl2.rule_matches import Match, compile_match
from ztlink.wire.rules import Forward, Number, Rule, RuleType


class TableVerdict(Enum):
    """What one table says of a frame."""

    NO_MATCH = auto()
    DROP = auto()
    REDIRECT = auto()
    ACCEPT = auto()
    SUPER_ACCEPT = auto()
    """Accepted because it was sent to us for inspection, whoever it is meant for."""


class Acceptance(IntEnum):
    """What all tables together say of a frame."""

    DROP = 0
    """Also of a frame that goes elsewhere."""
    ACCEPT = 1
    SUPER_ACCEPT = 2
    """Not even the rules for bridges apply."""


class CopyKind(IntEnum):
    """Why a member gets a copy of a frame; values are the flags of its EXT_FRAME."""

    TEE_OUTBOUND = 0x02
    REDIRECT_OUTBOUND = 0x04
    TEE_INBOUND = 0x08
    REDIRECT_INBOUND = 0x0A
    WATCH_OUTBOUND = 0x16
    WATCH_INBOUND = 0x1C


@dataclass(frozen=True, slots=True)
class Copy:
    """The first `size` bytes of the Ethernet payload, for `address`."""

    address: Address
    size: int
    kind: CopyKind


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a frame, and the copies to be sent, in order."""

    acceptance: Acceptance
    copies: tuple[Copy, ...] = ()
    redirected_to: Address | None = None
    """Where the frame goes instead; its copy is the last of `copies`."""

    @property
    def accepted(self) -> bool:
        """Whether the frame goes on as it was meant to."""
        return self.acceptance is not Acceptance.DROP


DROPPED: Final = Decision(Acceptance.DROP)
ACCEPTED: Final = Decision(Acceptance.ACCEPT)

_FINAL: Final[dict[int, TableVerdict]] = {
    RuleType.ACTION_DROP: TableVerdict.DROP,
    RuleType.ACTION_ACCEPT: TableVerdict.ACCEPT,
    RuleType.ACTION_PRIORITY: TableVerdict.ACCEPT,
    RuleType.ACTION_BREAK: TableVerdict.NO_MATCH,
}
_MASK_ADDRESS: Final = (1 << 8 * ADDRESS_SIZE) - 1
_FORWARDS: Final = frozenset((RuleType.ACTION_TEE, RuleType.ACTION_WATCH, RuleType.ACTION_REDIRECT))
_ACCEPTING: Final = frozenset(
    (TableVerdict.ACCEPT, TableVerdict.SUPER_ACCEPT, TableVerdict.REDIRECT)
)
_PER_SEGMENT: Final = _FORWARDS | {
    RuleType.MATCH_FRAME_SIZE_RANGE,
    RuleType.MATCH_RANDOM,
    RuleType.INTEGER_RANGE,
}
_PER_SEGMENT_FLAGS: Final = FLAG_FIN | FLAG_PSH | FLAG_CWR
"""What differs between the segments of a super-frame; its other flags are those of all."""

_Step = tuple[tuple[Match, ...], tuple[bool, ...] | None, int, Forward | None]
"""Matches, which of them have the OR bit (None: none has), the action, and its field."""


class Program:
    """A rule table, ready to be applied."""

    __slots__ = ("_steps", "constant", "per_segment")

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = tuple(rules)
        self._steps = _compile(rules)
        self.constant: Final = _constant(self._steps)
        """The verdict, where it is the same for every frame."""
        self.per_segment: Final = self.constant is None and any(map(_is_per_segment, rules))
        """Whether the frames of one super-frame may be judged differently."""

    def evaluate(self, context: FrameContext) -> TableVerdict:
        """Judge a frame; copies and another destination are left in the context."""
        context.begin()
        if self.constant is not None:
            return self.constant
        if not context.is_prepared:
            context.prepare()
        for matches, ors, action, forward in self._steps:
            if ors is None:
                for match in matches:
                    if not match(context):
                        is_taken = False
                        break
                else:
                    is_taken = True
            else:
                is_taken = _any_of(context, matches, ors)
            if forward is not None:
                verdict = _forward(context, action, forward, is_taken=is_taken)
                if verdict is not None:
                    return verdict
            elif is_taken and action in _FINAL:  # others are not known: only their matches count
                if action != RuleType.ACTION_DROP or not context.skip_drop:
                    return _verdict(context, action)
                context.skip_drop = False
        return TableVerdict.NO_MATCH


def _any_of(context: FrameContext, matches: tuple[Match, ...], ors: tuple[bool, ...]) -> bool:
    """Combine matches of which some have the OR bit; one without is skipped once it cannot help."""
    is_taken = True
    for match, is_or in zip(matches, ors, strict=True):
        if is_or:
            is_taken = match(context) or is_taken
        elif is_taken:
            is_taken = match(context)
    return is_taken


def _verdict(context: FrameContext, action: int) -> TableVerdict:
    if action == RuleType.ACTION_ACCEPT and context.is_super:
        return TableVerdict.SUPER_ACCEPT
    return _FINAL[action]


def _forward(
    context: FrameContext, action: int, forward: Forward, *, is_taken: bool
) -> TableVerdict | None:
    """Note a copy or another destination; return what ends the evaluation."""
    address = Address(forward.address & _MASK_ADDRESS)
    if not is_taken:
        if context.is_inbound and address == context.local.address:
            context.is_super = True
        return None
    if address == context.source:
        return None
    if address == context.local.address:
        return TableVerdict.SUPER_ACCEPT if context.is_inbound else None
    if address == context.destination:
        return None
    if action == RuleType.ACTION_REDIRECT:
        context.redirected_to = address
        return TableVerdict.REDIRECT
    context.copy_to = address
    context.copy_size = min(context.size, forward.length) if forward.length else context.size
    context.copy_is_watch = action == RuleType.ACTION_WATCH
    return None


def _compile(rules: tuple[Rule, ...]) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    matches: list[Match] = []
    ors: list[bool] = []
    for rule in rules:
        if not rule.is_action:
            matches.append(compile_match(rule))
            ors.append(rule.or_flag)
            continue
        forward = rule.field if isinstance(rule.field, Forward) else None
        if matches or rule.type in _FINAL or forward is not None:
            steps.append((tuple(matches), tuple(ors) if any(ors) else None, rule.type, forward))
        matches, ors = [], []
    return tuple(steps)


def _constant(steps: tuple[_Step, ...]) -> TableVerdict | None:
    if not steps:
        return TableVerdict.NO_MATCH
    matches, _, action, forward = steps[0]
    return _FINAL[action] if not matches and forward is None else None


def _is_per_segment(rule: Rule) -> bool:
    if rule.type == RuleType.MATCH_CHARACTERISTICS and isinstance(rule.field, Number):
        return bool(rule.field.value & _PER_SEGMENT_FLAGS)
    return rule.type in _PER_SEGMENT


def decide_outbound(
    context: FrameContext, base: Program, capabilities: Iterable[Program], *, no_tee: bool = False
) -> Decision:
    """Judge a frame that we send; `capabilities` are ours, by ascending id.

    With `no_tee`, copies are left out, since an earlier decision on the same frame has made them.
    """
    if base.constant is TableVerdict.ACCEPT:
        return ACCEPTED
    tee = None if no_tee else (CopyKind.TEE_OUTBOUND, CopyKind.WATCH_OUTBOUND)
    return _decide(context, base, capabilities, tee, CopyKind.REDIRECT_OUTBOUND)


def decide_inbound(
    context: FrameContext, base: Program, capabilities: Iterable[Program]
) -> Decision:
    """Judge a frame that we received; `capabilities` are those of the sender that are in force."""
    if base.constant is TableVerdict.ACCEPT:
        return ACCEPTED
    tee = (CopyKind.TEE_INBOUND, CopyKind.WATCH_INBOUND)
    return _decide(context, base, capabilities, tee, CopyKind.REDIRECT_INBOUND)


def _decide(
    context: FrameContext,
    base: Program,
    capabilities: Iterable[Program],
    tee: tuple[CopyKind, CopyKind] | None,
    redirect: CopyKind,
) -> Decision:
    verdict = base.evaluate(context)
    if verdict is TableVerdict.DROP:
        return DROPPED
    copies = _copy(context, tee)
    if verdict is TableVerdict.NO_MATCH:
        for capability in capabilities:
            verdict = capability.evaluate(context)
            if verdict in _ACCEPTING:
                copies = _copy(context, tee) + copies
                break
        else:
            return DROPPED
    if context.redirected_to:
        size = len(context.frame) - SIZE_ETHERNET
        copies += (Copy(context.redirected_to, size, redirect),)
        return Decision(Acceptance.DROP, copies, context.redirected_to)
    if verdict is TableVerdict.SUPER_ACCEPT:
        return Decision(Acceptance.SUPER_ACCEPT, copies)
    return Decision(Acceptance.ACCEPT, copies) if copies else ACCEPTED


def _copy(context: FrameContext, tee: tuple[CopyKind, CopyKind] | None) -> tuple[Copy, ...]:
    """Return the copy that the last table asked for, `tee` being the kinds of TEE and WATCH."""
    if tee is None or not context.copy_to:
        return ()
    return (Copy(context.copy_to, context.copy_size, tee[context.copy_is_watch]),)
