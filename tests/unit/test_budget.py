"""What is spent, owed, and comes back."""

from ztlink.budget import Budget, Budgets
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


# -- of many ---------------------------------------------------------------------------------


def test_each_has_a_budget_of_its_own() -> None:
    budgets = Budgets[str](rate=1, burst=1, most=10)
    spent = [budgets.spend(key, at(0)) for key in ("a", "a", "b")]
    assert spent == [True, False, True]


def test_a_budget_that_is_full_again_is_not_kept() -> None:
    budgets = Budgets[str](rate=1, burst=2, most=10)
    for key, mono in (("a", 0), ("b", 0.5), ("c", 1)):
        budgets.spend(key, at(mono))
    assert (budgets.find("a"), len(budgets)) == (None, 2)


def test_what_somebody_owes_is_kept_until_it_is_paid_off() -> None:
    budgets = Budgets[str](rate=1, burst=2, most=10)
    budgets.charge("a", 5, at(0))
    budgets.spend("b", at(3))
    assert not budgets.spend("a", at(3))


def test_where_there_are_too_many_the_longest_unused_is_forgotten() -> None:
    budgets = Budgets[str](rate=1, burst=1, most=2)
    for key in ("a", "b", "a", "c"):
        budgets.spend(key, at(0))
    assert [budgets.find(key) is None for key in ("a", "b", "c")] == [False, True, False]
