from dataclasses import dataclass

import pytest

from ztlink.clock import Now
from ztlink.deadlines import LEAST_ENTRIES, DeadlineQueue, Timed, earliest, sooner


@dataclass(eq=False)
class Owner:
    name: str

    def handle_timer(self, now: Now) -> None:
        raise AssertionError("the queue does not call its owners")


def test_the_earliest_owner_comes_first() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    early, late = Owner("early"), Owner("late")
    queue.schedule(late, 2.0)
    queue.schedule(early, 1.0)
    assert [queue.pop_due(5.0), queue.pop_due(5.0)] == [early, late]


def test_equal_deadlines_keep_their_order() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owners = [Owner(str(n)) for n in range(5)]
    for owner in owners:
        queue.schedule(owner, 1.0)
    assert [queue.pop_due(1.0) for _ in owners] == owners


def test_nothing_is_due_before_its_time() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    queue.schedule(Owner("later"), 1.0)
    assert queue.pop_due(0.999) is None


def test_a_later_deadline_does_not_replace_an_earlier_one() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owner = Owner("a")
    queue.schedule(owner, 1.0)
    queue.schedule(owner, 9.0)
    assert queue.head() == 1.0


def test_an_earlier_deadline_replaces_a_later_one() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owner = Owner("a")
    queue.schedule(owner, 9.0)
    queue.schedule(owner, 1.0)
    assert queue.pop_due(1.0) is owner
    assert queue.head() is None


def test_what_was_replaced_does_not_come_first_when_its_successor_has_gone() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    replaced, other = Owner("replaced"), Owner("other")
    queue.schedule(replaced, 2.0)
    queue.schedule(other, 3.0)
    queue.schedule(replaced, 1.0)
    assert queue.pop_due(1.0) is replaced
    assert queue.head() == 3.0


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [(None, None, None), (1.0, None, 1.0), (None, 0.0, 0.0), (2.0, 1.0, 1.0), (1.0, 2.0, 1.0)],
)
def test_the_sooner_of_two_is_one_that_is_there(
    one: float | None, other: float | None, first: float | None
) -> None:
    assert sooner(one, other) == first


def test_a_forgotten_owner_is_never_due() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owner = Owner("a")
    queue.schedule(owner, 1.0)
    queue.forget(owner)
    assert queue.head() is None


def test_an_owner_that_has_no_deadline_is_not_called() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    queue.schedule(Owner("idle"), None)
    assert queue.head() is None


def test_deadlines_that_move_to_and_fro_take_no_more_room_with_time() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owners = [Owner(str(n)) for n in range(100)]
    sizes = []
    for mono in range(1000):
        for owner in owners:
            queue.schedule(owner, mono + 500.0)
            queue.schedule(owner, mono + 1.0)
        while queue.pop_due(mono + 1.0) is not None:
            pass
        sizes.append(len(queue))
    assert max(sizes) <= 2 * len(owners)


def test_owners_that_are_gone_take_no_room() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owners = [Owner(str(n)) for n in range(1000)]
    for owner in owners:
        queue.schedule(owner, 500.0)
    for owner in owners:
        queue.forget(owner)
    assert len(queue) <= LEAST_ENTRIES


def test_what_is_in_force_outlives_the_removal_of_what_is_void() -> None:
    queue: DeadlineQueue[Timed] = DeadlineQueue()
    owners = [Owner(str(n)) for n in range(100)]
    for deadline in (30.0, 20.0, 10.0):
        for owner in owners:
            queue.schedule(owner, deadline)
    assert [queue.pop_due(10.0) for _ in owners] == owners
    assert queue.head() is None


def test_the_earliest_of_deadlines_is_of_those_that_there_are() -> None:
    assert earliest((None, 3.0, 0.5, None, 2.0)) == 0.5
    assert earliest((None, None)) is None
