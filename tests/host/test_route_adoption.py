"""Routes that a process left behind: the next one finds exactly those, and touches none that fits.

And ten thousand of them, which is what a pass must bear.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final

import pytest

from tests.host.machine import ip
from tests.host.route_keeper import COUNT, many, some
from tests.host.routed import MEMBER, NETWORK, Device, declare, device, rules, settings, targets
from tests.scale import scaled
from ztlink.host.netlink_routes import RouteSocket
from ztlink.host.routes.kernel import Observed
from ztlink.host.routes.manager import RouteManager
from ztlink.host.routes.resolve import RouteState
from ztlink.host.routes.watch import News, RouteWatch

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

KILLS: Final = scaled(100)
LONGEST: Final = 0.08
"""Seconds that a process has before it is killed: a few of its changes."""
TEN_THOUSAND: Final = 10_000
ALLOWED: Final = 2.0
"""Seconds of processor time, the kernel's with it, for ten thousand routes."""


@pytest.fixture
def port() -> Iterator[Device]:
    with device() as made:
        yield made


def observe() -> Observed:
    opened = RouteSocket()
    try:
        return opened.observe()
    finally:
        opened.close()


def killed_while_changing(index: int, seed: int) -> None:
    """Run a process that changes routes, and kill it at some moment."""
    argv = (sys.executable, "-m", "tests.host.route_keeper", str(index), str(seed))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "changing\n"
        time.sleep(Random(seed).uniform(0, LONGEST))  # noqa: S311 - for a test
        keeper.kill()


async def test_after_a_kill_at_any_moment_exactly_ours_are_found_again(port: Device) -> None:
    ip("route", "add", "100.127.0.0/24", "dev", "lo", "proto", "static")
    for number in range(KILLS):
        killed_while_changing(port.overlay.index, number)
        wanted = some(-number)
        manager = RouteManager(wanted)
        await manager.follow({NETWORK: port.overlay})
        assert targets() == {str(one.target) for one in wanted.routes}, number
        assert rules() == ([] if wanted.table is None else [(9000, "300")])
        before = manager.tally.unchanged
        await manager.check()
        assert manager.tally.unchanged == before + 1
        await manager.close(keep=True)
    assert "100.127.0.0/24" in ip("route", "show", "proto", "static")


async def test_what_fits_is_not_touched_by_the_next_process(port: Device) -> None:
    wanted = settings(*many(), declare("fd77::/48", via=None), table=300)
    former = RouteManager(wanted)
    await former.follow({NETWORK: port.overlay})
    await former.close(keep=True)
    watch = RouteWatch(own_port=0)
    manager = RouteManager(wanted)
    await manager.follow({NETWORK: port.overlay})
    heard = watch.read()
    watch.close()
    assert (heard, manager.tally.unchanged) == (News.NONE, 1)
    assert len(observe().routes) == COUNT + 1
    await manager.close()


async def test_what_waits_for_its_network_stays_as_the_former_process_left_it(
    port: Device,
) -> None:
    wanted = settings(declare(member=MEMBER), declare("10.21.0.0/16"), table=300)
    former = RouteManager(wanted)
    await former.follow({NETWORK: port.overlay})
    await former.close(keep=True)
    before = observe()
    manager = RouteManager(wanted)
    await manager.follow({})
    assert observe() == before
    await manager.use(replace(wanted, routes=wanted.routes[1:]))
    assert targets() == {"10.21.0.0/16"}
    await manager.close()


async def test_ten_thousand_routes_take_less_than_two_seconds_of_a_processor(port: Device) -> None:
    manager = RouteManager(settings(*many(TEN_THOUSAND)))
    started = time.process_time()
    await manager.follow({NETWORK: port.overlay})
    took = time.process_time() - started
    assert len(observe().routes) == TEN_THOUSAND
    assert {row.state for row in manager.rows()} == {RouteState.INSTALLED}
    await manager.close()
    assert observe() == Observed()
    assert took < ALLOWED
