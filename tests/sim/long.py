"""Meshes that live for hours, while faults come and go that are announced beforehand.

Members ping each other now and then, nothing gets lost by chance, and so every ping that is not
answered belongs to a fault or is one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Final

from tests.sim.ethernet import Ping
from tests.sim.internet import Gateway
from tests.sim.nat import NatKind
from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh
from tests.sim.weight import Weight
from ztlink.node.events import NodeOnline

CERTIFICATE_WINDOW: Final = 1800.0
"""Seconds that certificates of two members may differ: the controller's own default."""
MEAN_PING_INTERVAL: Final = 100.0
ANSWER_TIME: Final = 1.0
LEAVE_TIME: Final = 5.0
"""Seconds in which dead paths and dead roots are left, once there is traffic."""
HEARTBEAT_TIME: Final = 20.0
"""Seconds in which an idle node finds out that its box has forgotten it."""
CALM: Final = 120.0
"""Seconds in which all is mended that was broken before."""
MEETING: Final = 120.0
"""Seconds in which all members meet."""
MOMENTS: Final = 3
MOMENT: Final = 11.0
"""Seconds; beyond the life of a request."""
_BOXES: Final = (None, *NatKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """An announced fault, and for how long it may be felt, by whom."""

    what: str
    start: float
    end: float
    names: frozenset[str] | None = None
    """None for everybody."""

    def excuses(self, start: float, end: float, *names: str) -> bool:
        """Tell whether it may be felt by one of these in a span of time."""
        is_theirs = self.names is None or not self.names.isdisjoint(names)
        return is_theirs and self.start <= end and start <= self.end


class LongMesh(PrivateMesh):
    """Two roots, a controller, members behind all kinds of boxes, and one fault after another."""

    def __init__(self, seed: int, members: int, *, fault_interval: float) -> None:
        """Make it; `fault_interval` seconds pass from one fault to the next in the mean."""
        super().__init__(seed, roots=2)
        self._fault_interval = fault_interval
        self.faults: list[Fault] = []
        self.unanswered: list[str] = []
        """Pings that no fault excuses."""
        self.pings = 0
        self.boxes: dict[str, Gateway] = {}
        self.members = [self._add_member(number) for number in range(members)]
        self._dice = self.world.chance("long")
        self._roots_are_well_at = 0.0
        self._controller_is_back_at = 0.0

    def _add_member(self, number: int) -> SimNode:
        name, kind = f"member {number}", _BOXES[number % len(_BOXES)]
        if kind is not None:
            self.boxes[name] = self.world.add_nat(f"box {number}", kind, lifetime=30.0)
        return self.add_member(name, behind=self.boxes.get(name))

    def live(self, seconds: float, *, calm: float = 0.0) -> None:
        """Let pings and faults happen for a while, and no new faults at the end of it."""
        end = self.world.time + seconds
        for member in self.members:
            self._again(MEAN_PING_INTERVAL, end, partial(self._ping_somebody, member))
        self._again(self._fault_interval, end - calm, self._do_something)
        self.world.run(seconds)

    def meet(self) -> None:
        """Have every pair of members exchange a ping: what follows are no first meetings."""
        pairs = list(combinations(self.members, 2))
        for number, (one, other) in enumerate(pairs):
            after = MEETING * number / len(pairs)
            self.world.schedule.after(after, partial(self._meet, one, other))
        self.world.run(MEETING)

    def _meet(self, one: SimNode, other: SimNode) -> None:
        self.ping(one, other, self.network)

    def acquaintances(self) -> list[int]:
        """Count the peers that each core knows."""
        running = [node for node in (*self.nodes, *self.roots) if node.is_running]
        return [len(node.core.peer_views(node.clock.now())) for node in running]

    def weigh(self) -> Weight:
        """Return what the cores hold while all know each other, and nothing is the matter.

        Who is met again is known, however long ago it was met: so the same is held each time but
        for what grew. Of several moments the least counts, as what is under way comes and goes.
        """
        self.meet()
        moments = []
        for _ in range(MOMENTS):
            self.world.run(MOMENT)
            cores = [node.core for node in (*self.nodes, *self.roots) if node.is_running]
            moments.append(Weight.of(cores))
        return Weight.least(moments)

    def offline_spells(self) -> list[str]:
        """Name the nodes that lost their last root without an announced reason."""
        return [
            f"{node.name} at {time:.1f}"
            for node in self.nodes
            for time, event in node.events
            if isinstance(event, NodeOnline) and not event.online
            if not any(f.excuses(time, time, node.name) for f in self.faults)
        ]

    # -- pings -------------------------------------------------------------------------------

    def _again(self, mean: float, end: float, action: Callable[[], None]) -> None:
        def act() -> None:
            if self.world.time < end:
                action()
                self._again(mean, end, action)

        self.world.schedule.after(self._dice.uniform(0.5, 1.5) * mean, act)

    def _ping_somebody(self, member: SimNode) -> None:
        other = self._dice.choice([m for m in self.members if m is not member])
        ping = self.ping(member, other, self.network)
        self.pings += 1
        self.world.schedule.after(LEAVE_TIME, lambda: self._ping_again(ping, member, other))

    def _ping_again(self, first: Ping, a: SimNode, b: SimNode) -> None:
        """Ping a second time where the first showed that an idle path is dead."""
        if first.answered is None and self.network in a.ports and a.ports[self.network].interfaces:
            again = a.ports[self.network].ping(first.destination)
            self.world.schedule.after(ANSWER_TIME, lambda: self._check(first, again, a, b))

    def _check(self, first: Ping, again: Ping, a: SimNode, b: SimNode) -> None:
        now = self.world.time
        excused = any(f.excuses(first.sent, now, a.name, b.name) for f in self.faults)
        if first.answered is None and again.answered is None and not excused:
            self.unanswered.append(f"{a.name} -> {b.name} at {first.sent:.2f}")

    # -- faults ------------------------------------------------------------------------------

    def _announce(self, what: str, seconds: float, *names: str) -> None:
        now = self.world.time
        self.faults.append(Fault(what, now, now + seconds, frozenset(names) if names else None))

    def _do_something(self) -> None:
        self._dice.choice(
            (
                self._break_path,
                self._break_path,
                self._forget_mappings,
                self._flap_root,
                self._kill_root,
                self._kill_controller,
                self._restart_member,
            )
        )()

    def _trouble_roots(self, seconds: float) -> bool:
        """Tell whether a root may be troubled: only while the other is well, lest all be offline.

        It has to itself the time that nodes take to find it again.
        """
        if self.world.time < self._roots_are_well_at:
            return False
        self._roots_are_well_at = self.world.time + seconds + HEARTBEAT_TIME
        return True

    def _station(self, member: SimNode) -> str:
        return self.boxes[member.name].name if member.name in self.boxes else member.name

    def _break_path(self) -> None:
        """Make a black hole between two members, or between a member and a root."""
        member, other = self._dice.sample([*self.members, *self.roots], 2)
        after = self._dice.uniform(10.0, 100.0)
        if (member in self.roots or other in self.roots) and not self._trouble_roots(after):
            return
        ends = self._station(member), self._station(other)
        self._announce(f"no path {ends}", LEAVE_TIME, member.name, other.name)
        self.world.internet.break_path(*ends)
        self.world.schedule.after(after, lambda: self.world.internet.mend_path(*ends))

    def _forget_mappings(self) -> None:
        name = self._dice.choice(list(self.boxes))
        self._announce(f"box of {name} forgets", HEARTBEAT_TIME, name)
        self.boxes[name].nat.rebind()

    def _flap_root(self) -> None:
        """Restart a root three times in ten seconds."""
        if not self._trouble_roots(10.0):
            return
        root = self._dice.choice(self.roots)
        self._announce(f"{root.name} flaps", 10.0 + HEARTBEAT_TIME)
        for number in range(3):
            self.world.schedule.after(5.0 * number, root.restart)

    def _kill_root(self) -> None:
        after = self._dice.uniform(20.0, 100.0)
        if not self._trouble_roots(after):
            return
        root = self._dice.choice(self.roots)
        self._announce(f"{root.name} dies", LEAVE_TIME)
        root.kill()
        self.world.schedule.after(after, lambda: self._revive(root))

    def _revive(self, root: SimNode) -> None:
        self._announce(f"{root.name} lives", HEARTBEAT_TIME)
        root.start()

    def _kill_controller(self) -> None:
        """Have the controller away for some minutes, which nobody may notice."""
        if self.world.time < self._controller_is_back_at:
            return
        after = self._dice.uniform(60.0, 100.0)
        self._controller_is_back_at = self.world.time + after
        self.controller.node.kill()
        self.world.schedule.after(after, self.controller.node.start)

    def _restart_member(self) -> None:
        member = self._dice.choice(self.members)
        self._announce(f"{member.name} restarts", LEAVE_TIME, member.name)
        member.restart()
