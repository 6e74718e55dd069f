"""A node to which somebody on the way repeats everything, in disorder, also from elsewhere."""

import pytest

from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh
from tests.sim.replayer import Replayer, is_elsewhere
from ztlink.ids import Endpoint
from ztlink.node.events import NetworkStatus
from ztlink.vl1.peer import CONFIRMS_BURST, CONFIRMS_PER_SECOND

SECONDS = 60.0
PEERS = 3
"""Whom the victim knows: root, controller, the other member."""


class Victim:
    """Two members that talk; what one is sent is repeated."""

    def __init__(self) -> None:
        self.mesh = PrivateMesh(3)
        self.other = self.mesh.add_member("other")
        self.node: SimNode = self.mesh.add_member("victim")
        self.mesh.wait_joined(self.mesh.network)
        self.mesh.ping(self.other, self.node, self.mesh.network)
        self.mesh.wait_direct(self.other, self.node)
        self.replayer = Replayer(self.mesh, self.node)

    def paths(self) -> list[Endpoint]:
        """Return where the paths of the victim lead."""
        views = self.node.core.peer_views(self.node.clock.now())
        return [path.endpoint for view in views for path in view.paths]


@pytest.fixture
def victim() -> Victim:
    return Victim()


def test_traffic_goes_on(victim: Victim) -> None:
    pings = victim.mesh.keep_pinging(
        victim.other, victim.node, victim.mesh.network, interval=0.5, seconds=SECONDS
    )
    victim.mesh.run(SECONDS + 2.0)
    assert len(pings) > 100
    assert [ping for ping in pings if ping.answered is None] == []


def test_no_path_moves_and_little_is_sent_to_false_addresses(victim: Victim) -> None:
    victim.mesh.keep_pinging(victim.other, victim.node, victim.mesh.network)
    victim.mesh.run(SECONDS)
    assert victim.node.has_direct_path(victim.other)
    assert len(victim.paths()) >= PEERS
    assert [endpoint for endpoint in victim.paths() if is_elsewhere(endpoint)] == []
    probes = PEERS * (CONFIRMS_BURST + SECONDS * CONFIRMS_PER_SECOND)
    assert victim.replayer.answers < 2 * probes  # some are repeated before they are given up


def test_a_member_that_is_let_in_again_stays_in(victim: Victim) -> None:
    mesh, node = victim.mesh, victim.node
    mesh.controller.deauthorise(mesh.network, node.address)
    mesh.run(5.0)
    assert node.status(mesh.network) is NetworkStatus.ACCESS_DENIED
    mesh.controller.authorise(mesh.network, node.address)
    mesh.wait_joined(mesh.network)
    seen = []
    mesh.world.schedule.every(0.05, lambda: seen.append(node.status(mesh.network)))
    mesh.run(20.0)
    assert set(seen) == {NetworkStatus.OK}
