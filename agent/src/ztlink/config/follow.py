"""Follows the file of a running agent: looked at every second, read where it has changed.

A ConfigMap changes by a link in its folder (`..data`) that comes to lead elsewhere, all files at
once; looking through the link sees that, and what editors do (decisions/0013).
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from ztlink.bounded_file import require_regular
from ztlink.config.changes import applicable, held_back
from ztlink.config.file import Reading, read_file
from ztlink.config.firewall import of_agent
from ztlink.errors import ConfigError, HostError
from ztlink.reloads import ReloadBook
from ztlink.settings import Settings

logger = logging.getLogger(__name__)

LOOK_INTERVAL: Final = 1.0
SETTLE_TIME: Final = 0.1
"""A file that was just written may be in the midst of it."""
MAX_SETTLES: Final = 20
"""One that is written all the time is read all the same."""
RETRY_INTERVAL: Final = 10.0
"""Seconds after which a file with mistakes is read anyhow: what it names may have come."""

Stamp = tuple[int, int, int, int] | None
Use = Callable[[Settings], Awaitable[None]]


class Follower:
    """The file of an agent, as it was read last."""

    def __init__(
        self,
        file: Path,
        unix_seconds: Callable[[], float],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Read it; ConfigError says all that is wrong."""
        self._file = file
        self._environment = dict(environment)
        self._unix_seconds = unix_seconds
        self._stamps: dict[Path, Stamp] = {}
        self._complaint = ""
        self._is_applied = True
        self._has_read = False
        self._running = self._read().settings
        self._has_read = True
        self.book = ReloadBook(unix_seconds())

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._running

    async def follow(self, use: Use) -> None:
        """Have changes applied by `use`, until cancelled."""
        rested = 0.0
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            rested += LOOK_INTERVAL
            is_due = bool(self._complaint) and rested >= RETRY_INTERVAL
            if not is_due and _stamps(self._stamps) == self._stamps:
                continue
            await self._settled()
            rested = 0.0
            await self.look(use)

    async def look(self, use: Use) -> None:
        """Read the file now, and have it applied."""
        try:
            wanted = (await asyncio.to_thread(self._read)).settings
            await self._apply(wanted, use)
        except (ConfigError, HostError) as error:
            self._complain(str(error))

    async def _settled(self) -> None:
        """Wait until nobody writes any more, for a while."""
        found = _stamps(self._stamps)
        for _ in range(MAX_SETTLES):
            await asyncio.sleep(SETTLE_TIME)
            if found == (found := _stamps(self._stamps)):
                return

    def _read(self) -> Reading:
        """Read the file; it is looked at before, lest a change be missed."""
        self._stamps = {**_stamps(self._stamps), **_stamps((self._file,))}
        self._require_content()
        reading = read_file(self._file, self._environment)
        self._stamps = {path: self._stamps.get(path, _stamp(path)) for path in reading.files}
        return replace(reading, settings=of_agent(reading.settings))

    def _require_content(self) -> None:
        """ConfigError where there is nothing to be read: not what somebody means who runs this."""
        with contextlib.suppress(OSError):  # which the reading tells
            require_regular(self._file)
            if self._has_read and not self._file.stat().st_size:
                raise ConfigError(
                    f"{self._file} is empty, as one is that was not written to its end: where "
                    "nothing is to be configured, it should hold {}"
                )

    async def _apply(self, wanted: Settings, use: Use) -> None:
        waiting = held_back(self._running, wanted)
        wanted = applicable(self._running, wanted)
        if wanted != self._running or not self._is_applied:
            self._is_applied = False  # of what is refused, a part may be in force
            await use(wanted)
            self._running, self._is_applied = wanted, True
        self._complaint = ""
        self.book.succeeded(self._unix_seconds(), waiting)
        logger.info("config=%s was read again", self._file)
        if waiting:
            logger.warning("config=%s %s", self._file, self.book.condition.cause)

    def _complain(self, reason: str) -> None:
        if reason == self._complaint:
            return  # it was only looked at again
        self._complaint = reason
        self.book.failed(self._unix_seconds(), reason)
        in_a_line = "; ".join(line.strip() for line in reason.splitlines())
        logger.warning("config=%s is not in force, the former one is: %s", self._file, in_a_line)


def _stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp:
    """Return what differs when a file was written anew, or another is in its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
