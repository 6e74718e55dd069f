"""Groups: who is told of ours, whose we keep, and whom we tell of them."""

from unittest.mock import patch

import pytest

from tests.unit.vl2.rig import (
    CONTROLLER,
    NETWORK,
    PEER,
    ROOT,
    STRANGER,
    Member,
    make_com,
    make_config,
)
from ztlink.batch import Verdict
from ztlink.ids import BROADCAST_MAC, Mac, MulticastGroup, NetworkId, PacketId
from ztlink.stats import Drop
from ztlink.vl2 import foreign
from ztlink.vl2.announce import LIKES_PER_PACKET
from ztlink.vl2.multicast import MAX_GROUPS_PER_MEMBER
from ztlink.wire.buffer import Reader
from ztlink.wire.control import OkHeader
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import ConfigFlag, Specialist, SpecialistRole
from ztlink.wire.network import (
    GatherResults,
    Like,
    MulticastGather,
    MulticastLike,
    OkMulticastGather,
)
from ztlink.wire.verbs import Verb

FOREIGN = NetworkId(0x0123_4567_89AB_CDEF)


def group(number: int) -> MulticastGroup:
    return MulticastGroup(Mac(bytes.fromhex("33330000") + number.to_bytes(2, "big")), 0)


def like(member: Member, peer: Identity, network_id: NetworkId, *groups: MulticastGroup) -> Verdict:
    payload = MulticastLike(tuple(Like(network_id, each) for each in groups)).to_bytes()
    return member.vl2.groups.receive_like(peer, PacketId(1), memoryview(payload), member.now)


def gather(
    member: Member, asker: Identity, network_id: NetworkId, wanted: MulticastGroup, limit: int = 10
) -> OkMulticastGather | None:
    """Ask the member who listens, and return its answer."""
    payload = MulticastGather(network_id, wanted, limit).to_bytes()
    member.underlay.sent = []
    member.vl2.groups.receive_gather(asker, PacketId(1), memoryview(payload), member.now)
    answers = member.underlay.take(Verb.OK)
    if not answers:
        return None
    reader = Reader(answers[0].payload)
    OkHeader.decode(reader)
    return OkMulticastGather.decode(reader)


def listeners(answer: OkMulticastGather | None) -> set[int]:
    return set() if answer is None else set(answer.results.members)


@pytest.fixture
def root() -> Member:
    member = Member()
    member.underlay.root = True
    return member


# -- ours ------------------------------------------------------------------------------------


def test_a_new_subscription_is_announced_at_once_to_roots_controller_and_members() -> None:
    member = Member()
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    member.vl2.set_groups(NETWORK, frozenset({group(1)}), member.now)
    told = {message.to for message in member.underlay.take(Verb.MULTICAST_LIKE)}
    assert told == {ROOT.address, CONTROLLER.address, PEER.address}


def test_replicators_are_told_of_our_groups() -> None:
    role = Specialist(STRANGER.address, SpecialistRole.REPLICATOR)
    member = Member(make_config(specialists=(role,)))
    member.vl2.set_groups(NETWORK, frozenset({group(1)}), member.now)
    told = {message.to for message in member.underlay.take(Verb.MULTICAST_LIKE)}
    assert STRANGER.address in told


def test_broadcast_is_announced_where_the_network_allows_it() -> None:
    member = Member(make_config(flags=ConfigFlag.BROADCAST))
    assert MulticastGroup(BROADCAST_MAC, 0) in member.network.own_groups()


def test_a_member_is_told_of_our_groups_once_a_minute() -> None:
    member = Member(make_config(flags=ConfigFlag.BROADCAST))
    for _ in range(3):
        member.vl2.groups.announce_to(member.network, PEER.address, member.now)
    assert len(member.underlay.take(Verb.MULTICAST_LIKE)) == 1


def test_more_groups_than_a_packet_holds_are_announced_in_several() -> None:
    member = Member()
    member.vl2.set_groups(NETWORK, frozenset(map(group, range(500))), member.now)
    messages = [m for m in member.underlay.take(Verb.MULTICAST_LIKE) if m.to == ROOT.address]
    sizes = [len(MulticastLike.from_bytes(m.payload).likes) for m in messages]
    assert sizes == [LIKES_PER_PACKET, 500 - LIKES_PER_PACKET]


def test_what_a_host_behind_us_listens_to_is_forgotten_after_ten_minutes() -> None:
    member = Member()
    member.network.learn_bridged_group(group(1), member.now)
    assert group(1) in member.network.own_groups()
    member.later(700.0)
    assert group(1) not in member.network.own_groups()


def test_what_hosts_behind_us_listen_to_is_bounded() -> None:
    member = Member()
    for number in range(5000):
        member.network.learn_bridged_group(group(number), member.now)
    assert len(member.network.bridged_groups) == 4096


# -- theirs ----------------------------------------------------------------------------------


def test_a_member_counts_as_a_listener() -> None:
    member = Member()
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    assert like(member, PEER.public, NETWORK, group(1)) is Verdict.TRUSTED
    assert member.network.groups.members(group(1), member.now) == [PEER.address]


def test_a_stranger_does_not_count_as_a_listener() -> None:
    member = Member()
    like(member, STRANGER.public, NETWORK, group(1))
    assert member.network.groups.members(group(1), member.now) == []


def test_a_stranger_is_not_told_who_listens() -> None:
    member = Member()
    member.vl2.credentials.add(make_com(PEER), PEER.address, member.now)
    like(member, PEER.public, NETWORK, group(1))
    assert gather(member, STRANGER.public, NETWORK, group(1)) is None


def test_a_listener_ourselves_we_come_first() -> None:
    member = Member()
    for who in (PEER, STRANGER):
        member.vl2.credentials.add(make_com(who), who.address, member.now)
    like(member, STRANGER.public, NETWORK, group(1))
    member.vl2.set_groups(NETWORK, frozenset({group(1)}), member.now)
    answer = gather(member, PEER.public, NETWORK, group(1), limit=1)
    assert answer is not None
    assert answer.results.members == (member.network.own,)
    assert answer.results.total_known == 2


def test_a_root_knows_the_groups_of_networks_that_it_is_not_on(root: Member) -> None:
    like(root, PEER.public, FOREIGN, group(1))
    assert listeners(gather(root, STRANGER.public, FOREIGN, group(1))) == {PEER.address}


def test_who_asks_is_not_among_the_answer(root: Member) -> None:
    like(root, PEER.public, FOREIGN, group(1))
    assert gather(root, PEER.public, FOREIGN, group(1)) is None


def test_a_group_that_is_none_is_not_kept(root: Member) -> None:
    unicast = MulticastGroup(Mac(bytes(6)), 0)
    like(root, PEER.public, FOREIGN, unicast)
    assert gather(root, STRANGER.public, FOREIGN, unicast) is None


def test_a_root_forgets_networks_of_which_nobody_speaks_any_more(root: Member) -> None:
    for number in range(100):
        like(root, PEER.public, NetworkId(number + 1), group(1))
    root.later(700.0)
    like(root, PEER.public, FOREIGN, group(1))
    assert len(root.vl2.groups.foreign.tables) == 1


def test_to_ask_about_networks_makes_a_root_remember_none(root: Member) -> None:
    for number in range(100):
        gather(root, STRANGER.public, NetworkId(number + 1), group(1))
    assert len(root.vl2.groups.foreign.tables) == 0


def test_one_stranger_cannot_have_a_root_forget_what_others_told(root: Member) -> None:
    like(root, PEER.public, FOREIGN, group(1))
    for number in range(0, 100_000, 400):
        likes = tuple(Like(NetworkId(number + n + 1), group(1)) for n in range(400))
        payload = memoryview(MulticastLike(likes).to_bytes())
        root.vl2.groups.receive_like(STRANGER.public, PacketId(1), payload, root.now)
    assert listeners(gather(root, CONTROLLER.public, FOREIGN, group(1))) == {PEER.address}
    assert len(root.vl2.groups.foreign.tables) == 1 + foreign.MAX_NETWORKS_PER_PEER
    assert root.underlay.stats.drops[Drop.RATE_LIMITED] > 0


def test_one_stranger_has_a_bounded_number_of_groups_kept(root: Member) -> None:
    for number in range(20):
        like(root, STRANGER.public, NetworkId(number + 1), *map(group, range(400)))
    sizes = [table.size for table in root.vl2.groups.foreign.tables.values()]
    assert sum(sizes) == foreign.MAX_LIKES_PER_PEER


def test_who_told_too_much_may_still_repeat_what_it_told_first(root: Member) -> None:
    for number in range(20):
        like(root, STRANGER.public, NetworkId(number + 1), *map(group, range(400)))
    root.later(500.0)
    like(root, STRANGER.public, NetworkId(1), group(1))
    root.later(200.0)
    assert listeners(gather(root, PEER.public, NetworkId(1), group(1))) == {STRANGER.address}


def test_who_told_too_much_is_heard_again_when_that_is_forgotten(root: Member) -> None:
    for number in range(20):
        like(root, STRANGER.public, NetworkId(number + 1), *map(group, range(400)))
    root.later(700.0)
    like(root, STRANGER.public, NetworkId(1), group(1))  # when it is swept
    like(root, STRANGER.public, FOREIGN, group(1))
    assert listeners(gather(root, PEER.public, FOREIGN, group(1))) == {STRANGER.address}


def test_what_strangers_may_have_a_root_remember_is_bounded(root: Member) -> None:
    with patch.object(foreign, "MAX_LIKES", 1000):
        for number in range(40):
            like(root, PEER.public, NetworkId(number + 1), *map(group, range(100)))
        sizes = [table.size for table in root.vl2.groups.foreign.tables.values()]
    assert sum(sizes) <= 1000


def test_the_networks_heard_of_last_are_kept(root: Member) -> None:
    with patch.object(foreign, "MAX_NETWORKS", 3):
        for number in (1, 2, 3, 1, 4):
            like(root, PEER.public, NetworkId(number), group(1))
    assert listeners(gather(root, STRANGER.public, NetworkId(1), group(1))) == {PEER.address}
    assert listeners(gather(root, STRANGER.public, NetworkId(4), group(1))) == {PEER.address}


# -- what a member may displace --------------------------------------------------------------


def test_one_member_cannot_have_us_forget_what_others_listen_to() -> None:
    member = Member()
    for who in (PEER, STRANGER):
        member.vl2.credentials.add(make_com(who), who.address, member.now)
    like(member, PEER.public, NETWORK, group(60_000))
    for number in range(0, 40_000, 400):
        like(member, STRANGER.public, NETWORK, *map(group, range(number, number + 400)))
    assert member.network.groups.members(group(60_000), member.now) == [PEER.address]
    assert member.network.groups.counts[STRANGER.address] == MAX_GROUPS_PER_MEMBER


def test_listeners_of_groups_that_nobody_asked_for_are_not_kept() -> None:
    member = Member()
    answer = OkMulticastGather(NETWORK, group(1), GatherResults(1, (PEER.address,)))
    payload = OkHeader(Verb.MULTICAST_GATHER, PacketId(1)).to_bytes() + answer.to_bytes()
    reader = Reader(memoryview(payload))
    member.vl2.handle_ok(ROOT.public, OkHeader.decode(reader), PacketId(2), reader, member.now)
    assert member.network.groups.size == 0
