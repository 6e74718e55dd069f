"""Since when conditions are as they are, and what of them is logged."""

import logging
from dataclasses import replace

import pytest

from tests.unit.api.seen import JOINED, NODE, REQUIRED
from ztlink.api.judgement import Judge, Judgement, rfc3339
from ztlink.api.observe import Observation

OFFLINE = replace(JOINED, node=replace(NODE, online=False))
LOGGER = "ztlink.api.judgement"


def since(judgement: Judgement, kind: str) -> float:
    pairs = zip(judgement.conditions, judgement.since, strict=True)
    return next(time for condition, time in pairs if condition.kind == kind)


def judged(*seen: Observation | None) -> Judgement:
    """The last judgement of a node that was looked at in the seconds 1, 2, 3 ..."""
    judge = Judge()
    found = [judge.judge(one, REQUIRED, float(unix)) for unix, one in enumerate(seen, start=1)]
    return found[-1]


def test_what_stays_as_it_is_keeps_its_time() -> None:
    assert since(judged(JOINED, JOINED, JOINED), "online") == 1


def test_what_changes_is_so_since_then() -> None:
    assert since(judged(JOINED, OFFLINE, OFFLINE), "online") == 2


def test_a_node_that_does_not_answer_is_all_that_is_known() -> None:
    stuck = judged(JOINED, None)
    assert [condition.kind for condition in stuck.conditions] == ["node"]
    assert not stuck.is_ready


def test_programs_get_time_cause_and_remedy() -> None:
    online = next(one for one in judged(OFFLINE).json() if one["kind"] == "online")
    assert online["remedy"]
    assert {key: online[key] for key in ("subject", "status", "required", "since", "cause")} == {
        "subject": "",
        "status": "fault",
        "required": False,
        "since": "1970-01-01T00:00:01Z",
        "cause": "no root answers",
    }


def test_times_are_told_in_utc_and_whole_seconds() -> None:
    assert rfc3339(1_700_000_000.9) == "2023-11-14T22:13:20Z"


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        judged(JOINED, OFFLINE, OFFLINE, JOINED)
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" cause")[0] for line in told] == [
        "condition=online subject=- status=fault",
        "condition=online subject=- status=ok",
    ]


def test_a_node_that_is_well_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        judged(JOINED, JOINED)
    assert caplog.records == []


def test_a_fault_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        judged(OFFLINE)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
