"""How connections end: RFC 9293 3.6, RFC 1122 4.2.2.13, RFC 6191."""

from dataclasses import replace

import pytest

from tests.unit.netstack.tcp.rig import (
    ACK,
    FIN,
    RENO,
    RST,
    SYN,
    Rig,
    data_of,
    described,
    rig_in,
)
from ztlink.errors import LocalProtocolError
from ztlink.netstack.events import (
    ConnectFailed,
    ConnectionClosed,
    ConnectionReset,
    PeerFinished,
    Readable,
    Reason,
)
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.settings import ConnectionOptions, TcpSettings
from ztlink.netstack.tcp.state import State


def test_a_fin_follows_what_was_written() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.write(rig.id, b"last", rig.now)
    (out,) = rig.shutdown()
    assert (described(out), data_of(out)) == ("FPA", b"last")


def test_after_our_fin_we_still_receive() -> None:
    rig = rig_in(State.FIN_WAIT_2)
    rig.receive(ACK, data=b"answer")
    assert rig.pop_events() == [Readable(rig.id)]
    assert rig.read() == b"answer"


def test_an_answer_may_come_long_after_our_fin() -> None:
    rig = rig_in(State.FIN_WAIT_2)
    rig.advance(600)
    rig.receive(ACK, data=b"late")
    assert rig.read() == b"late"


def test_after_the_peers_fin_we_still_send() -> None:
    rig = rig_in(State.CLOSE_WAIT)
    (out,) = rig.write(b"answer")
    assert data_of(out) == b"answer"
    rig.receive(ACK)
    assert rig.layer.unacknowledged(rig.id) == 0


def test_the_peers_fin_is_told_after_its_data() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(FIN | ACK, data=b"bye")
    assert rig.pop_events() == [Readable(rig.id), PeerFinished(rig.id)]
    assert rig.read() == b"bye"


def test_a_fin_behind_a_hole_waits_for_the_hole() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(FIN | ACK, seq=rig.peer + 4, data=b"bye")
    assert rig.state() is State.ESTABLISHED
    rig.receive(ACK, seq=rig.peer, data=b"good")
    assert rig.state() is State.CLOSE_WAIT
    assert rig.read() == b"goodbye"


def test_nothing_counts_behind_a_fin() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(FIN | ACK, data=b"bye")
    rig.receive(ACK, data=b"ghost")
    assert rig.read() == b"bye"


def test_a_fin_that_came_before_is_acknowledged_again() -> None:
    rig = rig_in(State.CLOSE_WAIT)
    (ack,) = rig.receive(FIN | ACK, seq=rig.peer - 1)
    assert ack.acknowledgement == rig.peer


def test_both_sides_may_finish_at_once() -> None:
    rig = rig_in(State.CLOSING)
    rig.receive(ACK)
    assert rig.state() is State.TIME_WAIT
    assert rig.pop_events() == [ConnectionClosed(rig.id)]


def test_the_last_acknowledgement_closes() -> None:
    rig = rig_in(State.LAST_ACK)
    rig.receive(ACK)
    assert rig.pop_events() == [ConnectionClosed(rig.id)]
    assert rig.state() is State.CLOSED


def test_unread_bytes_can_be_read_when_all_is_over() -> None:
    rig = rig_in(State.FIN_WAIT_2)
    rig.receive(FIN | ACK, data=b"unread")
    rig.advance(60)
    assert rig.read() == b"unread"
    rig.close()
    with pytest.raises(LocalProtocolError):
        rig.read()


def test_a_fin_and_an_acknowledgement_of_ours_in_one_go_straight_to_time_wait() -> None:
    rig = rig_in(State.FIN_WAIT_1)
    rig.receive(FIN | ACK)
    assert rig.state() is State.TIME_WAIT


def test_our_fin_is_repeated_after_the_application_closed() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.close()
    rig.sent.clear()
    rig.advance(30)
    assert {described(out) for _, out in rig.sent} == {"FA"}
    assert len(rig.sent) >= 4


def test_a_fin_that_is_never_acknowledged_ends_in_a_reset() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.close()
    rig.advance(600)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]
    assert rig.layer.get_timer() is None


def test_data_and_fin_are_repeated_together() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.write(rig.id, b"last", rig.now)
    (first,) = rig.shutdown()
    rig.advance(1.0)
    again = rig.sent[-1][1]
    assert (again.sequence, described(again), data_of(again)) == (first.sequence, "FPA", b"last")


def test_a_passive_close_sends_a_fin() -> None:
    rig = rig_in(State.CLOSE_WAIT)
    (fin,) = rig.close()
    assert described(fin) == "FA"
    rig.receive(ACK)
    assert rig.pop_events() == [ConnectionClosed(rig.id)]


def test_close_with_unread_bytes_resets() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, data=b"unread")
    rig.pop_events()
    (reset,) = rig.close()
    assert described(reset) == "RA"
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.ABORTED)]


def test_data_after_close_is_reset() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.close()
    rig.receive(ACK)
    (reset,) = rig.receive(ACK, data=b"more")
    assert described(reset) == "RA"
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.ABORTED)]


def test_a_peer_that_never_finishes_is_left_after_a_minute() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.close()
    rig.receive(ACK)
    rig.advance(59)
    assert not rig.events
    rig.advance(2)
    assert described(rig.sent[-1][1]) == "RA"
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_close_in_fin_wait_2_waits_no_longer_than_that() -> None:
    rig = rig_in(State.FIN_WAIT_2)
    rig.close()
    rig.advance(61)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_close_of_an_attempt_ends_it() -> None:
    rig = rig_in(State.SYN_SENT)
    assert rig.close() == []
    assert rig.pop_events() == [ConnectFailed(rig.id, Reason.ABORTED)]
    assert rig.layer.get_timer() is None


def test_abort_resets_and_tells_nothing() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.abort(rig.id, rig.now)
    assert [described(out) for out in rig.drain()] == ["RA"]
    assert not rig.events
    with pytest.raises(LocalProtocolError):
        rig.read()


def test_abort_after_close_resets() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.close()
    rig.layer.abort(rig.id, rig.now)
    assert [described(out) for out in rig.drain()] == ["RA"]


def test_linger_of_zero_resets_at_close() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(linger=0), rig.now)
    assert [described(out) for out in rig.close()] == ["RA"]


def test_linger_bounds_the_time_after_close() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(linger=5), rig.now)
    rig.write(b"never acknowledged")
    rig.close()
    rig.advance(4.9)
    assert not rig.events
    rig.advance(0.2)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_a_reset_is_no_clean_end() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(RST)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.RESET)]


def test_a_reset_ends_the_pacing_too() -> None:
    rig = rig_in(State.ESTABLISHED, TcpSettings(timestamps=False))
    rig.write(b"x" * 100_000)
    assert rig.layer.get_timer() is not None
    rig.receive(RST)
    assert rig.layer.get_timer() is None
    assert rig.advance(10) == []


def test_time_wait_acknowledges_a_repeated_fin() -> None:
    rig = rig_in(State.TIME_WAIT)
    (ack,) = rig.receive(FIN | ACK, seq=rig.peer - 1)
    assert (described(ack), ack.acknowledgement) == ("A", rig.peer)


def test_a_repeated_fin_lengthens_time_wait() -> None:
    rig = rig_in(State.TIME_WAIT)
    rig.advance(9)
    rig.receive(FIN | ACK, seq=rig.peer - 1)
    rig.advance(9)
    assert rig.state() is State.TIME_WAIT


def test_time_wait_ends() -> None:
    rig = rig_in(State.TIME_WAIT)
    rig.close()
    rig.advance(10.1)
    assert rig.layer.get_timer() is None
    assert described(rig.receive(ACK)[0]) == "R"


def test_time_wait_is_not_cut_short_by_a_reset() -> None:
    rig = rig_in(State.TIME_WAIT)
    rig.receive(RST)
    assert rig.state() is State.TIME_WAIT


def test_connections_in_time_wait_are_bounded() -> None:
    rig = Rig(replace(RENO, max_time_wait=1))
    ids = []
    for port in (80, 81, 82):
        rig.local = replace(rig.local, port=port)
        rig.connect()
        rig.close()
        rig.receive(ACK)
        rig.receive(FIN | ACK)
        ids.append(rig.id)
    rig.local = replace(rig.local, port=80)
    assert described(rig.receive(FIN | ACK, seq=rig.peer - 1)[0]) == "R"
    rig.local = replace(rig.local, port=82)
    assert described(rig.receive(FIN | ACK, seq=rig.peer - 1)[0]) == "A"


def in_time_wait_with_a_listener() -> Rig:
    rig = rig_in(State.TIME_WAIT)
    rig.close()
    rig.listen()
    return rig


def test_a_syn_with_a_higher_number_replaces_time_wait() -> None:
    rig = in_time_wait_with_a_listener()
    (answer,) = rig.receive(SYN, seq=rig.peer + 1000, options=rig.syn_options())
    assert described(answer) == "SA"
    assert answer.acknowledgement == rig.peer + 1001 & MASK


def test_a_syn_with_a_lower_number_does_not_replace_time_wait() -> None:
    rig = in_time_wait_with_a_listener()
    (ack,) = rig.receive(SYN, seq=rig.peer - 1000, options=rig.syn_options())
    assert (described(ack), ack.acknowledgement) == ("A", rig.peer)


def test_a_syn_with_a_later_timestamp_replaces_time_wait() -> None:
    rig = Rig(replace(RENO, timestamps=True))
    rig.stamp = 100
    rig.connect()
    rig.close()
    rig.receive(ACK)
    rig.receive(FIN | ACK)
    rig.listen()
    rig.stamp = 200
    (answer,) = rig.receive(SYN, seq=rig.peer - 1000, options=rig.syn_options())
    assert described(answer) == "SA"


def test_shutdown_twice_is_shutdown_once() -> None:
    rig = rig_in(State.FIN_WAIT_1)
    assert rig.shutdown() == []
    assert rig.state() is State.FIN_WAIT_1
