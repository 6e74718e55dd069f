"""One connection: what RFC 9293 calls the transmission control block.

A record and its basic moves. What a segment does to it is in `arrival`, what an acknowledgement
does in `acknowledgement`, what it sends in `output`, what time does in `timers`, what the
application does in `verbs`.

Sequence numbers are unbounded here (see `seqnum`); times are seconds of `Now.mono`, infinity for
what is not awaited.
"""

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


class Connection:
    """The state of one connection; see the fields."""

    __slots__ = (
        "ack_at",
        "acks_owed",
        "challenged_at",
        "context",
        "control",
        "control_kind",
        "flight",
        "flow",
        "growth_at",
        "growth_next",
        "has_sack",
        "has_timed_out",
        "has_timestamps",
        "id",
        "inbox",
        "initial",
        "is_closed_by_us",
        "is_finish_told",
        "is_finishing",
        "is_fixed_receive",
        "is_fixed_send",
        "is_gone",
        "is_no_delay",
        "is_probe_repeated",
        "is_ready",
        "is_repeat_due",
        "is_syn_owed",
        "is_told_readable",
        "is_write_short",
        "keep_alive",
        "keep_alive_probes",
        "largest",
        "last_ack_sent",
        "life_at",
        "linger",
        "listener",
        "local",
        "loss_at",
        "loss_timer",
        "max_send_window",
        "mss",
        "outbox",
        "path_mtu",
        "peer_finish",
        "peer_initial",
        "peer_mss",
        "probe",
        "probe_end",
        "probes",
        "progress_at",
        "quick_acks",
        "quick_until",
        "receive_shift",
        "received_at",
        "recovery_point",
        "remote",
        "rtt",
        "send_at",
        "send_limit",
        "send_shift",
        "send_window",
        "state",
        "timed_out_at",
        "timeout_from",
        "timestamp_offset",
        "timestamp_recent",
        "timestamp_recent_at",
        "trouble",
        "unacked",
        "unproven",
        "user_timeout",
        "window_ack",
        "window_sequence",
    )

    def __init__(
        self,
        context: Context,
        id: ConnectionId,  # noqa: A002 - as in the events
        flow: bytes,
        local: Endpoint,
        remote: Endpoint,
        mtu: int,
        initial: int,
        now: float,
    ) -> None:
        settings = context.settings
        self.context = context
        self.id = id
        self.flow = flow
        self.local = local
        self.remote = remote
        self.listener: Listener | None = None
        """Whom it is for, where the peer opened it."""
        self.state = State.CLOSED
        self.path_mtu = mtu
        self.peer_mss = DEFAULT_MSS[local.ip.version]
        self.mss = 0
        """Payload and options of a segment together; set by `resize`."""
        # Sending.
        self.initial = initial
        """ISS."""
        self.flight = Flight(initial + 1, 1)
        self.outbox = SendBuffer(initial + 1)
        self.send_limit = settings.send_buffer
        self.is_fixed_send = False
        self.send_window = 0
        """SND.WND in bytes; the right edge is `flight.una + send_window`."""
        self.send_shift = 0
        self.max_send_window = 0
        self.window_sequence = 0
        """SND.WL1."""
        self.window_ack = 0
        """SND.WL2."""
        self.is_finishing = False
        """The application writes no more: FIN follows the outbox."""
        self.is_no_delay = True
        self.is_write_short = False
        """A write took less than it was given, or nothing: `Writable` is owed."""
        self.rtt = RttEstimator()
        self.control: Congestion = NewReno(MIN_MSS)  # until the handshake tells the segment size
        self.control_kind = settings.congestion_control
        self.recovery_point = -1
        """While losses are made good: what had been sent when the first was seen; else -1."""
        self.is_repeat_due = False
        """Recovery begins with a retransmission at once, whatever the window (RFC 6675 5)."""
        self.has_timed_out = False
        """The losses were told by a time-out: the window grows while they are made good."""
        self.timed_out_at = 0.0
        self.unproven = 0
        """Bytes sent again in this recovery that are not known to have been in vain; when all are,
        it was for nothing."""
        self.quick_until = -inf
        """Until then, the peer is not expected to delay acknowledgements."""
        self.probes = 0
        """Probes since the peer last told something new."""
        self.is_probe_repeated = False
        """The tail loss probe was sent before."""
        self.probe_end = -1
        """What a tail loss probe covers, until it is acknowledged; else -1."""
        self.send_at = 0.0
        """Before it, pacing lets nothing be sent."""
        # Receiving.
        self.peer_initial = 0
        """IRS."""
        self.inbox = ReceiveBuffer(0, settings.receive_buffer)
        self.is_fixed_receive = False
        self.receive_shift = 0
        self.peer_finish = -1
        """The sequence number of the peer's FIN; -1: not seen."""
        self.is_finish_told = False
        self.is_told_readable = False
        self.is_closed_by_us = False
        """The application called `close`: nobody reads or hears events but the last."""
        self.is_gone = False
        """Nothing is left that the application could ask for."""
        self.growth_at = 0.0
        """When the receive buffer may grow next, and from which byte on that is counted."""
        self.growth_next = 0
        self.unacked = 0
        """Bytes received since the last acknowledgement that we sent."""
        self.last_ack_sent = 0
        self.acks_owed = 0
        self.quick_acks = 16
        """Acknowledgements that are not delayed, because the peer is in slow start."""
        self.largest = 0
        """Payload of the largest segment received: the size of a full one."""
        # Options.
        self.has_sack = False
        self.has_timestamps = False
        self.timestamp_offset = int.from_bytes(context.random_bytes(4), "big")
        self.timestamp_recent = 0
        self.timestamp_recent_at = 0.0
        self.keep_alive = 0.0
        """Seconds of silence; 0: off."""
        self.keep_alive_probes = 0
        self.user_timeout = settings.user_timeout
        self.trouble: Reason | None = None
        """What the network reported last: why, if it comes to a time-out."""
        self.linger = -1.0
        # What is owed.
        self.is_syn_owed = False
        self.probe: Probe | None = None
        self.is_ready = False
        """In the queue of those that may send."""
        # Timers.
        self.loss_at = inf
        self.loss_timer = LossTimer.TIMEOUT
        self.timeout_from = now
        self.ack_at = inf
        self.life_at = inf
        """Keep-alive, or the end of a state that must not last."""
        self.progress_at = now
        """When the peer last acknowledged something, or had nothing to acknowledge."""
        self.received_at = now
        self.challenged_at = -inf

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
        self.loss_at = self.ack_at = self.life_at = inf
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
        """The application is done with it, and it is done itself."""
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
