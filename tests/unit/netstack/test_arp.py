"""ARP: neighbours are found, kept, asked after and never taken over."""

from ipaddress import IPv4Address, ip_address

import pytest

from tests.unit.netstack.ether import (
    ANY_4,
    OTHER,
    OTHER_4,
    OWN_4,
    PEER_4,
    THEM,
    US,
    Alone,
    arp_frame,
    ethernet,
    make_stack,
)
from ztlink.ids import BROADCAST_MAC, Mac
from ztlink.inet.arp import ARP_REPLY, ARP_REQUEST, Arp
from ztlink.netstack.counters import Discard
from ztlink.netstack.events import AddressConflict, EchoFailed, Reason
from ztlink.netstack.neighbor import NeighborState
from ztlink.netstack.settings import StackSettings

PEER = ip_address(PEER_4)
OWN = IPv4Address(OWN_4)


@pytest.fixture
def alone() -> Alone:
    return Alone()


def arps(frames: list[bytes]) -> list[Arp]:
    return [Arp.decode(memoryview(f)[14:]) for f in frames if f[12:14] == b"\x08\x06"]


def state(alone: Alone, ip: str = PEER_4) -> NeighborState | None:
    return alone.stack.neighbor_state(ip_address(ip))


def ping(alone: Alone, ip: str = PEER_4) -> list[bytes]:
    alone.stack.ping(ip_address(ip), 8, alone.now)
    return alone.hear()


def used(alone: Alone) -> Alone:
    """Have the stack know its peer well, and use it."""
    ping(alone)
    alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))
    return alone


# -- questions to us -------------------------------------------------------------------------


def test_a_question_for_us_is_answered_to_who_asked(alone: Alone) -> None:
    (answer,) = alone.say(arp_frame(ARP_REQUEST, THEM, PEER_4, OWN_4))
    assert answer[:12] == THEM + US
    assert arps([answer]) == [Arp(ARP_REPLY, US, OWN, THEM, IPv4Address(PEER_4))]


def test_a_question_for_another_is_not_answered(alone: Alone) -> None:
    assert alone.say(arp_frame(ARP_REQUEST, THEM, PEER_4, OTHER_4)) == []


def test_who_asks_for_us_is_known_but_not_trusted_to_be_there(alone: Alone) -> None:
    assert state(alone.knows()) is NeighborState.STALE


def test_who_asks_from_outside_the_link_is_answered_and_not_noted(alone: Alone) -> None:
    assert len(alone.say(arp_frame(ARP_REQUEST, THEM, "192.0.2.9", OWN_4))) == 1
    assert state(alone, "192.0.2.9") is None


# -- questions of ours -----------------------------------------------------------------------


def test_an_unknown_neighbour_is_asked_for_by_broadcast(alone: Alone) -> None:
    (question,) = ping(alone)
    assert question[:6] == BROADCAST_MAC
    assert arps([question]) == [Arp(ARP_REQUEST, US, OWN, Mac(bytes(6)), IPv4Address(PEER_4))]


def test_a_packet_waits_for_the_answer_and_goes_to_the_mac_that_it_tells(alone: Alone) -> None:
    ping(alone)
    (packet,) = alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))
    assert (packet[:6], packet[12:14]) == (THEM, b"\x08\x00")


def test_a_question_is_asked_three_times_a_second_apart(alone: Alone) -> None:
    ping(alone)
    assert [len(arps(alone.wait(1.0))) for _ in range(4)] == [1, 1, 0, 0]


def test_without_an_answer_the_sender_of_what_waited_is_told(alone: Alone) -> None:
    ping(alone)
    alone.wait(3.0)
    (told,) = alone.events()
    assert isinstance(told, EchoFailed)
    assert told.reason is Reason.HOST_UNREACHABLE


def test_an_address_that_did_not_answer_is_asked_for_anew(alone: Alone) -> None:
    ping(alone)
    alone.wait(3.0)
    assert len(arps(ping(alone))) == 1


def test_of_what_waits_too_long_a_queue_the_oldest_gives_way() -> None:
    alone = Alone(make_stack(settings=StackSettings(neighbor_queue=4)))
    for _ in range(6):
        ping(alone)
    assert len(alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))) == 4
    assert alone.stack.counters.discards[Discard.UNRESOLVED] == 2


def test_what_waits_is_bounded_in_bytes() -> None:
    alone = Alone(make_stack(settings=StackSettings(neighbor_queue_size=5000)))
    for _ in range(4):
        alone.stack.ping(PEER, 2000, alone.now)
        alone.hear()
    assert len(alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))) == 2


def test_neighbours_are_bounded_and_those_not_in_use_give_way() -> None:
    alone = Alone(make_stack(settings=StackSettings(max_neighbors=3)))
    used(alone)
    for number in range(10, 20):
        alone.knows(f"10.0.0.{number}", Mac(bytes([2, 0, 0, 0, 0, number])))
    assert state(alone) is NeighborState.REACHABLE
    assert sum(state(alone, f"10.0.0.{number}") is not None for number in range(10, 20)) == 2


# -- a neighbour's life ----------------------------------------------------------------------


def test_an_answer_makes_a_neighbour_reachable(alone: Alone) -> None:
    assert state(used(alone)) is NeighborState.REACHABLE


def test_a_neighbour_that_is_not_used_is_not_asked_after(alone: Alone) -> None:
    assert arps(used(alone).wait(300.0)) == []


def test_a_neighbour_that_is_not_used_is_forgotten_after_ten_minutes(alone: Alone) -> None:
    used(alone).wait(30.0 + 600.0)
    assert state(alone) is None


def test_a_stale_neighbour_in_use_is_asked_directly_after_five_seconds(alone: Alone) -> None:
    used(alone).wait(31.0)
    ping(alone)
    assert arps(alone.wait(4.9)) == []
    (question,) = alone.wait(0.2)
    assert question[:6] == THEM


def test_a_stale_neighbour_that_answers_is_reachable_again(alone: Alone) -> None:
    used(alone).wait(31.0)
    ping(alone)
    alone.wait(5.0)
    alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))
    assert state(alone) is NeighborState.REACHABLE


def test_a_stale_neighbour_that_is_silent_is_looked_for_anew(alone: Alone) -> None:
    used(alone).wait(31.0)
    ping(alone)
    alone.wait(5.0 + 3.0)
    assert state(alone) is None
    (question,) = ping(alone)
    assert question[:6] == BROADCAST_MAC


# -- who would be another --------------------------------------------------------------------


def test_an_answer_that_nobody_asked_for_is_not_noted(alone: Alone) -> None:
    alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4))
    assert state(alone) is None


@pytest.mark.parametrize("operation", [ARP_REQUEST, ARP_REPLY])
def test_a_known_address_is_not_taken_over(alone: Alone, operation: int) -> None:
    used(alone).say(arp_frame(operation, OTHER, PEER_4, OWN_4))
    (packet,) = [frame for frame in ping(alone) if frame[12:14] == b"\x08\x00"]
    assert packet[:6] == THEM


def test_a_contradiction_has_the_known_neighbour_asked_at_once(alone: Alone) -> None:
    frames = used(alone).say(arp_frame(ARP_REPLY, OTHER, PEER_4, OWN_4))
    assert [frame[:6] for frame in frames] == [THEM]


def test_many_contradictions_cause_one_question(alone: Alone) -> None:
    claim = arp_frame(ARP_REPLY, OTHER, PEER_4, OWN_4)
    assert len(used(alone).say(claim, claim, claim)) == 1


def test_an_address_moves_when_its_former_owner_is_silent(alone: Alone) -> None:
    used(alone).say(arp_frame(ARP_REQUEST, OTHER, PEER_4, PEER_4))
    alone.wait(3.0)
    ping(alone)
    (packet,) = alone.say(arp_frame(ARP_REPLY, OTHER, PEER_4, OWN_4))
    assert packet[:6] == OTHER


def test_a_message_must_name_the_mac_that_sent_it(alone: Alone) -> None:
    ping(alone)
    assert alone.say(arp_frame(ARP_REPLY, OTHER, PEER_4, OWN_4, said=THEM)) == []
    assert alone.stack.counters.discards[Discard.BAD_NEIGHBOR] == 1


def test_an_answer_that_was_for_another_mac_does_not_count(alone: Alone) -> None:
    ping(alone)
    assert alone.say(arp_frame(ARP_REPLY, THEM, PEER_4, OWN_4, target_mac=OTHER)) == []


@pytest.mark.parametrize("ip", ["224.0.0.5", "255.255.255.255", "10.0.0.255", "127.0.0.1"])
def test_nobody_is_at_an_address_of_many(alone: Alone, ip: str) -> None:
    assert alone.say(arp_frame(ARP_REQUEST, THEM, ip, OWN_4)) == []


@pytest.mark.parametrize("size", range(28))
def test_a_message_that_is_cut_short_is_counted(alone: Alone, size: int) -> None:
    whole = arp_frame(ARP_REQUEST, THEM, PEER_4, OWN_4)
    assert alone.say(whole[: 14 + size]) == []
    assert alone.stack.counters.discards[Discard.BAD_NEIGHBOR] == 1


# -- conflicts -------------------------------------------------------------------------------


def test_a_new_address_is_asked_for_once_in_case_somebody_has_it() -> None:
    alone = Alone(make_stack(addresses=()))
    alone.stack.set_addresses([*make_stack().addresses], (), alone.now)
    probes = [arp for arp in arps(alone.hear()) if arp.target_ip == OWN]
    assert [(probe.sender_ip, probe.operation) for probe in probes] == [
        (IPv4Address(0), ARP_REQUEST)
    ]


def test_who_else_has_our_address_is_reported(alone: Alone) -> None:
    alone.say(arp_frame(ARP_REPLY, OTHER, OWN_4, PEER_4))
    assert alone.events() == [AddressConflict(OWN, OTHER)]


def test_who_looks_for_our_address_to_have_it_is_reported_and_answered(alone: Alone) -> None:
    frames = alone.say(arp_frame(ARP_REQUEST, OTHER, ANY_4, OWN_4))
    assert alone.events() == [AddressConflict(OWN, OTHER)]
    assert OTHER in [frame[:6] for frame in frames]


def test_a_conflict_is_reported_and_answered_once_in_ten_seconds(alone: Alone) -> None:
    claim = arp_frame(ARP_REPLY, OTHER, OWN_4, PEER_4)
    assert len(alone.say(claim, claim)) == 1
    alone.wait(10.0)
    assert len(alone.say(claim)) == 1
    assert len(alone.events()) == 2


def test_an_unknown_ethertype_is_counted(alone: Alone) -> None:
    alone.say(ethernet(THEM, US, 0x88CC, bytes(40)))
    assert alone.stack.counters.discards[Discard.UNKNOWN_ETHERTYPE] == 1
