"""What time does to a connection: one deadline, several reasons."""

from math import inf
from typing import Final

from ztlink.netstack.events import Reason
from ztlink.netstack.tcp.acknowledgement import arm, find_losses
from ztlink.netstack.tcp.connection import Connection, LossTimer, Probe
from ztlink.netstack.tcp.state import Input, State

HALF_OPEN_TIME: Final = 60.0
"""How long a peer may take to complete a handshake that it began."""


def handle_timer(c: Connection, now: float) -> None:
    """Do what is due; early is harmless."""
    if c.loss_at <= now:
        _on_loss_timer(c, now)
    if c.ack_at <= now:
        c.ack_at = inf
        c.owe_ack()
    if c.life_at <= now:
        c.life_at = inf
        _on_life_timer(c, now)
    if c.has_something_to_send and c.send_at <= now:
        c.wake()


def _on_loss_timer(c: Connection, now: float) -> None:
    c.loss_at = inf
    if c.state <= State.SYN_RECEIVED:
        _repeat_syn(c, now)
    elif c.loss_timer is LossTimer.REORDERING:
        arm(c, now, find_losses(c, None, now))
    elif c.loss_timer is LossTimer.PROBE:
        c.probe = Probe.TAIL
        c.probes += 1
        if c.probes == 1:
            c.timeout_from = now
        arm(c, now, inf)
        c.wake()
    elif c.loss_timer is LossTimer.PERSIST:
        _probe_window(c, now)
    elif c.timeout_from + c.rtt.current > now:
        arm(c, now, inf)  # the peer was heard since it was set
    else:
        _time_out(c, now)


def _repeat_syn(c: Connection, now: float) -> None:
    """Send SYN or SYN-ACK again, until the peer has had its time."""
    limit = c.context.settings.connect_timeout
    if c.state is State.SYN_RECEIVED and c.listener is not None:
        limit = min(limit, HALF_OPEN_TIME)
    if now - c.progress_at >= limit:
        c.end(c.trouble or Reason.TIMED_OUT)
        return
    c.rtt.back_off()
    c.is_syn_owed = True
    c.loss_at = min(now + c.rtt.current, c.progress_at + limit)
    c.wake()


def _probe_window(c: Connection, now: float) -> None:
    """Probe a closed window, while nothing is in flight that would make the peer answer."""
    if not c.has_something_to_send or c.flight.records:
        arm(c, now, inf)
        return
    c.probe = Probe.WINDOW
    c.wake()


def _time_out(c: Connection, now: float) -> None:
    """Nothing was acknowledged in time (RFC 6298 5.4 to 5.7)."""
    flight = c.flight
    if not flight.records:
        return
    if now - c.progress_at >= c.user_timeout:
        c.end(c.trouble or Reason.TIMED_OUT)
        return
    is_closed = c.send_window < flight.in_flight or not c.send_window
    c.rtt.back_off()
    c.timeout_from = now
    c.probe_end = -1
    c.is_probe_repeated = False
    if is_closed and not flight.lost:
        # The window closed over what was sent, or it was a probe: the path is not to blame.
        flight.lose_first(flight.mss)
    else:
        if not c.has_timed_out:
            c.control.on_timeout(flight.in_flight, now)
            c.timed_out_at = now
        else:
            c.timed_out_at = 0.0
        flight.lose_all()
        c.recovery_point = flight.next
        c.has_timed_out = True
        c.unproven = 0
    c.send_at = 0.0
    arm(c, now, inf)
    c.wake()


def _on_life_timer(c: Connection, now: float) -> None:
    """Keep-alive is due, or a state has lasted long enough."""
    if c.state is State.TIME_WAIT:
        c.enter(Input.EXPIRED)
    elif c.is_closed_by_us and c.state >= State.FIN_WAIT_1:
        c.reset(Reason.TIMED_OUT)
    elif c.keep_alive and c.state >= State.ESTABLISHED:
        _keep_alive(c, now)


def _keep_alive(c: Connection, now: float) -> None:
    """Ask a silent peer for a sign of life (RFC 9293 3.8.4)."""
    settings = c.context.settings
    due = c.received_at + c.keep_alive
    if due > now:
        c.life_at = due
        return
    if c.keep_alive_probes >= settings.keep_alive_count:
        c.reset(Reason.TIMED_OUT)
        return
    c.life_at = now + settings.keep_alive_interval
    if not c.flight.records:  # else retransmissions ask
        c.keep_alive_probes += 1
        c.probe = c.probe or Probe.ALIVE
        c.wake()
