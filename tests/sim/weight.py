"""What cores hold: how many objects in all, and how much in each kind of table."""

import gc
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Final, Self

_CODE: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)
_THAT_GROW: Final = (dict, list, set, deque, bytes, bytearray)
"""Tuples are left out: of equal ones there are as many as it happens."""
_LISTS: Final = (list, tuple, set, frozenset, deque)
SHARE: Final = 0.1
"""By which a kind of table may grow with nothing wrong: paths and probes come and go by chance."""
SPARE: Final = 8
"""More of each core by which it may; what one keeps every minute is more before long."""
SHARE_OF_OBJECTS: Final = 0.05
SPARE_OBJECTS: Final = 100
"""The same for all objects together: coarse, for what is held by no table."""
_SPARES: Final = {"DeadlineQueue._heap": 100, "Requests._requests": 100}
"""More of each core by which these may: deadlines that are void, up to as many as are in force, and
what was asked in the last ten seconds, which is every path or none."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What some cores hold together."""

    cores: int
    objects: int
    tables: Counter[str]

    @classmethod
    def of(cls, cores: Sequence[object]) -> Self:
        """Weigh cores as they are now."""
        return cls(len(cores), count_objects(cores), table_sizes(cores))

    @classmethod
    def least(cls, moments: Sequence[Self]) -> Self:
        """Return what was there at each of several moments."""
        tables = moments[0].tables
        for moment in moments[1:]:
            tables = tables & moment.tables
        return cls(moments[0].cores, min(moment.objects for moment in moments), tables)

    def grown_to(self, later: Self) -> list[str]:
        """Name what there is more of later, so much that it is no chance."""
        grown = [
            f"{name}: {self.tables[name]} -> {size}"
            for name, size in sorted(later.tables.items())
            if size > self.tables[name] * (1.0 + SHARE) + _SPARES.get(name, SPARE) * self.cores
        ]
        most = self.objects * (1.0 + SHARE_OF_OBJECTS) + SPARE_OBJECTS * self.cores
        if later.objects > most:
            grown.append(f"objects: {self.objects} -> {later.objects}")
        return grown


def count_objects(roots: Iterable[object]) -> int:
    """Count the objects that can be reached from some, but for code and what belongs to it."""
    seen: set[int] = set()
    waiting: list[object] = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, _CODE):
            seen.add(id(one))
            waiting += gc.get_referents(one)
    return len(seen)


def table_sizes(roots: Iterable[object]) -> Counter[str]:
    """Return how long the tables, lists and bytes in our objects are, by `Class.attribute`.

    Those of all objects of a class count together, and those inside of such as
    `Class.attribute[]`.
    """
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    waiting = [("", root) for root in roots]
    while waiting:
        name, one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, _THAT_GROW):
            sizes[name] += len(one)
        waiting += _parts(name, one)
    return sizes


def _parts(name: str, one: object) -> Iterator[tuple[str, object]]:
    """Yield what is in a table, or the attributes of an object of ours, and how to call it."""
    if isinstance(one, (dict, *_LISTS)):
        inside = f"{name}[]"
        yield from ((inside, part) for part in (one.values() if isinstance(one, dict) else one))
    elif type(one).__module__.startswith("ztlink") and not isinstance(one, _CODE):
        kind = type(one)
        slots = (slot for base in kind.__mro__ for slot in getattr(base, "__slots__", ()))
        for attribute in (*getattr(one, "__dict__", ()), *slots):
            yield f"{kind.__name__}.{attribute}", getattr(one, attribute, None)
