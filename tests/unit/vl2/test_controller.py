"""The wire side of a controller: what members ask becomes events, its answers become packets."""

from dataclasses import replace
from ipaddress import ip_address
from unittest.mock import patch

import pytest

from tests.unit.vl2.rig import (
    CONTROLLER,
    MAX_DELTA,
    NETWORK,
    OWN,
    PEER,
    START,
    STRANGER,
    Member,
    NotingUnderlay,
    make_com,
    make_config,
    revocation_of,
)
from ztlink.batch import Verdict
from ztlink.clock import Now
from ztlink.controller.decide import chunks_of
from ztlink.crypto.identity import sign
from ztlink.ids import NetworkId, PacketId
from ztlink.stats import Drop
from ztlink.vl2.controller import MIN_REQUEST_INTERVAL, REQUESTS_BURST, SERVED_LIFETIME
from ztlink.vl2.events import ConfigRequested, NetworkConfigured, NetworkStatus, Vl2Event
from ztlink.vl2.layer import Vl2
from ztlink.wire.buffer import Reader
from ztlink.wire.control import Error, OkHeader
from ztlink.wire.credentials import CredentialType
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.netconf import NetworkConfig
from ztlink.wire.network import ConfigChunk, NetworkConfigRequest, NetworkCredentials
from ztlink.wire.rules import Prefix, Rule, RuleType
from ztlink.wire.verbs import ErrorCode, Verb

PACKET_ID = PacketId(77)
METADATA = b"v=7\npv=12\n"
FOREIGN = NetworkId(STRANGER.address << 24 | 1)
IS_LOCAL = Rule(RuleType.MATCH_IPV6_SOURCE, Prefix(ip_address("fd00::1"), 8))
LARGE = make_config(rules=(IS_LOCAL,) * 1000 + (Rule(RuleType.ACTION_DROP),), name=b"large")


class Server:
    """A VL2 that serves the network which it has the address of."""

    def __init__(self, *, is_enabled: bool = True) -> None:
        self.underlay = NotingUnderlay()
        self.underlay.identity = CONTROLLER.public
        self.events: list[Vl2Event] = []
        self.vl2 = Vl2(self.underlay, self.events.append, is_enabled, START)
        self.now = START

    def ask(
        self, who: SecretIdentity = OWN, network_id: NetworkId = NETWORK
    ) -> tuple[Verdict | None, list[ConfigRequested]]:
        """Receive a request; return the verdict and what is passed on."""
        payload = NetworkConfigRequest(network_id, METADATA).to_bytes()
        before = len(self.events)
        verdict = self.vl2.handle(
            who.public, Verb.NETWORK_CONFIG_REQUEST, PACKET_ID, memoryview(payload), self.now
        )
        new = self.events[before:]
        return verdict, [event for event in new if isinstance(event, ConfigRequested)]

    def later(self, seconds: float) -> None:
        passed = round(seconds * 1000)
        self.now = Now(self.now.mono + seconds, self.now.unix_ms + passed)


# -- requests --------------------------------------------------------------------------------


def test_a_request_is_passed_on_with_what_the_member_says_of_itself() -> None:
    verdict, events = Server().ask()
    assert verdict is Verdict.ACCEPTED
    assert events == [ConfigRequested(NETWORK, OWN.public, METADATA, PACKET_ID)]


def test_a_request_for_a_network_of_others_is_not_answered() -> None:
    server = Server()
    assert server.ask(network_id=FOREIGN) == (Verdict.DROPPED, [])
    assert server.underlay.stats.drops[Drop.NOT_A_CONTROLLER] == 1
    assert not server.underlay.sent


def test_a_node_that_serves_no_networks_says_so() -> None:
    server = Server(is_enabled=False)
    assert server.ask() == (Verdict.ACCEPTED, [])
    (message,) = server.underlay.take(Verb.ERROR)
    assert Error.from_bytes(message.payload).code == ErrorCode.UNSUPPORTED_OPERATION


def test_requests_of_a_member_are_passed_on_four_times_a_second_at_most() -> None:
    server = Server()
    assert len(server.ask()[1]) == 1
    assert server.ask() == (Verdict.DROPPED, [])
    assert server.underlay.stats.drops[Drop.RATE_LIMITED] == 1
    server.later(MIN_REQUEST_INTERVAL)
    assert len(server.ask()[1]) == 1


def test_one_node_cannot_ask_for_networks_without_end() -> None:
    server = Server()
    networks = [NetworkId((NETWORK & ~0xFFFFFF) + number) for number in range(1000)]
    passed_on = sum(len(server.ask(network_id=network)[1]) for network in networks)
    assert passed_on == REQUESTS_BURST
    assert len(server.ask(PEER)[1]) == 1


def test_members_do_not_wait_for_each_other() -> None:
    server = Server()
    server.ask()
    assert len(server.ask(PEER)[1]) == 1


# -- configurations --------------------------------------------------------------------------


def answered(config: NetworkConfig, in_reply_to: PacketId | None = PACKET_ID) -> Member:
    """Have a controller send a configuration and a member without one take it."""
    server, member = Server(), fresh_member()
    chunks = chunks_of(config, 5, CONTROLLER)
    server.vl2.controller.send_config(OWN.address, NETWORK, chunks, in_reply_to, START)
    assert [message.to for message in server.underlay.sent] == [OWN.address] * len(chunks)
    for number, message in enumerate(server.underlay.sent):
        reader = Reader(message.payload)
        packet_id = PacketId(1000 + number)
        if message.verb == Verb.OK:
            ok = OkHeader.decode(reader)
            assert ok == OkHeader(Verb.NETWORK_CONFIG_REQUEST, PACKET_ID)
            member.vl2.handle_ok(CONTROLLER.public, ok, packet_id, reader, START)
        else:
            body = memoryview(message.payload)
            member.vl2.handle(CONTROLLER.public, message.verb, packet_id, body, START)
    return member


def fresh_member() -> Member:
    """Return a member that has no configuration yet."""
    member = Member()
    member.vl2.leave(NETWORK, START)
    member.vl2.join(NETWORK, START, None)
    member.network = member.vl2.networks[NETWORK]
    assert member.network.status is NetworkStatus.REQUESTING_CONFIGURATION
    return member


@pytest.mark.parametrize("config", [make_config(), LARGE], ids=["one chunk", "several"])
@pytest.mark.parametrize("in_reply_to", [PACKET_ID, None], ids=["answer", "unasked"])
def test_a_member_accepts_the_configuration_that_is_sent(
    config: NetworkConfig, in_reply_to: PacketId | None
) -> None:
    member = answered(config, in_reply_to)
    assert member.network.config == config
    assert member.network.status is NetworkStatus.OK


def test_a_large_configuration_takes_several_packets() -> None:
    assert len(chunks_of(LARGE, 5, CONTROLLER)) > 1


def test_our_own_configuration_takes_no_packet() -> None:
    server = Server()
    server.vl2.join(NETWORK, START, None)
    config = make_config(issued_to=CONTROLLER.address, com=make_com(CONTROLLER))
    chunks = chunks_of(config, 5, CONTROLLER)
    server.vl2.controller.send_config(CONTROLLER.address, NETWORK, chunks, None, START)
    assert NetworkConfigured(NETWORK, config) in server.events
    assert not server.underlay.take(Verb.NETWORK_CONFIG)


def test_a_member_of_its_own_network_asks_itself() -> None:
    server = Server()
    server.vl2.join(NETWORK, START, None)
    asked = [event for event in server.events if isinstance(event, ConfigRequested)]
    assert [(event.member, event.packet_id) for event in asked] == [(CONTROLLER.public, 0)]
    assert not server.underlay.take(Verb.NETWORK_CONFIG_REQUEST)


def test_a_node_that_serves_no_networks_does_not_ask_itself() -> None:
    server = Server(is_enabled=False)
    server.vl2.join(NETWORK, START, None)
    assert not [event for event in server.events if isinstance(event, ConfigRequested)]


def test_who_got_a_configuration_counts_as_served_for_a_while() -> None:
    server = Server()
    controller = server.vl2.controller
    assert not controller.has_served(NETWORK, OWN.address, server.now)
    controller.send_config(OWN.address, NETWORK, [], None, server.now)
    server.later(SERVED_LIFETIME - 1)
    assert controller.has_served(NETWORK, OWN.address, server.now)
    assert not controller.has_served(NETWORK, PEER.address, server.now)
    server.later(1)
    assert not controller.has_served(NETWORK, OWN.address, server.now)


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.NETWORK_ACCESS_DENIED, NetworkStatus.ACCESS_DENIED),
        (ErrorCode.OBJ_NOT_FOUND, NetworkStatus.NOT_FOUND),
        (ErrorCode.UNSUPPORTED_OPERATION, NetworkStatus.NOT_FOUND),
    ],
)
def test_a_member_understands_a_refusal(code: ErrorCode, status: NetworkStatus) -> None:
    server, member = Server(), fresh_member()
    server.vl2.controller.send_error(OWN.address, NETWORK, PACKET_ID, code, START)
    (message,) = server.underlay.take(Verb.ERROR)
    member.vl2.handle_error(
        CONTROLLER.public, Error.from_bytes(message.payload), START, is_answer=True
    )
    assert (message.to, member.network.status) == (OWN.address, status)


def test_a_refusal_of_ourselves_takes_no_packet() -> None:
    server = Server()
    server.vl2.join(NETWORK, START, None)
    code = ErrorCode.NETWORK_ACCESS_DENIED
    server.vl2.controller.send_error(CONTROLLER.address, NETWORK, PacketId(0), code, START)
    assert server.vl2.networks[NETWORK].status is NetworkStatus.ACCESS_DENIED
    assert not server.underlay.sent


def test_a_refusal_for_a_network_that_we_left_harms_nothing() -> None:
    server = Server()
    code = ErrorCode.NETWORK_ACCESS_DENIED
    server.vl2.controller.send_error(CONTROLLER.address, NETWORK, PacketId(0), code, START)
    assert not server.vl2.networks


# -- revocations -----------------------------------------------------------------------------


def test_every_member_is_told_of_a_revocation_and_believes_it() -> None:
    server, member = Server(), Member()
    member.vl2.credentials.add(make_com(PEER), PEER.address, START)
    assert member.network.allows(PEER.public)
    revocation = revocation_of(PEER)
    told = [OWN.address, STRANGER.address]
    server.vl2.controller.send_revocation(told, revocation, START)
    messages = server.underlay.take(Verb.NETWORK_CREDENTIALS)
    assert [message.to for message in messages] == told
    assert NetworkCredentials.from_bytes(messages[0].payload).revocations == (revocation,)
    body = memoryview(messages[0].payload)
    member.vl2.handle(CONTROLLER.public, Verb.NETWORK_CREDENTIALS, PACKET_ID, body, START)
    assert not member.network.allows(PEER.public)


def test_a_chunk_names_the_network_that_it_is_of() -> None:
    (chunk,) = chunks_of(make_config(), 5, CONTROLLER)
    decoded = ConfigChunk.from_bytes(chunk)
    assert (decoded.network_id, decoded.update_id) == (NETWORK, 5)
    assert NetworkConfig.decode(decoded.data).credential_time_max_delta == MAX_DELTA


def test_what_is_said_unasked_waits_for_a_way_to_the_member() -> None:
    server = Server()
    controller, code = server.vl2.controller, ErrorCode.NETWORK_ACCESS_DENIED
    controller.send_config(OWN.address, NETWORK, [b"chunk"], None, START)
    controller.send_error(OWN.address, NETWORK, PacketId(0), code, START)
    controller.send_revocation([OWN.address], revocation_of(PEER), START)
    assert [message.is_patient for message in server.underlay.sent] == [True] * 3


# -- what a member does not believe ----------------------------------------------------------


def receive_chunks(member: Member, config: NetworkConfig) -> None:
    """Have a member receive a signed configuration that it did not ask for."""
    for chunk in chunks_of(config, 6, CONTROLLER):
        member.vl2.handle(
            PEER.public, Verb.NETWORK_CONFIG, PACKET_ID, memoryview(chunk), member.now
        )


@pytest.mark.parametrize(
    "config",
    [
        make_config(issued_to=PEER.address),
        make_config(network_id=NetworkId(NETWORK + 1)),
        make_config(timestamp=START.unix_ms - 1),
    ],
    ids=["somebody else's", "another network's", "older"],
)
def test_a_signed_configuration_that_is_not_ours_to_apply_is_not_applied(
    config: NetworkConfig,
) -> None:
    member = Member()
    before = member.network.config
    receive_chunks(member, config)
    assert member.network.config == before
    stats = member.underlay.stats
    assert stats.drops[Drop.BAD_CONFIG] + stats.drops[Drop.UNKNOWN_NETWORK] == 1


def test_a_configuration_of_a_controller_that_nobody_knows_is_not_applied() -> None:
    member = Member()
    before = member.network.config
    del member.underlay.known[CONTROLLER.address]
    receive_chunks(member, make_config(timestamp=START.unix_ms + 1))
    assert member.network.config == before
    assert member.underlay.stats.drops[Drop.BAD_CONFIG] == 1


def refuse(member: Member, code: ErrorCode, *, is_answer: bool) -> None:
    error = Error(Verb.NETWORK_CONFIG_REQUEST, PACKET_ID, code, NETWORK.to_bytes(8, "big"))
    member.vl2.handle_error(CONTROLLER.public, error, member.now, is_answer=is_answer)


def test_a_refusal_that_answers_nothing_has_the_controller_asked_and_nothing_else() -> None:
    member = Member()
    refuse(member, ErrorCode.NETWORK_ACCESS_DENIED, is_answer=False)
    member.later(0.1)
    assert member.network.status is NetworkStatus.OK
    assert len(member.underlay.take(Verb.NETWORK_CONFIG_REQUEST)) == 1


def test_the_controller_is_asked_again_until_the_doubt_is_over() -> None:
    member = Member()
    refuse(member, ErrorCode.NETWORK_ACCESS_DENIED, is_answer=False)
    member.later(10.0)
    asked = len(member.underlay.take(Verb.NETWORK_CONFIG_REQUEST))
    member.network.apply(make_config(revision=2), member.now)
    member.later(10.0)
    assert (asked > 5, member.underlay.take(Verb.NETWORK_CONFIG_REQUEST)) == (True, [])


def test_refusals_over_and_over_do_not_have_the_controller_asked_over_and_over() -> None:
    member = Member()
    for _ in range(50):
        refuse(member, ErrorCode.NETWORK_ACCESS_DENIED, is_answer=False)
        member.later(0.02)
        member.network.apply(make_config(), member.now)
    assert len(member.underlay.take(Verb.NETWORK_CONFIG_REQUEST)) == 1


def test_other_refusals_that_answer_nothing_are_passed_over() -> None:
    member = Member()
    refuse(member, ErrorCode.OBJ_NOT_FOUND, is_answer=False)
    member.later(0.1)
    assert member.network.status is NetworkStatus.OK
    assert member.underlay.take(Verb.NETWORK_CONFIG_REQUEST) == []


@pytest.mark.parametrize(
    ("threshold", "status"),
    [(START.unix_ms, NetworkStatus.ACCESS_DENIED), (START.unix_ms - 1, NetworkStatus.OK)],
    ids=["of our certificate", "of one before it"],
)
def test_a_revocation_of_our_own_certificate_is_a_refusal(
    threshold: int, status: NetworkStatus
) -> None:
    member = Member()
    bare = replace(revocation_of(OWN), threshold=threshold)
    revocation = replace(bare, signature=sign(CONTROLLER, bare.signing_input()))
    member.vl2.credentials.add(revocation, PEER.address, member.now)
    assert member.network.status is status


def test_a_revocation_of_a_tag_of_ours_is_no_refusal() -> None:
    member = Member()
    bare = replace(revocation_of(OWN), credential_type=CredentialType.TAG, credential_id=1)
    revocation = replace(bare, signature=sign(CONTROLLER, bare.signing_input()))
    member.vl2.credentials.add(revocation, PEER.address, member.now)
    assert member.network.status is NetworkStatus.OK


@pytest.mark.parametrize("code", [ErrorCode.INVALID_REQUEST, 0x7F])
def test_an_error_that_says_nothing_about_the_network_changes_nothing(code: int) -> None:
    member = Member()
    error = Error(Verb.NETWORK_CONFIG_REQUEST, PACKET_ID, code, NETWORK.to_bytes(8, "big"))
    member.vl2.handle_error(CONTROLLER.public, error, START, is_answer=True)
    assert member.network.status is NetworkStatus.OK


def test_a_refusal_by_somebody_else_or_of_another_network_changes_nothing() -> None:
    member = Member()
    denied = ErrorCode.NETWORK_ACCESS_DENIED
    for who, body in (
        (PEER, NETWORK.to_bytes(8, "big")),
        (CONTROLLER, FOREIGN.to_bytes(8, "big")),
        (CONTROLLER, b"short"),
    ):
        error = Error(Verb.NETWORK_CONFIG_REQUEST, PACKET_ID, denied, body)
        member.vl2.handle_error(who.public, error, START, is_answer=True)
    assert member.network.status is NetworkStatus.OK


def test_what_is_remembered_of_those_who_ask_is_bounded() -> None:
    with patch("ztlink.vl2.controller.MAX_REQUESTERS", 2):
        server = Server()
        for who in (OWN, PEER, STRANGER):
            server.ask(who)
            server.vl2.controller.send_config(who.address, NETWORK, [], PACKET_ID, server.now)
        assert len(server.ask(OWN)[1]) == 1  # as if it had not asked just now
    served = [
        server.vl2.controller.has_served(NETWORK, who.address, server.now)
        for who in (OWN, PEER, STRANGER)
    ]
    assert served == [False, True, True]
