"""What must always be so, whatever segments and applications do."""

from itertools import pairwise
from math import inf

from ztlink.netstack.tcp.connection import Connection
from ztlink.netstack.tcp.layer import TcpLayer
from ztlink.netstack.tcp.state import State


def check_layer(layer: TcpLayer) -> None:
    """Check every connection, and what they share."""
    held = 0
    for c in layer.connections.values():
        check_connection(c)
        held += len(c.outbox) + c.inbox.held + c.inbox.beyond
        if c.flight.records or c.state in (State.SYN_SENT, State.SYN_RECEIVED):
            timer = layer.get_timer()
            assert c.is_ready or (timer is not None and timer <= c.loss_at), "no timer is armed"
    assert layer.memory.used == held


def check_connection(c: Connection) -> None:
    """Check the numbers of one connection."""
    flight, inbox, outbox = c.flight, c.inbox, c.outbox
    assert flight.una <= flight.next <= c.end_of_stream
    assert inbox.next <= inbox.edge
    assert inbox.held <= inbox.edge - c.peer_initial
    records = flight.records
    if records:
        assert records[0].start == flight.una
        assert records[-1].end == flight.next
        assert all(a.end == b.start for a, b in pairwise(records))
        assert all(r.start < r.end for r in records)
        assert not any(r.is_sacked and r.is_lost for r in records)
    elif c.state not in (State.CLOSED, State.TIME_WAIT):
        assert flight.una == flight.next
    if c.has_sack or not records:
        assert flight.sacked == sum(r.end - r.start for r in records if r.is_sacked)
    assert flight.lost == sum(r.end - r.start for r in records if r.is_lost)
    assert flight.in_flight >= 0 or not records
    if records:
        assert outbox.start == min(flight.una, outbox.end)
        assert c.loss_at < inf or c.is_ready, "data is outstanding and nothing will happen"
    assert c.control.window > 0
