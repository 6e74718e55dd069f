"""What peers may have us check in vain, and that honest ones are never refused."""

from dataclasses import replace

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
    make_tag,
    revocation_of,
)
from ztlink.batch import Verdict
from ztlink.clock import Now
from ztlink.crypto.identity import sign
from ztlink.ids import Address, MulticastGroup, PacketId
from ztlink.stats import Drop
from ztlink.vl2.checks import (
    ALL_FAILURES_BURST,
    FAILURES_BURST,
    FAILURES_PER_SECOND,
    MAX_SENDERS,
    SignatureChecks,
)
from ztlink.vl2.network import CONFIGS_BURST, RETRY_INTERVAL
from ztlink.wire.credentials import Com, Revocation
from ztlink.wire.network import ConfigChunk, MulticastFrame, NetworkCredentials
from ztlink.wire.verbs import Verb

HONEST, FORGER = PEER.address, STRANGER.address
MOST = int(FAILURES_BURST)


def forged(number: int) -> Com:
    """Return a certificate that differs from all others, and is not the controller's."""
    return replace(make_com(PEER, 1_700_000_000_001 + number), signature=bytes(96))


def show(member: Member, sender: Address, *coms: Com) -> Verdict:
    """Have a member be shown certificates, by a sender that keeps within the rate of packets."""
    member.later(1.0)
    return member.vl2.credentials.receive(sender, NetworkCredentials(coms=coms), member.now)


def checked(member: Member) -> int:
    """Return how many credentials were found to be bad."""
    return member.underlay.stats.drops[Drop.BAD_CREDENTIAL]


def refused(member: Member) -> int:
    """Return how many credentials were not looked at."""
    return member.underlay.stats.drops[Drop.RATE_LIMITED]


# -- credentials -----------------------------------------------------------------------------


def test_a_forger_has_few_signatures_checked() -> None:
    member = Member()
    show(member, FORGER, *map(forged, range(200)))
    assert (checked(member), refused(member)) == (MOST, 200 - MOST)


def test_what_a_forger_may_spend_comes_back_slowly() -> None:
    member = Member()
    for batch in range(20):
        show(member, FORGER, *map(forged, range(batch * 50, batch * 50 + 50)))
    assert checked(member) <= MOST + 20 * FAILURES_PER_SECOND


def test_a_member_in_whose_papers_nothing_is_wrong_is_never_refused() -> None:
    member = Member()
    papers = NetworkCredentials(
        coms=(make_com(PEER),), tags=tuple(make_tag(number, PEER) for number in range(100))
    )
    assert member.vl2.credentials.receive(HONEST, papers, member.now) is Verdict.TRUSTED
    assert (refused(member), len(member.network.members[PEER.address].tags)) == (0, 100)


def test_a_member_in_whose_papers_nothing_is_wrong_is_not_refused_while_many_forge() -> None:
    member = Member()
    for forger in range(40):
        show(member, Address(forger + 1), *map(forged, range(100)))
    before = refused(member)
    assert show(member, HONEST, make_com(PEER)) is Verdict.TRUSTED
    assert (refused(member), member.network.allows(PEER.public)) == (before, True)


def test_many_forgers_together_have_a_bounded_number_checked() -> None:
    member = Member()
    for forger in range(200):
        packet = NetworkCredentials(coms=tuple(map(forged, range(100))))
        member.vl2.credentials.receive(Address(forger + 1), packet, member.now)
    assert checked(member) <= ALL_FAILURES_BURST + 200  # and one of each


def test_forged_certificates_with_frames_are_bounded_too() -> None:
    member = Member()
    for number in range(200):
        frame = MulticastFrame(
            NETWORK, MulticastGroup(member.network.mac, 0), 0x0800, b"x", com=forged(number)
        )
        payload = memoryview(frame.to_bytes())
        member.vl2.handle(STRANGER.public, Verb.MULTICAST_FRAME, PacketId(1), payload, member.now)
    assert checked(member) == MOST


def test_copies_of_a_revocation_from_every_member_cost_nobody_anything() -> None:
    member = Member()
    revocation = revocation_of(PEER)
    for _ in range(200):
        member.later(1.0)
        member.vl2.credentials.receive(
            FORGER, NetworkCredentials(revocations=(revocation,)), member.now
        )
    show(member, FORGER, *map(forged, range(200)))
    assert checked(member) == MOST


def test_old_revocations_over_and_over_are_not_checked_over_and_over() -> None:
    member = Member()
    for number in range(200):
        bare = replace(revocation_of(PEER), revocation_id=number, threshold=1000 - number)
        revocation: Revocation = replace(bare, signature=sign(CONTROLLER, bare.signing_input()))
        packet = NetworkCredentials(revocations=(revocation,))
        member.later(0.05)
        member.vl2.credentials.receive(FORGER, packet, member.now)
    assert refused(member) > 100


def test_a_copy_of_a_revocation_with_a_forged_signature_shows_nothing() -> None:
    member = Member()
    packet = NetworkCredentials(revocations=(revocation_of(PEER),))
    member.vl2.credentials.receive(FORGER, packet, member.now)
    copy = replace(revocation_of(PEER), signature=bytes(96))
    verdict = member.vl2.credentials.receive(
        FORGER, NetworkCredentials(revocations=(copy,)), member.now
    )
    assert verdict is Verdict.ACCEPTED


# -- pieces of configurations ----------------------------------------------------------------


def signed(data: bytes, update_id: int, total: int = 0, index: int = 0) -> ConfigChunk:
    chunk = ConfigChunk(NETWORK, data, 0, update_id, total or len(data), index)
    return replace(chunk, signature=sign(CONTROLLER, chunk.signed_bytes()))


def push(member: Member, chunk: ConfigChunk, sender: Address = CONTROLLER.address) -> None:
    payload = memoryview(chunk.to_bytes())
    who = next(s for s in (CONTROLLER, STRANGER, PEER) if s.address == sender)
    member.vl2.handle(who.public, Verb.NETWORK_CONFIG, PacketId(1), payload, member.now)


def bad_chunks(member: Member) -> int:
    return member.underlay.stats.drops[Drop.BAD_CONFIG]


def test_forged_pieces_of_configurations_are_bounded() -> None:
    member = Member()
    for number in range(200):
        push(member, replace(signed(b"x", number + 1), signature=bytes(96)), FORGER)
    assert bad_chunks(member) == MOST


def test_a_configuration_of_the_controller_passes_while_another_forges() -> None:
    member = Member()
    for number in range(200):
        push(member, replace(signed(b"x", number + 1), signature=bytes(96)), FORGER)
    push(member, signed(make_config(revision=7).encode(), 999))
    assert member.network.config is not None
    assert member.network.config.revision == 7


def test_pieces_meant_for_others_are_bounded_although_their_signatures_are_good() -> None:
    member = Member()
    for number in range(100):
        text = make_config(issued_to=identity(5).address, revision=number).encode()
        push(member, signed(text, number + 1), FORGER)
    assert bad_chunks(member) == MOST


def test_a_controller_that_sends_one_configuration_after_another_is_slowed_down() -> None:
    member = Member()
    for revision in range(200):
        push(member, signed(make_config(revision=revision).encode(), revision + 1))
    assert member.network.config is not None
    assert member.network.config.revision == CONFIGS_BURST - 1


def test_what_was_left_out_of_a_storm_of_configurations_is_asked_for_soon() -> None:
    member = Member()
    for revision in range(200):
        push(member, signed(make_config(revision=revision).encode(), revision + 1))
    member.underlay.sent = []
    member.later(RETRY_INTERVAL + 0.1)
    assert member.underlay.take(Verb.NETWORK_CONFIG_REQUEST)


# -- the table itself ------------------------------------------------------------------------


def test_senders_are_bounded_and_the_longest_ago_is_forgotten_first() -> None:
    checks = SignatureChecks()
    now = Now(0, 0)
    for number in range(MAX_SENDERS + 1):
        checks.in_vain(Address(number), FAILURES_BURST, now)
    assert len(checks) == MAX_SENDERS
    assert checks.allows(Address(0), now)


@pytest.mark.parametrize("waited", [0.0, 1.0])
def test_a_sender_is_heard_again_after_a_while(waited: float) -> None:
    checks = SignatureChecks()
    checks.in_vain(OWN.address, FAILURES_BURST, Now(0, 0))
    assert checks.allows(OWN.address, Now(waited, 0)) is (waited > 0)
