"""What a restart costs: nodes know from their disks whom they knew."""

import pytest

from tests.sim.controller import SimController
from tests.sim.internet import Host
from tests.sim.mesh import ADHOC, Mesh
from tests.sim.nat import NatKind
from tests.sim.node import SimNode
from tests.sim.private_mesh import PrivateMesh
from ztlink.node.core import CoreSettings
from ztlink.node.events import NetworkStatus
from ztlink.wire.identity import SecretIdentity


def make_relayed_pair() -> tuple[Mesh, SimNode, SimNode]:
    """Make two nodes that reach each other through the root alone, and have them talk."""
    mesh = Mesh(1)
    a = mesh.add("a", behind=mesh.world.add_nat("box a", NatKind.SYMMETRIC))
    b = mesh.add("b", behind=mesh.world.add_nat("box b", NatKind.SYMMETRIC))
    mesh.wait_online()
    a.join(ADHOC)
    b.join(ADHOC)
    mesh.wait_joined(ADHOC)
    assert mesh.ping_and_wait(a, b, ADHOC) is not None
    mesh.run(10)
    return mesh, a, b


def test_a_root_that_was_killed_relays_at_once_when_it_is_back() -> None:
    mesh, a, b = make_relayed_pair()
    mesh.roots[0].restart()
    mesh.run(0.1)
    round_trip = mesh.ping_and_wait(a, b, ADHOC)
    assert round_trip is not None
    assert round_trip < 0.5


def test_a_node_that_was_killed_reaches_its_peers_while_the_root_is_away() -> None:
    mesh = Mesh(1)
    a, b = mesh.add("a"), mesh.add("b")
    mesh.wait_online()
    a.join(ADHOC)
    b.join(ADHOC)
    mesh.wait_joined(ADHOC)
    mesh.ping_and_wait(a, b, ADHOC)
    mesh.wait_direct(a, b)
    mesh.run(1)
    mesh.roots[0].kill()
    a.restart()
    assert mesh.wait_until(lambda: a.has_direct_path(b)) < 0.5


@pytest.mark.parametrize("who", ["root", "node"])
def test_a_disk_holds_the_peers_that_were_reached(who: str) -> None:
    mesh, a, _ = make_relayed_pair()
    node, other = (mesh.roots[0], a) if who == "root" else (a, mesh.roots[0])
    assert f"peers.d/{other.address:010x}.peer" in node.disk


# -- configurations that were kept ---------------------------------------------------------------

HOUR = 3600.0


def make_private_pair() -> tuple[PrivateMesh, SimNode, SimNode]:
    mesh = PrivateMesh(1)
    a, b = mesh.add_member("a"), mesh.add_member("b")
    mesh.wait_joined(mesh.network)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None
    mesh.run(1)
    return mesh, a, b


def test_members_talk_after_a_restart_while_their_controller_is_away() -> None:
    mesh, a, b = make_private_pair()
    mesh.controller.node.kill()
    mesh.run(HOUR)
    a.restart()
    b.restart()
    assert a.status(mesh.network) is NetworkStatus.OK
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


def test_a_certificate_that_is_too_old_opens_nothing_until_it_is_renewed() -> None:
    mesh, a, b = make_private_pair()
    a.kill()
    mesh.run(3 * HOUR)  # the others' certificates are renewed meanwhile
    mesh.controller.node.kill()
    mesh.run(1)
    a.start()
    mesh.run(1)
    assert a.status(mesh.network) is NetworkStatus.OK
    assert mesh.ping_and_wait(a, b, mesh.network) is None
    mesh.controller.restart()
    mesh.run(5)
    assert mesh.ping_and_wait(a, b, mesh.network) is not None


def test_a_configuration_of_another_node_is_not_taken() -> None:
    mesh, a, b = make_private_pair()
    mesh.controller.node.kill()
    a.configs = dict(b.configs)
    a.restart()
    mesh.run(1)
    assert a.status(mesh.network) is NetworkStatus.REQUESTING_CONFIGURATION


# -- a controller that is its own root -----------------------------------------------------------

BUSY = 600.0
"""Seconds until a machine with other work has checked a proof of work."""


class Alone(Mesh):
    """One node that is root and controller, and members that know nobody else."""

    def __init__(self, *, validation_delay: float) -> None:
        super().__init__(1)
        (self.root,) = self.roots
        self.root.validation_delay = validation_delay
        self.controller = SimController(self.root)
        self.network = self.controller.create()
        self.members = [self.add(f"member {number}") for number in range(5)]
        for member in self.members:
            self.controller.authorise(self.network, member.address)
            member.join(self.network)
        self.wait_joined(self.network)

    def _make(
        self, host: Host, identity: SecretIdentity, settings: CoreSettings | None = None
    ) -> SimNode:
        return super()._make(host, identity, CoreSettings(controller_enabled=True))

    def has(self, member: SimNode, mtu: int) -> bool:
        """Tell whether a member has heard of a change."""
        return member.configs[self.network].mtu == mtu


@pytest.mark.parametrize("validation_delay", [0.05, BUSY], ids=["checked", "not checked yet"])
def test_a_controller_and_root_that_was_killed_reaches_all_members_at_once(
    validation_delay: float,
) -> None:
    mesh = Alone(validation_delay=validation_delay)
    mesh.run(1)
    mesh.controller.restart()
    mesh.run(0.1)
    mesh.controller.update(mesh.network, mtu=1400)
    assert mesh.wait_until(lambda: all(mesh.has(m, 1400) for m in mesh.members)) < 0.5


def test_a_false_proof_of_work_that_a_kill_left_unchecked_is_found_out_after_the_start() -> None:
    mesh = Alone(validation_delay=BUSY)
    false = mesh.members[0]
    mesh.root.rejected[false.address] = None
    mesh.run(1)
    mesh.root.validation_delay = 0.05
    mesh.controller.restart()
    mesh.run(5)
    assert f"peers.d/{false.address:010x}.peer" not in mesh.root.disk
    assert mesh.root.peer(false.address) is None
