"""Every kind of segment in every state, in and out of the window: RFC 9293 3.10.7, RFC 5961.

One table: the state, what arrives, what is answered and the state after it. The answers are letters
of flags; "A" out of the window is the acknowledgement that tells the peer where we are.
"""

from typing import Final

import pytest

from tests.unit.netstack.tcp.rig import (
    ACK,
    FIN,
    RST,
    SYN,
    Rig,
    described,
    rig_in,
)
from ztlink.errors import LocalProtocolError
from ztlink.netstack.tcp.state import State

SYNCHRONISED: Final = [state for state in State if state >= State.ESTABLISHED]
RECEIVING: Final = [State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2]
FINISHED: Final = [State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK, State.TIME_WAIT]
ALIVE: Final = [state for state in State if state is not State.CLOSED]
UNACKNOWLEDGED: Final = [State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK]
"""Our FIN is not acknowledged yet."""
AFTER_ACK: Final = {
    State.FIN_WAIT_1: State.FIN_WAIT_2,
    State.CLOSING: State.TIME_WAIT,
    State.LAST_ACK: State.CLOSED,
}
AFTER_FIN: Final = {
    State.ESTABLISHED: State.CLOSE_WAIT,
    State.FIN_WAIT_1: State.CLOSING,
    State.FIN_WAIT_2: State.TIME_WAIT,
}


def state_of(rig: Rig) -> State:
    try:
        return rig.state()
    except LocalProtocolError:
        return State.CLOSED


def old_ack(rig: Rig) -> int:
    """Return an acceptable number that acknowledges nothing new."""
    return rig.ours - 1 if state_of(rig) in UNACKNOWLEDGED else rig.ours


def arrive(state: State, flags: int, offset: int = 0, data: bytes = b"") -> tuple[list[str], State]:
    """Let a segment arrive, acknowledging nothing new; return answers and state."""
    rig = rig_in(state)
    rig.mono += 1
    out = rig.receive(flags, seq=rig.peer + offset, ack=old_ack(rig), data=data)
    return [described(o) for o in out], state_of(rig)


BEYOND: Final = 200_000
BEHIND: Final = -10


@pytest.mark.parametrize("state", SYNCHRONISED)
def test_an_acknowledgement_of_nothing_new_changes_nothing(state: State) -> None:
    assert arrive(state, ACK) == ([], state)


@pytest.mark.parametrize("state", SYNCHRONISED)
@pytest.mark.parametrize("offset", [BEYOND, BEHIND, 1 << 31])
def test_an_acknowledgement_out_of_the_window_is_answered(state: State, offset: int) -> None:
    assert arrive(state, ACK, offset) == (["A"], state)


@pytest.mark.parametrize("state", SYNCHRONISED)
@pytest.mark.parametrize("offset", [BEYOND, BEHIND])
def test_data_out_of_the_window_is_answered(state: State, offset: int) -> None:
    assert arrive(state, ACK, offset, b"12345") == (["A"], state)


@pytest.mark.parametrize("state", RECEIVING)
def test_data_in_order_is_acknowledged(state: State) -> None:
    assert arrive(state, ACK, 0, b"12345") == (["A"], state)


@pytest.mark.parametrize("state", RECEIVING)
def test_data_in_the_window_is_acknowledged(state: State) -> None:
    assert arrive(state, ACK, 100, b"12345") == (["A"], state)


@pytest.mark.parametrize("state", FINISHED)
def test_data_after_the_peers_fin_is_ignored(state: State) -> None:
    _, after = arrive(state, ACK, 0, b"12345")
    assert after is state


@pytest.mark.parametrize("state", RECEIVING)
def test_a_fin_in_order_is_taken(state: State) -> None:
    assert arrive(state, FIN | ACK) == (["A"], AFTER_FIN[state])


@pytest.mark.parametrize("state", RECEIVING)
def test_a_fin_behind_a_hole_waits(state: State) -> None:
    assert arrive(state, FIN | ACK, 100) == (["A"], state)


@pytest.mark.parametrize("state", SYNCHRONISED)
@pytest.mark.parametrize("offset", [BEYOND, BEHIND])
def test_a_fin_out_of_the_window_is_not_taken(state: State, offset: int) -> None:
    assert arrive(state, FIN | ACK, offset) == (["A"], state)


@pytest.mark.parametrize("state", FINISHED)
def test_a_fin_again_is_acknowledged(state: State) -> None:
    assert arrive(state, FIN | ACK, -1) == (["A"], state)


@pytest.mark.parametrize("state", [s for s in SYNCHRONISED if s is not State.TIME_WAIT])
def test_an_exact_reset_closes(state: State) -> None:
    assert arrive(state, RST) == ([], State.CLOSED)


def test_an_exact_reset_does_not_end_time_wait() -> None:
    assert arrive(State.TIME_WAIT, RST) == ([], State.TIME_WAIT)


@pytest.mark.parametrize("state", SYNCHRONISED)
def test_a_reset_in_the_window_is_challenged(state: State) -> None:
    assert arrive(state, RST, 1) == (["A"], state)


@pytest.mark.parametrize("state", [s for s in ALIVE if s is not State.SYN_SENT])
@pytest.mark.parametrize("offset", [BEYOND, BEHIND, 1 << 31])
def test_a_reset_out_of_the_window_is_dropped(state: State, offset: int) -> None:
    assert arrive(state, RST, offset) == ([], state)


@pytest.mark.parametrize("state", [s for s in SYNCHRONISED if s is not State.TIME_WAIT])
@pytest.mark.parametrize("offset", [0, 1, BEYOND, BEHIND])
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, SYN | FIN])
def test_a_syn_is_challenged(state: State, offset: int, flags: int) -> None:
    assert arrive(state, flags, offset) == (["A"], state)


@pytest.mark.parametrize("flags", [SYN | ACK, SYN])
def test_an_old_syn_in_time_wait_is_acknowledged(flags: int) -> None:
    assert arrive(State.TIME_WAIT, flags, BEHIND) == (["A"], State.TIME_WAIT)


def test_a_new_syn_in_time_wait_without_a_listener_is_reset() -> None:
    assert arrive(State.TIME_WAIT, SYN, 5) == (["RA"], State.CLOSED)


@pytest.mark.parametrize("state", SYNCHRONISED)
@pytest.mark.parametrize("data", [b"", b"12345"])
def test_a_segment_without_any_flag_is_dropped(state: State, data: bytes) -> None:
    assert arrive(state, 0, 0, data) == ([], state)


@pytest.mark.parametrize("state", SYNCHRONISED)
def test_an_acknowledgement_of_the_future_is_answered_and_not_taken(state: State) -> None:
    rig = rig_in(state)
    out = rig.receive(ACK, ack=rig.ours + 1)
    assert ([described(o) for o in out], state_of(rig)) == (["A"], state)


@pytest.mark.parametrize("state", SYNCHRONISED)
def test_an_acknowledgement_of_long_ago_is_answered_and_not_taken(state: State) -> None:
    rig = rig_in(state)
    out = rig.receive(ACK, ack=rig.ours - 100_000)
    assert ([described(o) for o in out], state_of(rig)) == (["A"], state)


@pytest.mark.parametrize("state", UNACKNOWLEDGED)
def test_an_acknowledgement_of_our_fin_is_taken(state: State) -> None:
    rig = rig_in(state)
    assert rig.receive(ACK) == []
    assert state_of(rig) is AFTER_ACK[state]


def test_a_fin_that_acknowledges_ours_is_taken_for_both() -> None:
    rig = rig_in(State.FIN_WAIT_1)
    assert [described(o) for o in rig.receive(FIN | ACK)] == ["A"]
    assert rig.state() is State.TIME_WAIT


SYN_SENT: Final = [
    ("an acknowledgement", ACK, 0, [], State.SYN_SENT),
    ("a wrong acknowledgement", ACK, 5, ["R"], State.SYN_SENT),
    ("a SYN-ACK", SYN | ACK, 0, ["A"], State.ESTABLISHED),
    ("a wrong SYN-ACK", SYN | ACK, 5, ["R"], State.SYN_SENT),
    ("a SYN", SYN, 0, ["SA"], State.SYN_RECEIVED),
    ("a reset for us", RST | ACK, 0, [], State.CLOSED),
    ("a reset for others", RST | ACK, 5, [], State.SYN_SENT),
    ("a reset for nobody", RST, 0, [], State.SYN_SENT),
    ("a FIN", FIN, 0, [], State.SYN_SENT),
    ("a FIN with an acknowledgement", FIN | ACK, 0, [], State.SYN_SENT),
    ("nothing", 0, 0, [], State.SYN_SENT),
]


@pytest.mark.parametrize(
    ("flags", "offset", "answer", "after"),
    [case[1:] for case in SYN_SENT],
    ids=[c[0] for c in SYN_SENT],
)
def test_in_syn_sent(flags: int, offset: int, answer: list[str], after: State) -> None:
    rig = rig_in(State.SYN_SENT)
    out = rig.receive(flags, ack=rig.ours + offset)
    assert ([described(o) for o in out], state_of(rig)) == (answer, after)


SYN_RECEIVED: Final = [
    ("the acknowledgement", ACK, 0, 0, [], State.ESTABLISHED),
    ("a wrong acknowledgement", ACK, 0, 5, ["R"], State.SYN_RECEIVED),
    ("an acknowledgement beyond", ACK, BEYOND, 0, ["A"], State.SYN_RECEIVED),
    ("an acknowledgement with FIN", FIN | ACK, 0, 0, ["A"], State.CLOSE_WAIT),
    ("the SYN again", SYN, -1, 0, ["SA"], State.SYN_RECEIVED),
    ("the SYN with an acknowledgement", SYN | ACK, -1, 0, ["A"], State.ESTABLISHED),
    ("another SYN", SYN, 7, 0, ["A"], State.SYN_RECEIVED),
    ("an exact reset", RST, 0, 0, [], State.CLOSED),
    ("a reset in the window", RST, 1, 0, ["A"], State.SYN_RECEIVED),
    ("a FIN alone", FIN, 0, 0, [], State.SYN_RECEIVED),
    ("nothing", 0, 0, 0, [], State.SYN_RECEIVED),
]


@pytest.mark.parametrize(
    ("flags", "offset", "ack", "answer", "after"),
    [case[1:] for case in SYN_RECEIVED],
    ids=[c[0] for c in SYN_RECEIVED],
)
def test_in_syn_received(
    flags: int, offset: int, ack: int, answer: list[str], after: State
) -> None:
    rig = rig_in(State.SYN_RECEIVED)
    out = rig.receive(flags, seq=rig.peer + offset, ack=rig.ours + ack)
    assert ([described(o) for o in out], state_of(rig)) == (answer, after)


LISTENING: Final = [
    ("a SYN", SYN, ["SA"]),
    ("an acknowledgement", ACK, ["R"]),
    ("a SYN-ACK", SYN | ACK, ["R"]),
    ("a reset", RST, []),
    ("a reset with a SYN", RST | SYN, []),
    ("a FIN", FIN, []),
    ("nothing", 0, []),
]


@pytest.mark.parametrize(
    ("flags", "answer"), [case[1:] for case in LISTENING], ids=[c[0] for c in LISTENING]
)
def test_in_listen(flags: int, answer: list[str]) -> None:
    rig = Rig()
    rig.listen()
    assert [described(o) for o in rig.receive(flags)] == answer


CLOSED: Final = [
    ("a SYN", SYN, ["RA"]),
    ("an acknowledgement", ACK, ["R"]),
    ("a SYN-ACK", SYN | ACK, ["R"]),
    ("a reset", RST, []),
    ("a FIN", FIN, ["RA"]),
    ("nothing", 0, ["RA"]),
]


@pytest.mark.parametrize(
    ("flags", "answer"), [case[1:] for case in CLOSED], ids=[c[0] for c in CLOSED]
)
def test_in_closed(flags: int, answer: list[str]) -> None:
    assert [described(o) for o in Rig().receive(flags)] == answer
