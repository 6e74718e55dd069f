"""A mesh to which one thing after another happens by chance, and which is then left in peace."""

from collections.abc import Callable
from typing import Final

from tests.sim.internet import Gateway
from tests.sim.nat import NatKind
from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh

MEMBERS: Final = 8
MEAN_INTERVAL: Final = 2.0
LOSS: Final = 0.1


class StormMesh(PrivateMesh):
    """Eight members behind all kinds of boxes, two roots, and a storm."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, roots=2)
        self.boxes: list[Gateway] = []
        self.members = [self._add_member(number) for number in range(MEMBERS)]
        self.deeds: list[str] = []
        """What happened, for whoever reads a failure."""
        self._dice = self.world.chance("storm")
        self._broken: list[tuple[str, str]] = []

    def _add_member(self, number: int) -> SimNode:
        kinds = (None, *NatKind)
        kind = kinds[number % len(kinds)]
        if kind is None:
            return self.add_member(f"member {number}")
        self.boxes.append(self.world.add_nat(f"box {number}", kind))
        return self.add_member(f"member {number}", behind=self.boxes[-1])

    def rage(self, seconds: float) -> None:
        """Have things happen for a while."""
        self.world.internet.backbone.loss = LOSS
        for index, member in enumerate(self.members):
            for other in self.members[index + 1 :: 3]:
                self._ping_for(member, other, seconds)
        end = self.world.time + seconds
        deeds = (
            self._restart_member,
            self._restart_root,
            self._restart_controller,
            self._rebind_box,
            self._renumber_box,
            self._break_path,
            self._mend_path,
            self._step_clock,
            self._change_network,
        )
        while self.world.time < end:
            self.run(self._dice.expovariate(1.0 / MEAN_INTERVAL))
            self._do(self._dice.choice(deeds))

    def calm_down(self, seconds: float) -> None:
        """Mend everything, and leave the mesh in peace for a while."""
        self.world.internet.backbone.loss = 0.0
        while self._broken:
            self.world.internet.mend_path(*self._broken.pop())
        self.run(seconds)

    def unreachable_pairs(self) -> list[str]:
        """Name the pairs of which the first gets no answer from the second."""
        pings = [
            (a, b, self.ping(a, b, self.network))
            for a in self.members
            for b in self.members
            if a is not b
        ]
        self.run(5.0)
        return [f"{a.name} -> {b.name}" for a, b, ping in pings if ping.answered is None]

    def _ping_for(self, a: SimNode, b: SimNode, seconds: float) -> None:
        def ping() -> None:
            if a.ports and b.ports and b.port(self.network).address(4):
                self.ping(a, b, self.network)

        self.world.schedule.every(1.0, ping, until=self.world.time + seconds)

    # -- what may happen ---------------------------------------------------------------------

    def _do(self, deed: Callable[[], str]) -> None:
        self.deeds.append(f"{self.world.time:.3f} {deed()}")

    def _restart_member(self) -> str:
        member = self._dice.choice(self.members)
        member.restart()
        return f"restart {member.name}"

    def _restart_root(self) -> str:
        root = self._dice.choice(self.roots)
        root.restart()
        return f"restart {root.name}"

    def _restart_controller(self) -> str:
        self.controller.restart()
        return "restart controller"

    def _rebind_box(self) -> str:
        box = self._dice.choice(self.boxes)
        box.nat.rebind()
        return f"rebind {box.name}"

    def _renumber_box(self) -> str:
        box = self._dice.choice(self.boxes)
        box.renumber(self.world.next_ipv4())
        return f"renumber {box.name}"

    def _break_path(self) -> str:
        stations = [node.name for node in (*self.nodes, *self.roots)]
        stations += [box.name for box in self.boxes]
        a, b = self._dice.sample(stations, 2)
        self.world.internet.break_path(a, b)
        self._broken.append((a, b))
        return f"break {a} - {b}"

    def _mend_path(self) -> str:
        if not self._broken:
            return "nothing to mend"
        a, b = self._broken.pop(0)
        self.world.internet.mend_path(a, b)
        return f"mend {a} - {b}"

    def _step_clock(self) -> str:
        node = self._dice.choice([*self.nodes, *self.roots])
        seconds = self._dice.uniform(-3600.0, 3600.0)
        node.step_clock(seconds)
        return f"step the clock of {node.name} by {seconds:.0f} s"

    def _change_network(self) -> str:
        mtu = self._dice.randint(1280, 2800)
        self.controller.update(self.network, mtu=mtu)
        return f"change the MTU to {mtu}"
