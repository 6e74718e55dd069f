"""What may happen to nodes of both kinds, and that traffic goes on soon afterwards.

The bounds are for machines that do a lot beside; what it takes on an idle one is for
tests/bench/bench_recovery.py to tell.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.lab import Lab
from tests.lab.measure import first_answer, iperf
from tests.lab.mesh import DIRECT_TIMEOUT, TALKING_TIMEOUT, Layout, Side, Workshop, build_mesh
from tests.lab.node import LabNode
from tests.lab.pinger import Pinger
from tests.lab.wait import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.netadmin]

OURS, REFERENCE = Side.OURS, Side.REFERENCE
SETTLE = 5.0
OURS_ALONE = 10.0
"""Seconds in which ours recover by themselves."""
WITH_THEIRS = 60.0
"""Seconds in which ours recover where a part of it is up to the reference, which takes its time."""
IPERF_SECONDS = 24
RATE = ("-b", "5M")

MIXED = [
    pytest.param(Layout(REFERENCE, REFERENCE, (OURS, REFERENCE)), id="under-their-root"),
    pytest.param(Layout(OURS, OURS, (OURS, REFERENCE)), id="under-our-root"),
]
OURS_UNDER_THEIRS = Layout(REFERENCE, REFERENCE, (OURS, OURS))


def seconds_without_answer(pinger: Pinger, mishap: Callable[[], object], timeout: float) -> float:
    """Have something happen while pings are answered; return for how long they were not."""
    pinger.wait_flowing()
    start = time.monotonic()
    mishap()
    return pinger.interruption(start, settle=SETTLE, timeout=timeout)


def test_a_silent_path_between_ours_is_left_for_their_relay(lab: Lab, workshop: Workshop) -> None:
    mesh = build_mesh(lab, OURS_UNDER_THEIRS, workshop)
    one, other = mesh.begin_directly()
    with Pinger(one.host, mesh.ip(other)) as pinger:
        seconds = seconds_without_answer(
            pinger, lambda: lab.block_udp(one.host, other.host), timeout=DIRECT_TIMEOUT
        )
    assert 0.5 < seconds < OURS_ALONE


def test_the_return_of_a_silent_path_loses_nothing(lab: Lab, workshop: Workshop) -> None:
    mesh = build_mesh(lab, OURS_UNDER_THEIRS, workshop)
    one, other = mesh.begin_directly()
    with Pinger(one.host, mesh.ip(other)) as pinger:
        lab.block_udp(one.host, other.host)
        wait_until(
            lambda: not one.direct_paths(other) and not other.direct_paths(one),
            timeout=OURS_ALONE,
            what="relay",
        )
        pinger.wait_flowing()
        start = time.monotonic()
        lab.unblock_udp()
        wait_until(
            lambda: one.direct_paths(other) and other.direct_paths(one),
            timeout=30.0,
            what="direct path",
        )
        time.sleep(2.0)
        assert pinger.lost(start) == 0


def test_their_root_that_is_killed_and_restarted_serves_ours_again(
    lab: Lab, workshop: Workshop
) -> None:
    mesh = build_mesh(lab, OURS_UNDER_THEIRS, workshop)
    lab.block_udp(mesh.members[0].host, mesh.members[1].host)
    one, other = mesh.begin_talking()
    with Pinger(one.host, mesh.ip(other)) as pinger:
        pinger.wait_flowing()
        mesh.root.kill()
        mesh.root.start()
        assert pinger.wait_resumed(time.monotonic(), timeout=DIRECT_TIMEOUT) < OURS_ALONE


@pytest.mark.parametrize("layout", MIXED)
def test_our_new_address_is_taken_over_by_theirs(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    mesh = build_mesh(lab, layout, workshop)
    ours, theirs = mesh.begin_directly()
    with Pinger(ours.host, mesh.ip(theirs)) as pinger:
        seconds = seconds_without_answer(
            pinger, lambda: lab.renumber(ours.host), timeout=2 * WITH_THEIRS
        )
    assert seconds < WITH_THEIRS


@pytest.mark.parametrize("layout", MIXED)
@pytest.mark.parametrize("who", [0, 1], ids=["ours", "theirs"])
def test_a_member_that_is_killed_and_restarted_is_reached_again(
    lab: Lab, workshop: Workshop, layout: Layout, who: int
) -> None:
    mesh = build_mesh(lab, layout, workshop)
    mesh.begin_directly()
    restarted, other = mesh.members[who], mesh.members[1 - who]
    with Pinger(other.host, mesh.ip(restarted)) as pinger:
        pinger.wait_flowing()
        restarted.kill()
        start = time.monotonic()
        restarted.launch()
        assert pinger.wait_resumed(start, timeout=2 * WITH_THEIRS) < WITH_THEIRS


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(
            Layout(REFERENCE, REFERENCE, (OURS, REFERENCE, REFERENCE, OURS)), id="under-their-root"
        ),
        pytest.param(Layout(OURS, OURS, (OURS, REFERENCE, REFERENCE, OURS)), id="under-our-root"),
    ],
)
def test_connections_of_a_mixed_mesh_outlive_restarts_of_controller_and_root(
    lab: Lab, workshop: Workshop, layout: Layout
) -> None:
    mesh = build_mesh(lab, layout, workshop)
    mesh.begin_directly()
    ours, theirs, third, fourth = mesh.members
    first_answer(fourth.host, mesh.ip(third), timeout=TALKING_TIMEOUT)

    def transfer(sender: LabNode, receiver: LabNode) -> tuple[float, ...]:
        target = mesh.ip(receiver)
        result = iperf(lab, sender.host, receiver.host, target, seconds=IPERF_SECONDS, options=RATE)
        return result.by_second

    with ThreadPoolExecutor(max_workers=2) as pool:
        running = [pool.submit(transfer, ours, theirs), pool.submit(transfer, third, fourth)]
        for node in (mesh.controller, mesh.root):
            time.sleep(SETTLE)
            node.kill()
            node.start()
        transfers = [future.result() for future in running]  # an iperf3 that broke off raises
    assert [len(seconds) for seconds in transfers] == [IPERF_SECONDS, IPERF_SECONDS]
    assert all(sum(seconds[-5:]) > 0 for seconds in transfers)
