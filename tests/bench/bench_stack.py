"""What a super-segment costs in the user-space stack, both ways, and its acknowledgement.

Two stacks face each other without a node between; prints medians and asserts nothing about time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from tests.unit.netstack.ether import ANY_4, ANY_6, PEER_4, PEER_6, Ether, at, pair
from ztlink.netstack.events import ConnectionId
from ztlink.netstack.stack import Stack

P = ParamSpec("P")
T = TypeVar("T")
CHUNK = bytes(1 << 20)
LARGE = 50_000
"""Bytes of a frame that counts as a whole super-segment."""
STEP = 0.0005
LIMIT = 60_000


@dataclass
class Stopwatch:
    """How long calls took, by what they did."""

    times: dict[str, list[float]] = field(default_factory=dict)

    def time(self, what: str, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Call something and note how long it took."""
        start = time.perf_counter()
        result = work(*args, **options)
        self.times.setdefault(what, []).append(time.perf_counter() - start)
        return result


def connect(link: Ether, ip: str, any_ip: str) -> tuple[ConnectionId, ConnectionId]:
    """Return both ends of a connection."""
    ours, theirs = link.stacks
    listener = theirs.listen(at(any_ip, 80), 5, link.now)
    mine = ours.connect(at(ip, 80), link.now)
    link.settle()
    yours = theirs.tcp.accept(listener)
    assert yours is not None
    return mine, yours


def forget_events(*stacks: Stack) -> None:
    """Take what the stacks tell."""
    for stack in stacks:
        while stack.next_event() is not None:
            pass


def run(link: Ether, ends: tuple[ConnectionId, ConnectionId], count: int) -> Stopwatch:
    """Send for `count` steps, as fast as the stacks let; only whole super-segments are timed."""
    ours, theirs = link.stacks
    watch = Stopwatch()
    for _ in range(count):
        now = link.now = link.now._replace(mono=link.now.mono + STEP)
        ours.handle_timer(now)
        theirs.handle_timer(now)
        ours.tcp.write(ends[0], CHUNK, now)
        start = time.perf_counter()
        frames = ours.transmits(LIMIT, now)
        spent = time.perf_counter() - start
        for frame in frames:
            if len(frame.buffer) < LARGE:
                theirs.receive_frame(frame, now)
                continue
            watch.times.setdefault("make", []).append(spent)
            watch.time("take", theirs.receive_frame, frame, now)
        watch.time("read", theirs.tcp.read, ends[1], 1 << 22, now)
        for frame in watch.time("make ACK", theirs.transmits, LIMIT, now):
            watch.time("take ACK", ours.receive_frame, frame, now)
        forget_events(ours, theirs)
    return watch


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="super-segments")
    count = parser.parse_args().count
    for version, ip, any_ip in ((4, PEER_4, ANY_4), (6, PEER_6, ANY_6)):
        link = pair()
        watch = run(link, connect(link, ip, any_ip), count)
        for what, times in watch.times.items():
            median = statistics.median(times) * 1e6
            print(f"IPv{version} {what:10} {median:8.1f} us  of {len(times)}", flush=True)


if __name__ == "__main__":
    main()
