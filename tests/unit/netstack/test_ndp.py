"""Neighbour discovery: the rules of ARP's tests, and those that RFC 4861 and 4862 add."""

from ipaddress import IPv6Address, ip_address

import pytest

from tests.unit.netstack.ether import (
    OTHER,
    OWN_6,
    PEER_6,
    THEM,
    US,
    Alone,
    events_of,
    make_stack,
    pair,
)
from tests.unit.netstack.packets import (
    advertisement,
    heard,
    icmp_6,
    solicitation,
)
from ztlink.ids import Mac
from ztlink.inet.ether import group_mac
from ztlink.inet.ndp import (
    Advertisement,
    Solicitation,
    neighbor_solicitation,
    solicited_node,
)
from ztlink.netstack.counters import Discard
from ztlink.netstack.events import AddressConflict, EchoAnswered, EchoFailed, Reason
from ztlink.netstack.neighbor import NeighborState

OWN, PEER = IPv6Address(OWN_6), IPv6Address(PEER_6)
OWN_GROUP = solicited_node(OWN)
SOLICITATION, ADVERTISEMENT, ECHO = 135, 136, 128


@pytest.fixture
def alone() -> Alone:
    return Alone()


def of_kind(frames: list[bytes], kind: int) -> list[bytes]:
    return [frame for frame in frames if heard(frame).payload[:1] == bytes([kind])]


def ping(alone: Alone) -> list[bytes]:
    alone.stack.ping(PEER, 8, alone.now)
    return alone.hear()


def state(alone: Alone) -> NeighborState | None:
    return alone.stack.neighbor_state(PEER)


def used(alone: Alone) -> Alone:
    ping(alone)
    alone.say(advertisement())
    return alone


# -- questions to us -------------------------------------------------------------------------


def test_a_question_to_our_group_is_answered_to_who_asked(alone: Alone) -> None:
    (answer,) = alone.say(solicitation(destination=str(OWN_GROUP), to=group_mac(OWN_GROUP)))
    assert answer[:6] == THEM
    told = Advertisement.decode(memoryview(heard(answer).payload))
    assert told == Advertisement(OWN, US, is_solicited=True, is_override=True)


def test_a_direct_question_without_a_mac_is_answered_and_not_noted(alone: Alone) -> None:
    assert len(alone.say(solicitation(said=None))) == 1
    assert state(alone) is None


def test_who_asks_for_us_is_known_but_not_trusted_to_be_there(alone: Alone) -> None:
    alone.say(solicitation())
    assert state(alone) is NeighborState.STALE


def test_a_question_for_another_is_not_answered(alone: Alone) -> None:
    assert alone.say(solicitation("fd00::3")) == []


def test_a_question_for_the_address_of_the_link_is_answered(alone: Alone) -> None:
    assert len(alone.say(solicitation("fe80::ff:fe00:1", source="fe80::ff:fe00:2"))) == 1


def test_a_question_that_passed_a_router_is_not_answered(alone: Alone) -> None:
    message = bytes(IPv6Address(OWN_6).packed)
    assert alone.say(icmp_6(SOLICITATION, body=message, hop_limit=254)) == []
    assert alone.stack.counters.discards[Discard.BAD_NEIGHBOR] == 1


def test_a_question_with_a_code_is_not_answered(alone: Alone) -> None:
    assert alone.say(icmp_6(SOLICITATION, 1, body=OWN.packed, hop_limit=255)) == []


def test_a_question_for_a_group_is_not_answered(alone: Alone) -> None:
    body = IPv6Address("ff02::1").packed
    assert alone.say(icmp_6(SOLICITATION, body=body, hop_limit=255)) == []


def test_an_option_of_no_length_spoils_a_question(alone: Alone) -> None:
    body = OWN.packed + bytes([1, 0]) + bytes(6)
    assert alone.say(icmp_6(SOLICITATION, body=body, hop_limit=255)) == []


def test_an_option_that_is_cut_short_spoils_a_question(alone: Alone) -> None:
    body = OWN.packed + bytes([1, 2]) + bytes(6)
    assert alone.say(icmp_6(SOLICITATION, body=body, hop_limit=255)) == []


def test_options_of_other_kinds_are_passed_over(alone: Alone) -> None:
    body = OWN.packed + bytes([14, 1]) + bytes(6)
    assert len(alone.say(icmp_6(SOLICITATION, body=body, hop_limit=255))) == 1


@pytest.mark.parametrize("size", range(24))
def test_a_question_that_is_cut_short_is_not_answered(alone: Alone, size: int) -> None:
    body = OWN.packed[: max(size - 8, 0)]
    assert alone.say(icmp_6(SOLICITATION, body=body, hop_limit=255)) == []


def test_a_question_must_name_the_mac_that_sent_it(alone: Alone) -> None:
    assert alone.say(solicitation(said=OTHER)) == []


def test_who_looks_for_our_address_to_have_it_is_told_that_it_is_ours(alone: Alone) -> None:
    (answer,) = alone.say(
        solicitation(source="::", destination=str(OWN_GROUP), said=None, to=group_mac(OWN_GROUP))
    )
    assert answer[:6] == Mac(bytes.fromhex("333300000001"))
    assert not Advertisement.decode(memoryview(heard(answer).payload)).is_solicited
    assert alone.events() == [AddressConflict(OWN, THEM)]


def test_who_has_no_address_must_ask_the_group(alone: Alone) -> None:
    assert alone.say(solicitation(source="::", said=None)) == []


def test_who_has_no_address_must_not_tell_a_mac(alone: Alone) -> None:
    question = solicitation(
        source="::", destination=str(OWN_GROUP), said=THEM, to=group_mac(OWN_GROUP)
    )
    assert alone.say(question) == []


# -- questions of ours -----------------------------------------------------------------------


def test_an_unknown_neighbour_is_asked_for_in_its_group(alone: Alone) -> None:
    (question,) = ping(alone)
    group = solicited_node(PEER)
    assert question[:6] == group_mac(group)
    assert heard(question).packet[24:40] == group.packed
    assert Solicitation.decode(memoryview(heard(question).payload)) == Solicitation(PEER, US)


def test_a_question_has_the_hop_limit_that_no_router_lets_pass(alone: Alone) -> None:
    assert heard(ping(alone)[0]).packet[7] == 255


def test_a_packet_waits_for_the_answer(alone: Alone) -> None:
    ping(alone)
    (packet,) = alone.say(advertisement())
    assert (packet[:6], heard(packet).payload[0]) == (THEM, ECHO)


def test_an_answer_of_the_node_itself_to_our_managed_address_counts() -> None:
    # The node answers for derived addresses, to the address that the network gave us, whatever
    # address we asked from.
    alone = Alone()
    ping(alone)
    assert len(alone.say(advertisement(destination=OWN_6))) == 1


def test_without_an_answer_the_sender_is_told(alone: Alone) -> None:
    ping(alone)
    assert len(of_kind(alone.wait(3.0), SOLICITATION)) == 2
    (told,) = alone.events()
    assert isinstance(told, EchoFailed)
    assert told.reason is Reason.HOST_UNREACHABLE


def test_a_neighbour_in_use_is_asked_directly(alone: Alone) -> None:
    used(alone).wait(31.0)
    ping(alone)
    (question,) = of_kind(alone.wait(5.0), SOLICITATION)
    assert question[:6] == THEM
    assert heard(question).packet[24:40] == PEER.packed


@pytest.mark.parametrize("is_solicited", [True, False])
def test_a_known_address_is_not_taken_over(alone: Alone, is_solicited: bool) -> None:
    used(alone).say(advertisement(mac=OTHER, is_solicited=is_solicited))
    (packet,) = of_kind(ping(alone), ECHO)
    assert packet[:6] == THEM


def test_an_answer_that_nobody_asked_for_is_not_noted(alone: Alone) -> None:
    alone.say(advertisement())
    assert state(alone) is None


def test_an_unasked_statement_answers_no_question(alone: Alone) -> None:
    ping(alone)
    assert alone.say(advertisement(is_solicited=False)) == []


def test_a_solicited_answer_to_all_is_none(alone: Alone) -> None:
    ping(alone)
    to_all = advertisement(destination="ff02::1", to=Mac(bytes.fromhex("333300000001")))
    assert alone.say(to_all) == []


def test_an_answer_must_name_the_mac_that_sent_it(alone: Alone) -> None:
    ping(alone)
    assert alone.say(advertisement(mac=OTHER, said=THEM)) == []


def test_an_answer_with_a_bad_checksum_does_not_count(alone: Alone) -> None:
    ping(alone)
    frame = bytearray(advertisement())
    frame[-1] ^= 1
    assert alone.say(bytes(frame)) == []
    assert alone.stack.counters.discards[Discard.BAD_CHECKSUM] == 1


def test_who_else_has_our_address_is_reported(alone: Alone) -> None:
    alone.say(advertisement(OWN_6, mac=OTHER))
    assert alone.events() == [AddressConflict(OWN, OTHER)]


def test_a_new_address_is_asked_for_once_in_case_somebody_has_it() -> None:
    alone = Alone(make_stack(addresses=()))
    alone.stack.set_addresses(make_stack().addresses[1:2], (), alone.now)
    (probe,) = alone.hear()
    assert heard(probe).packet == neighbor_solicitation(OWN, IPv6Address(0), OWN_GROUP, None)


def test_two_stacks_with_one_address_notice_each_other() -> None:
    link = pair()
    theirs = link.stacks[1]
    theirs.set_addresses(link.stacks[0].addresses[:2], (), link.now)
    link.settle()
    assert {type(event) for stack in link.stacks for event in events_of(stack)} == {AddressConflict}


def test_addresses_of_the_link_reach_each_other() -> None:
    link = pair()
    ours, theirs = link.stacks
    ours.ping(theirs.addresses[-1].ip, 8, link.now)
    link.settle()
    assert isinstance(events_of(ours)[0], EchoAnswered)


def test_router_advertisements_change_nothing(alone: Alone) -> None:
    before = alone.stack.addresses
    prefix = bytes([3, 4, 64, 0xC0]) + bytes(12) + ip_address("2001:db8::").packed
    alone.say(icmp_6(134, body=bytes(8) + prefix, hop_limit=255))
    assert alone.stack.addresses == before
