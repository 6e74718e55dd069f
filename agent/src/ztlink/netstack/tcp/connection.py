"""One connection: what RFC 9293 calls the transmission control block.

A record and its basic moves. What a segment does to it is in `arrival`, what an acknowledgement
does in `acknowledgement`, what it sends in `output`, what time does in `timers`, what the
application does in `verbs`.

Sequence numbers are unbounded here (see `seqnum`); times are seconds of `Now.mono`, infinity for
what is not awaited.
"""

from dataclasses import InitVar, dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final

from ztlink.ids import Endpoint
from ztlink.inet.tcp import FLAG_ACK, FLAG_RST
from ztlink.netstack.events import (
    Accepted,
    Connected,
    ConnectFailed,
    ConnectionClosed,
    ConnectionId,
    ConnectionRefused,
    ConnectionReset,
    Readable,
    Reason,
    Writable,
)
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.bbr import Bbr
from ztlink.netstack.tcp.congestion import Congestion, NewReno
from ztlink.netstack.tcp.context import Context
from ztlink.netstack.tcp.cubic import Cubic
from ztlink.netstack.tcp.flight import Flight
from ztlink.netstack.tcp.listener import Listener
from ztlink.netstack.tcp.options import SIZE_TIMESTAMPS
from ztlink.netstack.tcp.receive_buffer import ReceiveBuffer
from ztlink.netstack.tcp.rtt import RttEstimator
from ztlink.netstack.tcp.send_buffer import SendBuffer
from ztlink.netstack.tcp.settings import CongestionControl
from ztlink.netstack.tcp.state import TRANSITIONS, Input, State

DEFAULT_MSS: Final = {4: 536, 6: 1220}
"""What a peer takes that does not say (RFC 9293 3.7.1)."""
MIN_MSS: Final = 88
"""Below it, a peer would make us send nothing but headers: eight bytes beside full options."""
HEADERS: Final = {4: 40, 6: 60}
"""Of IP and TCP, without options."""
_TICKS: Final = 1000
"""Of the timestamps' clock in a second."""


class LossTimer(Enum):
    """What the one timer of sent data is set for."""

    TIMEOUT = auto()
    """RFC 6298."""
    PROBE = auto()
    """The tail may be lost (RFC 8985 7)."""
    REORDERING = auto()
    """What is late may be lost (RFC 8985 6)."""
    PERSIST = auto()
    """The peer's window is closed (RFC 9293 3.8.6.1)."""


class Probe(Enum):
    """What is sent to make the peer answer, whatever windows say."""

    ALIVE = auto()
    """An empty segment before the window (RFC 9293 3.8.4)."""
    WINDOW = auto()
    """A byte of new data into a closed window."""
    TAIL = auto()
    """New data, or the last of what was sent."""


@dataclass(slots=True, eq=False)
class Connection:
    """The state of one connection; see the fields."""

    context: Context
    id: ConnectionId
    flow: bytes
    local: Endpoint
    remote: Endpoint
    path_mtu: int
    initial: int
    """ISS."""
    timestamp_offset: int
    """Of our timestamp clock; the same for all connections that have this flow in turn."""
    now: InitVar[float]
    listener: Listener | None = None
    """Whom it is for, where the peer opened it."""
    state: State = State.CLOSED
    peer_mss: int = field(init=False)
    """What the peer takes, or would if it does not say."""
    mss: int = 0
    """Payload and options of a segment together; set by `resize`."""
    # Sending.
    flight: Flight = field(init=False)
    outbox: SendBuffer = field(init=False)
    send_limit: int = field(init=False)
    is_fixed_send: bool = False
    send_window: int = 0
    """SND.WND in bytes; the right edge is `flight.una + send_window`."""
    send_shift: int = 0
    max_send_window: int = 0
    window_sequence: int = 0
    """SND.WL1."""
    window_ack: int = 0
    """SND.WL2."""
    is_finishing: bool = False
    """The application writes no more: FIN follows the outbox."""
    is_no_delay: bool = True
    is_write_short: bool = False
    """A write took less than it was given, or nothing: `Writable` is owed."""
    rtt: RttEstimator = field(init=False)
    control: Congestion = field(init=False)
    control_kind: CongestionControl = field(init=False)
    recovery_point: int = -1
    """While losses are made good: what had been sent when the first was seen; else -1."""
    is_repeat_due: bool = False
    """Recovery begins with a retransmission at once, whatever the window (RFC 6675 5)."""
    has_timed_out: bool = False
    """The losses were told by a time-out: the window grows while they are made good."""
    timed_out_at: float = 0.0
    unproven: int = 0
    """Bytes sent again in this recovery that are not known to have been in vain; when all are,
    it was for nothing."""
    quick_until: float = -inf
    """Until then, the peer is not expected to delay acknowledgements."""
    probes: int = 0
    """Probes since the peer last told something new."""
    is_probe_repeated: bool = False
    """The tail loss probe was sent before."""
    probe_end: int = -1
    """What a tail loss probe covers, until it is acknowledged; else -1."""
    send_at: float = 0.0
    """Before it, pacing lets nothing be sent."""
    is_paced: bool = False
    """Since it last could send, nothing but pacing kept it from it."""
    # Receiving.
    peer_initial: int = 0
    """IRS."""
    inbox: ReceiveBuffer = field(init=False)
    is_fixed_receive: bool = False
    receive_shift: int = 0
    peer_finish: int = -1
    """The sequence number of the peer's FIN; -1: not seen."""
    is_told_readable: bool = False
    is_closed_by_us: bool = False
    """The application called `close`: nobody reads or hears events but the last."""
    is_gone: bool = False
    """Nothing is left that the application could ask for."""
    growth_at: float = 0.0
    """When the receive buffer may grow next, and from which byte on that is counted."""
    growth_next: int = 0
    unacked: int = 0
    """Bytes received since the last acknowledgement that we sent."""
    last_ack_sent: int = 0
    acks_owed: int = 0
    quick_acks: int = 16
    """Acknowledgements that are not delayed, because the peer is in slow start."""
    largest: int = 0
    """Payload of the largest segment received: the size of a full one."""
    # Options.
    has_sack: bool = False
    has_timestamps: bool = False
    timestamp_recent: int = 0
    timestamp_recent_at: float = 0.0
    keep_alive: float = 0.0
    """Seconds of silence; 0: off."""
    keep_alive_probes: int = 0
    user_timeout: float = field(init=False)
    trouble: Reason | None = None
    """What the network reported last: why, if it comes to a time-out."""
    linger: float = -1.0
    # What is owed.
    is_syn_owed: bool = False
    probe: Probe | None = None
    is_ready: bool = False
    """In the queue of those that may send."""
    # Timers.
    called_at: float = inf
    """When the layer is going to call `handle_timer`; it may be early."""
    loss_at: float = inf
    loss_timer: LossTimer = LossTimer.TIMEOUT
    timeout_from: float = field(init=False)
    ack_at: float = inf
    life_at: float = inf
    """Keep-alive, or the end of a state that must not last."""
    progress_at: float = field(init=False)
    """When the peer last acknowledged something, or had nothing to acknowledge."""
    received_at: float = field(init=False)
    challenged_at: float = -inf

    def __post_init__(self, now: float) -> None:
        settings = self.context.settings
        self.peer_mss = DEFAULT_MSS[self.local.ip.version]
        self.flight = Flight(self.initial + 1, 1)
        self.outbox = SendBuffer(self.initial + 1)
        self.send_limit = settings.send_buffer
        self.rtt = RttEstimator()
        self.control = NewReno(MIN_MSS)  # until the handshake tells the segment size
        self.control_kind = settings.congestion_control
        self.inbox = ReceiveBuffer(0, settings.receive_buffer)
        self.user_timeout = settings.user_timeout
        self.timeout_from = now
        self.progress_at = now
        self.received_at = now

    # Moves.

    def enter(self, cause: Input) -> None:
        """Change the state as the table says."""
        self.state = TRANSITIONS[self.state, cause]
        if self.state is State.CLOSED or self.state is State.TIME_WAIT:
            self._finish(cause)

    def _finish(self, cause: Input) -> None:
        """Let go of what a finished connection needs no more; say that it is, if it is regular."""
        context = self.context
        context.memory.used -= self.outbox.clear()
        context.memory.starving.pop(self.id, None)
        self.flight.records.clear()
        context.senders.discard(self.id)
        self.loss_at = self.ack_at = self.life_at = inf
        self.send_at = 0.0
        if cause is Input.END or self.is_closed_by_us:
            context.memory.used -= self.inbox.clear()
            self.is_gone = True
        if cause is Input.FIN or cause is Input.FIN_ACKNOWLEDGED:
            context.emit(ConnectionClosed(self.id))
        if self.state is State.CLOSED:
            context.ended.append(self.id)
        else:
            context.waiting[self.id] = None

    def let_go(self) -> None:
        """Forget the unread bytes: the application is done with it, and it is done itself."""
        self.context.memory.used -= self.inbox.clear()
        self.is_gone = True
        if self.state is State.CLOSED:
            self.context.ended.append(self.id)

    def wake(self) -> None:
        """Queue it for its turn to send."""
        if not self.is_ready:
            self.is_ready = True
            self.context.ready.append(self.id)

    def owe_ack(self) -> None:
        """Acknowledge at once."""
        self.acks_owed = self.acks_owed or 1
        self.wake()

    def challenge(self, now: float) -> None:
        """Acknowledge something that does not fit, but not too often (RFC 5961 7)."""
        if now - self.challenged_at >= 0.1 and self.context.challenges.take(now):
            self.challenged_at = now
            self.owe_ack()

    def deadline(self, now: float) -> float:
        """Return when `handle_timer` is needed next."""
        deadline = min(self.loss_at, self.ack_at, self.life_at)
        if self.send_at > now and self.has_something_to_send:
            return min(deadline, self.send_at)
        return deadline

    @property
    def has_something_to_send(self) -> bool:
        """Whether data waits, be it for a window, for its time, or for its turn."""
        return self.flight.lost > 0 or self.flight.next < self.end_of_stream

    @property
    def end_of_stream(self) -> int:
        """The sequence number behind all that is to be sent by now, FIN included."""
        return self.outbox.end + 1 if self.is_finishing else self.outbox.end

    @property
    def unsent(self) -> int:
        """Bytes that were never sent."""
        return max(self.outbox.end - max(self.flight.next, self.outbox.start), 0)

    @property
    def is_recovering(self) -> bool:
        """Whether losses are being made good."""
        return self.recovery_point >= 0

    def timestamp(self, now: float) -> int:
        """Return our timestamp clock."""
        return int(now * _TICKS) + self.timestamp_offset & MASK

    # Handshake.

    def own_mss(self) -> int:
        """Return what we offer: the MTU without headers; options count (RFC 6691)."""
        return self.path_mtu - HEADERS[self.local.ip.version]

    def resize(self) -> None:
        """Make segments as large as path and peer allow."""
        self.mss = max(min(self.own_mss(), self.peer_mss), MIN_MSS)
        self.flight.mss = self.mss - self.fixed_options
        self.control.resize(self.flight.mss)

    @property
    def fixed_options(self) -> int:
        """Bytes of options in every segment."""
        return SIZE_TIMESTAMPS if self.has_timestamps else 0

    def start_control(self, now: float) -> None:
        """Start congestion control anew."""
        mss = self.flight.mss
        if self.control_kind is CongestionControl.BBR:
            self.control = Bbr(mss, self.id, self.rtt.least, now)
        elif self.control_kind is CongestionControl.CUBIC:
            self.control = Cubic(mss)
        else:
            self.control = NewReno(mss)

    def establish(self, now: float) -> None:
        """Both SYNs are acknowledged: data may flow."""
        was_opened_by_us = self.listener is None
        self.enter(Input.SYN_ACKNOWLEDGED)
        self.is_syn_owed = False
        self.loss_at = self.life_at = inf
        if self.keep_alive:
            self.life_at = now + self.keep_alive
        self.progress_at = self.timeout_from = now
        self.resize()
        self.start_control(now)
        self.growth_at = now
        self.growth_next = self.inbox.next
        if was_opened_by_us:
            self.context.emit(Connected(self.id, self.local, self.remote))
        elif self.listener is not None:
            self.listener.complete(self.id)
            self.context.emit(Accepted(self.listener.id, self.id, self.remote))
        if self.is_finishing:
            self.enter(Input.FINISH)
        self.wake()

    # What is told.

    def tell_readable(self) -> None:
        """Say that there is something to read, once until it is read."""
        if not (self.is_told_readable or self.is_closed_by_us):
            self.is_told_readable = True
            self.context.emit(Readable(self.id))

    def tell_writable(self) -> None:
        """Say that there is room again, if a write was cut short and there is room worth it."""
        if self.is_write_short and 3 * len(self.outbox) <= 2 * self.send_limit:
            self.is_write_short = False
            if not self.is_finishing:
                self.context.emit(Writable(self.id))

    def reset(self, reason: Reason | None) -> None:
        """Send a reset and become CLOSED; with a reason, tell it."""
        if self.state is State.CLOSED:
            return
        if self.state > State.SYN_SENT:
            numbers = self.flight.next & MASK, self.inbox.next & MASK
            flags = FLAG_RST | FLAG_ACK
            self.context.send_stray(
                Outgoing(self.flow, self.local, self.remote, *numbers, flags, 0, b"")
            )
        if reason is not None:
            self.end(reason)
        else:
            self.enter(Input.END)

    def end(self, reason: Reason) -> None:
        """Become CLOSED before both sides are done, and say why."""
        before = self.state
        if before is State.CLOSED:
            return
        self.enter(Input.END)
        if before is State.SYN_SENT or (before is State.SYN_RECEIVED and self.listener is None):
            kind = ConnectionRefused if reason is Reason.REFUSED else ConnectFailed
            self.context.emit(kind(self.id, reason))
        elif before is State.SYN_RECEIVED:
            pass  # the application never heard of it
        elif before is not State.TIME_WAIT:  # else it has been told to be closed
            self.context.emit(ConnectionReset(self.id, reason))
