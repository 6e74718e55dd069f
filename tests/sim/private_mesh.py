"""A mesh with a controller and one private network."""

from tests.sim.controller import SimController
from tests.sim.internet import Gateway
from tests.sim.mesh import Mesh
from tests.sim.node import SimNode
from ztlink.node.core import CoreSettings


class PrivateMesh(Mesh):
    """Nodes, roots, and a controller with a network whose members it chooses."""

    def __init__(
        self, seed: int, *, roots: int = 1, delay: float = 0.010, loss: float = 0.0
    ) -> None:
        super().__init__(seed, roots=roots, delay=delay, loss=loss)
        settings = CoreSettings(controller_enabled=True)
        host = self.world.add_host("controller")
        self.controller = SimController(self.add_on(host, settings=settings))
        self.network = self.controller.create()

    def add_member(self, name: str, *, behind: Gateway | None = None) -> SimNode:
        """Start a node that is authorised and joins the network."""
        return self.admit(self.add(name, behind=behind))

    def admit(self, node: SimNode) -> SimNode:
        """Authorise a node, and have it join the network."""
        self.controller.authorise(self.network, node.address)
        node.join(self.network)
        return node
