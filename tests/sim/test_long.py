"""A day of eight members and an hour of fifty, with faults all the time: a tenth, or all of it."""

from typing import Final
from unittest.mock import patch

import pytest

from tests.scale import SOAK, scaled
from tests.sim.long import CALM, CERTIFICATE_WINDOW, LongMesh
from ztlink.clock import Now
from ztlink.node.events import NetworkStatus
from ztlink.vl2.network import Network
from ztlink.wire.netconf import NetworkConfig

DAY: Final = float(scaled(24 * 3600))
HOUR: Final = float(scaled(3600))
LONG: Final = 1800.0
"""Seconds in which cores that keep something every minute show it."""
pytestmark = pytest.mark.timeout(7200 if SOAK else 600)


class Lived:
    """A mesh that has lived, and what its cores held in the middle and at the end."""

    def __init__(self, seed: int, members: int, seconds: float, fault_interval: float) -> None:
        self.mesh = LongMesh(seed, members, fault_interval=fault_interval)
        self.mesh.wait_joined(self.mesh.network)
        self.grown: list[str] = []
        """What there is more of at the end than in the middle: if there was time to grow."""
        if seconds < LONG:
            self.mesh.live(seconds, calm=CALM)
            return
        self.mesh.meet()
        self.mesh.live(seconds / 2, calm=CALM)
        middle = self.mesh.weigh()
        self.mesh.live(seconds / 2, calm=CALM)
        self.grown = middle.grown_to(self.mesh.weigh())

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
    assert lived.grown == []
    assert mesh.pings > 100
    assert 0.0 < lived.share_of_faults() < 0.5


def test_the_day_is_longer_than_three_windows_of_certificates() -> None:
    assert DAY > 3 * CERTIFICATE_WINDOW


def test_a_member_that_keeps_one_thing_a_minute_is_found_out() -> None:
    apply = Network.apply

    def apply_and_keep(
        network: Network, config: NetworkConfig, now: Now, *, is_cached: bool = False
    ) -> None:
        apply(network, config, now, is_cached=is_cached)
        vars(network).setdefault("kept", []).append(config)

    with patch.object(Network, "apply", apply_and_keep):
        lived = Lived(1, 4, 2400.0, 240.0)
    assert "Network.kept" in " ".join(lived.grown)
