"""What is well and what is not, for health, metrics and people: one shape for all that reports."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How something is."""

    OK = "ok"
    WAITING = "waiting"
    """Not yet, and nothing is wrong: for a controller's answer, for a peer."""
    FAULT = "fault"
    UNKNOWN = "unknown"
    """It cannot be told here; never taken for OK."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be well or not, and what would help."""

    kind: str
    """What is judged, in a word: `tunDevice`, `online`, `route`, `firewall`, `config`..."""
    status: Status
    subject: str = ""
    """Which of its kind: a network's id, a route's target; empty where there is one only."""
    cause: str = ""
    """A sentence; empty where it is well."""
    remedy: str = ""
    """What a person can do; empty where there is nothing to do."""
    is_required: bool = True
    """The node is not ready while this is not OK."""

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same while its status changes."""
        return self.kind, self.subject


class ConditionBook:
    """Remembers since when conditions are as they are."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[Status, float]] = {}

    def note(self, conditions: Iterable[Condition], unix: float) -> dict[tuple[str, str], float]:
        """Take all conditions as they are now; return since when each has its status.

        `unix` in seconds, as the result. What is reported no more is forgotten.
        """
        now: dict[tuple[str, str], tuple[Status, float]] = {}
        for condition in conditions:
            status, since = self._since.get(condition.key, (None, unix))
            is_same = status is condition.status
            now[condition.key] = (condition.status, since if is_same else unix)
        self._since = now
        return {key: since for key, (_, since) in now.items()}
