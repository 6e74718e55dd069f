"""What is sent unasked: in slices, each when the core is through with the last."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar, cast

import pytest

from tests.unit.controller.rig import NETWORK, START
from ztlink.clock import Now
from ztlink.controller.push import SLICE, Command, Key, PushQueue
from ztlink.ids import Address
from ztlink.node.core import Core

T = TypeVar("T")


def key(number: int) -> Key:
    return NETWORK, Address(number)


@dataclass(slots=True)
class SlowPort:
    """A core that carries out a command when it is told to."""

    told: list[Key] = field(default_factory=list)
    waiting: list[Callable[[], None]] = field(default_factory=list)
    futures: list["Future[object]"] = field(default_factory=list)

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        future: Future[T] = Future()
        self.futures.append(cast("Future[object]", future))

        def run() -> None:
            future.set_result(command(cast(Core, None), START))

        self.waiting.append(run)
        return future

    def carry_out(self) -> None:
        """Carry out what waits now."""
        waiting, self.waiting = self.waiting, []
        for run in waiting:
            run()

    def compose(self, which: Key) -> Command | None:
        if which[1] == 0:
            return None
        return lambda core, now: self.told.append(which)


@pytest.fixture
def port() -> SlowPort:
    return SlowPort()


@pytest.fixture
def queue(port: SlowPort) -> PushQueue:
    return PushQueue(port, port.compose, lambda run: run())


def test_the_first_slice_is_with_the_core_at_once(port: SlowPort, queue: PushQueue) -> None:
    queue.push(key(n) for n in range(1, 100))
    port.carry_out()
    assert port.told == [key(n) for n in range(1, SLICE + 1)]


def test_the_core_has_one_slice_at_a_time(port: SlowPort, queue: PushQueue) -> None:
    queue.push(key(n) for n in range(1, 100))
    queue.push([key(200)])
    assert len(port.waiting) == 1


def test_every_member_is_told_in_the_end(port: SlowPort, queue: PushQueue) -> None:
    queue.push(key(n) for n in range(1, 101))
    for _ in range(100 // SLICE + 1):
        port.carry_out()
    assert (port.told, len(queue)) == ([key(n) for n in range(1, 101)], 0)


def test_who_waits_already_is_told_once(port: SlowPort, queue: PushQueue) -> None:
    for _ in range(3):
        queue.push(key(n) for n in range(1, SLICE + 2))
    for _ in range(3):
        port.carry_out()
    assert port.told.count(key(SLICE + 1)) == 1


def test_who_was_told_is_told_again_of_the_next_change(port: SlowPort, queue: PushQueue) -> None:
    for _ in range(2):
        queue.push([key(1)])
        port.carry_out()
    assert port.told == [key(1), key(1)]


def test_who_is_not_to_be_told_any_more_is_passed_over(port: SlowPort, queue: PushQueue) -> None:
    queue.push([key(0), key(1)])
    port.carry_out()
    assert port.told == [key(1)]


def test_other_commands_go_before_configurations(port: SlowPort, queue: PushQueue) -> None:
    queue.push(key(n) for n in range(1, SLICE + 2))
    queue.send([lambda core, now: port.told.append(key(99))])
    for _ in range(2):
        port.carry_out()
    assert port.told[SLICE:] == [key(99), key(SLICE + 1)]


def test_commands_are_made_when_their_turn_comes(port: SlowPort, queue: PushQueue) -> None:
    made = []
    queue.send(made.append(n) or (lambda core, now: None) for n in range(100))  # type: ignore[func-returns-value] # None is what is wanted
    assert made == list(range(SLICE))


@pytest.mark.parametrize("end", ["cancelled", "refused"])
def test_what_waits_is_given_up_when_the_core_takes_nothing_any_more(
    port: SlowPort, queue: PushQueue, end: str
) -> None:
    queue.push(key(n) for n in range(1, 100))
    (future,) = port.futures
    if end == "cancelled":
        future.cancel()
    else:
        future.set_exception(RuntimeError("no more commands"))
    assert (len(queue), len(port.futures)) == (0, 1)


def test_a_queue_that_gave_up_begins_anew(port: SlowPort, queue: PushQueue) -> None:
    queue.push([key(1)])
    port.futures[0].cancel()
    port.waiting.clear()
    queue.push([key(2)])
    port.carry_out()
    assert port.told == [key(2)]


def test_the_end_of_the_loop_is_no_failure(port: SlowPort) -> None:
    def closed(run: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    queue = PushQueue(port, port.compose, closed)
    queue.push(key(n) for n in range(1, 100))
    port.carry_out()
    assert len(port.told) == SLICE
