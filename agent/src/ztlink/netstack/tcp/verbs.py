"""What an application does with a connection."""

from math import inf
from typing import Final

from ztlink.errors import LocalProtocolError
from ztlink.netstack.events import Reason
from ztlink.netstack.tcp.acknowledgement import arm
from ztlink.netstack.tcp.connection import Connection
from ztlink.netstack.tcp.settings import ConnectionOptions
from ztlink.netstack.tcp.state import Input, State

_MIN_BUFFER: Final = 2048
_MIN_GROWTH_TIME: Final = 0.001
# As globals: a member of an enumeration takes longer to find.
_CLOSED: Final = State.CLOSED
_ESTABLISHED: Final = State.ESTABLISHED
_FIN_WAIT_2: Final = State.FIN_WAIT_2
_TIME_WAIT: Final = State.TIME_WAIT
_SYN_SENT: Final = State.SYN_SENT


def write(c: Connection, data: bytes | bytearray | memoryview, now: float) -> int:
    """Take bytes to send; return how many."""
    if c.is_finishing or c.is_closed_by_us:
        raise LocalProtocolError(f"write: connection {c.id} was shut down for sending")
    if c.state is _CLOSED:
        raise LocalProtocolError(f"write: connection {c.id} is closed")
    memory = c.context.memory
    if not c.is_fixed_send and c.send_limit < 2 * c.control.window and not memory.is_tight:
        c.send_limit = min(2 * c.control.window, c.context.settings.max_send_buffer)
    view = memoryview(data)
    if view.itemsize != 1 or view.ndim != 1:
        view = view.cast("B")
    size = len(view)
    taken = max(min(size, c.send_limit - len(c.outbox), memory.free), 0)
    if taken < size:
        c.is_write_short = True
        if taken == memory.free:
            memory.starving[c.id] = None
        if not taken:
            return 0
        view = view[:taken]
    elif not size:
        return 0
    c.outbox.append(view)
    memory.used += taken
    c.wake()
    return taken


def read(c: Connection, limit: int, now: float) -> bytes | memoryview:
    """Take out up to `limit` bytes; offer the peer what becomes free, where it is worth it."""
    inbox = c.inbox
    c.is_told_readable = False
    before = inbox.held
    if not before:
        return b""
    data = inbox.read(limit)
    c.context.memory.used -= before - inbox.held
    if c.state < _ESTABLISHED or c.state > _FIN_WAIT_2:
        return data
    if now >= c.growth_at and not c.is_fixed_receive:
        _grow(c, now)
    offered = inbox.edge - inbox.next
    limit = inbox.limit
    if offered < limit >> 1:
        gain = limit - inbox.held - offered
        if gain >= max(min(limit >> 1, c.mss), limit >> 2):
            c.owe_ack()
    return data


def _grow(c: Connection, now: float) -> None:
    """Let the receive buffer be twice what the application reads in a round trip."""
    inbox = c.inbox
    settings = c.context.settings
    consumed = inbox.next - inbox.held
    taken = consumed - c.growth_next
    if 2 * taken > inbox.limit and not c.context.memory.is_tight:
        inbox.limit = max(min(2 * taken, settings.max_receive_buffer), inbox.limit)
    c.growth_next = consumed
    c.growth_at = now + max(c.rtt.least, _MIN_GROWTH_TIME)


def shutdown(c: Connection, now: float) -> None:
    """Send FIN after what was written."""
    if c.is_finishing or c.state is _CLOSED:
        return
    c.is_finishing = True
    if c.state >= _ESTABLISHED:
        c.enter(Input.FINISH)
    c.wake()


def close(c: Connection, now: float) -> None:
    """Be done both ways."""
    if c.is_closed_by_us:
        return
    c.is_closed_by_us = True
    if c.state is _CLOSED or c.state is _TIME_WAIT:
        c.let_go()
        return
    if c.state is _SYN_SENT or c.inbox.held or c.linger == 0:
        c.reset(Reason.ABORTED)
        return
    shutdown(c, now)
    if c.linger > 0:
        c.life_at = now + c.linger
    elif c.state is _FIN_WAIT_2:
        c.life_at = now + c.context.settings.finish_timeout


def set_options(c: Connection, options: ConnectionOptions, now: float) -> None:
    """Change what is not None."""
    if options.no_delay is not None:
        c.is_no_delay = options.no_delay
    if options.keep_alive is not None:
        _set_keep_alive(c, options.keep_alive, now)
    if options.user_timeout is not None:
        c.user_timeout = options.user_timeout
    if options.linger is not None:
        c.linger = options.linger
    if options.send_buffer is not None:
        c.is_fixed_send = True
        c.send_limit = max(options.send_buffer, _MIN_BUFFER)
    if options.receive_buffer is not None:
        c.is_fixed_receive = True
        c.inbox.limit = max(options.receive_buffer, _MIN_BUFFER)
    if options.congestion_control is not None:
        c.control_kind = options.congestion_control
        if c.state >= _ESTABLISHED:
            c.start_control(now)
    arm_if_idle(c, now)


def _set_keep_alive(c: Connection, idle: float, now: float) -> None:
    c.keep_alive = max(idle, 0.0)
    c.keep_alive_probes = 0
    if c.state is _TIME_WAIT or c.is_closed_by_us:
        return
    c.life_at = max(c.received_at, now) + idle if idle > 0 else inf


def arm_if_idle(c: Connection, now: float) -> None:
    """Wake it where an option may let it send."""
    if c.has_something_to_send and c.state >= _ESTABLISHED:
        c.wake()
        if not c.flight.records:
            arm(c, now, inf)
