import socket
import time

import pytest

from tests.guard import GuardError


@pytest.mark.parametrize("method", ["bind", "connect", "connect_ex"])
def test_a_unit_test_cannot_use_a_socket(method: str) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        pytest.raises(GuardError, match="tests/host"),
    ):
        getattr(udp, method)(("127.0.0.1", 9))


def test_a_unit_test_cannot_send_a_datagram() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        pytest.raises(GuardError, match="sockets"),
    ):
        udp.sendto(b"", ("127.0.0.1", 9))


def test_a_unit_test_cannot_send_a_datagram_in_pieces() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        pytest.raises(GuardError, match="sockets"),
    ):
        udp.sendmsg([b""], [], 0, ("127.0.0.1", 9))


def test_a_unit_test_cannot_look_up_a_name() -> None:
    with pytest.raises(GuardError, match="sockets"):
        socket.getaddrinfo("localhost", 9)


def test_a_unit_test_cannot_sleep() -> None:
    with pytest.raises(GuardError, match="sleeps"):
        time.sleep(0)


def test_a_socket_pair_still_works() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.send(b"x")
        left.sendmsg([b"y", b"z"])
        assert right.recv(3) == b"xyz"
