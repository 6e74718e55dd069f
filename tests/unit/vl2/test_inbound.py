"""Frames from the network: the gate, the rules (`vl2.filter`), bridges, copies and answers."""

from dataclasses import replace

import pytest

from tests.unit.vl2.rig import NETWORK, OWN, PEER, STRANGER, Member, make_com, make_config
from ztlink.batch import Gso, PacketBatch, SuperFrame, Verdict
from ztlink.ids import Address, Mac, MulticastGroup, PacketId, member_mac
from ztlink.stats import Drop
from ztlink.vl2.inbound import MIN_ERROR_INTERVAL
from ztlink.vl2.rules import CopyKind
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Error
from ztlink.wire.netconf import Specialist, SpecialistRole
from ztlink.wire.network import ExtFrame, MulticastFrame
from ztlink.wire.rules import Forward, Number, Rule, RuleType
from ztlink.wire.verbs import ErrorCode, Verb

ACCEPT = Rule(RuleType.ACTION_ACCEPT)
DROP = Rule(RuleType.ACTION_DROP)
ETHERTYPE = 0x88B5
GROUP = MulticastGroup(Mac(bytes.fromhex("333300000001")), 0)
OWN_MAC = member_mac(OWN.address, NETWORK)
PEER_MAC = member_mac(PEER.address, NETWORK)
HOST_MAC = Mac(bytes.fromhex("060000000099"))
PACKET_ID = PacketId(77)


def member(**config: object) -> Member:
    """Return a node to which the peer has shown its certificate."""
    made = Member(make_config(**({"rules": (ACCEPT,)} | config)))
    made.vl2.credentials.add(make_com(PEER), PEER.address, made.now)
    made.underlay.sent = []
    return made


def forward(kind: RuleType, address: Address, length: int = 0) -> Rule:
    return Rule(kind, Forward(address, 0, length))


def ext(source: Mac = PEER_MAC, destination: Mac = OWN_MAC, flags: int = 0) -> ExtFrame:
    return ExtFrame(NETWORK, flags, None, destination, source, ETHERTYPE, b"data")


def receive_ext(to: Member, frame: ExtFrame) -> Verdict:
    payload = memoryview(frame.to_bytes())
    return to.vl2.inbound.receive_ext_frame(PEER.public, PACKET_ID, payload, to.now)


def receive_multicast(to: Member, frame: MulticastFrame) -> Verdict:
    payload = memoryview(frame.to_bytes())
    return to.vl2.inbound.receive_multicast(PEER.public, PACKET_ID, payload, to.now)


def receive_frame(to: Member, data: bytes = b"data") -> Verdict:
    packet = bytes(27) + bytes([Verb.FRAME]) + NETWORK.to_bytes(8, "big")
    packet += ETHERTYPE.to_bytes(2, "big") + data
    batch = PacketBatch(memoryview(bytearray(packet)))
    batch.append(0, len(packet))
    return to.vl2.receive_run(PEER.public, batch, to.now)


def delivered(to: Member) -> list[bytes]:
    return [bytes(delivery.frame.buffer) for delivery in to.vl2.take_deliveries()]


def ethernet(source: Mac = PEER_MAC, destination: Mac = OWN_MAC, data: bytes = b"data") -> bytes:
    return destination + source + ETHERTYPE.to_bytes(2, "big") + data


# -- the gate --------------------------------------------------------------------------------


def test_a_members_frame_is_delivered_with_its_macs() -> None:
    node = member()
    assert receive_frame(node) is Verdict.TRUSTED
    assert delivered(node) == [ethernet()]


def test_a_frame_without_a_certificate_waits_and_credentials_are_asked_for() -> None:
    node = Member(make_config(rules=(ACCEPT,)))
    assert receive_frame(node) is Verdict.RETRY
    (message,) = node.underlay.take(Verb.ERROR)
    error = Error.from_bytes(message.payload)
    assert (message.to, error.in_re_verb) == (PEER.address, Verb.FRAME)
    assert error.code == ErrorCode.NEED_MEMBERSHIP_CERTIFICATE
    assert error.body == NETWORK.to_bytes(8, "big")


def test_credentials_are_asked_for_a_few_times_a_second_only() -> None:
    node = Member(make_config(rules=(ACCEPT,)))
    for _ in range(10):
        receive_frame(node)
    assert len(node.underlay.take(Verb.ERROR)) == 1
    node.later(MIN_ERROR_INTERVAL)
    receive_frame(node)
    assert len(node.underlay.take(Verb.ERROR)) == 1


def test_an_empty_frame_is_not_delivered() -> None:
    node = member()
    assert receive_frame(node, b"") is Verdict.TRUSTED
    assert delivered(node) == []


# -- EXT_FRAME -------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Mac(bytes(6)), OWN_MAC])
def test_a_frame_from_nobody_or_from_ourselves_is_refused_without_an_answer(source: Mac) -> None:
    node = member()
    receive_ext(node, ext(source, flags=0x10))
    assert delivered(node) == []
    assert not node.underlay.take(Verb.OK)


def test_a_receipt_is_given_where_it_is_asked_for() -> None:
    node = member()
    receive_ext(node, ext(flags=0x10))
    (message,) = node.underlay.take(Verb.OK)
    expected = bytes([Verb.EXT_FRAME]) + PACKET_ID.to_bytes(8, "big") + NETWORK.to_bytes(8, "big")
    assert message.payload == expected


def test_a_receipt_is_given_for_a_frame_that_the_rules_drop_too() -> None:
    node = member(rules=(DROP,))
    receive_ext(node, ext(flags=0x10))
    assert delivered(node) == []
    assert len(node.underlay.take(Verb.OK)) == 1


def test_only_a_bridge_may_speak_for_others() -> None:
    node = member()
    receive_ext(node, ext(HOST_MAC))
    assert delivered(node) == []
    assert node.underlay.stats.drops[Drop.NOT_A_BRIDGE] == 1


def test_the_host_behind_a_bridge_is_remembered() -> None:
    role = Specialist(PEER.address, SpecialistRole.ACTIVE_BRIDGE)
    node = member(specialists=(role,))
    receive_ext(node, ext(HOST_MAC))
    assert delivered(node) == [ethernet(HOST_MAC)]
    assert node.network.bridges.bridge_for(HOST_MAC) == PEER.address


def test_a_frame_for_a_host_behind_us_is_taken_by_a_bridge_only() -> None:
    role = Specialist(OWN.address, SpecialistRole.ACTIVE_BRIDGE)
    plain, bridge = member(), member(specialists=(role,))
    for node in (plain, bridge):
        receive_ext(node, ext(destination=HOST_MAC))
    assert delivered(plain) == []
    assert delivered(bridge) == [ethernet(destination=HOST_MAC)]


def test_a_certificate_in_a_frame_counts() -> None:
    node = Member(make_config(rules=(ACCEPT,)))
    assert receive_ext(node, replace(ext(), com=make_com(PEER))) is Verdict.TRUSTED
    assert delivered(node) == [ethernet()]


# -- MULTICAST_FRAME -------------------------------------------------------------------------


def multicast(**fields: object) -> MulticastFrame:
    frame = MulticastFrame(NETWORK, GROUP, ETHERTYPE, b"data")
    return replace(frame, **fields)  # type: ignore[arg-type]


def test_a_multicast_is_delivered_to_its_group() -> None:
    node = member()
    receive_multicast(node, multicast())
    assert delivered(node) == [ethernet(destination=GROUP.mac)]


@pytest.mark.parametrize("source", [Mac(bytes(6)), GROUP.mac, OWN_MAC, HOST_MAC])
def test_a_multicast_of_an_impossible_source_is_refused_and_not_answered(source: Mac) -> None:
    node = member()
    node.network.groups.add(GROUP, STRANGER.address, node.now)
    receive_multicast(node, multicast(source=source, gather_limit=5))
    assert delivered(node) == []
    assert not node.underlay.take(Verb.OK)


def test_a_multicast_for_no_group_is_refused() -> None:
    node = member()
    receive_multicast(node, multicast(group=MulticastGroup(OWN_MAC, 0)))
    assert delivered(node) == []


def test_who_sends_a_multicast_is_told_of_other_listeners_where_it_asks() -> None:
    node = member()
    node.network.groups.add(GROUP, STRANGER.address, node.now)
    receive_multicast(node, multicast(gather_limit=5))
    (message,) = node.underlay.take(Verb.OK)
    assert message.payload.endswith(STRANGER.address.to_bytes(5, "big"))


def test_a_network_without_multicast_takes_none() -> None:
    node = member(multicast_limit=0)
    receive_multicast(node, multicast(gather_limit=5))
    assert delivered(node) == []
    assert not node.underlay.take(Verb.OK)


# -- copies, and frames that go elsewhere ----------------------------------------------------


def copies(node: Member) -> list[tuple[Address, int, bytes]]:
    """Take the copies that were sent: to whom, with which flags, of how much."""
    sent = node.underlay.take(Verb.EXT_FRAME)
    decoded = [(message.to, ExtFrame.decode(Reader(message.payload))) for message in sent]
    return [(to, frame.flags, frame.payload) for to, frame in decoded]


def send(node: Member, data: bytes = b"data") -> None:
    frame = SuperFrame(memoryview(bytearray(ethernet(OWN_MAC, PEER_MAC, data))))
    node.vl2.receive_frame(NETWORK, frame, node.now)


TO_STRANGER = [
    (RuleType.ACTION_TEE, CopyKind.TEE_OUTBOUND, CopyKind.TEE_INBOUND),
    (RuleType.ACTION_WATCH, CopyKind.WATCH_OUTBOUND, CopyKind.WATCH_INBOUND),
]


@pytest.mark.parametrize(("action", "outbound", "inbound"), TO_STRANGER)
def test_a_copy_is_sent_of_what_goes_out_and_of_what_comes_in(
    action: RuleType, outbound: CopyKind, inbound: CopyKind
) -> None:
    node = member(rules=(forward(action, STRANGER.address), ACCEPT))
    send(node)
    assert copies(node) == [(STRANGER.address, outbound, b"data")]
    assert len(node.underlay.frames) == 1
    receive_frame(node)
    assert copies(node) == [(STRANGER.address, inbound, b"data")]
    assert delivered(node) == [ethernet()]


def test_a_copy_is_cut_to_the_length_that_the_rule_gives() -> None:
    node = member(rules=(forward(RuleType.ACTION_TEE, STRANGER.address, 2), ACCEPT))
    send(node)
    assert copies(node) == [(STRANGER.address, CopyKind.TEE_OUTBOUND, b"da")]


def test_a_frame_that_is_redirected_goes_there_only() -> None:
    node = member(rules=(forward(RuleType.ACTION_REDIRECT, STRANGER.address),))
    send(node)
    assert copies(node) == [(STRANGER.address, CopyKind.REDIRECT_OUTBOUND, b"data")]
    assert node.underlay.frames == []
    receive_frame(node)
    assert copies(node) == [(STRANGER.address, CopyKind.REDIRECT_INBOUND, b"data")]
    assert delivered(node) == []


def test_what_is_redirected_to_us_is_delivered_whoever_it_is_for() -> None:
    node = member(rules=(forward(RuleType.ACTION_REDIRECT, OWN.address),))
    foreign = member_mac(STRANGER.address, NETWORK)
    receive_ext(node, ext(destination=foreign, flags=CopyKind.REDIRECT_OUTBOUND))
    assert delivered(node) == [ethernet(destination=foreign)]


def test_every_frame_of_a_super_frame_is_copied_whole() -> None:
    node = member(rules=(forward(RuleType.ACTION_TEE, STRANGER.address), ACCEPT))
    header = PEER_MAC + OWN_MAC + b"\x08\0" + bytes.fromhex("450005dc0000400040110000")
    header += bytes.fromhex("0a0000010a0000020fa0005000000000")
    frame = SuperFrame(
        memoryview(bytearray(header + bytes(3000))),
        Gso.UDP_L4,
        header_size=42,
        segment_size=1000,
        needs_checksum=True,
        checksum_start=34,
        checksum_offset=6,
    )
    node.vl2.receive_frame(NETWORK, frame, node.now)
    assert [len(payload) for _, _, payload in copies(node)] == [1028, 1028, 1028]


def test_a_frame_that_the_rules_drop_is_not_delivered() -> None:
    only_ipv4 = (
        Rule(RuleType.MATCH_ETHERTYPE, Number(0x0800), negate=True),
        DROP,
        ACCEPT,
    )
    node = member(rules=only_ipv4)
    receive_frame(node)
    assert delivered(node) == []
    assert node.underlay.stats.drops[Drop.FILTERED] == 1


def test_a_node_without_a_configuration_takes_nothing() -> None:
    node = member()
    node.network.config = None
    assert receive_frame(node) is Verdict.RETRY
    assert delivered(node) == []


def test_frames_of_a_network_that_we_left_are_refused() -> None:
    node = member()
    node.vl2.leave(NETWORK, node.now)
    assert receive_ext(node, ext()) is Verdict.DROPPED
    assert receive_multicast(node, multicast()) is Verdict.DROPPED
    assert node.underlay.stats.drops[Drop.UNKNOWN_NETWORK] == 2


def test_frames_with_macs_wait_too_where_there_is_no_certificate() -> None:
    node = Member(make_config(rules=(ACCEPT,)))
    assert receive_ext(node, ext()) is Verdict.RETRY
    assert receive_multicast(node, multicast()) is Verdict.RETRY
    assert delivered(node) == []


def test_the_host_behind_a_bridge_is_remembered_by_its_multicasts_too() -> None:
    role = Specialist(PEER.address, SpecialistRole.ACTIVE_BRIDGE)
    node = member(specialists=(role,))
    receive_multicast(node, multicast(source=HOST_MAC))
    assert delivered(node) == [ethernet(HOST_MAC, GROUP.mac)]
    assert node.network.bridges.bridge_for(HOST_MAC) == PEER.address


def test_a_certificate_in_a_multicast_counts() -> None:
    node = Member(make_config(rules=(ACCEPT,)))
    assert receive_multicast(node, multicast(com=make_com(PEER))) is Verdict.TRUSTED
    assert delivered(node) == [ethernet(destination=GROUP.mac)]
