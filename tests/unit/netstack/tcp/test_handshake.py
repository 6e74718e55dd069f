from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.unit.netstack.tcp.rig import (
    ACK,
    FIN,
    LOCAL,
    MSS,
    MTU,
    PEER_INITIAL,
    REMOTE,
    RENO,
    RST,
    SYN,
    Rig,
    data_of,
    described,
    options_of,
    rig_in,
)
from ztlink.errors import LocalProtocolError
from ztlink.ids import Endpoint
from ztlink.netstack.events import (
    Accepted,
    Connected,
    ConnectFailed,
    ConnectionId,
    ConnectionRefused,
    Reason,
)
from ztlink.netstack.seqnum import MASK
from ztlink.netstack.tcp.settings import TcpSettings
from ztlink.netstack.tcp.state import State


def test_a_connection_begins_with_a_syn_and_its_options() -> None:
    syn = Rig().start_connect()
    options = options_of(syn)
    assert described(syn) == "S"
    assert (options.mss, options.shift, options.is_sack_permitted) == (MTU - 40, 7, True)


def test_a_syn_ack_establishes_and_is_acknowledged() -> None:
    rig = Rig()
    syn = rig.start_connect()
    (ack,) = rig.receive(SYN | ACK, options=rig.syn_options())
    assert described(ack) == "A"
    assert (ack.sequence, ack.acknowledgement) == (syn.sequence + 1, PEER_INITIAL + 1)
    assert rig.pop_events() == [Connected(rig.id, LOCAL, REMOTE)]
    assert rig.state() is State.ESTABLISHED


def test_a_syn_is_repeated_with_back_off() -> None:
    rig = Rig()
    rig.start_connect()
    rig.advance(16)
    times = [round(at - 100.0, 3) for at, _ in rig.sent]
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert {out.sequence for _, out in rig.sent} == {rig.sent[0][1].sequence}


def test_an_attempt_without_an_answer_fails_after_three_minutes() -> None:
    rig = Rig()
    rig.start_connect()
    rig.advance(179)
    assert not rig.events
    rig.advance(2)
    assert rig.pop_events() == [ConnectFailed(rig.id, Reason.TIMED_OUT)]
    assert rig.layer.get_timer() is None


def test_a_repeated_syn_gives_no_round_trip() -> None:
    rig = Rig()
    rig.start_connect()
    rig.advance(1.5)
    rig.receive(SYN | ACK, options=rig.syn_options())
    (data,) = rig.write(b"x" * 10)
    rig.advance(2.9)
    assert rig.sent[-1][1] is data
    rig.advance(0.2)
    assert rig.sent[-1][1].sequence == data.sequence
    assert rig.sent[-1][1] is not data


def test_a_reset_with_our_number_refuses() -> None:
    rig = Rig()
    rig.start_connect()
    rig.receive(RST | ACK, seq=0)
    assert rig.pop_events() == [ConnectionRefused(rig.id, Reason.REFUSED)]


def test_a_reset_without_our_number_changes_nothing() -> None:
    rig = rig_in(State.SYN_SENT)
    rig.receive(RST, seq=0)
    rig.receive(RST | ACK, seq=0, ack=rig.ours + 7)
    assert rig.state() is State.SYN_SENT


def test_a_wrong_acknowledgement_of_our_syn_is_reset() -> None:
    rig = rig_in(State.SYN_SENT)
    (reset,) = rig.receive(SYN | ACK, ack=rig.ours + 5)
    assert described(reset) == "R"
    assert reset.sequence == rig.ours + 5
    assert rig.state() is State.SYN_SENT


def test_an_acknowledgement_without_a_syn_does_not_establish() -> None:
    rig = rig_in(State.SYN_SENT)
    assert rig.receive(ACK) == []
    assert rig.state() is State.SYN_SENT


def test_both_sides_may_open_at_once() -> None:
    rig = Rig()
    syn = rig.start_connect()
    (answer,) = rig.receive(SYN, ack=0, options=rig.syn_options())
    assert described(answer) == "SA"
    assert (answer.sequence, answer.acknowledgement) == (syn.sequence, PEER_INITIAL + 1)
    assert rig.state() is State.SYN_RECEIVED
    rig.receive(ACK)
    assert rig.state() is State.ESTABLISHED
    assert rig.pop_events() == [Connected(rig.id, LOCAL, REMOTE)]


def test_crossed_syn_acks_establish_too() -> None:
    rig = rig_in(State.SYN_RECEIVED)
    (ack,) = rig.receive(SYN | ACK, seq=PEER_INITIAL, options=rig.syn_options())
    assert described(ack) == "A"
    assert rig.state() is State.ESTABLISHED


def test_a_listener_answers_a_syn() -> None:
    rig = Rig()
    rig.listen()
    (answer,) = rig.receive(SYN, options=rig.syn_options())
    assert described(answer) == "SA"
    assert answer.acknowledgement == PEER_INITIAL + 1
    assert options_of(answer).mss == MTU - 40


def test_the_third_segment_makes_it_acceptable() -> None:
    rig = Rig()
    listener = rig.listen()
    rig.receive(SYN, options=rig.syn_options())
    assert rig.layer.accept(listener) is None  # type: ignore[arg-type] # its own id
    rig.receive(ACK)
    (event,) = rig.pop_events()
    assert isinstance(event, Accepted)
    assert event.remote == REMOTE
    assert rig.layer.accept(listener) == event.id  # type: ignore[arg-type] # its own id


def test_data_with_the_third_segment_is_taken() -> None:
    rig = Rig()
    listener = rig.listen()
    rig.receive(SYN, options=rig.syn_options())
    rig.receive(ACK, data=b"hello")
    rig.id = rig.layer.accept(listener) or rig.id  # type: ignore[arg-type] # its own id
    assert rig.read() == b"hello"


def test_a_syn_ack_is_repeated_when_its_answer_is_missing() -> None:
    rig = Rig()
    rig.listen()
    (first,) = rig.receive(SYN, options=rig.syn_options())
    (second,) = rig.advance(1.1)
    assert (described(second), second.sequence) == ("SA", first.sequence)


def test_a_repeated_syn_is_answered_again() -> None:
    rig = Rig()
    rig.listen()
    (first,) = rig.receive(SYN, options=rig.syn_options())
    (second,) = rig.receive(SYN, seq=PEER_INITIAL, options=rig.syn_options())
    assert (described(second), second.sequence) == ("SA", first.sequence)


def test_a_repeated_syn_ack_is_acknowledged() -> None:
    rig = rig_in(State.ESTABLISHED)
    (ack,) = rig.receive(SYN | ACK, seq=PEER_INITIAL, options=rig.syn_options())
    assert (described(ack), ack.acknowledgement) == ("A", PEER_INITIAL + 1)


def test_a_half_open_connection_is_given_up_after_a_minute() -> None:
    rig = Rig()
    rig.listen()
    rig.receive(SYN, options=rig.syn_options())
    rig.advance(61)
    assert rig.layer.get_timer() is None
    assert not rig.events


def test_a_reset_in_a_handshake_that_the_peer_began_is_not_told() -> None:
    rig = Rig()
    rig.listen()
    rig.receive(SYN, options=rig.syn_options())
    rig.receive(RST)
    assert not rig.events
    assert rig.layer.get_timer() is None


def test_a_wrong_third_segment_is_reset() -> None:
    rig = Rig()
    rig.listen()
    rig.receive(SYN, options=rig.syn_options())
    (reset,) = rig.receive(ACK, ack=rig.ours + 9)
    assert (described(reset), reset.sequence) == ("R", rig.ours + 9 & MASK)
    assert not rig.events


def test_segments_keep_to_the_peers_size() -> None:
    rig = Rig()
    rig.mtu = 9000
    rig.connect()
    rig.write(b"x" * 5000)
    assert rig.sent[-1][1].segment_size == MSS


def test_over_ipv6_headers_are_twenty_bytes_longer() -> None:
    rig = Rig()
    rig.local = Endpoint(IPv6Address("fd00::2"), 80)
    rig.remote = Endpoint(IPv6Address("fd00::1"), 40_000)
    assert options_of(rig.start_connect()).mss == MTU - 60
    rig.receive(SYN | ACK, options=b"")
    rig.write(b"x" * 5000)
    assert rig.sent[-1][1].segment_size == MTU - 60


def test_segments_keep_to_the_path() -> None:
    rig = Rig()
    rig.mtu = 640
    rig.connect()
    rig.write(b"x" * 5000)
    assert rig.sent[-1][1].segment_size == 600


def test_a_peer_that_tells_no_size_gets_536_bytes() -> None:
    rig = Rig()
    rig.start_connect()
    rig.receive(SYN | ACK, options=b"")
    rig.write(b"x" * 5000)
    assert rig.sent[-1][1].segment_size == 536


def test_options_count_in_the_size_of_a_segment() -> None:
    rig = Rig(replace(RENO, timestamps=True))
    rig.stamp = 5
    rig.connect()
    rig.write(b"x" * 5000)
    assert rig.sent[-1][1].segment_size == MSS - 12


def test_blocks_beside_data_count_in_the_size_of_a_segment() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.receive(ACK, seq=rig.peer + 10, data=b"later")
    rig.write(b"x" * 5000)
    out = rig.sent[-1][1]
    assert out.segment_size + len(out.options) == MSS


def test_a_tiny_segment_size_does_not_count() -> None:
    rig = Rig()
    rig.start_connect()
    rig.receive(SYN | ACK, options=bytes((2, 4, 0, 1)))
    rig.write(b"x" * 5000)
    assert rig.sent[-1][1].segment_size == 88


def test_a_peer_without_scale_gets_none() -> None:
    rig = Rig(shift=None)
    rig.listen()
    (answer,) = rig.receive(SYN, options=rig.syn_options())
    assert options_of(answer).shift is None
    (ack,) = rig.receive(ACK, data=b"x" * 10)
    assert ack.window == 65_535


def test_the_window_of_a_syn_is_not_scaled() -> None:
    rig = Rig()
    assert rig.start_connect().window == 65_535


def test_our_window_is_scaled_once_both_sides_agreed() -> None:
    rig = Rig()
    rig.start_connect()
    (ack,) = rig.receive(SYN | ACK, options=rig.syn_options())
    assert ack.window == (128 * 1024) >> 7


def test_the_peers_window_is_scaled() -> None:
    rig = Rig(shift=3)
    rig.window = 500
    rig.connect()
    rig.receive(ACK)
    rig.write(b"x" * 6000)
    assert sum(out.size for _, out in rig.sent) == 4000


def test_a_peer_without_sack_gets_no_blocks() -> None:
    rig = Rig(sack=False)
    rig.connect()
    (ack,) = rig.receive(ACK, seq=rig.peer + 10, data=b"later")
    assert options_of(ack).blocks == ()


def test_what_is_written_before_the_handshake_ends_goes_out_after_it() -> None:
    rig = Rig()
    rig.start_connect()
    assert rig.write(b"early") == []
    out = rig.receive(SYN | ACK, options=rig.syn_options())
    assert [data_of(segment) for segment in out] == [b"early"]


def test_a_fin_asked_for_before_the_handshake_ends_follows_it() -> None:
    rig = Rig()
    rig.start_connect()
    rig.shutdown()
    out = rig.receive(SYN | ACK, options=rig.syn_options())
    assert [described(segment) for segment in out] == ["FA"]
    assert rig.state() is State.FIN_WAIT_1


def test_initial_sequence_numbers_differ_by_flow() -> None:
    rig = Rig()
    first = rig.start_connect()
    rig.remote = Endpoint(IPv4Address("10.0.0.9"), 5)
    assert abs(rig.start_connect().sequence - first.sequence) > 1000


def test_the_initial_sequence_number_of_a_flow_moves_with_the_clock() -> None:
    rig = Rig()
    first = rig.start_connect().sequence
    rig.layer.abort(rig.id, rig.now)
    rig.mono += 1.0
    assert rig.start_connect().sequence - first & MASK == 250_000


def test_ports_that_we_draw_are_ephemeral_and_differ() -> None:
    rig = Rig()
    ports = set()
    for _ in range(50):
        found = rig.layer.connect(Endpoint(LOCAL.ip, 0), REMOTE, rig.now)
        ports.add(rig.layer.endpoints(found)[0].port)
    assert len(ports) == 50
    assert min(ports) >= 32_768
    assert max(ports) - min(ports) > 5000


def test_a_flow_that_is_connected_is_not_connected_again() -> None:
    rig = rig_in(State.ESTABLISHED)
    with pytest.raises(LocalProtocolError, match="connected already"):
        rig.start_connect()


def test_an_id_that_never_was_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="connection 99 is not there"):
        Rig().layer.readable(ConnectionId(99))


def test_a_segment_to_nobody_is_reset() -> None:
    (reset,) = Rig().receive(ACK, ack=77)
    assert (described(reset), reset.sequence) == ("R", 77)


def test_a_segment_to_nobody_without_an_acknowledgement_is_reset_and_acknowledged() -> None:
    (reset,) = Rig().receive(SYN | FIN, seq=10, data=b"abc")
    assert described(reset) == "RA"
    assert (reset.sequence, reset.acknowledgement) == (0, 15)


def test_a_reset_to_nobody_is_not_answered() -> None:
    assert Rig().receive(RST) == []


def test_a_listener_on_any_address_takes_all() -> None:
    rig = Rig()
    rig.layer.listen(Endpoint(IPv4Address(0), LOCAL.port), 5, rig.now)
    (answer,) = rig.receive(SYN, options=rig.syn_options())
    assert described(answer) == "SA"


def test_a_local_endpoint_is_listened_on_once() -> None:
    rig = Rig()
    rig.listen()
    with pytest.raises(LocalProtocolError, match="listened on already"):
        rig.listen()


def test_a_closed_listener_resets_what_was_not_accepted() -> None:
    rig = Rig()
    listener = rig.listen()
    rig.receive(SYN, options=rig.syn_options())
    rig.receive(ACK)
    rig.layer.close_listener(listener, rig.now)  # type: ignore[arg-type] # its own id
    assert [described(out) for out in rig.drain()] == ["RA"]
    assert described(rig.receive(SYN)[0]) == "RA"


def test_a_full_backlog_leaves_syns_unanswered() -> None:
    rig = Rig()
    rig.listen(backlog=1)
    rig.receive(SYN, options=rig.syn_options())
    rig.receive(ACK)
    rig.remote = Endpoint(REMOTE.ip, 41_000)
    assert rig.receive(SYN, options=rig.syn_options()) == []


def test_a_full_backlog_keeps_a_handshake_open_until_there_is_room() -> None:
    rig = Rig()
    listener = rig.listen(backlog=1)
    rig.receive(SYN, options=rig.syn_options())
    rig.remote = Endpoint(REMOTE.ip, 41_000)
    (answer,) = rig.receive(SYN, seq=PEER_INITIAL, options=rig.syn_options())
    rig.remote = REMOTE
    rig.receive(ACK, ack=rig.sent[0][1].sequence + 1)
    rig.pop_events()
    rig.remote = Endpoint(REMOTE.ip, 41_000)
    rig.receive(ACK, ack=answer.sequence + 1)
    assert not rig.events
    rig.layer.accept(listener)  # type: ignore[arg-type] # its own id
    rig.receive(ACK, ack=answer.sequence + 1)
    assert len(rig.events) == 1


def test_connections_are_bounded() -> None:
    rig = Rig(TcpSettings(max_connections=1))
    rig.start_connect()
    with pytest.raises(LocalProtocolError, match="no more"):
        rig.layer.connect(Endpoint(LOCAL.ip, 0), REMOTE, rig.now)
