"""The big mesh: more than twenty nodes behind everything, through everything that may go wrong.

Run as a module with a seed it plays one run and prints the digest of all its datagrams.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.sim.ethernet import Ping
from tests.sim.nat import NatKind
from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh

MEMBERS: Final = 24
LOSS: Final = 0.10
WINDOW: Final = 15.0
"""Seconds within which one ping of a pair must be answered: ten of them may well be lost."""
ROOT_DIES: Final = 40.0
CLOCK_STEPS: Final = 70.0
MEMBER_GOES: Final = 100.0
END: Final = 160.0
GRACE: Final = 5.0
"""Seconds for which a deauthorised member's traffic may go on: revocations get lost too."""

_BOXES: Final = (None, *NatKind)


@dataclass(slots=True)
class PingedPair:
    """Two members, and the pings of the first."""

    a: SimNode
    b: SimNode
    pings: list[Ping] = field(default_factory=list)

    def answered_between(self, start: float, end: float) -> int:
        """Count the pings sent in a span of time that were answered."""
        return sum(start <= p.sent < end and p.answered is not None for p in self.pings)


class BigMesh(PrivateMesh):
    """The mesh, and the story that it goes through."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, roots=2, loss=LOSS)
        backbone = self.world.internet.backbone
        backbone.jitter, backbone.reordering, backbone.duplication = 0.005, 0.01, 0.01
        self.members = [self._add_member(number) for number in range(MEMBERS)]
        self.outcast = self.members[7]
        self.time_traveller = self.members[3]
        self.pairs: list[PingedPair] = []

    def _add_member(self, number: int) -> SimNode:
        kind = _BOXES[number % len(_BOXES)]
        box = self.world.add_nat(f"box {number}", kind) if kind else None
        return self.add_member(f"member {number}", behind=box)

    def play(self) -> None:
        """Go through the whole story."""
        self.wait_joined(self.network)
        self._begin_pinging()
        self.world.schedule.at(ROOT_DIES, self.roots[0].kill)
        self.world.schedule.at(CLOCK_STEPS, lambda: self.time_traveller.step_clock(86_400.0))
        self.world.schedule.at(CLOCK_STEPS + 5.0, lambda: self.roots[1].step_clock(-7200.0))
        self.world.schedule.at(MEMBER_GOES, self._cast_out)
        self.world.run(END - self.world.time)

    def _begin_pinging(self) -> None:
        count = len(self.members)
        for index, member in enumerate(self.members):
            for distance in (1, 7):
                other = self.members[(index + distance) % count]
                pair = PingedPair(member, other)
                pair.pings = self.keep_pinging(member, other, self.network)
                self.pairs.append(pair)

    def _cast_out(self) -> None:
        self.controller.deauthorise(self.network, self.outcast.address)

    # -- what came of it ---------------------------------------------------------------------

    def pairs_with(self, member: SimNode) -> list[PingedPair]:
        """Return the pairs that a member belongs to."""
        return [pair for pair in self.pairs if member in (pair.a, pair.b)]

    def pairs_without(self, member: SimNode) -> list[PingedPair]:
        """Return the pairs that a member does not belong to."""
        return [pair for pair in self.pairs if member not in (pair.a, pair.b)]

    def silences(self, pairs: Iterable[PingedPair], start: float, end: float) -> list[str]:
        """Name the pairs and windows in which no ping was answered."""
        found: list[str] = []
        for pair in pairs:
            time = start
            while time + WINDOW <= end:
                if not pair.answered_between(time, time + WINDOW):
                    found.append(f"{pair.a.name} -> {pair.b.name} at {time:.0f}")
                time += WINDOW
        return found

    def direct_pairs(self) -> list[PingedPair]:
        """Return the pairs that reach each other directly now."""
        return [
            pair
            for pair in self.pairs
            if pair.a.has_direct_path(pair.b) and pair.b.has_direct_path(pair.a)
        ]


def main() -> None:
    """Play a run and print its digest."""
    mesh = BigMesh(int(sys.argv[1]))
    mesh.play()
    print(mesh.world.datagrams, mesh.world.digest())


if __name__ == "__main__":
    main()
