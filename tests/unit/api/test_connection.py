"""The original's tools name no host; everybody else's requests go through as they are.

And nobody keeps others out by being silent.
"""

import asyncio
from unittest.mock import patch

import pytest

from tests.unit.api.rig import TOKEN, FakeCore, make_api, speak_to
from ztlink.api.connection import MAX_CONNECTIONS, MAX_HEAD, Connection, Door, fill_host

BARE = f"GET /status HTTP/1.1\r\nX-ZT1-Auth: {TOKEN}\r\nConnection: close\r\n\r\n".encode()


class Listener(asyncio.Protocol):
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.has_ended = False

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def eof_received(self) -> bool | None:
        self.has_ended = True
        return None


def connect() -> tuple[Connection, Listener]:
    listener = Listener()
    return Connection(lambda: listener), listener


def test_a_request_without_a_host_gets_one() -> None:
    assert fill_host(BARE).splitlines()[:2] == [b"GET /status HTTP/1.1", b"Host: localhost"]
    assert fill_host(BARE).replace(b"Host: localhost\r\n", b"") == BARE


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: 1\r\nhOsT : a\r\n\r\nbody",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01 nonsense",
        b"",
    ],
)
def test_other_requests_stay_as_they_are(request_: bytes) -> None:
    assert fill_host(request_) == request_


def test_a_host_in_the_body_is_none() -> None:
    assert b"Host: localhost" in fill_host(b"POST / HTTP/1.1\r\nX: 1\r\n\r\n\r\nHost: a\r\n\r\n")


def test_a_head_that_comes_in_pieces_is_handed_on_whole() -> None:
    connection, listener = connect()
    for index in range(len(BARE)):
        assert listener.received == []
        connection.data_received(BARE[index : index + 1])
    assert listener.received == [fill_host(BARE)]


def test_what_comes_later_is_handed_on_at_once() -> None:
    connection, listener = connect()
    connection.data_received(BARE)
    connection.data_received(b"later")
    assert listener.received[1:] == [b"later"]


def test_a_head_without_end_is_handed_on_when_it_is_too_long() -> None:
    connection, listener = connect()
    connection.data_received(b"x" * MAX_HEAD)
    assert listener.received == [b"x" * MAX_HEAD]


def test_what_was_begun_is_handed_on_before_the_end() -> None:
    connection, listener = connect()
    connection.data_received(b"GET /")
    connection.eof_received()
    assert (listener.received, listener.has_ended) == ([b"GET /"], True)


# -- who keeps others out --------------------------------------------------------------------


class Line(asyncio.Transport):
    """A connection without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = True
        self.limit: int | None = None

    def abort(self) -> None:
        self.is_open = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limit = high


def call(door: Door, *, says: bytes = b"") -> tuple[Line, Connection]:
    line, connection = Line(), Connection(Listener, door=door)
    connection.connection_made(line)
    if says:
        connection.data_received(says)
    return line, connection


async def test_the_longest_silent_goes_where_there_is_no_room() -> None:
    door = Door()
    lines = [call(door)[0] for _ in range(MAX_CONNECTIONS + 2)]
    assert [line.is_open for line in lines[:3]] == [False, False, True]
    assert (len(door), lines[-1].is_open) == (MAX_CONNECTIONS, True)


async def test_who_has_said_what_it_wants_does_not_go_for_others() -> None:
    door = Door()
    served = [call(door, says=BARE)[0] for _ in range(MAX_CONNECTIONS)]
    late, _ = call(door)
    assert all(line.is_open for line in served)
    assert not late.is_open


async def test_what_a_refused_connection_says_reaches_nobody() -> None:
    door = Door()
    for _ in range(MAX_CONNECTIONS):
        call(door, says=BARE)
    listener = Listener()
    refused = Connection(lambda: listener, door=door)
    refused.connection_made(Line())
    refused.data_received(BARE)
    refused.connection_lost(None)
    assert listener.received == []


async def test_a_connection_that_ends_makes_room() -> None:
    door = Door()
    for _ in range(MAX_CONNECTIONS):
        _, last = call(door, says=BARE)
    last.connection_lost(None)
    assert call(door)[0].is_open


async def test_who_says_a_head_byte_by_byte_is_let_go() -> None:
    with patch("ztlink.api.connection.HEAD_TIMEOUT", 0.05):
        line, connection = call(Door(), says=b"GET / HT")
    for _ in range(200):
        connection.data_received(b"X")
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert not line.is_open


async def test_who_has_said_its_head_is_not_let_go() -> None:
    with patch("ztlink.api.connection.HEAD_TIMEOUT", 0.0):
        line, _ = call(Door(), says=BARE)
    for _ in range(5):
        await asyncio.sleep(0.001)
    assert line.is_open


async def test_a_request_without_a_host_is_served() -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.exchange(BARE)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_where_all_have_spoken_the_longest_inside_goes_if_it_may() -> None:
    door = Door(may_end_any=True)
    lines = [call(door, says=BARE)[0] for _ in range(MAX_CONNECTIONS)]
    late, _ = call(door)
    assert [line.is_open for line in (lines[0], lines[1], late)] == [False, True, True]


async def test_a_client_that_does_not_read_is_let_go() -> None:
    with patch("ztlink.api.connection.READ_TIMEOUT", 0.01):
        line, connection = call(Door(), says=BARE)
        connection.pause_writing()
        await asyncio.sleep(0.05)
    assert not line.is_open


async def test_a_client_that_has_read_in_time_stays() -> None:
    with patch("ztlink.api.connection.READ_TIMEOUT", 0.01):
        line, connection = call(Door(), says=BARE)
        connection.pause_writing()
        connection.resume_writing()
        await asyncio.sleep(0.05)
    assert line.is_open


async def test_whatever_waits_to_be_read_is_told_at_once() -> None:
    assert call(Door())[0].limit == 0
