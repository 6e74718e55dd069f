"""Conditions with the time since when they are so; each change is told in the log, once."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ztlink.api.judge import NO_ANSWER, conditions_of, is_ready, is_well
from ztlink.api.observe import Observation
from ztlink.conditions import Condition, ConditionBook, Status
from ztlink.settings import Settings

logger = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a node is at one moment."""

    conditions: tuple[Condition, ...]
    since: tuple[float, ...]
    """Of each condition: seconds since the Unix epoch."""

    @property
    def is_ready(self) -> bool:
        return is_ready(self.conditions)

    @property
    def is_well(self) -> bool:
        return is_well(self.conditions)

    def json(self) -> list[Json]:
        """Return all of them for programs."""
        return [
            {
                "kind": one.kind,
                "subject": one.subject,
                "status": one.status.value,
                "required": one.is_required,
                "since": rfc3339(since),
                "cause": one.cause,
                "remedy": one.remedy,
            }
            for one, since in zip(self.conditions, self.since, strict=True)
        ]


class Judge:
    """Judges one node again and again."""

    def __init__(self) -> None:
        self._book = ConditionBook()
        self._last: dict[tuple[str, str], Condition] = {}

    def judge(self, seen: Observation | None, settings: Settings, unix: float) -> Judgement:
        """Judge what was seen; None for a node that does not answer."""
        conditions = (NO_ANSWER,) if seen is None else conditions_of(seen, settings)
        since = self._book.note(conditions, unix)
        self._tell_changes(conditions)
        return Judgement(conditions, tuple(since[one.key] for one in conditions))

    def _tell_changes(self, conditions: tuple[Condition, ...]) -> None:
        before, self._last = self._last, {one.key: one for one in conditions}
        for one in conditions:
            former = before.get(one.key)
            if former is None and one.status is Status.OK:
                continue  # all is well with what is new
            if former is None or former.status is not one.status:
                level = logging.WARNING if one.status is Status.FAULT else logging.INFO
                logger.log(
                    level,
                    "condition=%s subject=%s status=%s cause=%r remedy=%r",
                    one.kind,
                    one.subject or "-",
                    one.status.value,
                    one.cause,
                    one.remedy,
                )


def rfc3339(unix: float) -> str:
    """Return a time as programs and people read it."""
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
