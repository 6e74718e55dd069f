"""Pumps with real cores, on addresses of the namespace's loopback device."""

import contextlib
import queue
from collections.abc import Iterator

from tests.host.machine import PATIENCE, ip
from tests.unit.vl1.mesh import endpoint, identity, planet
from ztlink.batch import Transmit
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.udp import UdpDriver
from ztlink.node.core import Core
from ztlink.node.events import Event


class Talker(Core):
    """A core that sends whatever it is told to."""

    def __init__(self, number: int) -> None:
        super().__init__(identity(number), planet(0), random_bytes=random_bytes, now=read_clock())
        self.told: list[Transmit] = []

    def transmits(self) -> list[Transmit]:
        told, self.told = self.told, []
        return super().transmits() + told


class Runner:
    """A pump, and what its core told."""

    def __init__(self, number: int, udp: UdpDriver) -> None:
        self.core = core = Talker(number)
        self.udp = udp
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.pump = Pump(core, udp, self.events.put)

    def hears_of(self, wanted: Event) -> bool:
        """Wait until the core tells it, or in vain."""
        try:
            while self.events.get(timeout=PATIENCE) != wanted:
                pass
        except queue.Empty:
            return False
        return True

    def send(self, *transmits: Transmit) -> None:
        """Let the core send something; when this returns, the pump has taken it."""
        self.pump.submit(lambda core, now: self.core.told.extend(transmits))
        self.pump.submit(lambda core, now: None).result(PATIENCE)


@contextlib.contextmanager
def running(number: int, udp: UdpDriver | None = None) -> Iterator[Runner]:
    """Run the node of this number at its endpoint; number 0 is the root."""
    where = endpoint(number)
    ip("address", "add", f"{where.ip}/32", "dev", "lo")
    runner = Runner(number, udp or UdpDriver())
    try:
        runner.udp.open(where.ip, where.port)
        runner.pump.start()
        yield runner
    finally:
        runner.pump.stop()
        runner.udp.close_all()
