"""Two members of an ad-hoc network and a root, joined and talking: for tests of whole cores."""

from tests.sim.forger import Forger
from tests.sim.mesh import ADHOC, Mesh
from tests.sim.node import SimNode
from ztlink.stats import Drop


class Pair:
    """`a` is under test; `forger` has the secret of `b`, which `a` knows well."""

    def __init__(self, seed: int = 5) -> None:
        self.mesh = Mesh(seed)
        self.a: SimNode = self.mesh.add("a")
        self.b: SimNode = self.mesh.add("b")
        for node in (self.a, self.b):
            node.join(ADHOC)
        self.mesh.wait_joined(ADHOC)
        self.mesh.ping(self.a, self.b, ADHOC)
        self.mesh.wait_direct(self.a, self.b)
        self.mesh.run(1.0)
        self.chance = self.mesh.world.chance("forger")
        self.forger = Forger(self.b, self.a, self.chance.randbytes)

    @property
    def counted(self) -> int:
        """How many packets `a` has counted, as handled or as dropped."""
        stats = self.a.core.stats
        return sum(stats.drops) + sum(stats.packets_in)

    def dropped(self, reason: Drop) -> int:
        """How many packets `a` dropped for a reason."""
        return self.a.core.stats.drops[reason]
