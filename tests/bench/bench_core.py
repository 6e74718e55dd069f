"""What a small frame and a super-frame cost in a core, without any I/O: out of one, into another.

Prints microseconds of CPU time of this thread, medians of many; asserts nothing about time.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

from tests.sim.mesh import ADHOC, Mesh, endpoint_of
from tests.sim.node import DEFAULT_PORT
from tests.unit.inet.frames import ACK, Packet
from tests.unit.lane.engines import ENGINES
from ztlink.batch import SuperFrame, Train, Transmit
from ztlink.inet import segment
from ztlink.lane.engine import Engine
from ztlink.node.core import Core, CoreSettings

SEGMENT = 2748
"""What fits into the MTU of 2800 that networks have by default, with timestamps."""
PROTOCOLS = {"SALSA_POLY": 11, "GMAC_SIV": 12}


class Pair:
    """Two nodes that see each other; what one sends is handed to the other at once."""

    def __init__(self, protocol: int, engine: Engine) -> None:
        mesh = Mesh(1)
        settings = CoreSettings(protocol=protocol)
        one, other = (
            mesh.add_on(mesh.world.add_host(name), settings=settings) for name in ("a", "b")
        )
        mesh.wait_online()
        for node in mesh.nodes:
            node.join(ADHOC)
        mesh.wait_joined(ADHOC)
        mesh.ping_and_wait(one, other, ADHOC)
        mesh.wait_direct(one, other)
        mesh.run(5.0)
        self._one, self._other = one.core, other.core
        for core in (self._one, self._other):
            assert isinstance(core, Core)
            core.engine = engine
        self._now = one.clock.now()
        self._source = endpoint_of(one)
        self._sockets = other.host.bind(DEFAULT_PORT)
        macs = other.port(ADHOC).mac, one.port(ADHOC).mac
        self._header = macs[0] + macs[1] + b"\x08\0"

    def frame(self, payload: int, segment_size: int) -> SuperFrame:
        """Return what a TAP gives for so much TCP payload from one to the other."""
        frame = Packet(payload=bytes(payload), flags=ACK).super_frame(segment_size)
        frame.buffer[:14] = self._header
        return frame

    def send(self, frame: SuperFrame) -> list[Transmit]:
        """Have one node send a frame, as if it came from a TAP just now."""
        frame.body_offset = -1
        self._one.receive_frames(ADHOC, frame, self._now)
        transmits = self._one.transmits()
        self._one.deliveries()
        self._one.next_event()
        return transmits

    def receive(self, trains: list[Train]) -> int:
        """Have the other node receive; return the frames that it delivers."""
        frames = 0
        for train in trains:
            self._other.receive_datagrams(train, self._now)
            self._other.transmits()
            frames += sum(segment.count(one.frame) for one in self._other.deliveries())
            self._other.next_event()
        return frames

    def trains(self, transmits: list[Transmit]) -> list[Train]:
        """Return what the other's socket would give, in a buffer of its own."""
        socket = next(number for number, end in self._sockets.items() if end.ip.version == 4)
        return [
            Train(memoryview(bytearray(one.buffer)), one.segment_size, self._source, socket)
            for one in transmits
        ]


def median_us(work: Callable[[], float], seconds: float) -> float:
    """Return the median of what `work` says that it took, in microseconds."""
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 5:
        samples.append(work() * 1e6)
    return statistics.median(samples)


def measure(pair: Pair, payload: int, seconds: float) -> tuple[float, float]:
    """Return the microseconds of sending a super-frame, and of receiving it."""
    frame = pair.frame(payload, SEGMENT)
    frames = segment.count(frame)

    def send() -> float:
        start = time.thread_time()
        pair.send(frame)
        return time.thread_time() - start

    def receive() -> float:
        trains = pair.trains(pair.send(frame))
        start = time.thread_time()
        arrived = pair.receive(trains)
        used = time.thread_time() - start
        if arrived != frames:
            raise SystemExit(f"{arrived} of {frames} frames arrived")
        return used

    return median_us(send, seconds), median_us(receive, seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="per figure")
    options = parser.parse_args()
    for (suite, protocol), engine in itertools.product(PROTOCOLS.items(), ENGINES[1:]):
        pair = Pair(protocol, engine)
        for frames in (1, 2, 4, 8, 20):
            payload = 60 if frames == 1 else frames * SEGMENT
            sending, receiving = measure(pair, payload, options.seconds)
            shape = f"{frames:3} x {min(payload, SEGMENT):4}"
            print(
                f"{engine.name:8} {suite:10} {shape}  send {sending:8.1f} us"
                f"  receive {receiving:8.1f} us  {(sending + receiving) / frames:8.1f} us a frame",
                flush=True,
            )


if __name__ == "__main__":
    main()
