"""How much a paced connection sends in one go: a super-segment costs the same, large or small."""

import pytest

from tests.unit.netstack.tcp.rig import ACK, MSS, RST, Rig
from ztlink.netstack.events import ConnectionId
from ztlink.netstack.segment import Outgoing
from ztlink.netstack.tcp.connection import Connection
from ztlink.netstack.tcp.settings import TcpSettings

RATE = 10_000_000.0
"""Bytes per second: ten segments in a millisecond."""
WINDOW = 1 << 20
SETTINGS = TcpSettings(timestamps=False, send_buffer=WINDOW)


def paced(window: int = WINDOW) -> tuple[Rig, Connection]:
    """Return a connection over a short path, of a rate and a window that stay; it owes nothing."""
    rig = Rig(SETTINGS, shift=7)
    rig.window = WINDOW >> 7
    rig.connect(round_trip=0.004)
    rig.receive(ACK)
    c = rig.layer.connections[rig.id]
    c.control.rate, c.control.window = RATE, window
    c.send_at = rig.mono
    return rig, c


def segments(outgoing: list[Outgoing]) -> list[int]:
    return [one.size // MSS for one in outgoing if one.size]


def test_one_connection_sends_each_millisecond() -> None:
    rig, _ = paced()
    assert segments(rig.write(bytes(WINDOW))) == [10]
    assert segments(rig.advance(0.00501)) == [10, 10, 10, 10, 10]


@pytest.mark.parametrize(("count", "most"), [(2, 20), (4, 40), (5, 50), (8, 50)])
def test_connections_that_send_at_once_do_so_less_often(count: int, most: int) -> None:
    rig, c = paced()
    c.context.senders.update(ConnectionId(1000 + number) for number in range(count))
    assert segments(rig.write(bytes(WINDOW))) == [most]


def test_who_is_called_late_sends_what_it_is_behind_with() -> None:
    rig, _ = paced()
    rig.write(bytes(WINDOW))
    rig.mono += 0.001 + 0.00401
    rig.layer.handle_timer(rig.now)
    assert segments(rig.drain()) == [50]


def test_what_another_limit_kept_back_is_made_good_for_two_milliseconds() -> None:
    rig, c = paced(window=10 * MSS)
    rig.write(bytes(WINDOW))
    rig.mono += 0.001 + 0.004
    rig.layer.handle_timer(rig.now)
    assert segments(rig.drain()) == []
    c.control.window = WINDOW
    c.wake()
    assert segments(rig.drain()) == [30]


def test_a_paced_connection_waits_for_room_for_what_it_sends_in_one_go() -> None:
    rig, c = paced(window=18 * MSS)
    assert segments(rig.write(bytes(WINDOW))) == [10]
    rig.mono += 0.001
    rig.layer.handle_timer(rig.now)
    assert segments(rig.drain()) == []
    c.control.window = 20 * MSS
    c.wake()
    assert segments(rig.drain()) == [10]


def test_nobody_sends_where_nothing_is_on_the_way() -> None:
    rig, c = paced()
    rig.write(bytes(MSS))
    assert c.context.senders == {rig.id}
    rig.receive(ACK)
    assert not c.context.senders


def test_a_connection_that_is_reset_sends_no_more() -> None:
    rig, c = paced()
    rig.write(bytes(MSS))
    rig.receive(RST)
    assert not c.context.senders
