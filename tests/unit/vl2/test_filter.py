"""The rules of a network applied to frames, once for each super-frame where that is enough."""

from dataclasses import replace

import pytest

from tests.unit.inet.frames import ETHERNET_4, Packet
from tests.unit.vl2.rig import (
    CONTROLLER,
    NETWORK,
    OWN,
    PEER,
    START,
    STRANGER,
    Member,
    make_com,
    make_config,
)
from ztlink.batch import SuperFrame
from ztlink.crypto.identity import sign
from ztlink.inet.flow import parse
from ztlink.vl2.filter import Filter, cut_frames, send_copies
from ztlink.vl2.rules import ACCEPTED, DROPPED, Acceptance, Copy, CopyKind
from ztlink.wire.buffer import Reader
from ztlink.wire.credentials import Capability, Custody, Tag
from ztlink.wire.network import ExtFrame
from ztlink.wire.rules import Forward, Number, Range, Rule, RuleType, TagMatch
from ztlink.wire.verbs import Verb

ACCEPT = Rule(RuleType.ACTION_ACCEPT)
DROP = Rule(RuleType.ACTION_DROP)
IS_IPV4 = Rule(RuleType.MATCH_ETHERTYPE, Number(0x0800))
IS_SMALL = Rule(RuleType.MATCH_FRAME_SIZE_RANGE, Range(0, 100))
TEE = Rule(RuleType.ACTION_TEE, Forward(STRANGER.address))
SAME_TAG = Rule(RuleType.MATCH_TAGS_EQUAL, TagMatch(1, 7))
FRAME = Packet(payload=bytes(2500)).super_frame(1000)
"""A TCP super-frame, to be cut into three."""


def plain(data: bytes = b"data") -> SuperFrame:
    return SuperFrame(memoryview(bytearray(ETHERNET_4 + Packet(payload=data).encode())))


def tag(member: object, value: int) -> Tag:
    address = member.address  # type: ignore[attr-defined]
    bare = Tag(NETWORK, START.unix_ms, 1, value, address, CONTROLLER.address, bytes(96))
    return replace(bare, signature=sign(CONTROLLER, bare.signing_input()))


def capability(number: int, *rules: Rule, to: object = PEER) -> Capability:
    """Return a capability that the controller has given to a member."""
    bare = Capability(NETWORK, START.unix_ms, number, rules)
    address = to.address  # type: ignore[attr-defined]
    custody = Custody(address, CONTROLLER.address, sign(CONTROLLER, bare.signing_input()))
    return replace(bare, custody=(custody,))


class Judge:
    """A member of a network with these rules, and its filter."""

    def __init__(self, *rules: Rule, **config: object) -> None:
        self.member = Member(make_config(rules=rules, **config))
        self.network = self.member.network
        self.filter = Filter(self.member.underlay)
        self.member.vl2.credentials.add(make_com(PEER), PEER.address, START)

    def shows(self, credential: Tag | Capability) -> None:
        """Have the peer show a credential."""
        self.member.vl2.credentials.add(credential, PEER.address, START)

    def outbound(self, frame: SuperFrame, *, to: object = PEER, no_tee: bool = False) -> object:
        recipient = getattr(to, "address", None)
        flow = parse(frame)
        return self.filter.outbound(self.network, frame, flow, recipient, no_tee=no_tee)

    def inbound(self, frame: SuperFrame) -> object:
        return self.filter.inbound(self.network, PEER.address, frame)


# -- judging ---------------------------------------------------------------------------------


def test_a_network_that_accepts_everything_is_not_looked_at_further() -> None:
    judge = Judge(ACCEPT)
    assert judge.outbound(plain()) is ACCEPTED
    assert judge.inbound(plain()) is ACCEPTED


def test_a_network_without_rules_lets_nothing_pass() -> None:
    judge = Judge()
    assert judge.outbound(plain()) is DROPPED
    assert judge.inbound(plain()) is DROPPED


def test_a_rule_decides_in_both_directions() -> None:
    judge = Judge(IS_IPV4, DROP, ACCEPT)
    assert judge.outbound(plain()) is DROPPED
    assert judge.inbound(plain()) is DROPPED


def test_a_frame_that_nobody_has_read_is_read_for_the_rules() -> None:
    judge = Judge(IS_IPV4, DROP, ACCEPT)
    decision = judge.filter.outbound(judge.network, plain(), None, PEER.address, no_tee=False)
    assert decision is DROPPED


@pytest.mark.parametrize(("value", "verdict"), [(7, ACCEPTED), (8, DROPPED)])
def test_the_tag_that_the_peer_has_shown_is_compared_with_ours(value: int, verdict: object) -> None:
    judge = Judge(SAME_TAG, ACCEPT, tags=(tag(OWN, 7),))
    assert judge.inbound(plain()) is DROPPED
    judge.shows(tag(PEER, value))
    assert judge.outbound(plain()) is verdict
    assert judge.inbound(plain()) is verdict


def test_of_a_recipient_that_is_not_known_yet_nothing_is_known_to_the_rules() -> None:
    judge = Judge(SAME_TAG, ACCEPT, tags=(tag(OWN, 7),))
    judge.shows(tag(PEER, 8))
    assert judge.outbound(plain(), to=PEER) is DROPPED
    assert judge.outbound(plain(), to=None) is ACCEPTED  # its recipient is to judge


def test_a_capability_of_the_sender_lets_pass_what_the_rules_leave_open() -> None:
    judge = Judge()
    judge.shows(capability(3, IS_IPV4, ACCEPT))
    assert judge.inbound(plain()) is ACCEPTED
    assert judge.outbound(plain()) is DROPPED


def test_our_own_capability_lets_us_send() -> None:
    judge = Judge(capabilities=(capability(3, IS_IPV4, ACCEPT, to=OWN),))
    assert judge.outbound(plain()) is ACCEPTED
    assert judge.inbound(plain()) is DROPPED


def test_a_copy_is_left_out_where_an_earlier_decision_made_it() -> None:
    judge = Judge(TEE, ACCEPT)
    first = judge.outbound(plain())
    assert [copy.address for copy in first.copies] == [STRANGER.address]  # type: ignore[attr-defined]
    again = judge.outbound(plain(), no_tee=True)
    assert again.copies == ()  # type: ignore[attr-defined]
    assert again.acceptance is Acceptance.ACCEPT  # type: ignore[attr-defined]


# -- segments --------------------------------------------------------------------------------


def test_rules_about_what_all_segments_share_judge_a_super_frame_once() -> None:
    judge = Judge(IS_IPV4, DROP, ACCEPT)
    assert not judge.filter.is_per_segment(judge.network)
    assert not judge.filter.is_per_segment(judge.network, PEER.address)


def test_rules_about_the_size_of_a_frame_judge_each_segment() -> None:
    judge = Judge(IS_SMALL, DROP, ACCEPT)
    assert judge.filter.is_per_segment(judge.network)
    assert judge.filter.is_per_segment(judge.network, PEER.address)


def test_a_capability_about_the_size_of_a_frame_counts_for_its_sender_only() -> None:
    judge = Judge()
    judge.shows(capability(3, IS_SMALL, ACCEPT))
    assert judge.filter.is_per_segment(judge.network, PEER.address)
    assert not judge.filter.is_per_segment(judge.network)
    assert not judge.filter.is_per_segment(judge.network, STRANGER.address)


def test_a_super_frame_is_cut_into_the_frames_that_it_stands_for() -> None:
    packet = Packet(payload=bytes(range(250)) * 10)
    pieces = cut_frames(packet.super_frame(1000))
    assert [bytes(piece.buffer) for piece in pieces] == [
        ETHERNET_4 + piece.encode() for piece in packet.cut(1000)
    ]


# -- copies ----------------------------------------------------------------------------------


def copies_of(frame: SuperFrame, size: int) -> list[ExtFrame]:
    """Send a copy of a frame to somebody; return what goes out."""
    member = Member()
    copy = Copy(STRANGER.address, size, CopyKind.TEE_OUTBOUND)
    send_copies(member.underlay, member.network, frame, (copy,), START)
    messages = member.underlay.take(Verb.EXT_FRAME)
    assert {message.to for message in messages} == {STRANGER.address}
    return [ExtFrame.decode(Reader(message.payload)) for message in messages]


def test_a_copy_has_the_macs_of_the_frame_and_tells_why_it_was_made() -> None:
    (copy,) = copies_of(plain(), 1000)
    assert (copy.network_id, copy.flags) == (NETWORK, CopyKind.TEE_OUTBOUND)
    assert copy.destination + copy.source == ETHERNET_4[:12]
    assert copy.payload == bytes(plain().buffer[14:])


def test_a_copy_is_as_long_as_the_rule_says() -> None:
    (copy,) = copies_of(plain(), 20)
    assert copy.payload == bytes(plain().buffer[14:34])


def test_of_a_super_frame_every_frame_is_copied_with_its_checksum() -> None:
    packet = Packet(payload=bytes(2500))
    copies = copies_of(packet.super_frame(1000), 5000)
    assert [copy.payload for copy in copies] == [piece.encode() for piece in packet.cut(1000)]


def test_a_frame_without_its_checksum_is_copied_with_it() -> None:
    packet = Packet(payload=b"small")
    frame = replace(packet.super_frame(1000), gso=plain().gso)
    (copy,) = copies_of(frame, 5000)
    assert copy.payload == packet.encode()
