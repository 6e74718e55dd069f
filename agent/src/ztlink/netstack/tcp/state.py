"""The states of a connection (RFC 9293 3.3.2) and what leads from one to another.

A listener is not a connection: what RFC 9293 calls LISTEN is `Listener`, and a SYN that it takes
makes a connection that goes from CLOSED to SYN_RECEIVED. "Opened by us" and "by the peer" stay
apart by `Connection.listener`. One table says all transitions, and `Connection.enter` alone
assigns the state.

The numbers are in an order that makes ranges mean something: from ESTABLISHED on, both sides are
synchronised; from ESTABLISHED to FIN_WAIT_2, the peer may still send data.
"""

from enum import IntEnum, auto
from typing import Final


class State(IntEnum):
    """Where a connection is."""

    CLOSED = 0
    SYN_SENT = auto()
    SYN_RECEIVED = auto()
    ESTABLISHED = auto()
    FIN_WAIT_1 = auto()
    FIN_WAIT_2 = auto()
    CLOSE_WAIT = auto()
    CLOSING = auto()
    LAST_ACK = auto()
    TIME_WAIT = auto()


class Input(IntEnum):
    """What changes the state."""

    OPEN = 0
    """We send a SYN."""
    SYN = auto()
    """The peer's SYN, without an acknowledgement of ours."""
    SYN_ACKNOWLEDGED = auto()
    """Ours is acknowledged, and the peer's is known."""
    FINISH = auto()
    """The application sends no more."""
    FIN = auto()
    """The peer sends no more, and all that it sent is here."""
    FIN_ACKNOWLEDGED = auto()
    EXPIRED = auto()
    """TIME_WAIT is over."""
    END = auto()
    """A reset, either way; or a time-out."""


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.CLOSED, Input.OPEN): State.SYN_SENT,
    (State.CLOSED, Input.SYN): State.SYN_RECEIVED,
    (State.SYN_SENT, Input.SYN): State.SYN_RECEIVED,
    (State.SYN_SENT, Input.SYN_ACKNOWLEDGED): State.ESTABLISHED,
    (State.SYN_RECEIVED, Input.SYN_ACKNOWLEDGED): State.ESTABLISHED,
    (State.ESTABLISHED, Input.FINISH): State.FIN_WAIT_1,
    (State.ESTABLISHED, Input.FIN): State.CLOSE_WAIT,
    (State.FIN_WAIT_1, Input.FIN_ACKNOWLEDGED): State.FIN_WAIT_2,
    (State.FIN_WAIT_1, Input.FIN): State.CLOSING,
    (State.FIN_WAIT_2, Input.FIN): State.TIME_WAIT,
    (State.CLOSE_WAIT, Input.FINISH): State.LAST_ACK,
    (State.CLOSING, Input.FIN_ACKNOWLEDGED): State.TIME_WAIT,
    (State.LAST_ACK, Input.FIN_ACKNOWLEDGED): State.CLOSED,
    (State.TIME_WAIT, Input.EXPIRED): State.CLOSED,
    **{(state, Input.END): State.CLOSED for state in State if state is not State.CLOSED},
}
"""What is not in here is a mistake of ours.

An application that finishes before ESTABLISHED waits with its FIN (RFC 9293 3.10.4), so that is no
transition either.
"""
