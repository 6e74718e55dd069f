"""Our stack to our stack over bad links: every byte, no silence, and a floor for the throughput.

The floor is half of the least of the link's rate, buffer / round trip, and what Mathis et al.
(1997) found for a loss rate. That leaves time-outs out, without which three segments in flight, of
which one in ten is lost, cannot do: for these, it is what Padhye et al. (1998) found, counting a
lost acknowledgement, which no other follows, as a lost segment. Every link reorders 25 % of the
segments, doubles 5 % and flips a bit in 1 %.
"""

from itertools import product
from math import sqrt
from random import Random
from typing import Final

import pytest

from tests.scale import SOAK
from tests.sim.netstack.wire import HEADERS, Path
from tests.sim.netstack.world import MTU, World, transfer
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.tcp.rtt import MIN_TIMEOUT
from ztlink.netstack.tcp.settings import CongestionControl, ConnectionOptions, TcpSettings

BUFFERS: Final = (4 << 10, 64 << 10, 1 << 20)
LOSSES: Final = (0.0, 0.01, 0.05, 0.1, 0.3)
ROUND_TRIPS: Final = (0.001, 0.02, 0.1, 0.6)
RATE: Final = 12.5e6
FLIPS: Final = 0.01
REORDERING: Final = 0.25
PATIENCE: Final = 5.0
"""Seconds that a sender may be silent beyond the time-out in force."""

Cell = tuple[int, float, float]
ALL: Final[list[Cell]] = list(product(BUFFERS, LOSSES, ROUND_TRIPS))
SOME: Final = ALL if SOAK else Random(5).sample(ALL, len(ALL) // 10)  # noqa: S311 - which ones to run
MODERATE: Final = [cell for cell in ALL if cell[1] <= 0.05 and cell[2] >= 0.02]


def some_moderate() -> list[Cell]:
    return MODERATE if SOAK else Random(6).sample(MODERATE, 3)  # noqa: S311 - which ones to run


def floor(cell: Cell) -> float:
    """Return the bytes per second that are asked for."""
    buffer, loss, round_trip = cell
    round_trip *= 1 + REORDERING / 4  # what overtaking adds on the average
    mss = MTU - HEADERS - 12
    lost = loss + FLIPS
    if buffer < 4 * mss and loss >= 0.1:
        return padhye(1 - (1 - lost) ** 2, round_trip) * mss / 2
    mathis = mss * 1.22 / (round_trip * sqrt(lost))
    return min(RATE, buffer / round_trip, mathis) / 2


def padhye(lost: float, round_trip: float) -> float:
    """Return the segments per second of a window that is stopped by time-outs, too."""
    timeout = max(MIN_TIMEOUT, 2 * round_trip)
    recovery = round_trip * sqrt(2 * lost / 3)
    waiting = timeout * min(1.0, 3 * sqrt(3 * lost / 8)) * lost * (1 + 32 * lost**2)
    return 1 / (recovery + waiting)


def watch(world: World) -> None:
    """Fail when the client is silent for longer than its time-out and some patience."""
    send = world.up.send
    last = [world.now, PATIENCE]

    def watched(outgoing: Outgoing, now: float) -> None:
        assert now - last[0] <= last[1] + PATIENCE, f"silent for {now - last[0]} s at {now}"
        timeouts = [c.rtt.current for c in world.client.layer.connections.values()]
        last[:] = [now, max(timeouts, default=60.0)]
        send(outgoing, now)

    world.up.send = watched  # type: ignore[method-assign] # looks on


def check(cell: Cell, control: CongestionControl) -> None:
    buffer, loss, round_trip = cell
    path = Path(
        rate=RATE,
        delay=round_trip / 2,
        queue=1 << 20,
        loss=loss,
        reordering=REORDERING,
        duplicates=0.05,
        flips=FLIPS,
        gather=round_trip / 200,
    )
    world = World(
        path,
        settings=TcpSettings(congestion_control=control),
        options=ConnectionOptions(send_buffer=buffer, receive_buffer=buffer),
    )
    watch(world)
    wanted = floor(cell)
    size = int(min(max(60 * wanted * round_trip, 2 * wanted, 1_000_000), 8_000_000))
    upload = transfer(world, size)
    achieved = (size - upload.first_size) / (upload.last_at - upload.first_at)
    assert achieved >= wanted, f"{achieved:.0f} of {wanted:.0f} bytes/s"


@pytest.mark.parametrize("cell", SOME, ids=lambda cell: "-".join(map(str, cell)))
def test_a_bad_link_is_used_well(cell: Cell) -> None:
    check(cell, CongestionControl.BBR)


@pytest.mark.parametrize("cell", some_moderate(), ids=lambda cell: "-".join(map(str, cell)))
@pytest.mark.parametrize("control", [CongestionControl.CUBIC, CongestionControl.NEW_RENO])
def test_a_moderately_bad_link_is_used_well_by_windows(
    cell: Cell, control: CongestionControl
) -> None:
    check(cell, control)
