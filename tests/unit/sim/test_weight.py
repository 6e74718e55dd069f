"""What is counted of what cores hold, and what is taken for growth."""

from collections import Counter
from types import SimpleNamespace

from tests.sim.weight import SPARE, Weight, count_objects, table_sizes
from ztlink.clock import Now
from ztlink.recent import Recent


class Holder:
    """Passes for an object of ours."""

    __module__ = "ztlink"

    def __init__(self, table: object) -> None:
        self.table = table


def recent(*keys: object) -> Recent[object]:
    """Return an object of ours with a table in it."""
    made = Recent[object](60.0, 1000)
    for key in keys:
        made.note(key, Now(0, 0))
    return made


def weight(cores: int = 1, objects: int = 1000, **tables: int) -> Weight:
    return Weight(cores, objects, Counter(tables))


def test_objects_are_counted_with_all_that_they_hold() -> None:
    inner = [object(), object()]
    assert count_objects([{"a": inner, "b": inner}]) == 1 + 1 + len(inner)  # names are code


def test_tables_of_all_objects_of_a_class_count_together() -> None:
    sizes = table_sizes([recent(1, 2), recent(3)])
    assert sizes["Recent._times"] == 3


def test_what_is_held_twice_counts_once() -> None:
    one = recent(1, 2)
    assert table_sizes([[one, one]])["Recent._times"] == 2


def test_tables_inside_of_tables_count_together() -> None:
    sizes = table_sizes([Holder([[1, 2], [3]])])
    assert (sizes["Holder.table"], sizes["Holder.table[]"]) == (2, 3)


def test_attributes_of_others_objects_are_theirs() -> None:
    assert not table_sizes([SimpleNamespace(table=[1, 2])])


def test_what_is_not_there_at_every_moment_does_not_count() -> None:
    least = Weight.least([weight(a=3, b=1), weight(objects=900, a=2), weight(a=5, b=4)])
    assert least == weight(objects=900, a=2)


def test_a_few_more_for_each_core_are_no_growth() -> None:
    assert weight(4, table=0).grown_to(weight(4, table=4 * SPARE)) == []


def test_one_more_a_minute_for_each_core_is_growth_and_is_named() -> None:
    assert weight(4, table=10).grown_to(weight(4, table=10 + 4 * 30)) == ["table: 10 -> 130"]


def test_deadlines_that_are_void_and_not_yet_dropped_are_no_growth() -> None:
    before, after = (weight(**{"DeadlineQueue._heap": size}) for size in (100, 180))
    assert before.grown_to(after) == []


def test_growth_beside_all_tables_shows_in_the_number_of_objects() -> None:
    assert weight(objects=1000).grown_to(weight(objects=1151)) == ["objects: 1000 -> 1151"]
