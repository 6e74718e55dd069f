"""What goes from member to member, and how far."""

from dataclasses import replace
from unittest.mock import patch

import pytest

from tests.unit.vl1.mesh import identity
from tests.unit.vl2.rig import (
    CONTROLLER,
    NETWORK,
    OWN,
    PEER,
    STRANGER,
    Member,
    make_com,
    make_config,
    revocation_of,
)
from ztlink.crypto.identity import sign
from ztlink.ids import Address, PacketId
from ztlink.stats import Drop
from ztlink.vl2.membership import Membership
from ztlink.vl2.propagation import FAN_OUT, PASSED_BURST
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.network import ConfigChunk, NetworkCredentials
from ztlink.wire.verbs import Verb

OTHERS = [identity(number) for number in range(10, 13)]


@pytest.fixture
def member() -> Member:
    """A member that knows three others, and the one that brings news."""
    made = Member()
    for other in (*OTHERS, PEER):
        made.vl2.credentials.add(make_com(other), other.address, made.now)
    made.underlay.sent = []
    return made


def piece(number: int = 1, flags: int = 1, signer: SecretIdentity = CONTROLLER) -> ConfigChunk:
    """Return a piece of somebody's configuration."""
    text = make_config(issued_to=identity(50).address).encode()
    chunk = ConfigChunk(NETWORK, text, flags, number, 2 * len(text), 0)
    return replace(chunk, signature=sign(signer, chunk.signed_bytes()))


def bring(member: Member, chunk: ConfigChunk, bringer: SecretIdentity = PEER) -> None:
    payload = memoryview(chunk.to_bytes())
    member.vl2.handle(bringer.public, Verb.NETWORK_CONFIG, PacketId(1), payload, member.now)


def passed(member: Member, verb: Verb = Verb.NETWORK_CONFIG) -> list[Address]:
    return sorted(message.to for message in member.underlay.take(verb))


def test_a_piece_that_asks_for_it_goes_to_the_other_members_as_it_is(member: Member) -> None:
    bring(member, piece())
    sent = member.underlay.take(Verb.NETWORK_CONFIG)
    assert {message.payload for message in sent} == {piece().to_bytes()}
    assert {message.to for message in sent} == {other.address for other in OTHERS}


def test_what_the_controller_brings_goes_to_all_others(member: Member) -> None:
    bring(member, piece(), CONTROLLER)
    assert passed(member) == sorted(other.address for other in (*OTHERS, PEER))


def test_a_piece_that_does_not_ask_for_it_goes_nowhere(member: Member) -> None:
    bring(member, piece(flags=0))
    assert passed(member) == []


def test_a_piece_that_the_controller_did_not_sign_goes_nowhere(member: Member) -> None:
    bring(member, piece(signer=STRANGER))
    assert passed(member) == []


def test_a_piece_is_passed_on_once_although_others_came_in_between(member: Member) -> None:
    for number in (1, 2, 3, 4, 5, 1):
        bring(member, piece(number))
    assert len(passed(member)) == 5 * len(OTHERS)


def test_who_passes_pieces_on_as_asked_is_not_taken_for_a_forger(member: Member) -> None:
    for number in range(60):
        bring(member, piece(number + 1))
    member.vl2.credentials.add(make_com(PEER, 1_700_000_000_001), PEER.address, member.now)
    assert member.underlay.stats.drops[Drop.RATE_LIMITED] == 0


def test_in_a_large_network_a_few_are_drawn(member: Member) -> None:
    for number in range(1, 500):
        member.network.keep(Membership(NETWORK, Address(number)))
    bring(member, piece())
    chosen = passed(member)
    assert (len(chosen), len(set(chosen))) == (FAN_OUT, FAN_OUT)


def test_not_even_a_controller_can_have_us_send_without_end(member: Member) -> None:
    for number in range(200):
        bring(member, piece(number + 1), CONTROLLER)
    assert len(passed(member)) == PASSED_BURST * len((*OTHERS, PEER))


def test_a_new_revocation_goes_to_the_others_but_for_ourselves(member: Member) -> None:
    member.vl2.credentials.add(make_com(OWN), OWN.address, member.now)
    member.underlay.sent = []
    bare = replace(revocation_of(PEER), flags=1)
    revocation = replace(bare, signature=sign(CONTROLLER, bare.signing_input()))
    packet = NetworkCredentials(revocations=(revocation,))
    member.vl2.credentials.receive(OTHERS[0].address, packet, member.now)
    expected = sorted(who.address for who in (*OTHERS[1:], PEER))
    assert passed(member, Verb.NETWORK_CREDENTIALS) == expected


def test_pieces_that_were_passed_on_are_remembered_up_to_a_bound(member: Member) -> None:
    with patch("ztlink.vl2.propagation.MAX_SEEN", 4):
        for number in (1, 2, 3, 4, 5, 1):
            bring(member, piece(number))
    assert len(passed(member)) == 6 * len(OTHERS)
