"""A thousand members that join at one moment, at a controller with its real database."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.scale import scaled
from tests.sim.controller import SimController
from tests.sim.mesh import Mesh
from tests.sim.node import SimNode
from ztlink.controller.store import ControllerStore
from ztlink.crypto.work import generate
from ztlink.ids import NetworkId
from ztlink.node.core import CoreSettings
from ztlink.node.events import NetworkConfigured, NetworkStatus
from ztlink.wire.netconf import NetworkConfig

SEED: Final = 4
MEMBERS: Final = scaled(1000)
KNOWN_IDENTITIES: Final = 990
"""Of the thousand ready ones, as many as the crowd takes; more are made."""
WAVES: Final = 0.05
"""Seconds within which a single member must hear of a change."""
LOOKING: Final = 0.2
"""The same where the controller must first find its root, and ask it who its members are."""


class Crowd(Mesh):
    """A root, a controller with a database, and members that know nothing of each other."""

    def __init__(self, database: Path) -> None:
        super().__init__(SEED)
        settings = CoreSettings(controller_enabled=True)
        node = self.add_on(self.world.add_host("controller"), settings=settings)
        self.store = ControllerStore(database)
        self.controller = SimController(node, store=self.store)
        self.network = self.controller.create()
        self.members = [self._add_member(number) for number in range(MEMBERS)]

    def _add_member(self, number: int) -> SimNode:
        host = self.world.add_host(f"member {number}")
        if number < KNOWN_IDENTITIES:
            return self.add_on(host)
        seeded = random.Random(number)  # noqa: S311 - keys of nobody
        node = self._make(host, generate(seeded.randbytes))
        self.nodes.append(node)
        node.start()
        return node

    def join_all(self) -> float:
        """Let all members in and have them join at one moment; return how long that took."""
        for member in self.members:
            self.controller.authorise(self.network, member.address)
        for member in self.members:
            member.join(self.network)
        return self.wait_joined(self.network)

    def config(self, member: SimNode) -> NetworkConfig:
        """Return what a member was told last."""
        return next(
            e.config for _, e in reversed(member.events) if isinstance(e, NetworkConfigured)
        )

    def wait_told(self, mtu: int) -> float:
        """Let time go on until all members know of an MTU; return how long that took."""
        return self.wait_until(lambda: all(self.config(m).mtu == mtu for m in self.members))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    crowd = Crowd(tmp_path_factory.mktemp("crowd") / "controller.db")
    crowd.wait_online()
    crowd.join_all()
    yield crowd
    crowd.store.close()


def test_all_that_join_at_once_are_configured(crowd: Crowd) -> None:
    status = [member.status(crowd.network) for member in crowd.members]
    assert status == [NetworkStatus.OK] * MEMBERS


def test_no_two_have_one_address(crowd: Crowd) -> None:
    given = [address for member in crowd.members for address in crowd.config(member).addresses]
    assert len(set(given)) == 2 * MEMBERS  # one of each family


def test_what_they_were_given_is_in_the_database(crowd: Crowd) -> None:
    kept = {record.address: set(record.ip_assignments) for record in crowd.store.members()}
    told = {m.address: {a.ip for a in crowd.config(m).addresses} for m in crowd.members}
    assert [address for address in told if not kept[address] <= told[address]] == []


def test_a_change_reaches_all_within_a_millisecond_each(crowd: Crowd) -> None:
    crowd.controller.update(crowd.network, mtu=1400)
    assert crowd.wait_told(1400) < WAVES + MEMBERS / 1000


def test_a_member_that_is_shut_out_hears_of_it_at_once(crowd: Crowd) -> None:
    member = crowd.members[0]
    crowd.controller.deauthorise(crowd.network, member.address)
    waited = crowd.wait_until(
        lambda: member.status(crowd.network) is NetworkStatus.ACCESS_DENIED, limit=1.0
    )
    crowd.controller.authorise(crowd.network, member.address)
    crowd.wait_joined(crowd.network, [member])
    assert waited < WAVES


def test_a_member_that_is_let_in_hears_of_it_at_once(crowd: Crowd) -> None:
    newcomer = crowd.add("newcomer")
    crowd.wait_until(lambda: newcomer.is_online)
    newcomer.join(crowd.network)
    crowd.wait_until(lambda: newcomer.status(crowd.network) is NetworkStatus.ACCESS_DENIED)
    crowd.controller.authorise(crowd.network, newcomer.address)
    assert crowd.wait_joined(crowd.network, [newcomer]) < WAVES


def test_addresses_stay_with_their_members_when_the_controller_starts_anew(crowd: Crowd) -> None:
    before = {member.name: crowd.config(member).addresses for member in crowd.members}
    crowd.controller.restart()
    crowd.wait_online()
    other = NetworkId(crowd.network + 1)
    assert other not in crowd.controller.service.networks
    crowd.run(65.0)  # everybody asks anew once a minute
    assert {member.name: crowd.config(member).addresses for member in crowd.members} == before


def change_after_start(crowd: Crowd, mtu: int) -> float:
    """Have the controller start and hear of a change at once; return when all members know."""
    crowd.controller.restart()
    crowd.controller.update(crowd.network, mtu=mtu)
    return crowd.wait_told(mtu)


def test_a_change_reaches_all_although_the_controller_was_just_started(crowd: Crowd) -> None:
    assert change_after_start(crowd, 1500) < LOOKING + MEMBERS / 1000


def test_a_change_reaches_all_although_the_controller_knows_none_of_them(crowd: Crowd) -> None:
    disk = crowd.controller.node.disk
    for name in [name for name in disk if name.startswith("peers.d/")]:
        del disk[name]  # as where only the database was kept
    assert change_after_start(crowd, 1600) < LOOKING + MEMBERS / 1000
