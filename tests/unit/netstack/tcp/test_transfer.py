from dataclasses import replace

import pytest

from tests.unit.netstack.tcp.rig import (
    ACK,
    MSS,
    PSH,
    RENO,
    Rig,
    data_of,
    described,
    options_of,
    rig_in,
)
from ztlink.errors import LocalProtocolError
from ztlink.netstack.events import Readable, Writable
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.settings import ConnectionOptions
from ztlink.netstack.tcp.state import State

WINDOW = 10 * MSS
"""The initial congestion window."""


def test_what_is_written_goes_out_as_one_super_segment() -> None:
    rig = rig_in(State.ESTABLISHED)
    (out,) = rig.write(b"a" * 3500)
    assert (out.size, out.segment_size) == (3500, MSS)
    assert data_of(out) == b"a" * 3500
    assert described(out) == "PA"


def test_a_small_write_is_a_single_segment() -> None:
    rig = rig_in(State.ESTABLISHED)
    (out,) = rig.write(b"hello")
    assert (out.size, out.segment_size) == (5, 0)


def test_pushed_is_what_ends_the_data() -> None:
    rig = rig_in(State.ESTABLISHED)
    (out,) = rig.write(b"a" * (WINDOW + 1))
    assert out.size == WINDOW
    assert not out.flags & PSH


def test_many_segments_are_in_flight_at_once() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"a" * 50_000)
    assert sum(out.size for _, out in rig.sent) == WINDOW


def test_an_acknowledgement_lets_more_out() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"a" * 50_000)
    rig.mono += 0.1
    out = rig.receive(ACK)
    assert sum(segment.size for segment in out) == 2 * WINDOW


def test_a_super_segment_is_no_longer_than_set() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, max_payload=3500))
    out = rig.write(b"a" * 9000)
    assert [segment.size for segment in out] == [3000, 3000, 3000]


def test_a_pull_returns_about_what_was_asked_for() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.write(rig.id, b"a" * 9000, rig.now)
    out = rig.layer.transmits(2500, rig.now)
    assert [segment.size for segment in out] == [2000]
    assert rig.layer.has_output()


def test_the_rest_of_the_room_is_not_filled_with_crumbs() -> None:
    rig = Rig(replace(RENO, max_payload=5000))
    rig.connect()
    rig.layer.write(rig.id, b"a" * 9000, rig.now)
    assert [segment.size for segment in rig.layer.transmits(21_000, rig.now)] == [5000]


def test_nothing_is_pulled_without_room() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.write(rig.id, b"a" * 9000, rig.now)
    assert rig.layer.transmits(0, rig.now) == []
    assert rig.layer.has_output()


def test_connections_take_turns() -> None:
    rig = Rig(replace(RENO, max_payload=2000))
    rig.connect()
    first = rig.id
    rig.local = replace(rig.local, port=81)
    rig.connect()
    second = rig.id
    for connection in (first, second):
        rig.layer.write(connection, b"a" * 6000, rig.now)
    ports = [out.local.port for out in rig.drain()]
    assert ports == [80, 81, 80, 81, 80, 81]


def test_bytes_that_arrive_are_told_once_until_read() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"one")
    rig.receive(ACK, data=b"two")
    assert rig.pop_events() == [Readable(rig.id)]
    assert rig.layer.readable(rig.id) == 6
    assert rig.read() == b"onetwo"
    rig.receive(ACK, data=b"three")
    assert rig.pop_events() == [Readable(rig.id)]


def test_numbers_may_wrap_within_a_transfer() -> None:
    rig = rig_in(State.ESTABLISHED)
    for _ in range(10):
        rig.receive(ACK, data=b"x" * 100)
    assert rig.peer < 1000
    assert rig.read() == b"x" * 1000


def test_a_joined_super_segment_is_taken_whole() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.window = 65_535
    rig.receive(ACK, data=b"x" * 30_500, size=1000)
    assert rig.layer.readable(rig.id) == 30_500


def test_the_payload_is_copied() -> None:
    rig = rig_in(State.ESTABLISHED)
    data = bytearray(b"x" * 5000)
    rig.receive(ACK, data=data)  # type: ignore[arg-type] # a borrowed buffer
    data[:] = bytes(5000)
    assert rig.read() == b"x" * 5000


def test_a_write_takes_no_more_than_the_buffer_holds() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, send_buffer=20_000))
    assert rig.layer.write(rig.id, bytes(30_000), rig.now) == 20_000
    assert rig.layer.write(rig.id, b"x", rig.now) == 0


def test_room_is_told_once_there_is_enough_of_it() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, send_buffer=20_000))
    rig.layer.write(rig.id, bytes(30_000), rig.now)
    start = rig.ours
    rig.drain()
    rig.receive(ACK, ack=start + 1000)
    assert not rig.events
    rig.receive(ACK, ack=start + 10_000)
    assert rig.pop_events() == [Writable(rig.id)]


def test_the_send_buffer_grows_with_the_window() -> None:
    rig = rig_in(State.ESTABLISHED, replace(RENO, send_buffer=20_000))
    rig.window = 65_535
    for _ in range(4):
        rig.layer.write(rig.id, bytes(100_000), rig.now)
        rig.drain()
        rig.mono += 0.1
        rig.receive(ACK)
    assert rig.layer.unacknowledged(rig.id) > 40_000


def test_a_fixed_send_buffer_does_not_grow() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(send_buffer=5000), rig.now)
    assert rig.layer.write(rig.id, bytes(100_000), rig.now) == 5000
    rig.drain()
    rig.receive(ACK)
    assert rig.layer.write(rig.id, bytes(100_000), rig.now) == 5000


def test_what_was_never_sent_and_never_acknowledged_is_told() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"a" * (WINDOW + 5))
    assert rig.layer.unsent(rig.id) == 5
    assert rig.layer.unacknowledged(rig.id) == WINDOW + 5


def test_without_delay_small_segments_do_not_wait() -> None:
    rig = rig_in(State.ESTABLISHED)
    assert len(rig.write(b"one")) == 1
    assert len(rig.write(b"two")) == 1


def test_with_delay_small_segments_wait_for_an_acknowledgement() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(no_delay=False), rig.now)
    assert len(rig.write(b"one")) == 1
    assert rig.write(b"two") == []
    assert rig.write(b"three") == []
    assert [data_of(out) for out in rig.receive(ACK)] == [b"twothree"]


def test_with_delay_the_end_of_a_large_write_waits() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(no_delay=False), rig.now)
    rig.write(b"one")
    assert [out.size for out in rig.write(b"a" * 2500)] == [2000]


def test_with_delay_what_ends_the_stream_does_not_wait() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(no_delay=False), rig.now)
    rig.write(b"one")
    rig.write(b"two")
    assert [data_of(out) for out in rig.shutdown()] == [b"two"]


def test_an_idle_connection_awaits_nothing() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"x")
    rig.receive(ACK)
    rig.advance(10)
    assert rig.layer.get_timer() is None


def test_an_empty_write_is_nothing() -> None:
    rig = rig_in(State.ESTABLISHED)
    assert rig.layer.write(rig.id, b"", rig.now) == 0
    assert not rig.layer.has_output()


def test_a_write_after_shutdown_is_an_error() -> None:
    rig = rig_in(State.FIN_WAIT_1)
    with pytest.raises(LocalProtocolError, match="shut down"):
        rig.layer.write(rig.id, b"x", rig.now)


def test_wide_views_are_written_as_bytes() -> None:
    rig = rig_in(State.ESTABLISHED)
    assert rig.layer.write(rig.id, memoryview(bytes(8)).cast("I"), rig.now) == 8


def test_acknowledgements_ride_on_data() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"x" * 100)
    (out,) = rig.write(b"answer")
    assert out.acknowledgement == rig.peer


def test_timestamps_are_echoed() -> None:
    rig = Rig(replace(RENO, timestamps=True))
    rig.stamp = 500
    rig.connect()
    rig.stamp = 600
    rig.receive(ACK, data=b"x")
    (out,) = rig.write(b"y")
    assert options_of(out).echo == 600


def test_our_timestamps_are_milliseconds() -> None:
    rig = Rig(replace(RENO, timestamps=True))
    rig.stamp = 500
    rig.connect()
    (first,) = rig.write(b"x")
    rig.mono += 2
    (second,) = rig.write(b"y")
    before, after = options_of(first).timestamp, options_of(second).timestamp
    assert before is not None
    assert after is not None
    assert after - before & MASK == pytest.approx(2000, abs=1)
