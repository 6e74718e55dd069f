"""Segments that nobody sent, with right checksums, against live connections.

An attacker who guesses must not harm the connection that he aims at. One who knows its numbers may
end it, but must harm no other, raise nothing, and make nothing grow without bound.
"""

from dataclasses import replace
from random import Random
from typing import Final

from tests.scale import scaled
from tests.sim.netstack.wire import Path, cut, mirror
from tests.sim.netstack.world import CLIENT_IP, PORT, SERVER_IP, World, pattern
from tests.unit.netstack.tcp.invariants import check_layer
from ztlink.ids import Endpoint
from ztlink.inet.tcp import FLAG_ACK, FLAG_FIN, FLAG_PSH, FLAG_RST, FLAG_SYN, FLAG_URG
from ztlink.netstack.events import ConnectionId
from ztlink.netstack.segment import Segment, flow_of
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.options import sack_option, syn_options, timestamp_option
from ztlink.netstack.tcp.settings import TcpSettings

SEGMENTS: Final = scaled(1_000_000)
FLAGS: Final = (FLAG_ACK, FLAG_SYN, FLAG_RST, FLAG_FIN, FLAG_PSH, FLAG_URG, 0x40, 0x80)
SETTINGS: Final = TcpSettings(
    receive_buffer=60_000, max_receive_buffer=60_000, send_buffer=60_000, max_send_buffer=60_000
)


def some_flags(random: Random) -> int:
    return sum(flag for flag in FLAGS if random.random() < 0.3)


def some_options(random: Random) -> bytes:
    """Return options as somebody might send them, or bytes."""
    kind = random.randrange(5)
    number = random.getrandbits(32)
    if kind == 0:
        return b""
    if kind == 1:
        return timestamp_option(number, random.getrandbits(32))
    if kind == 2:
        blocks = [(number + i & MASK, random.getrandbits(32)) for i in range(random.randrange(5))]
        return sack_option(blocks)
    if kind == 3:
        return syn_options(number & 0xFFFF, number & 0xFF, sack=True, timestamps=(1, 2))
    return random.randbytes(random.randrange(0, 41, 4))


def guessed(random: Random, flow: bytes) -> Segment:
    """Return a segment of somebody who knows who speaks to whom, but no number."""
    return Segment(
        flow,
        random.getrandbits(32),
        random.getrandbits(32),
        some_flags(random),
        random.getrandbits(16),
        some_options(random),
        memoryview(random.randbytes(random.choice((0, 1, 100, 3000)))),
        random.choice((0, 0, 1000)),
    )


def mutated(random: Random, segment: Segment) -> Segment:
    """Return a segment with something changed, by a little or by much."""
    near = random.choice((-1, 1, random.randrange(-3000, 3000), random.getrandbits(32)))
    kind = random.randrange(8)
    if kind == 0:
        return replace(segment, sequence=segment.sequence + near & MASK)
    if kind == 1:
        return replace(segment, acknowledgement=segment.acknowledgement + near & MASK)
    if kind == 2:
        return replace(segment, flags=some_flags(random) | FLAG_ACK)
    if kind == 3:
        return replace(segment, flags=segment.flags ^ random.choice(FLAGS))
    if kind == 4:
        return replace(segment, window=random.choice((0, 1, 0xFFFF, random.getrandbits(16))))
    if kind == 5:
        return replace(segment, options=some_options(random))
    if kind == 6:
        size = random.choice((0, 1, len(segment.payload) // 2, 5000))
        return replace(segment, payload=memoryview(random.randbytes(size)))
    return replace(segment, segment_size=random.choice((0, 1, 7, 70_000)))


def test_who_guesses_harms_nothing() -> None:
    random = Random(11)  # noqa: S311 - replayed
    world = World(Path(delay=0.001, rate=1e6), settings=SETTINGS)
    size = SEGMENTS * 30
    upload = world.upload(size)
    world.run(lambda: upload.received > 0, 5)
    (connection,) = world.uploads
    local, remote = world.client.layer.endpoints(connection)
    to_client, to_server = flow_of(local, remote), flow_of(remote, local)
    left = SEGMENTS
    while left:
        for host, flow in ((world.client, to_client), (world.server, to_server)):
            for _ in range(min(left, 50)):
                host.layer.receive(guessed(random, flow), world.clock())
                left -= 1
        before = upload.received
        world.run(lambda before=before: upload.received > before, 5)  # type: ignore[misc]
    assert upload.finished_at < 0
    world.run(lambda: upload.finished_at > 0, 1000)
    assert upload.received == size


class Victims:
    """Connections that the fuzzer may end, opened again when they are gone."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: dict[int, list[Segment]] = {0: [], 1: []}
        """Segments that went to the client, and to the server."""
        self.client = ConnectionId(0)
        self._number = 0

    def refresh(self) -> None:
        """Open another connection if the last one is over; let it speak."""
        world = self.world
        layer = world.client.layer
        if self.client not in layer.connections or layer.connections[self.client].is_gone:
            self._number += 1
            local = Endpoint(CLIENT_IP, 1024 + self._number % 30_000)
            self.client = layer.connect(local, Endpoint(SERVER_IP, PORT + 1), world.clock())
            self.seen = {0: [], 1: []}
        world.now += 0.01
        for _ in range(4):
            self._exchange()

    def _exchange(self) -> None:
        world = self.world
        for side, (host, other) in enumerate(
            ((world.server, world.client), (world.client, world.server))
        ):
            host.layer.handle_timer(world.clock())
            for connection, c in list(host.layer.connections.items()):
                if not c.is_gone and c.local.port != PORT and c.remote.port != PORT:
                    if not c.is_finishing and c.state > 0:
                        host.layer.write(connection, pattern(0, 700), world.clock())
                    host.layer.read(connection, 5000, world.clock())
            for outgoing in host.layer.transmits(1 << 20, world.clock()):
                for segment in cut(outgoing):
                    self.seen[side] = [*self.seen[side][-20:], segment]
                    other.layer.receive(segment, world.clock())


def test_who_knows_the_numbers_harms_no_other_connection() -> None:
    random = Random(12)  # noqa: S311 - replayed
    world = World(Path(delay=0.0, rate=1e9), settings=SETTINGS)
    world.server.layer.listen(Endpoint(SERVER_IP, PORT + 1), 8, world.clock())
    victims = Victims(world)
    hosts = (world.client, world.server)
    for round_number in range(SEGMENTS // 50):
        victims.refresh()
        for side in (0, 1):
            for _ in range(25):
                if victims.seen[side]:
                    segment = mutated(random, random.choice(victims.seen[side]))
                    hosts[side].layer.receive(segment, world.clock())
        for host in hosts:
            check_layer(host.layer)
            host.events.clear()
            assert len(host.layer.connections) < 3000
        if round_number % 200 == 0:
            check_bystander(world)


def check_bystander(world: World) -> None:
    """Check that a connection of nobody's interest works, beside the fuzzed ones."""
    upload = world.upload(20_000)
    world.run(lambda: upload.finished_at > 0, 60)
    assert upload.received == 20_000


def test_a_flow_seen_from_the_other_side_is_the_same() -> None:
    flow = flow_of(Endpoint(CLIENT_IP, 5), Endpoint(SERVER_IP, 7))
    assert mirror(mirror(flow)) == flow
    assert mirror(flow) == flow_of(Endpoint(SERVER_IP, 7), Endpoint(CLIENT_IP, 5))
