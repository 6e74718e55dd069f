"""What a connection sends when it is its turn: one super-segment, made at that moment.

In order: SYN; a probe; what was lost; new data and FIN; an acknowledgement alone. A super-segment
is as long as windows, pacing and the caller let it be, in whole segments but for the end of the
data. Silly windows are avoided (RFC 9293 3.8.6.2.1): a part of a segment goes out only as the end
of what there is, or as half of the largest window that the peer ever offered.
"""

from math import inf
from typing import Final

from ztlink.inet.tcp import FLAG_ACK, FLAG_FIN, FLAG_PSH, FLAG_SYN
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.acknowledgement import arm
from ztlink.netstack.tcp.connection import Connection, LossTimer, Probe
from ztlink.netstack.tcp.options import sack_option, syn_options, timestamp_option
from ztlink.netstack.tcp.state import State

_MAX_WINDOW: Final = 0xFFFF
_SLACK: Final = 0.002
"""Seconds that pacing may be behind and make good, whatever kept it from sending."""
_MAX_LATE: Final = 0.02
"""The same where it was pacing itself that waited, for a timer that a busy host called late."""
_EARLY: Final = 0.0001
_MIN_QUANTUM: Final = 0.001
_MAX_QUANTUM: Final = 0.005
_QUANTA: Final = 16
"""What pacing sends in one go: this part of a round trip, or a millisecond for each connection that
sends, up to five."""
_BLOCKS: Final = 4
_BLOCKS_BESIDE_TIMESTAMPS: Final = 3
# As globals: a member of an enumeration takes longer to find.
_SYN_RECEIVED: Final = State.SYN_RECEIVED
_REORDERING: Final = LossTimer.REORDERING
_ALIVE: Final = Probe.ALIVE
_WINDOW: Final = Probe.WINDOW


def next_segment(c: Connection, limit: int, now: float) -> Outgoing | None:
    """Return the next super-segment, of about `limit` bytes at most; None: nothing for now."""
    if c.state <= _SYN_RECEIVED:
        return _handshake(c, now)
    flight = c.flight
    if c.probe is not None:
        outgoing = _probe(c, c.probe, now)
        if outgoing is not None:
            return outgoing
    if flight.lost or flight.next < c.end_of_stream:
        outgoing = _next_data(c, limit, now)
        if outgoing is not None:
            return outgoing
    if c.acks_owed:
        owed = c.acks_owed - 1
        outgoing = _make(c, flight.next, FLAG_ACK, _options(c, now))
        c.acks_owed = owed
        return outgoing
    return None


def has_more(c: Connection) -> bool:
    """Tell whether `next_segment` may have something."""
    flight = c.flight
    return bool(
        flight.lost
        or flight.next < c.end_of_stream
        or c.acks_owed
        or c.probe is not None
        or c.is_syn_owed
    )


def _handshake(c: Connection, now: float) -> Outgoing | None:
    """Return SYN or SYN-ACK, or an acknowledgement beside it."""
    is_answer = c.state is _SYN_RECEIVED
    if not c.is_syn_owed:
        if not (is_answer and c.acks_owed):
            return None
        return _make(c, c.flight.next, FLAG_ACK, _options(c, now))
    c.is_syn_owed = False
    has_timestamps = c.has_timestamps if is_answer else c.context.settings.timestamps
    options = syn_options(
        c.own_mss(),
        c.context.shift if c.receive_shift or not is_answer else None,
        sack=c.has_sack or not is_answer,
        timestamps=(c.timestamp(now), c.timestamp_recent) if has_timestamps else None,
    )
    inbox = c.inbox
    window = min(inbox.limit, _MAX_WINDOW)
    inbox.edge = max(inbox.edge, inbox.next + window)
    c.acks_owed = 0
    flags = FLAG_SYN | FLAG_ACK if is_answer else FLAG_SYN
    number = inbox.next & MASK if is_answer else 0
    return Outgoing(c.flow, c.local, c.remote, c.initial & MASK, number, flags, window, options)


# Data.


def _next_data(c: Connection, limit: int, now: float) -> Outgoing | None:
    """Return what was lost, or new data; None where a window or pacing forbids it."""
    flight, control = c.flight, c.control
    rate = control.rate
    if rate and c.send_at > now + _EARLY:
        c.is_paced = True
        return None
    options = _options(c, now)
    segment_size = c.mss - len(options)
    unsent = c.outbox.end - flight.next
    if not flight.records and 0 < unsent <= segment_size and unsent <= c.send_window:
        return _send_new(c, unsent, options, now)  # alone: nothing else has a say in it
    in_flight = flight.in_flight
    room = control.window - in_flight
    if room < segment_size and in_flight:
        may_go = c.is_repeat_due if flight.lost else room >= max(c.unsent, 1)
        if not may_go:
            c.is_paced = False
            return None
    limit = min(limit, c.context.settings.max_payload)
    least = 2 * segment_size
    if rate and (flight.lost or unsent > least):  # less may always go
        limit = min(limit, max(int(rate * _quantum(c, now)), least))
    if in_flight and not flight.lost and _is_worth_waiting(c, room, limit):
        c.is_paced = False
        return None
    limit = min(limit, room)
    limit = max(limit - limit % segment_size, segment_size)
    if flight.lost:
        return _repeat(c, limit, options, now)
    size = _new_size(c, limit, segment_size, now)
    return _send_new(c, size, options, now) if size >= 0 else None


def _quantum(c: Connection, now: float) -> float:
    """Return for how many seconds pacing sends in one go.

    What a super-segment costs hardly depends on its size. So what one connection may send each
    millisecond, eight send every five; and who is called late sends all that it is behind with.
    """
    senders = max(len(c.context.senders), 1)
    quantum = min(max(c.rtt.least / _QUANTA, _MIN_QUANTUM * senders), _MAX_QUANTUM)
    return quantum + min(max(now - c.send_at, 0.0), _slack(c))


def _slack(c: Connection) -> float:
    return _MAX_LATE if c.is_paced else _SLACK


def _new_size(c: Connection, limit: int, segment_size: int, now: float) -> int:
    """Return how many bytes of new data may go out, 0 for a FIN alone; -1: nothing."""
    flight = c.flight
    unsent = c.outbox.end - flight.next
    if unsent <= 0:
        return 0
    window = flight.una + c.send_window - flight.next
    size = min(unsent, window, limit)
    if size >= segment_size:
        rest = size % segment_size
        if rest and (size < unsent or _is_held_back(c)):
            size -= rest  # a part of a segment is the end of the data
        return size
    if size > 0 and size == unsent:
        return -1 if _is_held_back(c) else size
    if size > 0 and size == window and 2 * size >= c.max_send_window:
        return size
    if not flight.records and c.loss_at == inf:
        arm(c, now, inf)  # nothing else would wake us: the persist timer will
    return -1


def _is_held_back(c: Connection) -> bool:
    """Tell whether a small segment waits for an acknowledgement (RFC 896), if that is wanted."""
    return not (c.is_no_delay or c.is_finishing) and c.flight.in_flight > 0


def _is_worth_waiting(c: Connection, room: int, limit: int) -> bool:
    """Tell whether more may be sent in one go soon: then the stack below is passed once for it.

    Something is in flight.
    Never where acknowledgements may not come: what is in flight is three quarters of the window,
    or half of it where that is twice what the path holds, as it is with pacing.
    """
    flight = c.flight
    in_flight = flight.in_flight
    if flight.sacked or c.recovery_point >= 0:
        return False
    offered = flight.una + c.send_window - flight.next
    room = min(room, offered)
    if c.control.rate:
        enough = min((in_flight + room) >> 1, limit)
    else:
        enough = min((in_flight + room) >> 2, c.context.settings.max_payload >> 1)
    return room < enough and room < c.outbox.end - flight.next


def _send_new(c: Connection, size: int, options: bytes, now: float) -> Outgoing:
    flight, outbox = c.flight, c.outbox
    start = flight.next
    end = start + size
    flags = FLAG_ACK
    if not flight.records:
        if now - c.timeout_from > c.rtt.current:
            c.control.on_idle(now)
        c.timeout_from = c.progress_at = now
        c.context.senders.add(c.id)
    payload = outbox.pieces(start, size) if size else ()
    if end == outbox.end:
        flags |= FLAG_PSH if size else 0
        if c.is_finishing:
            flags |= FLAG_FIN
            end += 1
    flight.send(end, now)
    in_flight = flight.in_flight
    if flight.next >= outbox.end:
        c.is_paced = False
        if in_flight < c.control.window:
            flight.app_limited_until = flight.delivered + in_flight
    return _sent(c, _make(c, start, flags, options, payload, size), now)


def _repeat(c: Connection, limit: int, options: bytes, now: float) -> Outgoing | None:
    """Send again what was lost first."""
    flight, outbox = c.flight, c.outbox
    c.is_repeat_due = False
    record = flight.first_lost()
    if record is None:
        return None
    repeated = flight.repeat(record, limit, now)
    c.unproven += repeated
    start = record.start
    size = min(record.end, outbox.end) - start
    flags = FLAG_ACK
    if record.end > outbox.end:
        flags |= FLAG_FIN
    if start + size == outbox.end and size:
        flags |= FLAG_PSH
    payload = outbox.pieces(start, size) if size else ()
    return _sent(c, _make(c, start, flags, options, payload, size), now)


def _sent(c: Connection, outgoing: Outgoing, now: float) -> Outgoing:
    """Keep the pace and set the timer for what goes out."""
    rate = c.control.rate
    if rate:
        c.send_at = max(c.send_at, now - _slack(c)) + outgoing.size / rate
    if c.loss_timer is not _REORDERING or c.loss_at == inf:
        arm(c, now, inf)
    return outgoing


def _probe(c: Connection, probe: Probe, now: float) -> Outgoing | None:
    """Send a probe, whatever congestion control says; None: there is nothing to probe with."""
    c.probe = None
    flight, outbox = c.flight, c.outbox
    options = _options(c, now)
    if probe is _ALIVE:
        return _make(c, flight.next - 1, FLAG_ACK, options)
    segment_size = c.mss - len(options)
    unsent = outbox.end - flight.next
    window = flight.una + c.send_window - flight.next
    if probe is _WINDOW:
        if unsent <= 0 or flight.records:
            return None
        return _send_new(c, max(min(window, unsent, segment_size), 1), options, now)
    return _probe_tail(c, options, now) if flight.records else None


def _probe_tail(c: Connection, options: bytes, now: float) -> Outgoing | None:
    """Send what makes the peer tell where it is."""
    flight, outbox = c.flight, c.outbox
    segment_size = c.mss - len(options)
    if c.probes > 1 or c.recovery_point >= 0 or flight.sacked or flight.lost:
        flight.lose_first(segment_size)
        flight.lose_next(segment_size)  # two: where one is needed, one alone is often lost
        return _repeat(c, 2 * segment_size, options, now)
    size = min(outbox.end - flight.next, flight.una + c.send_window - flight.next, segment_size)
    if size > 0:
        c.probe_end = flight.next + size
        return _send_new(c, size, options, now)
    flight.lose_last(segment_size)
    c.is_probe_repeated = True
    c.probe_end = flight.next
    return _repeat(c, segment_size, options, now)


# Headers.


def _options(c: Connection, now: float) -> bytes:
    """Return the options of a segment that is no SYN."""
    inbox = c.inbox
    options = timestamp_option(c.timestamp(now), c.timestamp_recent) if c.has_timestamps else b""
    if c.has_sack and (inbox.beyond or inbox.duplicate is not None):
        blocks = inbox.blocks(_BLOCKS_BESIDE_TIMESTAMPS if options else _BLOCKS)
        options += sack_option([(start & MASK, end & MASK) for start, end in blocks])
    return options


def _make(
    c: Connection,
    sequence: int,
    flags: int,
    options: bytes,
    payload: tuple[memoryview, ...] = (),
    size: int = 0,
) -> Outgoing:
    """Make a segment, which acknowledges all that is here."""
    inbox = c.inbox
    c.last_ack_sent = inbox.next
    c.unacked = 0
    c.acks_owed = 0
    c.ack_at = inf
    segment_size = c.mss - len(options)
    return Outgoing(
        c.flow,
        c.local,
        c.remote,
        sequence & MASK,
        inbox.next & MASK,
        flags,
        _offer_window(c),
        options,
        payload,
        size,
        segment_size if size > segment_size else 0,
    )


def _offer_window(c: Connection) -> int:
    """Return the window field, and remember what it offers.

    The right edge never moves back (RFC 9293 3.8.6), and forward only in steps that are worth it
    (RFC 9293 3.8.6.2.2). Under need of memory it stands still.
    """
    inbox = c.inbox
    shift = c.receive_shift
    free = inbox.limit - inbox.held
    offered = inbox.edge - inbox.next
    memory = c.context.memory
    if free - offered >= min(inbox.limit >> 1, c.mss) and (
        offered < c.mss or memory.used < memory.limit
    ):
        field = min(free >> shift, _MAX_WINDOW)
    else:
        # Rounded up, the edge stays; down where that had it creep on beyond the limit.
        is_beyond = offered + inbox.held > inbox.limit
        field = min(offered >> shift if is_beyond else -(-offered >> shift), _MAX_WINDOW)
    inbox.edge = max(inbox.edge, inbox.next + (field << shift))
    return field
