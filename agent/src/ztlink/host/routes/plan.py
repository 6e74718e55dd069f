"""The routes are compared, then changed: what is to be done to get to what should be."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

from ztlink.host.routes.kernel import KernelRoute, Key, Neighbour, Observed, Rule

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desired:
    """What should be there under our number."""

    routes: tuple[KernelRoute, ...] = ()
    rules: tuple[Rule, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    kept: Collection[KernelRoute] = ()
    """Routes that wait for something: one that a former process made stays."""
    kept_keys: Collection[Key] = ()
    """Of those whose network has no device yet: one that is there stays, wherever it leads."""

    def keeps(self, route: KernelRoute) -> bool:
        """Tell whether a route that is there, and that nobody wants made, is to stay."""
        return route in self.kept or route.key in self.kept_keys


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """Operations, in the order in which they are to be done."""

    remove_rules: tuple[Rule, ...] = ()
    remove_routes: tuple[KernelRoute, ...] = ()
    set_neighbours: tuple[Neighbour, ...] = ()
    replace_routes: tuple[KernelRoute, ...] = ()
    """In one step: no packet finds the way missing."""
    add_routes: tuple[KernelRoute, ...] = ()
    add_rules: tuple[Rule, ...] = ()
    remove_neighbours: tuple[Neighbour, ...] = ()

    @property
    def size(self) -> int:
        """How much there is to do."""
        return sum(len(getattr(self, part.name)) for part in fields(self))


def plan_routes(desired: Desired, observed: Observed) -> RoutePlan:
    """Compare what should be with what is; touch nothing that already fits."""
    wanted = {route.key: route for route in desired.routes}
    there = {route.key for route in observed.routes}
    fitting = {route.key for route in observed.routes if wanted.get(route.key) == route}
    missing = [route for key, route in wanted.items() if key not in fitting]
    strays = (
        route
        for route in observed.routes
        if route != wanted.get(route.key)
        and (route.key in fitting or route.key not in wanted)
        and not desired.keeps(route)
    )
    used = {route.gateway for route in observed.routes if desired.keeps(route)}
    return RoutePlan(
        remove_rules=_without(observed.rules, desired.rules),
        remove_routes=tuple(strays),
        set_neighbours=_without(desired.neighbours, observed.neighbours),
        replace_routes=tuple(route for route in missing if route.key in there),
        add_routes=tuple(route for route in missing if route.key not in there),
        add_rules=_without(desired.rules, observed.rules),
        remove_neighbours=tuple(
            one for one in _stray_neighbours(desired, observed) if one.ip not in used
        ),
    )


def _stray_neighbours(desired: Desired, observed: Observed) -> Iterable[Neighbour]:
    """Yield those that nobody wants; another MAC for the same hop takes the place of the former."""
    wanted = {(one.index, one.ip) for one in desired.neighbours}
    return (one for one in observed.neighbours if (one.index, one.ip) not in wanted)


def _without(these: Iterable[T], those: Iterable[T]) -> tuple[T, ...]:
    known = frozenset(those)
    return tuple(one for one in these if one not in known)
