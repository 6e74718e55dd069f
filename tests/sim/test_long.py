"""A day of eight members and an hour of fifty, with faults all the time: a tenth, or all of it."""

from typing import Final

import pytest

from tests.scale import SOAK, scaled
from tests.sim.long import CALM, CERTIFICATE_WINDOW, LongMesh, count_objects
from ztlink.node.events import NetworkStatus

DAY: Final = float(scaled(24 * 3600))
HOUR: Final = float(scaled(3600))
STEADY: Final = 1800.0
"""Seconds after which nothing new is to be met, if all have met before."""
MEETING: Final = 600.0
pytestmark = pytest.mark.timeout(7200 if SOAK else 600)


class Lived:
    """A mesh that has lived, and what its cores held in the middle and at the end."""

    def __init__(self, seed: int, members: int, seconds: float, fault_interval: float) -> None:
        self.mesh = LongMesh(seed, members, fault_interval=fault_interval)
        self.mesh.wait_joined(self.mesh.network)
        if seconds > STEADY:
            self.mesh.meet(MEETING)
        self.mesh.live(seconds / 2)
        self.weight_before = self.mesh.weight()
        self.mesh.live(seconds / 2, calm=CALM)
        self.weight_after = self.mesh.weight()

    def growth(self) -> float:
        """Return how much more the cores hold at the end than in the middle, as a factor."""
        return self.weight_after / self.weight_before

    def share_of_faults(self) -> float:
        """Return the share of the time in which some fault excused something."""
        spans = sum(fault.end - fault.start for fault in self.mesh.faults)
        return spans / self.mesh.world.time

    def ages_of_certificates(self) -> list[float]:
        """Return the seconds since each member's configuration was made."""
        ages = []
        for member in self.mesh.members:
            now = member.clock.now()
            (view,) = member.core.network_views(now)
            assert view.config is not None
            ages.append((now.unix_ms - view.config.timestamp) / 1000)
        return ages


@pytest.mark.parametrize(
    ("members", "seconds", "fault_interval"),
    [
        pytest.param(8, DAY, 240.0, id="a day of 8"),
        pytest.param(50, HOUR, 20.0, id="an hour of 50"),
    ],
)
def test_nobody_suffers_but_from_announced_faults(
    members: int, seconds: float, fault_interval: float
) -> None:
    # All facts of a run in one test: it takes a minute, and processes that test share nothing.
    lived = Lived(1, members, seconds, fault_interval)
    mesh = lived.mesh
    assert mesh.offline_spells() == []
    assert mesh.unanswered == []
    assert [node.name for node in mesh.nodes if not node.is_online] == []
    assert {m.status(mesh.network) for m in mesh.members} == {NetworkStatus.OK}
    assert max(lived.ages_of_certificates()) < 200.0
    assert max(mesh.acquaintances()) <= len(mesh.nodes) + len(mesh.roots)
    assert lived.growth() < (1.1 if mesh.world.time > 2 * STEADY else 2.0)
    assert mesh.pings > 100
    assert 0.0 < lived.share_of_faults() < 0.5


def test_the_day_is_longer_than_three_windows_of_certificates() -> None:
    assert DAY > 3 * CERTIFICATE_WINDOW


def test_objects_are_counted_with_all_that_they_hold() -> None:
    inner = [object(), object()]
    assert count_objects([{"a": inner, "b": inner}]) == 1 + 1 + len(inner)  # names are code
