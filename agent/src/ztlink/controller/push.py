"""What the controller sends unasked, slice by slice, so that packets and requests pass between.

The core runs in another thread, which does nothing else while it carries out a command; and ours
answers nobody while it signs. So a change that concerns ten thousand members becomes slices of a
few: the next is made once the core is through with the last.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Final, Protocol, TypeVar

from ztlink.clock import Now
from ztlink.ids import Address, NetworkId
from ztlink.node.core import Core

logger = logging.getLogger(__name__)

SLICE: Final = 8
"""Commands that the core carries out at once: a few milliseconds of either thread."""

T = TypeVar("T")
Command = Callable[[Core, Now], object]
Key = tuple[NetworkId, Address]


class CorePort(Protocol):
    """What the controller needs of the pump."""

    def submit(self, command: Callable[[Core, Now], T]) -> "Future[T]":
        """Run a command on the core."""


class PushQueue:
    """Members that wait for a configuration, and other commands; for one thread."""

    def __init__(
        self,
        port: CorePort,
        compose: Callable[[Key], Command | None],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        """Make it empty.

        `compose` makes the command for a member, at the last moment, or None where it is not
        wanted any more. `later` calls in the thread of this queue, and is called in that of the
        core.
        """
        self._port = port
        self._compose = compose
        self._later = later
        self._members: dict[Key, None] = {}
        self._others: deque[Iterator[Command]] = deque()
        self._is_running = False

    def __len__(self) -> int:
        return len(self._members) + len(self._others)

    def push(self, keys: Iterable[Key]) -> None:
        """Have members sent their configurations; who waits already is sent one, the latest."""
        self._members.update(dict.fromkeys(keys))
        self._start()

    def send(self, commands: Iterable[Command]) -> None:
        """Have commands carried out, before all configurations; they are taken one by one."""
        self._others.append(iter(commands))
        self._start()

    def _start(self) -> None:
        if not self._is_running:
            self._is_running = True
            self._go_on()

    def _go_on(self) -> None:
        """Hand slices to the core until it is busy with one."""
        while commands := list(islice(self._commands(), SLICE)):
            future = self._port.submit(_all(commands))
            if not future.done():
                future.add_done_callback(self._on_done)
                return
            self._check(future)
        self._is_running = False

    def _on_done(self, future: "Future[None]") -> None:
        def go_on() -> None:
            self._check(future)
            self._go_on()

        try:
            self._later(go_on)
        except RuntimeError:  # the loop of our thread has ended: nobody waits any more
            logger.debug("pushes end with the loop waiting=%d", len(self))

    def _commands(self) -> Iterator[Command]:
        """Yield what is next, for as long as there is something."""
        while self._others:
            command = next(self._others[0], None)
            if command is None:
                self._others.popleft()
            else:
                yield command
        while self._members:
            key = next(iter(self._members))
            del self._members[key]
            composed = self._compose(key)
            if composed is not None:
                yield composed

    def _check(self, future: "Future[None]") -> None:
        """Give up where the core takes nothing any more: members ask once a minute anyway."""
        if future.cancelled() or future.exception() is not None:
            if self._members or self._others:
                logger.warning("the node takes no pushes: members wait=%d", len(self._members))
            self._members.clear()
            self._others.clear()


def _all(commands: list[Command]) -> Callable[[Core, Now], None]:
    def run(core: Core, now: Now) -> None:
        for command in commands:
            command(core, now)

    return run
