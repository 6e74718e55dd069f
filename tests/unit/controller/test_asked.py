"""Who asked lately: rates, and who counts as online."""

import pytest

from tests.unit.controller.rig import NETWORK, START, member, metadata
from ztlink.clock import Now
from ztlink.controller import asked as module
from ztlink.controller.asked import ANSWER_BURST, Askers
from ztlink.controller.decide import Request
from ztlink.ids import NetworkId


def request(number: int) -> Request:
    return Request.decode(member(number), metadata())


def after(seconds: float) -> Now:
    return Now(START.mono + seconds, START.unix_ms)


@pytest.fixture
def askers() -> Askers:
    """Member 1 asked at the start, member 2 a minute later."""
    askers = Askers()
    askers.note(NETWORK, request(1), START)
    askers.note(NETWORK, request(2), after(60.0))
    return askers


def times_answered(askers: Askers, times: list[float], network: NetworkId = NETWORK) -> list[float]:
    """Have member 3 ask at some times; return when it is answered."""
    return [time for time in times if askers.note(network, request(3), after(time))]


def test_a_member_that_joins_is_answered_four_times_at_once() -> None:
    assert times_answered(Askers(), [0.0] * 6) == [0.0] * ANSWER_BURST


def test_a_member_that_asks_without_end_is_answered_once_a_second() -> None:
    answered = times_answered(Askers(), [number / 4 for number in range(400)])
    assert len(answered) == ANSWER_BURST + 99
    assert answered[-3:] == [97.0, 98.0, 99.0]


def test_a_member_that_kept_quiet_may_have_four_answers_again() -> None:
    askers = Askers()
    times_answered(askers, [0.0] * 4)
    assert times_answered(askers, [4.0] * 6) == [4.0] * ANSWER_BURST


def test_a_request_that_came_too_soon_does_not_put_off_the_next() -> None:
    askers = Askers()
    assert times_answered(askers, [*[0.0] * 4, 0.9, 1.0]) == [*[0.0] * 4, 1.0]


def test_networks_are_asked_for_apart() -> None:
    askers = Askers()
    times_answered(askers, [0.0] * 4)
    assert times_answered(askers, [0.0], NetworkId(NETWORK + 1)) == [0.0]


@pytest.mark.parametrize(
    ("seconds", "online"), [(120.0, {1, 2}), (120.1, {2}), (180.0, {2}), (180.1, set())]
)
def test_who_was_silent_for_two_minutes_is_not_online(
    askers: Askers, seconds: float, online: set[int]
) -> None:
    expected = {member(number).address for number in online}
    assert set(askers.online(NETWORK, after(seconds))) == expected


def test_what_a_member_said_last_is_kept_for_two_minutes(askers: Askers) -> None:
    address = member(1).address
    assert (
        askers.last(NETWORK, address, after(120.0)),
        askers.last(NETWORK, address, after(120.1)),
    ) == (request(1), None)


def test_nobody_is_online_of_a_network_that_was_forgotten(askers: Askers) -> None:
    askers.forget(NETWORK)
    assert askers.online(NETWORK, after(60.0)) == []


def test_what_there_is_not_may_be_asked_for_as_often_as_what_there_is() -> None:
    askers = Askers()
    times = [number / 4 for number in range(40)]
    answered = [t for t in times if askers.note_stray(NETWORK, member(1).address, after(t))]
    assert answered == times_answered(askers, times)


def test_of_too_many_the_longest_silent_is_forgotten(
    askers: Askers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ASKERS", 2)
    askers.note(NETWORK, request(3), after(60.0))
    online = askers.online(NETWORK, after(60.0))
    assert online == [member(2).address, member(3).address]


def test_a_million_names_of_networks_take_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ASKERS", 2)
    askers = Askers()
    for number in (*[0] * ANSWER_BURST, 1, 2):
        askers.note_stray(NetworkId(NETWORK + number), member(1).address, START)
    assert askers.note_stray(NETWORK, member(1).address, START)  # its first times were forgotten
