"""Many short lives over a bad link, ended in every way: nothing is left behind."""

from random import Random

import pytest

from tests.scale import scaled
from tests.sim.netstack.wire import Path
from tests.sim.netstack.world import CLIENT_IP, PORT, SERVER_IP, Host, World, pattern
from tests.unit.netstack.tcp.invariants import check_layer
from ztlink.ids import Endpoint
from ztlink.netstack.events import Accepted, ConnectionId
from ztlink.netstack.tcp.settings import CongestionControl, TcpSettings
from ztlink.netstack.tcp.state import State

LIVES = scaled(1500)
BAD = Path(rate=2e6, delay=0.01, loss=0.03, reordering=0.1, duplicates=0.02, queue=60_000)


class Lives(World):
    """Hosts whose applications do anything at any time."""

    def __init__(self, control: CongestionControl, path: Path = BAD) -> None:
        settings = TcpSettings(
            congestion_control=control, finish_timeout=5.0, user_timeout=20.0, connect_timeout=20.0
        )
        super().__init__(path, settings=settings)
        self.random = Random(21)  # noqa: S311 - replayed

    def _act(self, host: Host) -> None:
        while host.events:
            event = host.events.popleft()
            if isinstance(event, Accepted):
                host.layer.accept(event.listener)

    def begin(self) -> None:
        """Open a connection."""
        local = Endpoint(CLIENT_IP, 0)
        self.client.layer.connect(local, Endpoint(SERVER_IP, PORT), self.clock())

    def live(self, host: Host, connection: ConnectionId, *, is_last: bool) -> None:
        """Let an application do one thing with a connection."""
        layer, clock = host.layer, self.clock()
        c = layer.connections[connection]
        action = 5 if is_last else self.random.randrange(7)
        if action < 3 and not c.is_finishing and c.state > 0:
            layer.write(connection, pattern(0, self.random.randrange(1, 100_000)), clock)
        elif action == 3:
            layer.read(connection, self.random.randrange(1, 100_000), clock)
        elif action == 4:
            layer.shutdown(connection, clock)
        elif action == 5:
            layer.close(connection, clock)
        elif action == 6 and self.random.random() < 0.3:
            layer.abort(connection, clock)

    def pass_time(self, seconds: float, *, is_last: bool = False) -> None:
        """Let time pass, and one application of each host act after it."""
        self.wait(seconds)
        for host in (self.client, self.server):
            alive = [i for i, c in host.layer.connections.items() if not c.is_gone]
            for connection in alive if is_last else self.random.sample(alive, min(len(alive), 3)):
                if not host.layer.connections[connection].is_gone:
                    self.live(host, connection, is_last=is_last)
            check_layer(host.layer)


@pytest.mark.parametrize("control", list(CongestionControl))
def test_nothing_is_left_of_connections_that_ended(control: CongestionControl) -> None:
    world = Lives(control)
    for _ in range(LIVES):
        world.begin()
        world.pass_time(world.random.random() * 0.05)
    for _ in range(8):
        world.begin()
        world.pass_time(10.0, is_last=True)
    world.pass_time(60.0, is_last=True)
    world.pass_time(60.0, is_last=True)
    for host in (world.client, world.server):
        assert not host.layer.connections
        assert host.layer.memory.used == 0
        assert host.layer.get_timer() is None


def test_a_port_serves_again_while_the_servers_end_is_in_time_wait() -> None:
    world = Lives(CongestionControl.BBR, Path(delay=0.005))
    client, server = world.client.layer, world.server.layer
    local, remote = Endpoint(CLIENT_IP, 40_000), Endpoint(SERVER_IP, PORT)
    for _ in range(20):
        mine = client.connect(local, remote, world.clock())
        world.wait(0.02)
        assert client.state(mine) is State.ESTABLISHED
        (its,) = server.connections
        server.close(its, world.clock())
        world.wait(0.01)
        client.close(mine, world.clock())
        world.wait(0.02)
        assert server.connections[its].state is State.TIME_WAIT
