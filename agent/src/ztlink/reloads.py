"""How often the configuration was read again, with what success, and what of it is not in force."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ztlink.conditions import Condition, Status

KIND: Final = "config"


@dataclass(frozen=True, slots=True)
class ReloadCounts:
    """Readings of the configuration while the process runs."""

    successes: int = 0
    failures: int = 0
    is_current: bool = True
    """What the file says now is what is in force."""
    success_unix: float = 0.0
    """When it was last read without a mistake, in seconds; at the start, too."""
    failure_unix: float = 0.0
    """When it last could not be put into force; 0 for never."""


class ReloadBook:
    """What there is to be said of the configuration: a condition, and numbers.

    It reports as managers of routes or of a firewall do, and has nothing to list.
    """

    states: Final = ()
    tally: None = None

    def __init__(self, unix: float) -> None:
        """Begin with the reading of the start; `unix` in seconds."""
        self.counts = ReloadCounts(success_unix=unix)
        self.condition = Condition(KIND, Status.OK, is_required=False)

    def conditions(self) -> tuple[Condition, ...]:
        """Judge it."""
        return (self.condition,)

    def rows(self) -> tuple[()]:
        """List what is managed: nothing."""
        return ()

    def succeeded(self, unix: float, held_back: Sequence[str] = ()) -> None:
        """Note that a file is in force, but for keys that wait for the next start."""
        old = self.counts
        self.counts = replace(
            old, successes=old.successes + 1, is_current=not held_back, success_unix=unix
        )
        self.condition = Condition(KIND, Status.OK, is_required=False)
        if held_back:
            keys = ", ".join(held_back)
            self.condition = replace(
                self.condition,
                status=Status.FAULT,
                cause=f"{keys}: changed in the file, and in force only from the next start",
                remedy="restart the agent, or take the change back; all else is in force",
            )

    def failed(self, unix: float, reason: str) -> None:
        """Note that a file is not in force, and why: what was said before stays so."""
        old = self.counts
        self.counts = replace(old, failures=old.failures + 1, is_current=False, failure_unix=unix)
        self.condition = Condition(
            KIND,
            Status.FAULT,
            cause=reason,
            remedy="correct the file ('ztlink config check FILE'): it is read again when it "
            "changes; until then the former one is in force",
            is_required=False,
        )
