"""Somebody on the way: keeps what a node is sent, and sends it again, in another order."""

from ipaddress import ip_address
from typing import Final

from tests.sim.link import Datagram
from tests.sim.mesh import Mesh, endpoint_of
from tests.sim.node import DEFAULT_PORT, SimNode
from ztlink.batch import Train
from ztlink.ids import Endpoint

KEPT: Final = 2000
ELSEWHERE: Final = ip_address("44.66.0.0")
INTERVAL: Final = 0.05


class Replayer:
    """Replays, from where the datagrams came from and from false addresses."""

    def __init__(self, mesh: Mesh, victim: SimNode, *, each_time: int = 10) -> None:
        self._victim = victim
        self._each_time = each_time
        self._chance = mesh.world.chance("replayer")
        self._kept: list[Datagram] = []
        self.answers = 0
        """Datagrams that the victim sent to the false addresses."""
        mesh.world.watch(self._note)
        mesh.world.schedule.every(INTERVAL, self._replay)

    def _note(self, datagram: Datagram) -> None:
        if datagram.destination == endpoint_of(self._victim):
            self._kept.append(datagram)
            del self._kept[:-KEPT]
        elif int(datagram.destination.ip) >> 16 == int(ELSEWHERE) >> 16:
            self.answers += datagram.source == endpoint_of(self._victim)

    def _replay(self) -> None:
        if not self._kept:
            return
        for datagram in self._chance.choices(self._kept, k=self._each_time):
            false = Endpoint(ip_address(int(ELSEWHERE) + self._chance.randrange(1 << 16)), 9993)
            self._deliver(datagram.payload, self._chance.choice([datagram.source, false]))

    def _deliver(self, data: bytes, source: Endpoint) -> None:
        victim = self._victim
        socket = next(iter(victim.host.bind(DEFAULT_PORT)))
        train = Train(memoryview(bytearray(data)), len(data), source, socket)
        victim.core.receive_datagrams(train, victim.clock.now())
        victim.drain()


def is_elsewhere(endpoint: Endpoint) -> bool:
    """Tell whether an endpoint is one of the false ones."""
    return endpoint.ip.version == 4 and int(endpoint.ip) >> 16 == int(ELSEWHERE) >> 16
