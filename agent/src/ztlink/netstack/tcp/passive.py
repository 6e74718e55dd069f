"""Connections that peers open: what a listener does with a segment (RFC 9293 3.10.7.2).

As many handshakes are remembered as the settings say; beyond that, SYN cookies answer, and the
acknowledgement that brings one back makes the connection.
"""

from typing import Final

from ztlink.inet.tcp import FLAG_ACK, FLAG_SYN
from ztlink.netstack.segment import Outgoing, Segment
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.arrival import take_syn
from ztlink.netstack.tcp.connection import DEFAULT_MSS, HEADERS, MIN_MSS, Connection
from ztlink.netstack.tcp.context import Context
from ztlink.netstack.tcp.listener import Listener
from ztlink.netstack.tcp.options import MAX_SHIFT, read_options, syn_options
from ztlink.netstack.tcp.state import Input
from ztlink.netstack.tcp.unguessable import STAMP_MASK, Secrets, read_stamp, stamp_options

COOKIE_TIME: Final = 128.0
"""How long after the last cookie that was sent an acknowledgement may bring one."""
_TICKS: Final = 1000


def begin(c: Connection, listener: Listener, segment: Segment, now: float) -> None:
    """Remember a SYN, and answer it."""
    c.listener = listener
    listener.half_open[c.id] = None
    take_syn(c, segment, now)
    c.enter(Input.SYN)
    c.is_syn_owed = True
    c.loss_at = now + c.rtt.current
    c.wake()


def answer_with_cookie(
    context: Context, secrets: Secrets, listener: Listener, segment: Segment, mtu: int, now: float
) -> None:
    """Answer a SYN without remembering it."""
    local, remote = segment.local, segment.remote
    options = read_options(segment.options)
    listener.cookies_until = now + COOKIE_TIME
    said = options.mss or DEFAULT_MSS[local.ip.version]
    initial = secrets.cookie(segment.flow, segment.sequence, said, now)
    timestamps = None
    shift = None
    has_sack = False
    if options.timestamp is not None and context.settings.timestamps:
        has_sack, shift = options.is_sack_permitted, options.shift
        stamp = stamp_options(int(now * _TICKS), has_sack=has_sack, shift=shift)
        timestamps = (stamp, options.timestamp)
    reply = syn_options(
        mtu - HEADERS[local.ip.version],
        None if shift is None else context.shift,
        sack=has_sack,
        timestamps=timestamps,
    )
    number = segment.sequence + 1 & MASK
    window = _cookie_window(context)
    flags = FLAG_SYN | FLAG_ACK
    context.send_stray(Outgoing(segment.flow, local, remote, initial, number, flags, window, reply))


def _cookie_window(context: Context) -> int:
    return min(context.settings.receive_buffer, 0xFFFF)


def restore(c: Connection, listener: Listener, segment: Segment, mss: int, now: float) -> None:
    """Make a connection what it would be had its SYN been remembered instead of a cookie sent."""
    context = c.context
    options = read_options(segment.options)
    c.listener = listener
    listener.half_open[c.id] = None
    c.peer_mss = max(mss, MIN_MSS)
    c.peer_initial = segment.sequence - 1 & MASK
    inbox = c.inbox
    inbox.next = c.last_ack_sent = c.peer_initial + 1
    inbox.edge = inbox.next + _cookie_window(context)
    c.window_sequence = c.peer_initial
    if options.timestamp is not None and options.echo and context.settings.timestamps:
        c.has_timestamps = True
        c.timestamp_recent = options.timestamp
        c.timestamp_recent_at = now
        c.timestamp_offset = (options.echo | STAMP_MASK) + 1 - int(now * _TICKS) & MASK
        c.has_sack, shift = read_stamp(options.echo)
        if shift is not None:
            c.send_shift = min(shift, MAX_SHIFT)
            c.receive_shift = context.shift
    c.resize()
    c.enter(Input.SYN)
    c.rtt.back_off()  # no round trip was seen
