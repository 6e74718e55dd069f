"""A crowd at the port of health: whoever it is, a probe gets its answer."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from tests.host.observed import served_by_thread
from tests.unit.api.seen import JOINED, REQUIRED, Watcher
from ztlink.api.connection import MAX_CONNECTIONS

LIVE = b"GET /zerotier/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    with served_by_thread(Watcher(REQUIRED, JOINED)) as origin:
        yield int(origin.rpartition(":")[2])


def probe(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        connection.request("GET", "/zerotier/health/ready")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("says", [b"", b"GET /zer", LIVE], ids=["silent", "slow", "staying"])
def test_a_probe_is_answered_while_others_hold_all_places(port: int, says: bytes) -> None:
    with ExitStack() as crowd:
        for _ in range(MAX_CONNECTIONS + 20):
            line = crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.sendall(says)
        assert probe(port) == 200
