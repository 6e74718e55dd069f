"""Descriptors that an asyncio loop watches for a pump."""

import asyncio
import os
import select
from collections.abc import AsyncIterator

import pytest_asyncio

from ztlink.drivers.loop_watch import LoopWatch

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Rig:
    """A pipe, and what was said to be ready."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.watch = LoopWatch(asyncio.get_running_loop(), self.told.append)
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)

    async def turn(self) -> list[int]:
        """Let the loop look anew, and return what it told."""
        await asyncio.sleep(0)  # what it saw before is told in its next turn
        self.told.clear()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return sorted(set(self.told))


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    rig.watch.close()
    for descriptor in (rig.reading, rig.writing):
        os.close(descriptor)


async def test_what_is_readable_is_told_until_it_is_read(rig: Rig) -> None:
    rig.watch.register(rig.reading, IN)
    assert await rig.turn() == []
    os.write(rig.writing, b"x")
    assert await rig.turn() == [rig.reading]
    assert await rig.turn() == [rig.reading]
    os.read(rig.reading, 1)
    assert await rig.turn() == []


async def test_room_is_told_only_where_it_is_of_interest(rig: Rig) -> None:
    rig.watch.register(rig.writing, 0)
    assert await rig.turn() == []
    rig.watch.modify(rig.writing, OUT)
    assert await rig.turn() == [rig.writing]
    rig.watch.modify(rig.writing, 0)
    assert await rig.turn() == []


async def test_a_change_of_one_interest_leaves_the_other(rig: Rig) -> None:
    os.write(rig.writing, b"x")
    rig.watch.register(rig.reading, IN | OUT)
    rig.watch.modify(rig.reading, IN)
    assert await rig.turn() == [rig.reading]


async def test_what_is_unregistered_is_not_told(rig: Rig) -> None:
    os.write(rig.writing, b"x")
    rig.watch.register(rig.reading, IN)
    rig.watch.unregister(rig.reading)
    rig.watch.unregister(rig.reading)
    assert await rig.turn() == []


async def test_a_number_that_another_descriptor_has_now_is_watched_anew(rig: Rig) -> None:
    rig.watch.register(rig.writing, IN | OUT)
    os.dup2(rig.reading, rig.writing)  # closes it, which nobody told the watch
    kept, rig.writing = rig.writing, os.open(os.devnull, os.O_WRONLY)
    rig.watch.register(kept, IN)
    assert await rig.turn() == [kept]  # the end of the pipe, which has no writer left
    rig.watch.unregister(kept)
    os.close(kept)


async def test_nothing_is_told_once_it_is_closed(rig: Rig) -> None:
    os.write(rig.writing, b"x")
    rig.watch.register(rig.reading, IN)
    rig.watch.close()
    assert await rig.turn() == []
