"""A day of eight members and an hour of fifty, with faults all the time: a tenth, or all of it."""

from typing import Final

import pytest

from tests.scale import SOAK, scaled
from tests.sim.long import CALM, CERTIFICATE_WINDOW, LongMesh, count_objects
from ztlink.node.events import NetworkStatus

DAY: Final = float(scaled(24 * 3600))
HOUR: Final = float(scaled(3600))
STEADY: Final = 1800.0
"""Seconds after which everybody has met everybody."""
pytestmark = pytest.mark.timeout(7200 if SOAK else 600)


class Lived:
    """A mesh that has lived, and what its cores held in the middle and at the end."""

    def __init__(self, seed: int, members: int, seconds: float, fault_interval: float) -> None:
        self.mesh = LongMesh(seed, members, fault_interval=fault_interval)
        self.mesh.wait_joined(self.mesh.network)
        self.mesh.live(seconds / 2)
        self.weight_before = self.mesh.weight()
        self.mesh.live(seconds / 2, calm=CALM)
        self.weight_after = self.mesh.weight()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((8, DAY, 240.0), id="a day of 8"),
        pytest.param((50, HOUR, 20.0), id="an hour of 50"),
    ],
)
def lived(request: pytest.FixtureRequest) -> Lived:
    return Lived(1, *request.param)


def test_no_node_is_offline_but_for_announced_faults(lived: Lived) -> None:
    assert lived.mesh.offline_spells() == []


def test_every_ping_is_answered_but_for_announced_faults(lived: Lived) -> None:
    assert lived.mesh.unanswered == []


def test_faults_were_many_and_excused_few_pings(lived: Lived) -> None:
    spans = sum(fault.end - fault.start for fault in lived.mesh.faults)
    assert len(lived.mesh.faults) > 0
    assert lived.mesh.pings > 100
    assert spans < 0.2 * lived.mesh.world.time


def test_all_are_online_and_configured_at_the_end(lived: Lived) -> None:
    mesh = lived.mesh
    assert [n.name for n in mesh.nodes if not n.is_online] == []
    states = {m.status(mesh.network) for m in mesh.members}
    assert states == {NetworkStatus.OK}


def test_certificates_are_of_the_last_minutes(lived: Lived) -> None:
    mesh = lived.mesh
    ages = []
    for member in mesh.members:
        (view,) = member.core.network_views(member.clock.now())
        assert view.config is not None
        ages.append(member.clock.now().unix_ms - view.config.timestamp)
    assert max(ages) < 200_000


def test_the_day_is_longer_than_three_windows_of_certificates() -> None:
    assert DAY > 3 * CERTIFICATE_WINDOW


def test_what_the_cores_hold_does_not_grow(lived: Lived) -> None:
    is_steady = lived.mesh.world.time > 2 * STEADY
    assert lived.weight_after < lived.weight_before * (1.1 if is_steady else 2.0)


def test_objects_are_counted_with_all_that_they_hold() -> None:
    inner = [object(), object()]
    assert count_objects([{"a": inner, "b": inner}]) == 1 + 2 + 1 + 2
