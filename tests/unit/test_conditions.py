"""Since when something is as it is."""

from dataclasses import replace

from ztlink.conditions import Condition, ConditionBook, Status

ONLINE = Condition("online", Status.OK)
OFFLINE = replace(ONLINE, status=Status.FAULT, cause="no root answers")


def test_a_condition_is_so_since_it_was_first_seen() -> None:
    book = ConditionBook()
    book.note([ONLINE], 100.0)
    assert book.note([ONLINE], 160.0) == {ONLINE.key: 100.0}


def test_a_change_of_status_begins_anew() -> None:
    book = ConditionBook()
    book.note([ONLINE], 100.0)
    assert book.note([OFFLINE], 160.0) == {ONLINE.key: 160.0}


def test_another_cause_alone_does_not_begin_anew() -> None:
    book = ConditionBook()
    book.note([OFFLINE], 100.0)
    other = replace(OFFLINE, cause="no socket is open")
    assert book.note([other], 160.0) == {ONLINE.key: 100.0}


def test_what_is_reported_no_more_is_forgotten() -> None:
    book = ConditionBook()
    book.note([ONLINE], 100.0)
    assert book.note([], 130.0) == {}
    assert book.note([ONLINE], 160.0) == {ONLINE.key: 160.0}


def test_subjects_of_one_kind_are_apart() -> None:
    book = ConditionBook()
    one, other = (replace(ONLINE, kind="route", subject=s) for s in ("10.1.0.0/16", "10.2.0.0/16"))
    book.note([one], 100.0)
    assert book.note([one, other], 160.0) == {one.key: 100.0, other.key: 160.0}
