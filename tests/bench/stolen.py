"""The time that a virtual machine's host gives to others, and runs that are taken again for it.

It comes in spells of milliseconds to seconds, in which a processor of this machine stands still; a
run of a second that meets one tells of the host, and of nothing that is measured here.
"""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

Result = TypeVar("Result")

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STOLEN: Final = 8
"""Field of a line of /proc/stat (proc(5)): time stolen by the host, in ticks."""


def stolen_seconds() -> float:
    """Return the seconds that were stolen of all processors together, since the machine began."""
    line, _, _ = Path("/proc/stat").read_text().partition("\n")
    return int(line.split()[_STOLEN]) / _TICKS


class Quiet:
    """Takes runs again during which the host took more than a share of the processors' time."""

    def __init__(self, limit: float = 0.02, tries: int = 6) -> None:
        """Make it; of so many tries that all were disturbed, the least disturbed one is kept."""
        self._limit = limit
        self._tries = tries
        self._kept = 0
        self._repeated = 0
        self._worst = 0.0

    async def run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return what a run tells that was not disturbed."""
        found: list[tuple[float, Result]] = []
        while not found or (found[-1][0] > self._limit and len(found) < self._tries):
            began, before = time.monotonic(), stolen_seconds()
            result = await work()
            taken = (stolen_seconds() - before) / (time.monotonic() - began)
            found.append((taken / (os.cpu_count() or 1), result))
        share, result = min(found, key=lambda one: one[0])
        self._kept += 1
        self._repeated += len(found) - 1
        self._worst = max(self._worst, share)
        return result

    def __str__(self) -> str:
        return (
            f"the host took at most {self._worst:.1%} of the processors during a run "
            f"({self._repeated} taken again, {self._kept} kept)"
        )
