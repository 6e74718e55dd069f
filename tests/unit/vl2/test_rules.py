import pytest

from ztlink.ids import Address, Mac, parse_address, parse_network_id
from ztlink.inet.flow import parse_frame
from ztlink.vl2.rule_context import FrameContext, LocalParty, RemoteParty
from ztlink.vl2.rules import (
    Acceptance,
    Copy,
    CopyKind,
    Decision,
    Program,
    TableVerdict,
    decide_inbound,
    decide_outbound,
)
from ztlink.wire.rules import (
    Forward,
    Icmp,
    IntegerRange,
    MacMatch,
    Number,
    Range,
    Rule,
    RuleType,
    TagMatch,
)

OWN, PEER, THIRD = (parse_address(text) for text in ("53be9b7b42", "1598c1bf84", "6e9d2d106a"))
NETWORK = parse_network_id("1122334455667788")
DROP, ACCEPT = Rule(RuleType.ACTION_DROP), Rule(RuleType.ACTION_ACCEPT)
BREAK, PRIORITY = Rule(RuleType.ACTION_BREAK), Rule(RuleType.ACTION_PRIORITY)
UNKNOWN_ACTION = Rule(9)
IS_IPV4 = Rule(RuleType.MATCH_ETHERTYPE, Number(0x0800))
TAG = Rule(RuleType.MATCH_TAGS_EQUAL, TagMatch(1, 5))
TEE = Rule(RuleType.ACTION_TEE, Forward(THIRD, length=20))
WATCH = Rule(RuleType.ACTION_WATCH, Forward(THIRD))
REDIRECT = Rule(RuleType.ACTION_REDIRECT, Forward(THIRD))
HEADER = bytes.fromhex("020000000002020000000001")
IPV4_TCP = bytes.fromhex("08004500002800000000400600000a0000010a000002") + bytes(20)
IPV6_HEADER = bytes.fromhex("86dd600000000014") + b"\x06\x40" + bytes(32)


def no_chance(size: int) -> bytes:
    raise AssertionError("chance was asked for")


def context_for(
    payload: bytes = IPV4_TCP,
    *,
    is_inbound: bool = False,
    destination: Address = PEER,
    local: LocalParty | None = None,
    remote: RemoteParty | None = None,
) -> FrameContext:
    frame = memoryview(HEADER + payload)
    return FrameContext(
        frame,
        parse_frame(frame),
        local or LocalParty(OWN, no_chance),
        remote or RemoteParty(),
        source=PEER if is_inbound else OWN,
        destination=OWN if is_inbound else destination,
        is_inbound=is_inbound,
    )


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ((), TableVerdict.NO_MATCH),
        ((ACCEPT,), TableVerdict.ACCEPT),
        ((PRIORITY,), TableVerdict.ACCEPT),
        ((DROP, ACCEPT), TableVerdict.DROP),
        ((BREAK, ACCEPT), TableVerdict.NO_MATCH),
        ((UNKNOWN_ACTION, ACCEPT), TableVerdict.ACCEPT),
        ((IS_IPV4,), TableVerdict.NO_MATCH),
    ],
)
def test_a_table_without_a_condition_is_constant(
    rules: tuple[Rule, ...], verdict: TableVerdict
) -> None:
    assert Program(rules).constant is verdict


@pytest.mark.parametrize("rules", [(IS_IPV4, ACCEPT), (TEE, ACCEPT)])
def test_a_table_that_depends_on_the_frame_is_not_constant(rules: tuple[Rule, ...]) -> None:
    assert Program(rules).constant is None


def test_a_constant_table_does_not_read_the_frame() -> None:
    context = context_for()
    Program((ACCEPT,)).evaluate(context)
    assert not context.is_prepared


@pytest.mark.parametrize(
    "rule",
    [
        Rule(RuleType.MATCH_FRAME_SIZE_RANGE, Range(0, 100)),
        Rule(RuleType.MATCH_RANDOM, Number(1)),
        Rule(RuleType.MATCH_CHARACTERISTICS, Number(0x01)),
        Rule(RuleType.MATCH_CHARACTERISTICS, Number(0x08)),
        Rule(RuleType.MATCH_CHARACTERISTICS, Number(0x80)),
        Rule(RuleType.INTEGER_RANGE, IntegerRange(0, 1, 0, 7)),
        TEE,
        WATCH,
        REDIRECT,
    ],
)
def test_what_differs_between_segments_is_judged_per_segment(rule: Rule) -> None:
    assert Program((rule, DROP)).per_segment


@pytest.mark.parametrize(
    "rule",
    [
        IS_IPV4,
        TAG,
        Rule(RuleType.MATCH_IP_DEST_PORT_RANGE, Range(22, 22)),
        Rule(RuleType.MATCH_CHARACTERISTICS, Number(0x12)),
        Rule(RuleType.MATCH_CHARACTERISTICS, Number(1 << 63)),
    ],
)
def test_what_all_segments_share_is_judged_once(rule: Rule) -> None:
    assert not Program((rule, DROP)).per_segment


def test_a_constant_table_judges_once_whatever_follows() -> None:
    assert not Program((ACCEPT, TEE)).per_segment


def test_one_unknown_tag_of_the_recipient_stays_one_drop_only() -> None:
    local = LocalParty(OWN, no_chance, tags={1: 5})
    verdict = Program((TAG, DROP, DROP, ACCEPT)).evaluate(context_for(local=local))
    assert verdict is TableVerdict.DROP


def test_an_unknown_tag_of_the_recipient_stays_the_drop() -> None:
    local = LocalParty(OWN, no_chance, tags={1: 5})
    verdict = Program((TAG, DROP, ACCEPT)).evaluate(context_for(local=local))
    assert verdict is TableVerdict.ACCEPT


def test_an_unknown_action_does_not_undo_what_its_matches_did() -> None:
    local = LocalParty(OWN, no_chance, tags={1: 5})
    rules = (TAG, UNKNOWN_ACTION, DROP, ACCEPT)
    assert Program(rules).evaluate(context_for(local=local)) is TableVerdict.ACCEPT


def test_a_tag_that_the_sender_has_not_shown_matches_nothing() -> None:
    local = LocalParty(OWN, no_chance, tags={1: 5})
    context = context_for(is_inbound=True, local=local)
    assert Program((TAG, ACCEPT)).evaluate(context) is TableVerdict.NO_MATCH


def test_no_evaluation_inherits_from_the_one_before() -> None:
    context = context_for(local=LocalParty(OWN, no_chance, tags={1: 5}))
    Program((TAG, UNKNOWN_ACTION)).evaluate(context)
    assert Program((IS_IPV4, DROP)).evaluate(context) is TableVerdict.DROP


@pytest.mark.parametrize(("port", "verdict"), [(0, "NO_MATCH"), (1, "ACCEPT")])
def test_port_0_over_ipv6_is_no_port(port: int, verdict: str) -> None:
    payload = IPV6_HEADER + port.to_bytes(2, "big") * 2 + bytes(16)
    for kind in (RuleType.MATCH_IP_SOURCE_PORT_RANGE, RuleType.MATCH_IP_DEST_PORT_RANGE):
        program = Program((Rule(kind, Range(0, 10)), ACCEPT))
        assert program.evaluate(context_for(payload)).name == verdict


@pytest.mark.parametrize(
    ("ethernet_payload", "size", "verdict"),
    [
        (IPV4_TCP, 22 + 13, "NO_MATCH"),
        (IPV4_TCP, 22 + 14, "ACCEPT"),
        (IPV6_HEADER, 42 + 14, "NO_MATCH"),
        (IPV6_HEADER, 42 + 15, "ACCEPT"),
    ],
)
def test_tcp_flags_are_read_as_far_as_the_frame_reaches(
    ethernet_payload: bytes, size: int, verdict: str
) -> None:
    header_size = 22 if ethernet_payload is IPV4_TCP else 42
    payload = ethernet_payload[:header_size] + bytes(12) + b"\x50\x02" + bytes(10)
    program = Program((Rule(RuleType.MATCH_CHARACTERISTICS, Number(0x02)), ACCEPT))
    assert program.evaluate(context_for(payload[:size])).name == verdict


def test_not_does_not_turn_the_lack_of_a_field_into_a_match() -> None:
    rule = Rule(RuleType.MATCH_ICMP, Icmp(8, 0, 0), negate=True)
    assert Program((rule, ACCEPT)).evaluate(context_for()) is TableVerdict.NO_MATCH


def test_chance_comes_from_the_caller() -> None:
    local = LocalParty(OWN, lambda size: bytes(size - 1) + b"\x07")
    hit = Program((Rule(RuleType.MATCH_RANDOM, Number(7)), ACCEPT))
    miss = Program((Rule(RuleType.MATCH_RANDOM, Number(6)), ACCEPT))
    verdicts = [program.evaluate(context_for(local=local)).name for program in (hit, miss)]
    assert verdicts == ["ACCEPT", "NO_MATCH"]


def test_no_rules_drop_everything() -> None:
    decision = decide_outbound(context_for(), Program(()), [])
    assert decision == Decision(Acceptance.DROP)


def test_a_capability_accepts_what_the_base_rules_leave_open() -> None:
    decision = decide_outbound(context_for(), Program(()), [Program((DROP,)), Program((ACCEPT,))])
    assert decision.accepted


def test_a_capability_cannot_accept_what_the_base_rules_drop() -> None:
    assert not decide_outbound(context_for(), Program((DROP,)), [Program((ACCEPT,))]).accepted


def test_a_tee_copies_the_head_of_the_frame() -> None:
    decision = decide_outbound(context_for(), Program((TEE, ACCEPT)), [])
    assert decision.copies == (Copy(THIRD, 20, CopyKind.TEE_OUTBOUND),)


def test_no_tee_leaves_copies_out() -> None:
    decision = decide_outbound(context_for(), Program((WATCH, ACCEPT)), [], no_tee=True)
    assert decision == Decision(Acceptance.ACCEPT)


def test_no_tee_does_not_keep_a_frame_from_being_redirected() -> None:
    decision = decide_outbound(context_for(), Program((TEE, REDIRECT)), [], no_tee=True)
    copies = (Copy(THIRD, 40, CopyKind.REDIRECT_OUTBOUND),)
    assert decision == Decision(Acceptance.DROP, copies, redirected_to=THIRD)


def test_the_copy_of_a_capability_goes_before_that_of_the_base_rules() -> None:
    decision = decide_inbound(
        context_for(is_inbound=True), Program((TEE,)), [Program((WATCH, ACCEPT))]
    )
    kinds = [copy.kind for copy in decision.copies]
    assert kinds == [CopyKind.WATCH_INBOUND, CopyKind.TEE_INBOUND]


def test_what_is_redirected_to_us_is_accepted_whoever_it_is_for() -> None:
    to_us = Rule(RuleType.ACTION_REDIRECT, Forward(OWN))
    decision = decide_inbound(context_for(is_inbound=True), Program((to_us,)), [])
    assert decision.acceptance is Acceptance.SUPER_ACCEPT


def test_a_mac_is_matched_by_its_bytes() -> None:
    rule = Rule(RuleType.MATCH_MAC_SOURCE, MacMatch(Mac(HEADER[6:12])))
    assert Program((rule, ACCEPT)).evaluate(context_for()) is TableVerdict.ACCEPT
