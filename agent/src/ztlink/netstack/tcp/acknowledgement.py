"""What an acceptable acknowledgement does: progress, losses, the window, the next time-out.

Recovery is RFC 6675's: what is known to be lost is sent again as the window lets it, then new
data. What is lost is told by time (RFC 8985) where the peer has SACK, else by three duplicates
(RFC 6582).
"""

from math import inf
from typing import Final

from ztlink.netstack.segment import Segment
from ztlink.netstack.seqnum import HALF, MASK, is_before, unwrap
from ztlink.netstack.tcp.connection import Connection, LossTimer, Probe
from ztlink.netstack.tcp.flight import DUPLICATES, Sample
from ztlink.netstack.tcp.options import Options
from ztlink.netstack.tcp.state import Input, State

_MAX_ACK_DELAY: Final = 0.05
"""What a peer may wait before it acknowledges a lone segment; ours waits 40 ms."""
_MIN_PROBE: Final = 0.001
MAX_PROBES: Final = 4
_FEW: Final = 3
_SHORT: Final = 16
"""So many round trips in a time-out make room for a second probe at once."""
_QUICK_TIME: Final = 1.0
"""Seconds after a loss in which a peer is thought to acknowledge at once, as ours does."""
_TICK: Final = 0.001
# As globals: a member of an enumeration takes longer to find.
_CLOSED: Final = State.CLOSED
_TIME_WAIT: Final = State.TIME_WAIT
_FIN_WAIT_2: Final = State.FIN_WAIT_2
_PERSIST: Final = LossTimer.PERSIST
_TIMEOUT: Final = LossTimer.TIMEOUT
_REORDERING: Final = LossTimer.REORDERING
_PROBE: Final = LossTimer.PROBE
_TAIL: Final = Probe.TAIL


def take_acknowledgement(
    c: Connection, segment: Segment, options: Options, sequence: int, number: int, now: float
) -> None:
    """Take an acknowledgement of what was sent; `number` may be an old one.

    It and `sequence`, the segment's own, are unwrapped.
    """
    flight = c.flight
    if number > flight.una or (options.blocks and flight.records):
        _take_news(c, options, number, now)
    elif number == flight.una and flight.records and not c.has_sack and _is_duplicate(c, segment):
        _count_duplicate(c, now)
    update_window(c, segment, sequence, number, now)
    if flight.lost or flight.next < c.end_of_stream:
        c.wake()


def _is_duplicate(c: Connection, segment: Segment) -> bool:
    """Tell whether an acknowledgement is a duplicate in the sense of RFC 5681 2."""
    return not segment.payload and segment.window << c.send_shift == c.send_window


def _take_news(c: Connection, options: Options, number: int, now: float) -> None:
    flight = c.flight
    before = flight.una
    sample = Sample(now, flight.in_flight, c.rtt.least)
    if number > before:
        flight.acknowledge(number, sample)
    is_in_vain = bool(options.blocks) and c.has_sack and _take_blocks(c, options, sample)
    if not sample.acked and not is_in_vain:
        return
    c.probes = 0
    flight.finish_sample(sample)
    _sample_round_trip(c, options, sample, now)
    if number > before:
        _advance(c, options, number, now)
        if c.state is _CLOSED or c.state is _TIME_WAIT:
            return
    if is_in_vain:
        _learn_from_vain(c, options, now)
    reordering_at = inf
    if c.has_sack and (flight.sacked or flight.repeated):
        reordering_at = find_losses(c, sample, now)
    elif c.recovery_point > number > before and not c.has_timed_out and not flight.lost:
        flight.lose_first(flight.mss)  # a partial acknowledgement (RFC 6582 3.2)
        c.is_repeat_due = True
    sample.in_flight = flight.in_flight
    sample.is_recovering = c.recovery_point >= 0 and not c.has_timed_out
    c.control.on_ack(sample)
    _leave_recovery(c, now)
    arm(c, now, reordering_at)


def _take_blocks(c: Connection, options: Options, sample: Sample) -> bool:
    """Mark what is acknowledged selectively; tell whether something had come twice (RFC 2883)."""
    flight = c.flight
    una, limit = flight.una, flight.next
    blocks = [(unwrap(first, una), unwrap(last, una)) for first, last in options.blocks]
    start, end = blocks[0]
    is_in_vain = start < end <= una
    if not is_in_vain and len(blocks) > 1:
        is_in_vain = blocks[1][0] <= start and end <= blocks[1][1]
    for start, end in sorted(blocks):  # else, what arrived in order would look reordered
        if una <= start < end <= limit:
            flight.mark_sacked(start, end, sample)
    return is_in_vain


def _sample_round_trip(c: Connection, options: Options, sample: Sample, now: float) -> None:
    """Take the round trip: by our own notes or, where much was sent twice, by the timestamps.

    Where acknowledgements were lost, what arrived long ago may be told only now; the echo tells
    what was answered.
    """
    if sample.acked and (not sample.rtt or c.recovery_point >= 0) and options.echo:
        ticks = c.timestamp(now) - options.echo & MASK
        by_echo = (ticks + 1) * _TICK
        if c.has_timestamps and ticks < HALF and (not sample.rtt or by_echo < sample.rtt):
            sample.rtt = by_echo
    if sample.rtt:
        c.rtt.add(sample.rtt, now)
    sample.least = c.rtt.least


def _advance(c: Connection, options: Options, number: int, now: float) -> None:
    """Move UNA: release what is acknowledged, FIN included."""
    c.progress_at = c.timeout_from = now
    if not c.flight.records:
        c.context.senders.discard(c.id)
    outbox = c.outbox
    upto = min(number, outbox.end)
    if upto > outbox.start:
        c.context.memory.used -= outbox.release(upto)
        c.tell_writable()
    if c.has_timed_out and c.timed_out_at:
        _undo_if_early(c, options)
    if 0 <= c.probe_end <= number:
        _finish_probe(c, now)
    if c.is_finishing and number > outbox.end:
        c.enter(Input.FIN_ACKNOWLEDGED)
        if c.state is _TIME_WAIT:
            c.life_at = now + c.context.settings.time_wait
        elif c.state is _FIN_WAIT_2 and c.is_closed_by_us:
            c.life_at = now + c.context.settings.finish_timeout


def _undo_if_early(c: Connection, options: Options) -> None:
    """End a time-out that came too early: the peer echoes what was sent before it (RFC 3522)."""
    stamp = c.timestamp(c.timed_out_at)
    c.timed_out_at = 0.0
    if options.timestamp is not None and options.echo and is_before(options.echo, stamp):
        c.flight.find_lost()
        c.recovery_point = -1
        c.has_timed_out = False
        c.control.undo()


def _finish_probe(c: Connection, now: float) -> None:
    """Take the acknowledgement of a tail loss probe: what it repeated was lost, unless in vain."""
    c.probe_end = -1
    if c.is_probe_repeated and c.recovery_point < 0:
        c.control.on_loss(c.flight.in_flight, now)
        c.control.on_recovered(now)
    c.is_probe_repeated = False


def _learn_from_vain(c: Connection, options: Options, now: float) -> None:
    """Something was sent again that had arrived: wait longer, and undo if all was in vain."""
    if c.is_probe_repeated:
        c.flight.widen_reordering()
        c.is_probe_repeated = False
        c.probe_end = -1
        return
    first = options.blocks[0]
    if c.unproven > 0:  # else the network doubled it
        c.flight.widen_reordering()
        c.unproven -= first[1] - first[0] & MASK
        if c.unproven <= 0:
            c.control.undo()
            c.unproven = 0


def find_losses(c: Connection, sample: Sample | None, now: float) -> float:
    """Mark what is lost by now, and begin recovery if it is news; return when to look again."""
    flight, rtt = c.flight, c.rtt
    window = flight.reordering_window(rtt.least, rtt.smoothed, is_recovering=c.recovery_point >= 0)
    before, prior = flight.lost, flight.in_flight
    at = flight.detect_losses(now, window)
    lost = flight.lost - before
    if lost > 0:
        if sample is not None:
            sample.lost = lost
            prior = sample.prior_in_flight
        enter_recovery(c, prior, now)
    return at


def enter_recovery(c: Connection, in_flight: int, now: float) -> None:
    """Something is lost: reduce once per round trip (RFC 6675 5)."""
    c.quick_until = now + max(_QUICK_TIME, 10 * c.rtt.smoothed)
    if c.recovery_point < 0:
        c.recovery_point = c.flight.next
        c.unproven = 0
        c.is_repeat_due = True
        c.control.on_loss(in_flight, now)
    c.wake()


def _leave_recovery(c: Connection, now: float) -> None:
    if 0 <= c.recovery_point <= c.flight.una:
        c.recovery_point = -1
        c.has_timed_out = False
        c.flight.end_recovery()
        c.control.on_recovered(now)


def _count_duplicate(c: Connection, now: float) -> None:
    """Take a duplicate acknowledgement of a peer without SACK (RFC 5681 3.2)."""
    flight = c.flight
    in_flight = flight.next - flight.una
    if flight.count_duplicate() == DUPLICATES and c.recovery_point < 0:
        flight.lose_first(flight.mss)
        enter_recovery(c, in_flight, now)
        arm(c, now, inf)


def update_window(c: Connection, segment: Segment, sequence: int, number: int, now: float) -> None:
    """Take the peer's window from the newest segment (RFC 9293 3.10.7.4, SND.WL1 and WL2)."""
    is_old = sequence == c.window_sequence and number < c.window_ack
    if sequence < c.window_sequence or is_old or number < c.flight.una:
        return
    c.window_sequence = sequence
    c.window_ack = number
    window = segment.window << c.send_shift
    flight = c.flight
    is_open = flight.records and c.send_window
    was_closed = c.send_window < flight.in_flight if is_open else not c.send_window
    if window == c.send_window:
        if was_closed and not c.is_closed_by_us:
            c.progress_at = now  # it lives, and says so: probing goes on for ever
        return
    if window and not c.send_window and flight.records:
        flight.lose_all()  # only a probe was on the way, and it met a closed window
        c.rtt.backoff = 0
        c.timeout_from = now
    c.send_window = window
    c.max_send_window = max(c.max_send_window, window)
    if was_closed:
        c.progress_at = now
        arm(c, now, inf)


def arm(c: Connection, now: float, reordering_at: float) -> None:
    """Set the one timer of sent data."""
    flight = c.flight
    if not flight.records:
        c.loss_timer = _PERSIST
        is_blocked = c.has_something_to_send and c.send_window < min(flight.mss, c.unsent or 1)
        c.loss_at = now + c.rtt.current if is_blocked else inf
        return
    timeout_at = c.timeout_from + c.rtt.current
    c.loss_at = timeout_at
    c.loss_timer = _TIMEOUT
    if reordering_at < timeout_at:
        c.loss_at = reordering_at
        c.loss_timer = _REORDERING
    elif may_probe(c):
        probe_at = now + probe_delay(c, now)
        if probe_at < timeout_at:
            c.loss_at = probe_at
            c.loss_timer = _PROBE


def may_probe(c: Connection) -> bool:
    """Tell whether silence is answered by a probe, before the time-out is (RFC 8985 7.2).

    Where round trips are much shorter than the least time-out, and much is lost, one probe is too
    few: some more follow, at doubled distances, and in recovery, too (as in RFC 9002 6.2).
    """
    return (
        c.has_sack
        and c.probes < MAX_PROBES
        and c.probe is not _TAIL
        and c.rtt.smoothed > 0
        and c.send_window > 0
    )


def probe_delay(c: Connection, now: float) -> float:
    """Return how long after the last sign of life the tail is probed for."""
    rtt = c.rtt
    delay = 2 * rtt.smoothed
    in_flight, mss = c.flight.in_flight, c.flight.mss
    if c.recovery_point >= 0 or now < c.quick_until:
        if in_flight <= _FEW * mss:  # too few to tell a loss by what comes behind it
            delay = min(delay, rtt.smoothed + max(4 * rtt.variation, rtt.smoothed / 4))
    elif in_flight <= mss:
        delay += _MAX_ACK_DELAY
    if c.probes:
        is_short = _SHORT * rtt.smoothed < rtt.timeout
        delay *= 1 << c.probes - is_short
    return max(delay, _MIN_PROBE)
