"""Keeps declared routes as they should be: by wishes, by news of the kernel, by the clock."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from ztlink.budget import Budget
from ztlink.conditions import Condition
from ztlink.drivers.clock import read_clock
from ztlink.errors import HostError
from ztlink.host.desired import Desired, IpNetwork
from ztlink.host.overlay import Overlay
from ztlink.host.routes.detect import ClusterRanges
from ztlink.host.routes.preflight import harm_of
from ztlink.host.routes.ranges import RangeTable, Use
from ztlink.host.routes.reconcile import Pass, Reconciler
from ztlink.host.routes.report import (
    Harm,
    RouteRow,
    changes,
    conditions_of,
    rows_of,
)
from ztlink.host.routes.resolve import RouteState, members_asked
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.host.routes.watch import News, RouteWatch
from ztlink.host.tally import Tally
from ztlink.host.worker import Worker
from ztlink.ids import Address, NetworkId, format_network_id

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 30.0
"""Seconds until the kernel is compared without any news."""
CALM: Final = 1.0
"""Seconds that a machine has to finish a change of its own routes, before they are judged by."""
_PAUSE: Final = 3.0
"""For each second of a pass, as many without one, whatever the news are."""
_REPAIRS_PER_SECOND: Final = 0.2
_REPAIRS_BURST: Final = 10.0
_REST: Final = 10.0
"""Where routes of others change all the time, as on a router: for each second of a pass, as many
without one. News of ours do not wait."""
_MAX_LINES: Final = 20
_BAD: Final = frozenset({RouteState.REFUSED, RouteState.FAILED, RouteState.CUT_OFF})

R = TypeVar("R")


class RouteManager:
    """The declared routes of a node; what talks to the kernel runs in a thread of its own."""

    def __init__(self, settings: RoutingSettings, own: Address | None = None) -> None:
        """Make it for the node `own`; None where it is the only one of the machine."""
        self._own = own
        self._settings = settings
        self._overlays: Mapping[NetworkId, Overlay] = {}
        self._worker = Worker("routes")
        self._lock = asyncio.Lock()
        self._reconciler: Reconciler | None = None
        self._rows: tuple[RouteRow, ...] = ()
        self._cluster = ClusterRanges()
        self._protected = RangeTable()
        """The cluster's ranges that managed routes must leave alone."""
        self._harm: dict[NetworkId, tuple[Harm, ...]] = {}
        self._last: Pass | None = None
        self._error: str | None = None
        self.tally = Tally()
        self._news = News.NONE
        self._took = 0.0
        """Seconds of the last pass."""
        self._is_closed = False
        self._wake = asyncio.Event()
        self._repairs = Budget(_REPAIRS_PER_SECOND, _REPAIRS_BURST)

    # -- what it is told ---------------------------------------------------------------------

    async def start(self) -> None:
        """Look at the machine once, before networks bring routes of their own."""
        async with self._lock:
            await self._guarded(self._look)

    async def use(self, settings: RoutingSettings) -> None:
        """Take other wishes, and apply them at once."""
        async with self._lock:
            self._settings = settings
            await self._reconcile(is_check=False)

    async def follow(self, overlays: Mapping[NetworkId, Overlay]) -> None:
        """Take what networks there are now; nothing is done where that is nothing new."""
        async with self._lock:
            if overlays != self._overlays or self._last is None:
                self._overlays = dict(overlays)
                self._harm = {one: harm for one, harm in self._harm.items() if one in overlays}
                await self._reconcile(is_check=False)

    async def check(self) -> None:
        """Compare with the kernel; what others changed is repaired and counted."""
        async with self._lock:
            await self._reconcile(is_check=True)

    def add_drift(self, count: int) -> None:
        """Count what was repaired of a network's own: its device, addresses, managed routes."""
        self.tally = replace(self.tally, drift=self.tally.drift + count)

    async def run(self, then: Callable[[], Awaitable[None]]) -> None:
        """Follow the kernel's news, until it is cancelled; `then` is for who else looks."""
        loop = asyncio.get_running_loop()
        watch = await self._listen()
        loop.add_reader(watch.fileno(), self._hear, watch, loop)
        try:
            while True:
                await self._wait()
                drift = self.tally.drift
                await self.check()
                is_drift = self.tally.drift > drift
                await then()
                await asyncio.sleep(_PAUSE * self._took)
                if is_drift and not self._repairs.spend(read_clock()):
                    logger.warning("another program keeps changing our routes: repairs are slowed")
                    await asyncio.sleep(1.0 / _REPAIRS_PER_SECOND)
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    def spare(self, network_id: NetworkId, wanted: Desired) -> Desired:
        """Leave out those of a network's managed routes that would harm pods or services."""
        harm = [
            *self._harm_of(network_id, [a.network for a in wanted.addresses], is_left_out=False),
            *self._harm_of(network_id, [r.target for r in wanted.routes], is_left_out=True),
        ]
        for one in harm:
            if one not in self._harm.get(network_id, ()):
                name = format_network_id(network_id)
                logger.warning("network=%s managed route=%s %s", name, one.target, one.cause)
        self._harm[network_id] = tuple(harm)
        left_out = {one.target for one in harm if one.is_left_out}
        if not left_out:
            return wanted
        return replace(wanted, routes=tuple(r for r in wanted.routes if r.target not in left_out))

    async def close(self, *, keep: bool = False) -> None:
        """End; what is declared is taken away, unless it is to be adopted by the next process."""
        async with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if not keep:
                await self._guarded(lambda: self._kernel().remove_all())
            if self._reconciler is not None:
                await self._worker.run(self._reconciler.close)
                self._reconciler = None
        self._worker.close()

    # -- what it tells -----------------------------------------------------------------------

    states: Final = tuple(RouteState)

    def rows(self) -> tuple[RouteRow, ...]:
        """Return the declared routes, and how they are."""
        return self._rows

    def conditions(self) -> tuple[Condition, ...]:
        """Return what is well and what is not."""
        harm = [one for network_id in sorted(self._harm) for one in self._harm[network_id]]
        return conditions_of(self._rows, self._settings, self._cluster.unknown, harm, self._error)

    @property
    def cluster(self) -> ClusterRanges:
        """What is known of the cluster's ranges."""
        return self._cluster

    def asks_for(self, network_id: NetworkId) -> frozenset[Address]:
        """Return the members of a network through which routes are to lead."""
        return frozenset(
            member
            for network, member in members_asked(self._settings)
            if network in (None, network_id)
        )

    # -- passes ------------------------------------------------------------------------------

    async def _reconcile(self, *, is_check: bool) -> None:
        started = read_clock().mono
        done = await self._guarded(lambda: self._kernel().reconcile(self._settings, self._overlays))
        self._took = read_clock().mono - started
        seconds = self.tally.seconds + self._took
        if done is None:
            self.tally = replace(self.tally, failed=self.tally.failed + 1, seconds=seconds)
            return
        self._take_ranges(done.cluster)
        self._error = done.refused_rule
        self._count(done, seconds, is_check=is_check)
        self._last = done
        before = {row.key: row for row in self._rows}
        self._rows = rows_of(done.rows, self._settings)
        self._tell(changes(before, self._rows))

    def _count(self, done: Pass, seconds: float, *, is_check: bool) -> None:
        tally, repaired = self.tally, done.plan.size - len(done.failures)
        is_same = self._last is not None and done.desired == self._last.desired
        if done.failures:
            tally = replace(tally, failed=tally.failed + 1)
        elif done.plan.size:
            tally = replace(tally, changed=tally.changed + 1)
        else:
            tally = replace(tally, unchanged=tally.unchanged + 1)
        if is_check and is_same and repaired > 0:
            logger.warning(
                "routes, rules or next hops that others changed were repaired: %d", repaired
            )
            tally = replace(tally, drift=tally.drift + repaired)
        self.tally = replace(tally, seconds=seconds)

    def _tell(self, changed: list[RouteRow]) -> None:
        for row in changed[:_MAX_LINES]:
            level = logging.WARNING if row.state in _BAD else logging.INFO
            why = f"{row.cause}; {row.remedy}" if row.remedy else row.cause
            logger.log(level, "route=%s via=%s state=%s %s", row.target, row.way, row.state, why)
        if len(changed) > _MAX_LINES:
            logger.info("routes whose state changed: %d", len(changed))

    def _look(self) -> None:
        self._take_ranges(self._kernel().look(self._settings, self._overlays))

    def _take_ranges(self, cluster: ClusterRanges) -> None:
        self._cluster = cluster
        self._protected = RangeTable(
            one for one in cluster.ranges if one.use in (Use.PODS, Use.SERVICES)
        )

    def _harm_of(
        self, network_id: NetworkId, targets: list[IpNetwork], *, is_left_out: bool
    ) -> list[Harm]:
        found = ((target, harm_of(target, self._protected)) for target in targets)
        return [
            Harm(network_id, target, cause, is_left_out)
            for target, cause in found
            if cause is not None and target.prefixlen > 1
        ]

    # -- the kernel --------------------------------------------------------------------------

    async def _listen(self) -> RouteWatch:
        while True:
            port = await self._guarded(lambda: self._kernel().port)
            if port is not None:
                return RouteWatch(port)
            await asyncio.sleep(CHECK_INTERVAL)

    def _hear(self, watch: RouteWatch, loop: asyncio.AbstractEventLoop) -> None:
        news = watch.read()
        if news is News.OURS:
            self._wake.set()
        elif news is News.MACHINE and self._news is News.NONE:
            loop.call_later(max(CALM, _REST * self._took), self._wake.set)
        self._news = max(self._news, news)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(CHECK_INTERVAL):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._news = News.NONE
        self._wake.clear()

    def _kernel(self) -> Reconciler:
        if self._reconciler is None:
            self._reconciler = Reconciler(self._own)
        return self._reconciler

    async def _guarded(self, work: Callable[[], R]) -> R | None:
        """Do something with the kernel; None where it refused, which the conditions tell."""
        try:
            result = await self._worker.run(work)
        except HostError as error:
            self._error = str(error.strerror)
            logger.warning("routes: %s", self._error)
            return None
        self._error = None
        return result
