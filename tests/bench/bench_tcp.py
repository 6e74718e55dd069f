"""What TCP in user space costs for a super-segment, by step, without a link below it.

    python tests/bench/bench_tcp.py [--segments N]

Two layers exchange super-segments directly; virtual time goes on as a link of 1 ms would have it. A
line says: the congestion control; microseconds for a super-segment spent in writing, making,
receiving and reading it, and in making and taking its acknowledgement; its size; what an idle
connection holds, the layer that it is alone in included.
"""

import argparse
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import Final, TypeVar

from tests.sim.netstack.wire import mirror
from tests.sim.netstack.world import CLIENT_IP, PORT, SERVER_IP
from ztlink.clock import Now
from ztlink.ids import Endpoint
from ztlink.netstack.events import ConnectionId
from ztlink.netstack.segment import Outgoing, Segment
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp.settings import CongestionControl, TcpSettings

MTU: Final = 2800
ROOM: Final = 130_000
"""Bytes that are pulled at once."""
DATA: Final = bytes(1 << 16)
HALF_TRIP: Final = 0.0005
STEPS: Final = ("write", "make", "receive", "read", "make ack", "take ack")
Result = TypeVar("Result")


class Bench:
    """Two layers, a connection, and the time spent in each step."""

    def __init__(self, control: CongestionControl) -> None:
        settings = TcpSettings(congestion_control=control)
        self.mono = 1000.0
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.sender, self.receiver = (
            TcpLayer(
                lambda _event: None,
                lambda _remote: MTU,
                random_bytes=Random(seed).randbytes,  # noqa: S311 - a benchmark is repeated
                settings=settings,
            )
            for seed in (1, 2)
        )
        remote = Endpoint(SERVER_IP, PORT)
        self.receiver.listen(remote, 8, self.now)
        self.out = self.sender.connect(Endpoint(CLIENT_IP, 0), remote, self.now)
        for source, target in (
            (self.sender, self.receiver),
            (self.receiver, self.sender),
            (self.sender, self.receiver),
        ):
            self.mono += HALF_TRIP
            for outgoing in source.transmits(ROOM, self.now):
                target.receive(carried(outgoing), self.now)
        self.into: ConnectionId = next(iter(self.receiver.connections))
        self.segments = 0
        self.bytes = 0

    @property
    def now(self) -> Now:
        """Return the present."""
        return Now(self.mono, 0)

    def timed(self, step: str, call: Callable[[], Result]) -> Result:
        """Call, and add what it took to a step."""
        start = perf_counter()
        result = call()
        self.spent[step] += perf_counter() - start
        return result

    def turn(self) -> None:
        """Send what goes, let it arrive, and its acknowledgements come back."""
        for layer in (self.sender, self.receiver):
            layer.handle_timer(self.now)
        while self.timed("write", lambda: self.sender.write(self.out, DATA, self.now)) == len(DATA):
            pass
        out = self.timed("make", lambda: self.sender.transmits(ROOM, self.now))
        self.mono += HALF_TRIP
        for segment in map(carried, out):
            self.timed("receive", lambda segment=segment: self.receiver.receive(segment, self.now))  # type: ignore[misc]
            self.segments += 1
            self.bytes += len(segment.payload)
            while self.timed("read", lambda: self.receiver.read(self.into, 1 << 17, self.now)):
                pass
        back = self.timed("make ack", lambda: self.receiver.transmits(ROOM, self.now))
        self.mono += HALF_TRIP
        for segment in map(carried, back):
            self.timed("take ack", lambda segment=segment: self.sender.receive(segment, self.now))  # type: ignore[misc]


def carried(outgoing: Outgoing) -> Segment:
    """Return a super-segment as it arrives."""
    return Segment(
        mirror(outgoing.flow),
        outgoing.sequence,
        outgoing.acknowledgement,
        outgoing.flags,
        outgoing.window,
        outgoing.options,
        memoryview(b"".join(outgoing.payload)),
        outgoing.segment_size,
    )


def idle_size(control: CongestionControl) -> int:
    """Return the bytes of a connection that has nothing to do, its layer included."""
    Bench(control)
    tracemalloc.start()
    benches = [Bench(control) for _ in range(50)]
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used // (2 * len(benches))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=20_000)
    options = parser.parse_args()
    for control in CongestionControl:
        bench = Bench(control)
        while bench.segments < options.segments:
            bench.turn()
        steps = "  ".join(f"{s} {bench.spent[s] / bench.segments * 1e6:.1f}" for s in STEPS)
        size = bench.bytes // bench.segments
        idle = idle_size(control) / 1024
        print(f"{control:8} us: {steps}  size {size}  idle {idle:.1f} KiB", flush=True)


if __name__ == "__main__":
    main()
