"""Whose credentials are kept, and how ours are shown."""

from dataclasses import replace

from tests.unit.vl2.rig import (
    CONTROLLER,
    NETWORK,
    OWN,
    PEER,
    STRANGER,
    Member,
    make_com,
    make_config,
    make_tag,
)
from ztlink.batch import Verdict
from ztlink.ids import Address
from ztlink.vl2 import credentials
from ztlink.wire.buffer import Reader
from ztlink.wire.credentials import Com
from ztlink.wire.network import NetworkCredentials
from ztlink.wire.verbs import Verb

MANY_TAGS = tuple(make_tag(number) for number in range(128))


def forged(number: int) -> Com:
    """Return a certificate of somebody, with a signature that is not the controller's."""
    com = Com.issue(NETWORK, 1_700_000_000_000, 0, PEER.public)
    qualifiers = list(com.qualifiers)
    qualifiers[2] = replace(qualifiers[2], value=0x1234_0000_00 + number)
    return Com(tuple(qualifiers), CONTROLLER.address, bytes(96))


def shown(member: Member) -> list[NetworkCredentials]:
    """Take what the member showed to others."""
    messages = member.underlay.take(Verb.NETWORK_CREDENTIALS)
    return [NetworkCredentials.decode(Reader(message.payload)) for message in messages]


def receive(member: Member, packet: NetworkCredentials) -> Verdict:
    return member.vl2.credentials.receive(STRANGER.address, packet, member.now)


def test_a_good_certificate_is_filed_under_its_holder() -> None:
    member = Member()
    assert receive(member, NetworkCredentials(coms=(make_com(PEER),))) is Verdict.TRUSTED
    assert member.network.allows(PEER.public)


def test_forged_certificates_leave_no_records() -> None:
    member = Member()
    receive(member, NetworkCredentials(coms=tuple(forged(n) for n in range(30))))
    assert not member.network.members


def test_a_forged_certificate_does_not_displace_a_good_one() -> None:
    member = Member()
    receive(member, NetworkCredentials(coms=(make_com(PEER),)))
    unsigned = replace(make_com(PEER, 1_700_000_009_000), signature=bytes(96))
    receive(member, NetworkCredentials(coms=(unsigned,)))
    assert member.network.allows(PEER.public)


def test_a_certificate_is_judged_once_its_controller_is_known() -> None:
    member = Member()
    identity = member.underlay.known.pop(CONTROLLER.address)
    verdict = receive(member, NetworkCredentials(coms=(make_com(PEER),)))
    assert verdict is Verdict.RETRY
    assert member.underlay.asked == [CONTROLLER.address]
    member.underlay.known[CONTROLLER.address] = identity
    member.vl2.identity_known(CONTROLLER.address, member.now)
    assert member.underlay.retried == [STRANGER.address]


def test_credentials_for_one_packet_go_in_one_packet() -> None:
    member = Member(make_config(tags=MANY_TAGS[:3]))
    member.vl2.credentials.push(member.network, PEER.address, member.now)
    assert [len(packet.tags) for packet in shown(member)] == [3]


def test_credentials_for_several_packets_go_one_a_second() -> None:
    # The original takes one packet of credentials a second, and drops the others silently.
    member = Member(make_config(tags=MANY_TAGS))
    member.vl2.credentials.push(member.network, PEER.address, member.now)
    first = shown(member)
    member.later(1.0)
    assert len(first) == 1
    assert not shown(member)
    member.later(credentials.PUSH_SPACING)
    rest = shown(member)
    assert sum(len(packet.tags) for packet in first + rest) == len(MANY_TAGS)


def test_a_push_under_way_gives_way_to_a_newer_one() -> None:
    member = Member(make_config(tags=MANY_TAGS))
    member.vl2.credentials.push(member.network, PEER.address, member.now)
    member.later(0.5)
    member.network.apply(make_config(tags=MANY_TAGS[:3], revision=2), member.now)
    member.vl2.credentials.push_if_due(member.network, PEER.address, member.now)
    shown(member)
    member.later(5.0)
    assert not shown(member)


def test_our_credentials_are_shown_again_after_each_configuration() -> None:
    member = Member()
    member.vl2.credentials.push_if_due(member.network, PEER.address, member.now)
    member.vl2.credentials.push_if_due(member.network, PEER.address, member.now)
    assert len(shown(member)) == 1
    member.later(1.0)
    member.network.apply(make_config(revision=2), member.now)
    member.vl2.credentials.push_if_due(member.network, PEER.address, member.now)
    assert len(shown(member)) == 1


def test_a_request_for_our_credentials_is_followed_once_a_second() -> None:
    member = Member()
    for _ in range(5):
        member.vl2.credentials.push_on_request(member.network, PEER.address, member.now)
    assert len(shown(member)) == 1


def test_strangers_that_ask_do_not_make_us_remember_without_a_bound() -> None:
    member = Member()
    times = member.network.last_push
    for number in range(70_000):
        times.note(Address(number + 1), member.now)
    assert len(times) <= 65_536


def test_packets_of_credentials_beyond_the_burst_are_dropped() -> None:
    member = Member()
    packet = NetworkCredentials(coms=(make_com(OWN),))
    verdicts = [receive(member, packet) for _ in range(credentials.RECEIVE_BURST + 1)]
    assert verdicts[-1] is Verdict.DROPPED
    assert Verdict.DROPPED not in verdicts[:-1]


def test_senders_of_credentials_are_remembered_up_to_a_bound() -> None:
    member = Member()
    packet = NetworkCredentials()
    for number in range(66_000):
        member.vl2.credentials.receive(Address(number + 1), packet, member.now)
    first = [
        member.vl2.credentials.receive(Address(1), packet, member.now)
        for _ in range(credentials.RECEIVE_BURST)
    ]
    assert Verdict.DROPPED not in first  # it was forgotten, with what it had spent
