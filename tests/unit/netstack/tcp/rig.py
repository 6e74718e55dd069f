"""A TCP layer and a peer whose every segment the test writes; virtual time."""

from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address
from random import Random

from ztlink.clock import Now
from ztlink.ids import Endpoint
from ztlink.inet.tcp import FLAG_ACK, FLAG_FIN, FLAG_PSH, FLAG_RST, FLAG_SYN
from ztlink.netstack.events import ConnectionId, TcpEvent
from ztlink.netstack.segment import Outgoing, Segment, flow_of
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp.options import (
    Options,
    read_options,
    sack_option,
    syn_options,
    timestamp_option,
)
from ztlink.netstack.tcp.settings import CongestionControl, TcpSettings
from ztlink.netstack.tcp.state import State

SYN, ACK, FIN, RST, PSH = FLAG_SYN, FLAG_ACK, FLAG_FIN, FLAG_RST, FLAG_PSH
LOCAL = Endpoint(IPv4Address("10.0.0.2"), 80)
REMOTE = Endpoint(IPv4Address("10.0.0.1"), 40_000)
PEER_INITIAL = 0xFFFF_FF00
"""So that the peer's numbers wrap soon."""
MSS = 1000
MTU = 1040
RENO = TcpSettings(congestion_control=CongestionControl.NEW_RENO, timestamps=False)


def described(outgoing: Outgoing) -> str:
    """Return the flags of a segment as letters, in the order of RFC 9293's figures."""
    names = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "A"))
    return "".join(letter for flag, letter in names if outgoing.flags & flag)


def data_of(outgoing: Outgoing) -> bytes:
    """Return the payload of a segment that was sent."""
    return b"".join(outgoing.payload)


class Rig:
    """One layer, its events, and what it sent; `peer` is what the peer sends next."""

    def __init__(
        self, settings: TcpSettings = RENO, *, sack: bool = True, shift: int | None = 0
    ) -> None:
        self.events: deque[TcpEvent] = deque()
        self.mono = 100.0
        self.mtu = MTU
        self.random = Random(7)  # noqa: S311 - a test is replayed
        self.layer = TcpLayer(
            self.events.append,
            lambda _remote: self.mtu,
            random_bytes=self.random.randbytes,
            settings=settings,
        )
        self.sack = sack
        self.shift = shift
        self.local, self.remote = LOCAL, REMOTE
        self.peer = PEER_INITIAL
        """The peer's SND.NXT."""
        self.ours = 0
        """What the peer acknowledges: the highest of ours that it saw, in order."""
        self.window = 65_535
        self.stamp: int | None = None
        """The peer's timestamp; None: it has none."""
        self.echo = 0
        self.id = ConnectionId(0)
        self.sent: list[tuple[float, Outgoing]] = []

    @property
    def now(self) -> Now:
        return Now(self.mono, int(self.mono * 1000))

    # The peer.

    def syn_options(self) -> bytes:
        stamps = None if self.stamp is None else (self.stamp, self.echo)
        return syn_options(MSS, self.shift, sack=self.sack, timestamps=stamps)

    def receive(
        self,
        flags: int,
        *,
        seq: int | None = None,
        ack: int | None = None,
        data: bytes = b"",
        window: int | None = None,
        options: bytes | None = None,
        size: int = 0,
    ) -> list[Outgoing]:
        """Let a segment arrive and return what is sent at once.

        What is not given is as a peer would have it that has got everything.
        """
        if options is None:
            options = b"" if self.stamp is None else timestamp_option(self.stamp, self.echo)
        segment = Segment(
            flow_of(self.local, self.remote),
            (self.peer if seq is None else seq) & MASK,
            (self.ours if ack is None else ack) & MASK,
            flags,
            self.window if window is None else window,
            options,
            memoryview(data),
            size,
        )
        self.layer.receive(segment, self.now)
        if seq is None:
            length = len(data) + bool(flags & FIN) + bool(flags & SYN)
            self.peer = self.peer + length & MASK
        return self.drain()

    def sack_blocks(self, *blocks: tuple[int, int]) -> bytes:
        """Return a SACK option for ranges of our numbers."""
        option = sack_option([(start & MASK, end & MASK) for start, end in blocks])
        stamps = b"" if self.stamp is None else timestamp_option(self.stamp, self.echo)
        return stamps + option

    def drain(self) -> list[Outgoing]:
        """Pull everything that is to be sent now."""
        out: list[Outgoing] = []
        while self.layer.has_output():
            out += self.layer.transmits(1 << 20, self.now)
        for outgoing in out:
            self.sent.append((self.mono, outgoing))
            end = outgoing.sequence + outgoing.size
            end += bool(outgoing.flags & FIN) + bool(outgoing.flags & SYN)
            is_ahead = (end - self.ours) & MASK < 1 << 31
            if outgoing.flags & SYN or (is_ahead and not outgoing.flags & RST):
                self.ours = end & MASK
        return out

    def advance(self, seconds: float) -> list[Outgoing]:
        """Let time pass, timer by timer, and return what was sent."""
        end = self.mono + seconds
        out: list[Outgoing] = []
        while (timer := self.layer.get_timer()) is not None and timer <= end:
            self.mono = max(self.mono, timer)
            self.layer.handle_timer(self.now)
            out += self.drain()
        self.mono = end
        return out

    def pop_events(self) -> list[TcpEvent]:
        """Return what was told since last asked."""
        events = list(self.events)
        self.events.clear()
        return events

    # The application.

    def write(self, data: bytes) -> list[Outgoing]:
        """Write all of it; return what is sent at once."""
        assert self.layer.write(self.id, data, self.now) == len(data)
        return self.drain()

    def read(self, limit: int = 1 << 20) -> bytes:
        """Read what is there."""
        out = b""
        while data := self.layer.read(self.id, limit - len(out), self.now):
            out += data
        return out

    def shutdown(self) -> list[Outgoing]:
        self.layer.shutdown(self.id, self.now)
        return self.drain()

    def close(self) -> list[Outgoing]:
        self.layer.close(self.id, self.now)
        return self.drain()

    def state(self) -> State:
        return self.layer.state(self.id)

    # Ways into a state.

    def listen(self, backlog: int = 8) -> int:
        return self.layer.listen(self.local, backlog, self.now)

    def start_connect(self) -> Outgoing:
        """Send our SYN."""
        self.id = self.layer.connect(self.local, self.remote, self.now)
        (syn,) = self.drain()
        return syn

    def connect(self, *, round_trip: float = 0.1) -> ConnectionId:
        """Open a connection; the peer answers after a round trip."""
        self.start_connect()
        self.mono += round_trip
        self.receive(SYN | ACK, options=self.syn_options())
        self.pop_events()
        return self.id

    def accept(self, *, round_trip: float = 0.1) -> ConnectionId:
        """Let the peer open a connection, and take it."""
        listener = self.listen()
        self.receive(SYN, options=self.syn_options())
        self.mono += round_trip
        self.receive(ACK)
        self.pop_events()
        found = self.layer.accept(listener)  # type: ignore[arg-type] # its own id
        assert found is not None
        self.id = found
        return found


def options_of(outgoing: Outgoing) -> Options:
    """Return the options of a segment that was sent."""
    return read_options(outgoing.options)


def _established(rig: Rig) -> None:
    rig.connect()


def _fin_wait_1(rig: Rig) -> None:
    rig.connect()
    rig.shutdown()


def _fin_wait_2(rig: Rig) -> None:
    _fin_wait_1(rig)
    rig.receive(ACK)


def _close_wait(rig: Rig) -> None:
    rig.connect()
    rig.receive(FIN | ACK)


def _closing(rig: Rig) -> None:
    rig.connect()
    before = rig.ours
    rig.shutdown()
    rig.receive(FIN | ACK, ack=before)


def _last_ack(rig: Rig) -> None:
    _close_wait(rig)
    rig.shutdown()


def _time_wait(rig: Rig) -> None:
    _fin_wait_2(rig)
    rig.receive(FIN | ACK)


def _syn_sent(rig: Rig) -> None:
    rig.start_connect()


def _syn_received(rig: Rig) -> None:
    rig.start_connect()
    rig.receive(SYN, ack=0, options=rig.syn_options())


WAYS: dict[State, Callable[[Rig], None]] = {
    State.SYN_SENT: _syn_sent,
    State.SYN_RECEIVED: _syn_received,
    State.ESTABLISHED: _established,
    State.FIN_WAIT_1: _fin_wait_1,
    State.FIN_WAIT_2: _fin_wait_2,
    State.CLOSE_WAIT: _close_wait,
    State.CLOSING: _closing,
    State.LAST_ACK: _last_ack,
    State.TIME_WAIT: _time_wait,
}
"""How a connection that we opened gets into each state."""


def rig_in(state: State, settings: TcpSettings = RENO) -> Rig:
    """Return a rig with a connection in a state."""
    rig = Rig(settings)
    WAYS[state](rig)
    assert rig.state() is state
    rig.pop_events()
    rig.sent.clear()
    return rig
