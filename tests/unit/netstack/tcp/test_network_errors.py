"""What the network reports: RFC 1122 4.2.3.9, 5461, 5927, 1191, 8201; and silence: keep-alive."""

from dataclasses import replace

import pytest

from tests.unit.netstack.tcp.rig import ACK, LOCAL, REMOTE, RENO, Rig, rig_in
from ztlink.netstack.events import ConnectFailed, ConnectionReset, Reason, SoftError
from ztlink.netstack.tcp.settings import ConnectionOptions
from ztlink.netstack.tcp.state import State


def report(rig: Rig, reason: Reason, sequence: int) -> None:
    rig.layer.soft_error(LOCAL, REMOTE, reason, sequence, rig.now)


def test_a_hard_error_ends_an_attempt() -> None:
    rig = rig_in(State.SYN_SENT)
    report(rig, Reason.PORT_UNREACHABLE, rig.ours - 1)
    assert rig.pop_events() == [ConnectFailed(rig.id, Reason.PORT_UNREACHABLE)]


def test_a_soft_error_does_not_end_an_attempt() -> None:
    rig = rig_in(State.SYN_SENT)
    report(rig, Reason.HOST_UNREACHABLE, rig.ours - 1)
    assert rig.pop_events() == [SoftError(rig.id, Reason.HOST_UNREACHABLE)]
    assert rig.state() is State.SYN_SENT


def test_a_soft_error_is_why_an_attempt_failed_in_the_end() -> None:
    rig = rig_in(State.SYN_SENT)
    report(rig, Reason.HOST_UNREACHABLE, rig.ours - 1)
    rig.advance(200)
    assert rig.pop_events()[-1] == ConnectFailed(rig.id, Reason.HOST_UNREACHABLE)


def test_no_error_ends_a_connection() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"x")
    report(rig, Reason.PORT_UNREACHABLE, rig.ours - 1)
    assert rig.pop_events() == [SoftError(rig.id, Reason.PORT_UNREACHABLE)]
    assert rig.state() is State.ESTABLISHED


@pytest.mark.parametrize("offset", [-2, 0, 5, 1 << 31])
def test_an_error_about_what_is_not_in_flight_is_ignored(offset: int) -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.write(b"x")
    report(rig, Reason.HOST_UNREACHABLE, rig.ours + offset)
    assert not rig.events


def test_an_error_about_an_unknown_flow_is_ignored() -> None:
    rig = Rig()
    report(rig, Reason.HOST_UNREACHABLE, 0)
    assert not rig.events


def test_a_smaller_path_makes_smaller_segments_and_repeats() -> None:
    rig = rig_in(State.ESTABLISHED)
    start = rig.ours
    rig.write(b"x" * 3000)
    rig.layer.path_mtu(LOCAL, REMOTE, 700, start, rig.now)
    (again,) = rig.drain()
    assert (again.sequence, again.size, again.segment_size) == (start, 3000, 660)


def test_a_path_is_never_believed_to_be_below_the_least() -> None:
    rig = rig_in(State.ESTABLISHED)
    start = rig.ours
    rig.write(b"x" * 3000)
    rig.layer.path_mtu(LOCAL, REMOTE, 68, start, rig.now)
    assert rig.drain()[0].segment_size == 536


def test_a_larger_path_is_not_believed() -> None:
    rig = rig_in(State.ESTABLISHED)
    start = rig.ours
    rig.write(b"x" * 3000)
    rig.layer.path_mtu(LOCAL, REMOTE, 9000, start, rig.now)
    assert rig.drain() == []


def test_a_path_report_about_what_is_not_in_flight_is_ignored() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.path_mtu(LOCAL, REMOTE, 700, rig.ours + 9, rig.now)
    rig.write(b"x" * 3000)
    assert rig.sent[-1][1].segment_size == 1000


def quiet(**settings: float) -> Rig:
    rig = rig_in(State.ESTABLISHED, replace(RENO, **settings))  # type: ignore[arg-type] # times
    rig.layer.set_options(rig.id, ConnectionOptions(keep_alive=100), rig.now)
    return rig


def test_without_being_asked_for_no_keep_alive_is_sent() -> None:
    rig = rig_in(State.ESTABLISHED)
    assert rig.advance(100_000) == []
    assert rig.layer.get_timer() is None


def test_a_silent_peer_is_asked() -> None:
    rig = quiet()
    assert rig.advance(99) == []
    (probe,) = rig.advance(2)
    assert (probe.sequence, probe.size) == (rig.ours - 1, 0)


def test_an_answer_puts_off_the_next_question() -> None:
    rig = quiet()
    rig.advance(101)
    rig.receive(ACK)
    assert rig.advance(98) == []
    assert len(rig.advance(3)) == 1


def test_what_arrives_puts_off_the_question() -> None:
    rig = quiet()
    rig.advance(60)
    rig.receive(ACK)
    assert rig.advance(60) == []


def test_a_peer_that_does_not_answer_is_given_up() -> None:
    rig = quiet(keep_alive_interval=10, keep_alive_count=3)
    rig.advance(129)
    assert not rig.events
    rig.advance(2)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]


def test_keep_alive_can_be_turned_off_again() -> None:
    rig = quiet()
    rig.layer.set_options(rig.id, ConnectionOptions(keep_alive=0), rig.now)
    assert rig.advance(10_000) == []


def test_a_user_timeout_bounds_what_is_unacknowledged() -> None:
    rig = rig_in(State.ESTABLISHED)
    rig.layer.set_options(rig.id, ConnectionOptions(user_timeout=5), rig.now)
    rig.write(b"x")
    rig.advance(4.9)
    assert not rig.events
    rig.advance(5)
    assert rig.pop_events() == [ConnectionReset(rig.id, Reason.TIMED_OUT)]
