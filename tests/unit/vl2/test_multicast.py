from unittest.mock import patch

import pytest

from ztlink.clock import Now
from ztlink.ids import Address, Mac, MulticastGroup
from ztlink.vl2.multicast import (
    GATHER_RETRIES,
    MAX_QUEUED_PER_GROUP,
    MEMBER_LIFETIME,
    QUEUED_LIFETIME,
    GroupTable,
    QueuedFrame,
    sample,
)

OWN, ALICE, BOB, CAROL = (Address(number) for number in (1, 2, 3, 4))
GROUP = MulticastGroup(Mac(b"\xff" * 6), 42)
NOW = Now(100.0, 0)


def make_frame(limit: int = 32) -> QueuedFrame:
    return QueuedFrame(b"frame", 42, limit, NOW.mono + QUEUED_LIFETIME)


def later(seconds: float) -> Now:
    return Now(NOW.mono + seconds, 0)


def test_a_listener_is_known() -> None:
    table = GroupTable(OWN)
    table.add(GROUP, ALICE, NOW)
    assert table.members(GROUP, NOW) == [ALICE]


def test_we_are_not_among_the_listeners() -> None:
    table = GroupTable(OWN)
    table.add(GROUP, OWN, NOW)
    assert table.members(GROUP, NOW) == []


def test_groups_differ_by_their_qualifier() -> None:
    table = GroupTable(OWN)
    table.add(GROUP, ALICE, NOW)
    assert table.members(MulticastGroup(GROUP.mac, 43), NOW) == []


def test_a_listener_is_forgotten_after_ten_minutes() -> None:
    table = GroupTable(OWN)
    table.add(GROUP, ALICE, NOW)
    assert table.members(GROUP, later(MEMBER_LIFETIME + 1)) == []


def test_a_repeated_mention_keeps_a_listener() -> None:
    table = GroupTable(OWN)
    table.add(GROUP, ALICE, NOW)
    table.add(GROUP, ALICE, later(500))
    assert table.members(GROUP, later(MEMBER_LIFETIME + 1)) == [ALICE]


def test_a_waiting_frame_goes_to_a_listener_that_turns_up() -> None:
    table = GroupTable(OWN)
    frame = make_frame()
    table.queue(GROUP, frame)
    assert table.add(GROUP, ALICE, NOW) == [frame]


def test_nobody_gets_a_frame_twice() -> None:
    table = GroupTable(OWN)
    table.queue(GROUP, make_frame())
    table.add(GROUP, ALICE, NOW)
    assert table.add(GROUP, ALICE, NOW) == []


def test_a_frame_goes_to_no_more_than_its_limit() -> None:
    table = GroupTable(OWN)
    table.queue(GROUP, make_frame(limit=1))
    table.add(GROUP, ALICE, NOW)
    assert table.add(GROUP, BOB, NOW) == []


def test_a_frame_waits_for_five_seconds_only() -> None:
    table = GroupTable(OWN)
    table.queue(GROUP, make_frame())
    assert table.add(GROUP, ALICE, later(QUEUED_LIFETIME + 0.1)) == []


def test_the_queue_of_a_group_is_bounded() -> None:
    table = GroupTable(OWN)
    for _ in range(MAX_QUEUED_PER_GROUP + 5):
        table.queue(GROUP, make_frame())
    assert len(table.add(GROUP, ALICE, NOW)) == MAX_QUEUED_PER_GROUP


def test_a_gather_is_not_repeated_at_once() -> None:
    table = GroupTable(OWN)
    assert table.gather_is_due(GROUP, NOW, is_urgent=True)
    assert not table.gather_is_due(GROUP, later(0.5), is_urgent=True)


def test_a_gather_is_repeated_soon_where_nobody_is_known() -> None:
    table = GroupTable(OWN)
    table.gather_is_due(GROUP, NOW, is_urgent=True)
    assert table.gather_is_due(GROUP, later(1.1), is_urgent=True)
    assert not table.gather_is_due(GROUP, later(1.2), is_urgent=False)


NEIGHBOURS = [GROUP, MulticastGroup(Mac(b"\x33\x33\xff\x01\x02\x03"))]
ROUTERS = MulticastGroup(Mac(b"\x33\x33\x00\x00\x00\x02"))


def gathers_in_five_seconds(group: MulticastGroup) -> int:
    table = GroupTable(OWN)
    table.queue(group, make_frame())
    gathers = int(table.gather_is_due(group, NOW, is_urgent=True))
    for hundredth in range(500):
        gathers += len(table.due_gathers(later(hundredth / 100)))
    return gathers


@pytest.mark.parametrize("group", NEIGHBOURS)
def test_listeners_are_sought_again_and_again_for_a_neighbour(group: MulticastGroup) -> None:
    assert gathers_in_five_seconds(group) == 1 + len(GATHER_RETRIES)


def test_listeners_are_sought_once_for_what_is_said_to_all_routers() -> None:
    assert gathers_in_five_seconds(ROUTERS) == 1


@pytest.mark.parametrize("most", [0, 1, 5, 20])
def test_a_sample_has_no_member_twice(most: int) -> None:
    members = [Address(n) for n in range(10)]
    chosen = sample(members, most, lambda n: bytes(range(7, 7 + n)))
    assert len(set(chosen)) == len(chosen) == min(most, 10)


def test_the_oldest_listener_makes_room_where_there_are_too_many() -> None:
    table = GroupTable(OWN)
    with patch("ztlink.vl2.multicast.MAX_MEMBERS", 2):
        for member in (ALICE, BOB, CAROL):
            table.add(GROUP, member, NOW)
    assert sorted(table.members(GROUP, NOW)) == [BOB, CAROL]
    assert table.size == 2


def test_the_oldest_group_makes_room_where_there_are_too_many() -> None:
    table = GroupTable(OWN)
    groups = [MulticastGroup(GROUP.mac, number) for number in range(3)]
    with patch("ztlink.vl2.multicast.MAX_GROUPS", 2):
        for group in groups:
            table.add(group, ALICE, NOW)
    assert [table.members(group, NOW) for group in groups] == [[], [ALICE], [ALICE]]
    assert table.size == 2


def test_a_listener_that_leaves_is_forgotten_and_leaving_twice_is_leaving_once() -> None:
    table = GroupTable(OWN)
    table.add(GROUP, ALICE, NOW)
    table.add(GROUP, BOB, NOW)
    table.remove(GROUP, ALICE)
    table.remove(GROUP, ALICE)
    table.remove(MulticastGroup(GROUP.mac, 1), BOB)
    assert table.members(GROUP, NOW) == [BOB]
    assert table.size == 1
