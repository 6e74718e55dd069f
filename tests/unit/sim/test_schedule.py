"""Virtual time."""

import pytest

from tests.sim.schedule import Schedule


def test_things_happen_in_the_order_of_their_times() -> None:
    schedule = Schedule()
    happened: list[str] = []
    schedule.at(2.0, lambda: happened.append("late"))
    schedule.at(1.0, lambda: happened.append("early"))
    schedule.run_until(3.0)
    assert happened == ["early", "late"]


def test_things_of_one_instant_happen_in_the_order_in_which_they_were_asked_for() -> None:
    schedule = Schedule()
    happened: list[int] = []
    for number in range(100):
        schedule.at(1.0, lambda n=number: happened.append(n))  # type: ignore[misc]  # n: int
    schedule.run_until(1.0)
    assert happened == list(range(100))


def test_a_cancelled_appointment_does_not_happen() -> None:
    schedule = Schedule()
    happened: list[str] = []
    schedule.at(1.0, lambda: happened.append("no")).cancel()
    schedule.run_until(2.0)
    assert happened == []


def test_what_is_asked_for_in_the_past_happens_now() -> None:
    schedule = Schedule()
    schedule.run_until(5.0)
    times: list[float] = []
    schedule.at(1.0, lambda: times.append(schedule.time))
    schedule.run_until(5.0)
    assert times == [5.0]


def test_time_ends_where_it_was_asked_to() -> None:
    schedule = Schedule()
    schedule.run_until(7.5)
    assert schedule.time == 7.5


def test_waiting_for_a_condition_ends_when_it_holds() -> None:
    schedule = Schedule()
    happened: list[float] = []
    schedule.every(1.0, lambda: happened.append(schedule.time))
    assert schedule.run_while(lambda: len(happened) < 3, limit=100.0)
    assert schedule.time == 2.0


def test_waiting_for_what_never_holds_ends_at_the_limit() -> None:
    schedule = Schedule()
    schedule.every(1.0, lambda: None)
    assert not schedule.run_while(lambda: True, limit=10.0)


def test_a_loop_at_one_instant_is_an_error() -> None:
    schedule = Schedule()

    def again() -> None:
        schedule.after(0.0, again)

    again()
    with pytest.raises(AssertionError, match="time stands still"):
        schedule.run_until(1.0)
