"""Frames from a port: whom they go to, and in what form."""

import pytest

from tests.unit.vl2.rig import (
    CONTROLLER,
    NETWORK,
    OWN,
    PEER,
    STRANGER,
    Member,
    make_com,
    make_config,
)
from ztlink.batch import SuperFrame
from ztlink.ids import BROADCAST_MAC, Address, Mac, MulticastGroup, PacketId, member_mac
from ztlink.stats import Drop
from ztlink.vl2 import outbound
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Error
from ztlink.wire.netconf import ConfigFlag, Specialist, SpecialistRole
from ztlink.wire.network import ExtFrame, MulticastFrame, MulticastGather
from ztlink.wire.rules import Rule, RuleType
from ztlink.wire.verbs import ErrorCode, Verb

ACCEPT = (Rule(RuleType.ACTION_ACCEPT),)
ETHERTYPE = b"\x88\xb5"
GROUP = Mac(bytes.fromhex("333300000001"))
NEIGHBOUR = Mac(bytes.fromhex("3333ff000001"))
"""A group by which the owner of an IPv6 address is sought: it is asked for again and again."""
OWN_MAC = member_mac(OWN.address, NETWORK)
PEER_MAC = member_mac(PEER.address, NETWORK)
HOST_MAC = Mac(bytes.fromhex("060000000099"))
"""Of a host behind a bridge; its first byte is no member's."""


def bridge(address: int) -> Specialist:
    return Specialist(address, SpecialistRole.ACTIVE_BRIDGE)  # type: ignore[arg-type]


def send(member: Member, destination: Mac, source: Mac = OWN_MAC, data: bytes = b"data") -> None:
    frame = SuperFrame(memoryview(bytearray(destination + source + ETHERTYPE + data)))
    member.underlay.sent = []
    member.underlay.frames = []
    member.vl2.receive_frame(NETWORK, frame, member.now)


def test_a_frame_for_a_member_goes_to_it_without_macs() -> None:
    member = Member(make_config(rules=ACCEPT))
    send(member, PEER_MAC)
    body = bytes([Verb.FRAME]) + NETWORK.to_bytes(8, "big") + ETHERTYPE + b"data"
    assert member.underlay.frames == [(PEER.address, body)]


def test_our_certificate_goes_before_the_first_frame_only() -> None:
    member = Member(make_config(rules=ACCEPT))
    send(member, PEER_MAC)
    assert len(member.underlay.take(Verb.NETWORK_CREDENTIALS)) == 1
    send(member, PEER_MAC)
    assert not member.underlay.take(Verb.NETWORK_CREDENTIALS)


def test_a_frame_for_ourselves_comes_back() -> None:
    member = Member(make_config(rules=ACCEPT))
    send(member, OWN_MAC)
    (delivery,) = member.vl2.take_deliveries()
    assert bytes(delivery.frame.buffer).endswith(b"data")


def test_a_foreign_source_is_refused_where_we_are_no_bridge() -> None:
    member = Member(make_config(rules=ACCEPT))
    send(member, PEER_MAC, HOST_MAC)
    assert member.underlay.stats.drops[Drop.NOT_A_BRIDGE] == 1
    assert not member.underlay.frames


def test_a_bridge_sends_with_both_macs() -> None:
    member = Member(make_config(rules=ACCEPT, specialists=(bridge(OWN.address),)))
    send(member, PEER_MAC, HOST_MAC)
    ((to, body),) = member.underlay.frames
    ext = ExtFrame.decode(Reader(body[1:]))
    assert (to, ext.source, ext.destination) == (PEER.address, HOST_MAC, PEER_MAC)


def test_a_bridge_listens_to_what_hosts_behind_it_send_to() -> None:
    member = Member(make_config(rules=ACCEPT, specialists=(bridge(OWN.address),)))
    send(member, GROUP, HOST_MAC)
    assert MulticastGroup(GROUP, 0) in member.network.own_groups()


def test_a_foreign_destination_goes_to_all_bridges() -> None:
    bridges = (bridge(PEER.address), bridge(STRANGER.address))
    member = Member(make_config(rules=ACCEPT, specialists=bridges))
    send(member, HOST_MAC)
    assert {to for to, _ in member.underlay.frames} == {PEER.address, STRANGER.address}


def test_a_foreign_destination_goes_to_the_bridge_that_it_is_behind() -> None:
    bridges = (bridge(PEER.address), bridge(STRANGER.address))
    member = Member(make_config(rules=ACCEPT, specialists=bridges))
    member.network.bridges.learn(HOST_MAC, PEER.address)
    send(member, HOST_MAC)
    assert [to for to, _ in member.underlay.frames] == [PEER.address]


def test_a_foreign_destination_without_bridges_is_lost() -> None:
    member = Member(make_config(rules=ACCEPT))
    send(member, HOST_MAC)
    assert not member.underlay.frames


def test_broadcast_is_refused_where_the_network_does_not_allow_it() -> None:
    member = Member(make_config(rules=ACCEPT))
    send(member, BROADCAST_MAC)
    assert member.underlay.stats.drops[Drop.FILTERED] == 1


def test_a_multicast_of_unknown_listeners_asks_for_them() -> None:
    member = Member(make_config(rules=ACCEPT, multicast_limit=32))
    send(member, GROUP)
    asked = member.underlay.take(Verb.MULTICAST_GATHER)
    assert CONTROLLER.address in {message.to for message in asked}
    assert MulticastGather.from_bytes(asked[0].payload).limit == 33


def test_replicators_are_asked_for_listeners() -> None:
    role = Specialist(STRANGER.address, SpecialistRole.REPLICATOR)
    member = Member(make_config(rules=ACCEPT, specialists=(role,)))
    send(member, GROUP)
    asked = member.underlay.take(Verb.MULTICAST_GATHER)
    assert STRANGER.address in {message.to for message in asked}


@pytest.mark.parametrize("limit", [0xFFFF_FFFF, 1 << 32, (1 << 64) - 1])
def test_a_multicast_limit_of_any_size_is_asked_for_as_far_as_the_field_reaches(
    limit: int,
) -> None:
    member = Member(make_config(rules=ACCEPT, multicast_limit=limit))
    send(member, NEIGHBOUR)
    asked = member.underlay.take(Verb.MULTICAST_GATHER)
    assert MulticastGather.from_bytes(asked[0].payload).limit == outbound.MAX_GATHER_LIMIT
    member.later(2.0)
    assert member.underlay.take(Verb.MULTICAST_GATHER)


def test_without_multicast_nothing_is_sent_to_groups() -> None:
    member = Member(make_config(rules=ACCEPT, multicast_limit=0))
    send(member, GROUP)
    assert not member.underlay.sent


def test_a_multicast_goes_to_bridges_before_others() -> None:
    member = Member(make_config(rules=ACCEPT, multicast_limit=1, specialists=(bridge(9),)))
    member.network.groups.add(MulticastGroup(GROUP, 0), PEER.address, member.now)
    send(member, GROUP)
    assert [m.to for m in member.underlay.take(Verb.MULTICAST_FRAME)] == [9]


def test_a_listener_that_turns_up_late_gets_what_waits() -> None:
    member = Member(make_config(rules=ACCEPT))
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    send(member, GROUP)
    member.underlay.sent = []
    group = MulticastGroup(GROUP, 0)
    member.vl2.outbound.members_found(member.network, group, [PEER.address], member.now)
    (message,) = member.underlay.take(Verb.MULTICAST_FRAME)
    assert MulticastFrame.from_bytes(message.payload).payload == b"data"


def test_frames_wait_for_nothing_where_there_is_no_configuration() -> None:
    member = Member(make_config(rules=ACCEPT, flags=ConfigFlag.BROADCAST))
    member.network.config = None
    send(member, PEER_MAC)
    assert member.underlay.stats.drops[Drop.NO_CONFIG] == 1


@pytest.mark.parametrize("size", [0, 13, 14])
def test_a_frame_without_a_payload_is_refused(size: int) -> None:
    member = Member(make_config(rules=ACCEPT))
    frame = SuperFrame(memoryview(bytearray(size)))
    member.vl2.receive_frame(NETWORK, frame, member.now)
    assert member.underlay.stats.drops[Drop.BAD_FRAME] == 1


@pytest.mark.parametrize("destination", [PEER_MAC, GROUP, HOST_MAC])
def test_what_the_rules_drop_goes_to_nobody(destination: Mac) -> None:
    dropped = (Rule(RuleType.ACTION_DROP),)
    member = Member(make_config(rules=dropped, specialists=(bridge(PEER.address),)))
    member.network.groups.add(MulticastGroup(GROUP, 0), PEER.address, member.now)
    send(member, destination)
    assert member.underlay.frames == []
    assert not member.underlay.take(Verb.MULTICAST_FRAME)
    assert member.underlay.stats.drops[Drop.FILTERED] == 1


def test_a_frame_of_a_network_that_was_left_is_refused() -> None:
    member = Member(make_config(rules=ACCEPT))
    member.vl2.leave(NETWORK, member.now)
    send(member, PEER_MAC)
    assert member.underlay.stats.drops[Drop.UNKNOWN_NETWORK] == 1


def test_who_wants_a_group_no_more_does_not_get_it() -> None:
    member = Member(make_config(rules=ACCEPT))
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    member.network.groups.add(MulticastGroup(GROUP, 0), PEER.address, member.now)
    body = NETWORK.to_bytes(8, "big") + GROUP + bytes(4)
    error = Error(Verb.MULTICAST_FRAME, PacketId(1), ErrorCode.UNWANTED_MULTICAST, body)
    member.vl2.handle_error(STRANGER.public, error, member.now, is_answer=False)
    send(member, GROUP)
    assert [m.to for m in member.underlay.take(Verb.MULTICAST_FRAME)] == [PEER.address]
    member.vl2.handle_error(PEER.public, error, member.now, is_answer=False)
    send(member, GROUP)
    assert not member.underlay.take(Verb.MULTICAST_FRAME)


def heard(member: Member, number: int = 5000) -> list[Address]:
    """Have somebody name many listeners that do not exist; return them."""
    made_up = [Address(0x50_0000_0000 + n) for n in range(number)]
    group = MulticastGroup(GROUP, 0)
    member.vl2.outbound.members_found(member.network, group, made_up, member.now)
    return made_up


def test_listeners_that_somebody_made_up_keep_nothing_from_those_that_are_known() -> None:
    member = Member(make_config(rules=ACCEPT))
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    member.network.groups.add(MulticastGroup(GROUP, 0), PEER.address, member.now)
    for _ in range(4):
        heard(member)
    send(member, GROUP)
    sent = [message.to for message in member.underlay.take(Verb.MULTICAST_FRAME)]
    assert (sent[0], len(sent)) == (PEER.address, 32)


def test_no_more_listeners_are_believed_than_were_asked_for() -> None:
    member = Member(make_config(rules=ACCEPT, multicast_limit=8))
    heard(member)
    assert member.network.groups.size == 9
