"""One pass: what should be, what is, and the difference carried out; all in one thread."""

import errno
import os
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ztlink.host.netlink_routes import RouteSocket
from ztlink.host.overlay import Overlay
from ztlink.host.routes.detect import ClusterRanges, cluster_ranges
from ztlink.host.routes.kernel import (
    DECLARED_PROTOCOL,
    MANAGED_PROTOCOL,
    ForeignRoute,
    KernelRoute,
    Observed,
    Rule,
)
from ztlink.host.routes.others import is_of_another, needs_a_look, without_others
from ztlink.host.routes.plan import Desired, RoutePlan, plan_routes
from ztlink.host.routes.preflight import check_routes
from ztlink.host.routes.resolve import Resolved, RouteState, key_of, resolve, with_refusals
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.ids import Address, NetworkId

_REMEDIES: Final = {
    errno.EEXIST: "another program has a route to it with this metric: set another metric",
    errno.EINVAL: "check its source, which must be an address of this machine, and its MTU",
    errno.EPERM: "the agent needs CAP_NET_ADMIN",
    errno.ENETDOWN: "take the network's device up: ip link set DEVICE up",
    errno.ENETUNREACH: "set via to an address in a subnet of the device, or take that up",
}


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass has found and done."""

    rows: tuple[Resolved, ...]
    desired: Desired
    cluster: ClusterRanges
    plan: RoutePlan
    failures: Mapping[object, int]
    """By what the kernel refused: the numbers of its errors."""

    @property
    def refused_rule(self) -> str | None:
        """A sentence about a rule that the kernel refused, and that no route's row can tell."""
        for thing, number in self.failures.items():
            if isinstance(thing, Rule):
                return f"the kernel refuses the rule to table {thing.table}: {os.strerror(number)}"
        return None


@dataclass(frozen=True, slots=True)
class _Decided:
    """What should be, and what that rests on."""

    settings: RoutingSettings
    overlays: Mapping[NetworkId, Overlay]
    cluster: ClusterRanges
    resolved: Sequence[Resolved]
    desired: Desired


class Reconciler:
    """Compares and changes; for one thread, in the network namespace that it was made in."""

    def __init__(self, own: Address | None = None) -> None:
        """Make it for the node `own`: what other nodes of this machine have made is theirs."""
        self._own = own
        self._socket = RouteSocket()
        self._decided: _Decided | None = None

    @property
    def port(self) -> int:
        """The kernel's number for our changes."""
        return self._socket.port

    def close(self) -> None:
        """Close its socket; what was made stays."""
        self._socket.close()

    def look(
        self, settings: RoutingSettings, overlays: Mapping[NetworkId, Overlay]
    ) -> ClusterRanges:
        """Return what is known of the cluster's ranges."""
        own = {overlay.index for overlay in overlays.values()}
        foreign = [one for one in self._foreign() if one.index not in own]
        return cluster_ranges(settings.cluster, foreign, dict(socket.if_nameindex()))

    def reconcile(self, settings: RoutingSettings, overlays: Mapping[NetworkId, Overlay]) -> Pass:
        """Make it so; of a device that goes meanwhile, its routes go with it and are no failure."""
        present = _present(overlays)
        done = self._pass(settings, present)
        if done.failures and (still := _present(present)) != present:
            return self._pass(settings, still)
        return done

    def _pass(self, settings: RoutingSettings, overlays: Mapping[NetworkId, Overlay]) -> Pass:
        cluster = self.look(settings, overlays)
        decided = self._decide(settings, overlays, cluster)
        observed = self._observe(decided.desired, {one.index for one in overlays.values()})
        plan = plan_routes(decided.desired, observed)
        failures = self._socket.apply(plan) if plan.size else {}
        rows = with_refusals(_outcomes(decided.resolved, observed, failures), overlays)
        return Pass(rows, decided.desired, cluster, plan, failures)

    def _decide(
        self,
        settings: RoutingSettings,
        overlays: Mapping[NetworkId, Overlay],
        cluster: ClusterRanges,
    ) -> "_Decided":
        """Decide what should be; what was decided holds while nothing that it rests on changes."""
        last = self._decided
        if last is None or (last.settings, last.overlays, last.cluster) != (
            settings,
            overlays,
            cluster,
        ):
            resolved = check_routes(resolve(settings, overlays), cluster.ranges, overlays)
            desired = _desired(resolved, settings)
            last = self._decided = _Decided(settings, overlays, cluster, resolved, desired)
        return last

    def _foreign(self) -> list[ForeignRoute]:
        return self._socket.others((DECLARED_PROTOCOL, MANAGED_PROTOCOL))

    def _observe(self, desired: Desired, indexes: Collection[int]) -> Observed:
        """Return what is there, but for what other nodes of this machine have made."""
        observed = self._socket.observe()
        if self._own is None or not needs_a_look(observed, indexes, desired.rules):
            return observed
        own = self._own
        others = [
            device
            for device in self._socket.marked()
            if device.index not in indexes and is_of_another(device, own)
        ]
        return without_others(observed, others, desired)

    def remove_all(self) -> int:
        """Take away all that is declared, whoever made it; return how much that was.

        But what other nodes of this machine have made.
        """
        former, indexes = Desired(), set[int]()
        if self._decided is not None:
            former = replace(self._decided.desired, routes=())  # none is wanted any more
            indexes = {one.index for one in self._decided.overlays.values()}
        plan = plan_routes(Desired(), self._observe(former, indexes))
        self._socket.apply(plan)
        return plan.size


def _present(overlays: Mapping[NetworkId, Overlay]) -> dict[NetworkId, Overlay]:
    """Return the networks whose devices are there: one may go before we are told."""
    there = {index for index, _ in socket.if_nameindex()}
    return {one: overlay for one, overlay in overlays.items() if overlay.index in there}


def _desired(resolved: Iterable[Resolved], settings: RoutingSettings) -> Desired:
    wanted = [one for one in resolved if one.state is RouteState.INSTALLED]
    routes = tuple(one.route for one in wanted if one.route is not None)
    waiting = [one for one in resolved if one.state is RouteState.WAITING]
    rules: dict[Rule, None] = {}
    # For those that wait, too: what a former process left must be found all the while.
    for one in (*wanted, *waiting):
        target, table, _ = key_of(one.declared, settings)
        if table == settings.table:
            rules[Rule(target.version, table, settings.rule_priority)] = None
    return Desired(
        routes,
        tuple(rules),
        tuple(dict.fromkeys(one.neighbour for one in wanted if one.neighbour is not None)),
        frozenset(one.route for one in waiting if one.route is not None),
        frozenset(key_of(one.declared, settings) for one in waiting if one.route is None),
    )


def _outcomes(
    resolved: Sequence[Resolved], observed: Observed, failures: Mapping[object, int]
) -> tuple[Resolved, ...]:
    """Return what became of all."""
    if not failures and all(one.state is not RouteState.WAITING for one in resolved):
        return tuple(resolved)  # as most often; ten thousand look-ups would take their time
    there = frozenset(observed.routes)
    return tuple(_outcome(one, there, failures) for one in resolved)


def _outcome(
    one: Resolved, there: frozenset[KernelRoute], failures: Mapping[object, int]
) -> Resolved:
    if one.state is RouteState.WAITING:
        is_there = one.route is not None and one.route in there
        return replace(one, state=RouteState.INSTALLED) if is_there else one
    number = failures.get(one.route) or failures.get(one.neighbour)
    if one.state is not RouteState.INSTALLED or not number:
        return one
    return replace(
        one,
        state=RouteState.FAILED,
        cause=f"the kernel refuses it: {os.strerror(number)}",
        remedy=_REMEDIES.get(number, ""),
    )
