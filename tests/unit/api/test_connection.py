"""The original's tools name no host; everybody else's requests go through as they are."""

import asyncio

import pytest

from tests.unit.api.rig import TOKEN, FakeCore, make_api, speak_to
from ztlink.api.connection import MAX_HEAD, Connection, fill_host

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


async def test_a_request_without_a_host_is_served() -> None:
    async with speak_to(make_api(FakeCore())) as speaker:
        answer = await speaker.exchange(BARE)
    assert answer.startswith(b"HTTP/1.1 200 ")
