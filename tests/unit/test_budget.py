"""What is spent, owed, and comes back."""

from ztlink.budget import Budget
from ztlink.clock import Now


def at(mono: float) -> Now:
    return Now(mono, 0)


def test_a_budget_has_its_burst_at_once() -> None:
    budget = Budget(rate=1, burst=3)
    assert [budget.spend(at(0)) for _ in range(4)] == [True, True, True, False]


def test_a_budget_fills_with_time_and_no_further_than_its_burst() -> None:
    budget = Budget(rate=1, burst=2)
    spent = [budget.spend(at(0)) for _ in range(2)]
    assert [*spent, budget.spend(at(0.5)), budget.spend(at(1))] == [True, True, False, True]
    assert [budget.spend(at(1000)) for _ in range(3)] == [True, True, False]


def test_to_look_at_a_budget_costs_nothing() -> None:
    budget = Budget(rate=1, burst=1)
    assert [budget.has_one(at(0)) for _ in range(3)] == [True] * 3


def test_what_is_owed_is_paid_off_first() -> None:
    budget = Budget(rate=1, burst=2)
    budget.charge(4, at(0))
    assert not budget.spend(at(2.5))
    assert budget.spend(at(3.0))
