"""Two layers, a link that does as Hypothesis likes, and a list of bytes that must come through."""

from collections import deque
from ipaddress import IPv4Address
from random import Random
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.scale import scaled
from tests.sim.netstack.wire import cut, join
from tests.sim.netstack.world import pattern
from tests.unit.netstack.tcp.invariants import check_layer
from ztlink.clock import Now
from ztlink.ids import Endpoint
from ztlink.netstack.events import ConnectionId, ConnectionReset, TcpEvent
from ztlink.netstack.segment import Segment
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp.output import has_more, next_segment
from ztlink.netstack.tcp.settings import CongestionControl, ConnectionOptions, TcpSettings
from ztlink.netstack.tcp.state import State

CLIENT: Final = Endpoint(IPv4Address("10.0.0.1"), 40_000)
SERVER: Final = Endpoint(IPv4Address("10.0.0.2"), 80)
SIDES: Final = st.sampled_from([0, 1])


class End:
    """One side: its layer, what it wrote and read, what is on the way to it."""

    def __init__(self, seed: int, settings: TcpSettings) -> None:
        self.events: list[TcpEvent] = []
        self.layer = TcpLayer(
            self.events.append,
            lambda _remote: 1040,
            random_bytes=Random(seed).randbytes,  # noqa: S311 - replayed
            settings=settings,
        )
        self.id = ConnectionId(0)
        self.written = 0
        self.read = 0
        self.is_finished = False
        self.arriving: deque[Segment] = deque()


class Conversation(RuleBasedStateMachine):
    """Both ends of one connection."""

    @initialize(
        control=st.sampled_from(list(CongestionControl)),
        buffer=st.sampled_from([4096, 20_000, 131_072]),
        timestamps=st.booleans(),
    )
    def connect(self, control: CongestionControl, buffer: int, timestamps: bool) -> None:
        settings = TcpSettings(
            congestion_control=control,
            send_buffer=buffer,
            receive_buffer=buffer,
            timestamps=timestamps,
        )
        self.mono = 50.0
        self.ends = [End(1, settings), End(2, settings)]
        self.ends[1].layer.listen(SERVER, 1, self.now)
        self.ends[0].id = self.ends[0].layer.connect(CLIENT, SERVER, self.now)
        self.settle()
        (self.ends[1].id,) = self.ends[1].layer.connections

    @property
    def now(self) -> Now:
        return Now(self.mono, 0)

    def pull(self, side: int, limit: int = 1 << 20) -> None:
        """Put what a side sends on its way."""
        layer = self.ends[side].layer
        for outgoing in layer.transmits(limit, self.now):
            self.ends[1 - side].arriving.extend(cut(outgoing))
        for connection in layer.connections.values():
            assert has_more(connection) or next_segment(connection, 1 << 20, self.mono) is None

    def settle(self) -> None:
        """Let everything arrive that is on the way."""
        for _ in range(1000):
            for side in (0, 1):
                while self.ends[side].layer.has_output():
                    self.pull(side)
            if not any(end.arriving for end in self.ends):
                return
            for end in self.ends:
                self.deliver(end, len(end.arriving))

    def deliver(self, end: End, count: int) -> None:
        segments = [end.arriving.popleft() for _ in range(count)]
        for segment in join(segments):
            end.layer.receive(segment, self.now)

    @rule(side=SIDES, size=st.integers(1, 60_000))
    def write(self, side: int, size: int) -> None:
        end = self.ends[side]
        if not end.is_finished:
            data = pattern(end.written, size)
            end.written += end.layer.write(end.id, data, self.now)

    @rule(side=SIDES, limit=st.integers(1, 100_000))
    def read(self, side: int, limit: int) -> None:
        end = self.ends[side]
        data = end.layer.read(end.id, limit, self.now)
        assert data == pattern(end.read, len(data))
        end.read += len(data)

    @rule(side=SIDES, limit=st.integers(1, 100_000))
    def send(self, side: int, limit: int) -> None:
        self.pull(side, limit)

    @rule(side=SIDES, count=st.integers(1, 30))
    def arrive(self, side: int, count: int) -> None:
        end = self.ends[side]
        self.deliver(end, min(count, len(end.arriving)))

    @rule(side=SIDES, choice=st.integers(0, 1000))
    def lose(self, side: int, choice: int) -> None:
        arriving = self.ends[side].arriving
        if arriving:
            del arriving[choice % len(arriving)]

    @rule(side=SIDES, choice=st.integers(0, 1000))
    def overtake(self, side: int, choice: int) -> None:
        arriving = self.ends[side].arriving
        if arriving:
            index = choice % len(arriving)
            segment = arriving[index]
            del arriving[index]
            arriving.appendleft(segment)

    @rule(side=SIDES, choice=st.integers(0, 1000))
    def double(self, side: int, choice: int) -> None:
        arriving = self.ends[side].arriving
        if arriving:
            arriving.append(arriving[choice % len(arriving)])

    @rule(seconds=st.sampled_from([0.0005, 0.01, 0.05, 0.3, 2.0]))
    def wait(self, seconds: float) -> None:
        self.mono += seconds
        for end in self.ends:
            end.layer.handle_timer(self.now)

    @rule(side=SIDES)
    def finish(self, side: int) -> None:
        end = self.ends[side]
        end.layer.shutdown(end.id, self.now)
        end.is_finished = True

    @rule(side=SIDES, size=st.sampled_from([3000, 10_000, 200_000]))
    def resize(self, side: int, size: int) -> None:
        end = self.ends[side]
        options = ConnectionOptions(send_buffer=size, receive_buffer=size)
        end.layer.set_options(end.id, options, self.now)

    @rule(side=SIDES, no_delay=st.booleans())
    def set_delay(self, side: int, no_delay: bool) -> None:
        end = self.ends[side]
        end.layer.set_options(end.id, ConnectionOptions(no_delay=no_delay), self.now)

    @invariant()
    def all_is_well(self) -> None:
        for end in getattr(self, "ends", []):
            check_layer(end.layer)
            assert not any(isinstance(event, ConnectionReset) for event in end.events)

    def teardown(self) -> None:
        """With a link that loses nothing, everything comes through, and both sides close."""
        if not hasattr(self, "ends"):
            return
        for side in (0, 1):
            self.finish(side)
        for _ in range(3000):
            self.settle()
            for side, end in enumerate(self.ends):
                while end.layer.readable(end.id):
                    self.read(side, 1 << 20)
            states = [end.layer.state(end.id) for end in self.ends]
            if all(state in (State.CLOSED, State.TIME_WAIT) for state in states):
                break
            timers = [end.layer.get_timer() for end in self.ends]
            self.mono = max(self.mono, min(timer for timer in timers if timer is not None))
            self.wait(0)
        assert [end.read for end in self.ends] == [end.written for end in reversed(self.ends)]
        assert all(state in (State.CLOSED, State.TIME_WAIT) for state in states)


TestConversation = Conversation.TestCase
TestConversation.settings = type(TestConversation.settings)(
    max_examples=scaled(500), stateful_step_count=80
)
