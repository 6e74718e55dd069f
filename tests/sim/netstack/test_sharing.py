"""Several flows over one bottleneck, and one flow over a long path that loses a little."""

from typing import Final

import pytest

from tests.scale import SOAK
from tests.sim.netstack.wire import Hosts, Path
from tests.sim.netstack.world import World, transfer
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.tcp.settings import CongestionControl, TcpSettings

FLOWS: Final = [1, 2, 4, 8, 16, 32, 64] if SOAK else [6]
CONTROLS: Final = list(CongestionControl) if SOAK else [CongestionControl.BBR]
ROUND_TRIP: Final = 0.02
SHARE: Final = 312_500.0
"""Bytes per second for each flow: 2.5 Mbit/s."""
ENDLESS: Final = 1 << 40


def jain(shares: list[int]) -> float:
    """Return Jain's index of fairness: 1 where all are equal."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("flows", FLOWS)
def test_flows_share_a_bottleneck(flows: int, control: CongestionControl) -> None:
    rate = max(SHARE * flows, 4 * SHARE) if flows < 16 else SHARE * flows / 4
    path = Path(rate=rate, delay=ROUND_TRIP / 2, queue=int(1.5 * rate * ROUND_TRIP))
    world = World(path, settings=TcpSettings(congestion_control=control))
    uploads = []
    for _ in range(flows):
        uploads.append(world.upload(ENDLESS))
        world.wait(0.05)
    world.wait(5 if SOAK else 3)
    before = [upload.received for upload in uploads]
    seconds = 20 if SOAK else 6
    world.wait(seconds)
    shares = [upload.received - had for upload, had in zip(uploads, before, strict=True)]
    assert jain(shares) >= 0.8
    assert sum(shares) >= 0.8 * rate * seconds


def test_a_long_path_that_loses_one_in_a_hundred_carries_100_mbit() -> None:
    path = Path(rate=125e6, delay=0.025, loss=0.01, queue=1 << 20)
    size = 120_000_000 if SOAK else 40_000_000
    upload = transfer(World(path, mtu=2800), size)
    assert size * 8 / (upload.finished_at - upload.started_at) >= 100e6


def test_a_long_path_without_loss_is_filled() -> None:
    path = Path(rate=12.5e6, delay=0.025, queue=1 << 20)
    upload = transfer(World(path, mtu=2800), 20_000_000)
    assert 20e6 / (upload.finished_at - upload.started_at) >= 0.7 * 12.5e6


def test_flows_over_a_short_path_share_it_in_large_segments() -> None:
    rate = 50e6
    world = World(Path(rate=rate, delay=0.00025, queue=1 << 20, gather=0.0002), mtu=2800)
    sizes: list[int] = []
    send = world.up.send

    def counted(outgoing: Outgoing, now: float) -> None:
        sizes.append(outgoing.size)
        send(outgoing, now)

    world.up.send = counted  # type: ignore[method-assign] # looks on
    uploads = [world.upload(ENDLESS) for _ in range(8)]
    world.wait(0.4)
    before = [upload.received for upload in uploads]
    sizes.clear()
    world.wait(0.4)
    shares = [upload.received - had for upload, had in zip(uploads, before, strict=True)]
    assert jain(shares) >= 0.9
    assert sum(shares) >= 0.9 * rate * 0.4
    assert sum(sizes) / len(sizes) >= 20_000


@pytest.mark.parametrize("megabytes", [10, 20, 30, 45, 60, 125, 300])
def test_near_hosts_work_at_the_same_time_also_after_a_pause(megabytes: int) -> None:
    """One super-segment alone would have each wait for the other: half of the rate, or less."""
    rate = megabytes * 1e6
    world = World(Path(rate=rate, delay=0.00005, gather=0.0), mtu=2800, wire=Hosts)
    upload = world.upload(ENDLESS)
    world.wait(0.4)
    for pause in (0.0, 0.002, 0.005, 0.02):
        wire = world.up
        assert isinstance(wire, Hosts)
        wire.pause(world.now + pause)
        world.wait(0.04)
        before = upload.received
        world.wait(0.1)
        assert upload.received - before >= 0.75 * rate * 0.1
