"""A segment arrives: RFC 9293 3.10.7, in its order, hardened as RFC 5961 and 7323 ask.

What does not fit is answered by an acknowledgement that tells what would: at once where a peer
needs it to go on (data that came twice, a probe), limited where it could be an attacker's.
"""

from typing import Final

from ztlink.inet.tcp import FLAG_ACK, FLAG_FIN, FLAG_RST, FLAG_SYN
from ztlink.netstack.events import PeerFinished, Reason
from ztlink.netstack.segment import Outgoing, Segment
from ztlink.netstack.seqnum import MASK, is_before, unwrap
from ztlink.netstack.tcp.acknowledgement import take_acknowledgement
from ztlink.netstack.tcp.connection import MIN_MSS, Connection
from ztlink.netstack.tcp.options import Options, read_options
from ztlink.netstack.tcp.state import Input, State

_RESET_OR_SYN: Final = FLAG_SYN | FLAG_RST
_ACK_DELAY: Final = 0.04
_TIMESTAMP_AGE: Final = 24 * 86_400.0
"""RFC 7323 5.5: after that, a timestamp may have wrapped."""
_MAX_DUPLICATES: Final = 4
_QUICK_AFTER_HOLE: Final = 8
"""Acknowledgements that are not delayed after a hole: the sender measures its way out of it."""
# As globals: a member of an enumeration takes longer to find.
_SYN_SENT: Final = State.SYN_SENT
_TIME_WAIT: Final = State.TIME_WAIT
_SYN_RECEIVED: Final = State.SYN_RECEIVED
_ESTABLISHED: Final = State.ESTABLISHED


def receive(c: Connection, segment: Segment, now: float) -> bool:
    """Take a segment of this connection; False: it asks for a new one in its place."""
    if c.state is _SYN_SENT:
        _receive_in_syn_sent(c, segment, now)
        return True
    flags = segment.flags
    options = read_options(segment.options)
    sequence = unwrap(segment.sequence, c.inbox.next)
    if flags & _RESET_OR_SYN:
        may_replace = c.state is _TIME_WAIT and _may_replace(c, segment, options, sequence)
        if not may_replace:
            _take_reset_or_syn(c, segment, sequence, now)
        return not may_replace
    if not _is_acceptable(c, segment, options, sequence, now):
        return True
    if not flags & FLAG_ACK:
        return True
    number = unwrap(segment.acknowledgement, c.flight.una)
    if c.state is _SYN_RECEIVED and not _complete_handshake(c, segment, number, now):
        return True
    if number > c.flight.next or number < c.flight.una - c.max_send_window:
        c.challenge(now)  # RFC 5961 5
        return True
    c.received_at = now
    c.keep_alive_probes = 0
    _note_timestamp(c, options, sequence, now)
    take_acknowledgement(c, segment, options, sequence, number, now)
    if segment.payload or flags & FLAG_FIN:
        _take_text(c, segment, sequence, now)
    return True


# The first checks: sequence number, RST, SYN.


def _is_acceptable(
    c: Connection, segment: Segment, options: Options, sequence: int, now: float
) -> bool:
    """Check timestamp (RFC 7323 5.3) and sequence number; answer what does not fit."""
    inbox = c.inbox
    length = len(segment.payload) + (segment.flags & FLAG_FIN)  # FIN is 1
    if c.has_timestamps and _is_from_before(c, options, now):
        if length:
            c.owe_ack()
        else:
            c.challenge(now)
        return False
    end = sequence + length
    is_in_front = sequence < inbox.edge or sequence == inbox.next
    if end > inbox.next and is_in_front if length else inbox.next <= sequence <= inbox.edge:
        return True
    if length:
        c.owe_ack()
        if end <= inbox.next:
            inbox.duplicate = (sequence, end)
        if c.state is _TIME_WAIT:
            c.life_at = now + c.context.settings.time_wait
    elif sequence == inbox.next - 1:
        c.owe_ack()  # a keep-alive, or a probe of the window
    else:
        c.challenge(now)
    return False


def _is_from_before(c: Connection, options: Options, now: float) -> bool:
    """Tell whether a segment is older than one that was accepted (PAWS)."""
    timestamp = options.timestamp
    return (
        timestamp is not None
        and is_before(timestamp, c.timestamp_recent)
        and now - c.timestamp_recent_at < _TIMESTAMP_AGE
    )


def _take_reset_or_syn(c: Connection, segment: Segment, sequence: int, now: float) -> None:
    """Take a reset that is exact, and challenge what is not (RFC 5961 3 and 4)."""
    inbox = c.inbox
    if segment.flags & FLAG_RST:
        if sequence == inbox.next:
            _take_reset(c)
        elif inbox.next < sequence < inbox.edge:
            c.challenge(now)
    elif c.state is _SYN_RECEIVED and sequence == c.peer_initial:
        if segment.flags & FLAG_ACK and c.listener is None:
            _take_crossed_syn_ack(c, segment, now)
        else:
            c.is_syn_owed = True  # ours was lost
            c.wake()
    elif sequence == c.peer_initial and segment.flags & FLAG_ACK:
        c.owe_ack()  # a SYN-ACK again: our acknowledgement was lost
    elif c.state is _TIME_WAIT:
        c.owe_ack()
    else:
        c.challenge(now)


def _take_crossed_syn_ack(c: Connection, segment: Segment, now: float) -> None:
    """Both sides sent a SYN, and this acknowledges ours (RFC 9293 3.5, figure 8)."""
    number = unwrap(segment.acknowledgement, c.flight.una)
    if _complete_handshake(c, segment, number, now):
        c.owe_ack()


def _may_replace(c: Connection, segment: Segment, options: Options, sequence: int) -> bool:
    """Tell whether a SYN in TIME_WAIT begins anew (RFC 1122 4.2.2.13, RFC 6191)."""
    if segment.flags & (FLAG_SYN | FLAG_ACK | FLAG_RST) != FLAG_SYN:
        return False
    timestamp = options.timestamp
    if c.has_timestamps and timestamp is not None and timestamp != c.timestamp_recent:
        return is_before(c.timestamp_recent, timestamp)
    return sequence > c.inbox.next


def _take_reset(c: Connection) -> None:
    if c.state is _SYN_RECEIVED and c.listener is None:
        c.end(Reason.REFUSED)
    elif c.state is _TIME_WAIT:
        pass  # RFC 1337: a reset must not cut it short
    else:
        c.end(Reason.RESET)


# Handshakes.


def _receive_in_syn_sent(c: Connection, segment: Segment, now: float) -> None:
    """Take the answer to our SYN (RFC 9293 3.10.7.3)."""
    flags = segment.flags
    number = unwrap(segment.acknowledgement, c.flight.una)
    is_acknowledged = bool(flags & FLAG_ACK)
    if is_acknowledged and number != c.initial + 1:
        if not flags & FLAG_RST:
            refuse(c, segment)
        return
    if flags & FLAG_RST:
        if is_acknowledged:
            c.end(Reason.REFUSED)
        return
    if not flags & FLAG_SYN:
        return
    take_syn(c, segment, now)
    if is_acknowledged:
        _acknowledge_syn(c, segment, now)
        c.establish(now)
        c.owe_ack()
    else:
        c.enter(Input.SYN)
        c.is_syn_owed = True
        c.wake()


def take_syn(c: Connection, segment: Segment, now: float) -> None:
    """Note what the peer's SYN says: its number, and its options."""
    settings = c.context.settings
    options = read_options(segment.options)
    inbox = c.inbox
    offered = inbox.edge - inbox.next
    c.peer_initial = segment.sequence
    inbox.next = segment.sequence + 1
    inbox.edge = inbox.next + offered
    c.last_ack_sent = inbox.next
    c.window_sequence = segment.sequence
    c.send_window = c.max_send_window = segment.window
    if options.mss is not None:
        c.peer_mss = max(options.mss, MIN_MSS)
    c.has_sack = options.is_sack_permitted
    if options.shift is not None:
        c.send_shift = options.shift
        c.receive_shift = c.context.shift
    if options.timestamp is not None and settings.timestamps:
        c.has_timestamps = True
        c.timestamp_recent = options.timestamp
        c.timestamp_recent_at = now
    c.received_at = now
    c.resize()


def _acknowledge_syn(c: Connection, segment: Segment, now: float) -> None:
    """Our SYN has arrived; a round trip is seen if it was sent once (RFC 6298 3)."""
    if not c.rtt.backoff:
        c.rtt.add(max(now - c.timeout_from, 1e-6), now)
    else:
        c.rtt.fall_back()
    c.window_ack = c.initial + 1


def _complete_handshake(c: Connection, segment: Segment, number: int, now: float) -> bool:
    """Take the acknowledgement of our SYN-ACK; False: not to be taken further."""
    if number != c.initial + 1:
        refuse(c, segment)
        return False
    if c.listener is not None and c.listener.is_full:
        return False  # the peer says it again; by then the application may have accepted
    _acknowledge_syn(c, segment, now)
    is_syn = segment.flags & FLAG_SYN
    c.send_window = segment.window << (0 if is_syn else c.send_shift)
    c.max_send_window = max(c.max_send_window, c.send_window)
    c.establish(now)
    return True


def refuse(c: Connection, segment: Segment) -> None:
    """Reset what acknowledges something that we never sent."""
    c.context.send_stray(
        Outgoing(c.flow, c.local, c.remote, segment.acknowledgement, 0, FLAG_RST, 0, b"")
    )


# Text.


def _note_timestamp(c: Connection, options: Options, sequence: int, now: float) -> None:
    """Keep the timestamp that is to be echoed (RFC 7323 4.3)."""
    timestamp = options.timestamp
    if timestamp is None or not c.has_timestamps or sequence > c.last_ack_sent:
        return
    if not is_before(timestamp, c.timestamp_recent):
        c.timestamp_recent = timestamp
        c.timestamp_recent_at = now


def _take_text(c: Connection, segment: Segment, sequence: int, now: float) -> None:
    """Take payload and FIN, in order or not."""
    if c.state is _TIME_WAIT or c.state < _ESTABLISHED:
        return
    if c.peer_finish >= 0 and c.inbox.next > c.peer_finish:
        return  # nothing comes after a FIN
    payload = segment.payload
    end = sequence + len(payload)
    inbox = c.inbox
    if payload:
        if c.is_closed_by_us and end > inbox.next:
            c.reset(Reason.ABORTED)  # nobody will read it (RFC 1122 4.2.2.13)
            return
        _store(c, segment, sequence, now)
    if segment.flags & FLAG_FIN and c.peer_finish < 0 and end < max(inbox.edge, inbox.next + 1):
        c.peer_finish = end
    if 0 <= c.peer_finish <= inbox.next:
        _take_finish(c, now)
    elif segment.flags & FLAG_FIN:
        c.owe_ack()


def _store(c: Connection, segment: Segment, sequence: int, now: float) -> None:
    """Keep payload, and decide when it is acknowledged."""
    inbox = c.inbox
    payload = segment.payload
    memory = c.context.memory
    size = len(payload)
    piece = segment.segment_size or size
    if piece > c.largest:
        c.largest = piece
    if memory.used > memory.limit and (sequence > inbox.next or inbox.held > inbox.limit // 2):
        memory.used -= inbox.drop_islands()
        c.owe_ack()
        return
    before = inbox.next
    had_islands = inbox.beyond
    memory.used += inbox.store(sequence, payload)
    advanced = inbox.next - before
    if advanced:
        c.tell_readable()
    if had_islands or inbox.beyond or not advanced:
        # RFC 5681 4.2: at once; without SACK, one for each segment is what a peer counts.
        count = 1 if c.has_sack or advanced else min(-(-size // piece), _MAX_DUPLICATES)
        c.acks_owed = max(c.acks_owed, min(c.acks_owed + count, _MAX_DUPLICATES))
        c.quick_acks = max(c.quick_acks, _QUICK_AFTER_HOLE)
        c.wake()
        return
    c.unacked += advanced
    if c.quick_acks:
        c.quick_acks -= 1
        c.owe_ack()
    elif c.unacked >= 2 * c.largest or c.unacked >= inbox.limit >> 2:
        c.owe_ack()
    else:
        c.ack_at = min(c.ack_at, now + _ACK_DELAY)


def _take_finish(c: Connection, now: float) -> None:
    """Take the peer's FIN, which is next, and say so."""
    c.inbox.next += 1
    c.inbox.edge = max(c.inbox.edge, c.inbox.next)
    c.owe_ack()
    if not c.is_closed_by_us:
        c.context.emit(PeerFinished(c.id))  # before the end of the connection, if that is here, too
    c.enter(Input.FIN)
    if c.state is _TIME_WAIT:
        c.life_at = now + c.context.settings.time_wait


def reset_for(segment: Segment) -> Outgoing | None:
    """Return the reset that a segment to nobody is answered with (RFC 9293 3.10.7.1)."""
    if segment.flags & FLAG_RST:
        return None
    local, remote = segment.local, segment.remote
    if segment.flags & FLAG_ACK:
        number = segment.acknowledgement
        return Outgoing(segment.flow, local, remote, number, 0, FLAG_RST, 0, b"")
    length = len(segment.payload) + (segment.flags & FLAG_FIN) + (segment.flags & FLAG_SYN > 0)
    number = segment.sequence + length & MASK
    return Outgoing(segment.flow, local, remote, 0, number, FLAG_RST | FLAG_ACK, 0, b"")
