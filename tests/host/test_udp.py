"""Sockets that carry trains, over the loopback of a namespace."""

import select
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.host.machine import PATIENCE, ip
from ztlink.batch import Transmit
from ztlink.drivers.udp import UdpDriver, UdpSocket
from ztlink.errors import HostError
from ztlink.ids import ALL_SOCKETS, Endpoint, IpAddress, SocketId

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

IP_RECVTTL = 12
HERE: IpAddress = ip_address("127.0.0.1")
HERE6: IpAddress = ip_address("::1")


@pytest.fixture
def driver() -> Iterator[UdpDriver]:
    made = UdpDriver()
    yield made
    made.close_all()


@pytest.fixture(params=[HERE, HERE6], ids=["IPv4", "IPv6"])
def pair(driver: UdpDriver, request: pytest.FixtureRequest) -> tuple[UdpSocket, UdpSocket]:
    return driver.open(request.param, 0), driver.open(request.param, 0)


@pytest.fixture
def sender(driver: UdpDriver) -> UdpSocket:
    return driver.open(HERE, 0)


@pytest.fixture
def receiver(driver: UdpDriver) -> UdpSocket:
    return driver.open(HERE, 0)


def train(to: Endpoint, data: bytes, segment_size: int = 0, ttl: int = 0) -> Transmit:
    return Transmit(bytearray(data), segment_size or len(data), to, ALL_SOCKETS, ttl)


def arrivals(opened: UdpSocket, size: int) -> list[tuple[bytes, int]]:
    """Wait for as many bytes and return them as they came, with the stride of each piece."""
    found: list[tuple[bytes, int]] = []
    deadline = time.monotonic() + PATIENCE
    while sum(len(data) for data, _ in found) < size and time.monotonic() < deadline:
        select.select([opened.fileno()], [], [], PATIENCE)
        found += [(bytes(t.buffer), t.segment_size) for t in opened.receive(4)]
    return found


# -- opening ---------------------------------------------------------------------------------


def test_a_socket_knows_the_port_it_was_given(sender: UdpSocket) -> None:
    assert sender.endpoint.port > 0


def test_a_socket_has_the_port_that_was_asked_for(driver: UdpDriver) -> None:
    assert driver.open(HERE, 9993).endpoint == Endpoint(HERE, 9993)


def test_a_port_in_use_is_an_error_that_says_what_to_do(driver: UdpDriver) -> None:
    driver.open(HERE, 9993)
    with pytest.raises(
        HostError, match=r"bind UDP 127\.0\.0\.1/9993: Address already in use; .* --port"
    ):
        driver.open(HERE, 9993)


def test_an_address_of_another_machine_is_an_error(driver: UdpDriver) -> None:
    with pytest.raises(HostError, match=r"bind UDP 10\.1\.2\.3/9993: Cannot assign requested"):
        driver.open(ip_address("10.1.2.3"), 9993)


def test_both_families_may_have_the_same_port(driver: UdpDriver) -> None:
    driver.open(HERE, 9993)
    assert driver.open(HERE6, 9993).endpoint.port == 9993


def test_a_port_can_be_opened_again_after_closing(driver: UdpDriver) -> None:
    driver.close(driver.open(HERE, 9993).socket_id)
    assert driver.open(HERE, 9993).endpoint.port == 9993


def test_a_number_is_never_given_twice(driver: UdpDriver) -> None:
    first = driver.open(HERE, 9993).socket_id
    driver.close(first)
    assert driver.open(HERE, 9993).socket_id != first


def test_the_driver_tells_what_is_bound(driver: UdpDriver) -> None:
    one = driver.open(HERE, 9993)
    two = driver.open(HERE6, 9993)
    assert driver.endpoints() == {one.socket_id: one.endpoint, two.socket_id: two.endpoint}


# -- datagrams and trains --------------------------------------------------------------------


def test_a_datagram_arrives(pair: tuple[UdpSocket, UdpSocket]) -> None:
    assert pair[0].send(train(pair[1].endpoint, b"hello"))
    assert arrivals(pair[1], 5) == [(b"hello", 5)]


def test_a_datagram_names_its_source(pair: tuple[UdpSocket, UdpSocket]) -> None:
    pair[0].send(train(pair[1].endpoint, b"hello"))
    select.select([pair[1].fileno()], [], [], PATIENCE)
    assert [t.source for t in pair[1].receive(1)] == [pair[0].endpoint]


def test_a_datagram_names_the_socket_that_took_it(pair: tuple[UdpSocket, UdpSocket]) -> None:
    pair[0].send(train(pair[1].endpoint, b"hello"))
    select.select([pair[1].fileno()], [], [], PATIENCE)
    assert [t.socket for t in pair[1].receive(1)] == [pair[1].socket_id]


def test_a_train_arrives_as_a_train(pair: tuple[UdpSocket, UdpSocket]) -> None:
    data = bytes(range(250)) * 172
    assert pair[0].send(train(pair[1].endpoint, data, 1000))
    assert arrivals(pair[1], len(data)) == [(data, 1000)]


def test_the_last_datagram_of_a_train_may_be_shorter(pair: tuple[UdpSocket, UdpSocket]) -> None:
    data = bytes(range(250)) * 9
    pair[0].send(train(pair[1].endpoint, data, 1000))
    assert arrivals(pair[1], len(data)) == [(data, 1000)]


def test_the_longest_train_arrives(pair: tuple[UdpSocket, UdpSocket]) -> None:
    data = bytes(44 * 1432)
    pair[0].send(train(pair[1].endpoint, data, 1432))
    assert arrivals(pair[1], len(data)) == [(data, 1432)]


def test_only_as_many_trains_are_read_as_asked_for(sender: UdpSocket, receiver: UdpSocket) -> None:
    for number in range(3):
        sender.send(train(receiver.endpoint, bytes([number])))
    assert len(list(receiver.receive(2))) == 2


def test_nothing_is_read_where_nothing_arrived(receiver: UdpSocket) -> None:
    assert list(receiver.receive(4)) == []


def test_an_empty_datagram_is_passed_over(sender: UdpSocket, receiver: UdpSocket) -> None:
    sender.send(train(receiver.endpoint, b""))
    sender.send(train(receiver.endpoint, b"x"))
    assert arrivals(receiver, 1) == [(b"x", 1)]


def test_datagrams_beyond_the_mtu_go_one_by_one(sender: UdpSocket, receiver: UdpSocket) -> None:
    ip("link", "set", "lo", "mtu", "1280")
    data = bytes(range(250)) * 12
    assert sender.send(train(receiver.endpoint, data, 1500))
    assert arrivals(receiver, 3000) == [(data[:1500], 1500), (data[1500:], 1500)]


def test_one_train_that_does_not_fit_does_not_end_all_trains(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    ip("link", "set", "lo", "mtu", "1280")
    sender.send(train(receiver.endpoint, bytes(3000), 1500))
    arrivals(receiver, 3000)
    sender.send(train(receiver.endpoint, bytes(3000), 1000))
    assert arrivals(receiver, 3000) == [(bytes(3000), 1000)]


# -- what cannot be sent ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 300], ids=["datagram", "train"])
@pytest.mark.parametrize(
    "destination",
    [
        Endpoint(ip_address("10.66.0.1"), 9993),
        Endpoint(ip_address("fd12::1"), 9993),
        Endpoint(ip_address("255.255.255.255"), 9993),
        Endpoint(ip_address("127.0.0.1"), 0),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_counted(
    sender: UdpSocket, destination: Endpoint, size: int
) -> None:
    assert sender.send(train(destination, bytes(size), 100))
    assert sender.errors > 0


def test_what_cannot_be_sent_does_not_end_all_trains(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    sender.send(train(Endpoint(HERE, 0), bytes(300), 100))
    sender.send(train(receiver.endpoint, bytes(300), 100))
    assert arrivals(receiver, 300) == [(bytes(300), 100)]


def test_a_closed_port_does_not_disturb_the_sender(
    driver: UdpDriver, sender: UdpSocket, receiver: UdpSocket
) -> None:
    closed = driver.open(HERE, 0)
    driver.close(closed.socket_id)
    sender.send(train(closed.endpoint, b"lost"))
    sender.send(train(receiver.endpoint, b"hello"))
    assert arrivals(receiver, 5) == [(b"hello", 5)]


# -- the time to live ------------------------------------------------------------------------


@pytest.fixture
def observer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(PATIENCE)
        yield opened


def time_to_live(observer: socket.socket) -> int:
    _, controls, _, _ = observer.recvmsg(100, socket.CMSG_SPACE(4))
    return int.from_bytes(controls[0][2], "little")


def endpoint_of(opened: socket.socket) -> Endpoint:
    return Endpoint(HERE, opened.getsockname()[1])


def test_a_punch_has_its_time_to_live(sender: UdpSocket, observer: socket.socket) -> None:
    sender.send(train(endpoint_of(observer), b"x", ttl=2))
    assert time_to_live(observer) == 2


def test_what_follows_a_punch_lives_as_long_as_ever(
    sender: UdpSocket, observer: socket.socket
) -> None:
    sender.send(train(endpoint_of(observer), b"x", ttl=2))
    observer.recv(1)
    sender.send(train(endpoint_of(observer), b"x"))
    assert time_to_live(observer) == 64


# -- which socket ----------------------------------------------------------------------------


def test_the_socket_that_is_named_sends(driver: UdpDriver, receiver: UdpSocket) -> None:
    named = driver.open(HERE, 0)
    driver.open(HERE, 0)
    driver.send(Transmit(b"x", 1, receiver.endpoint, named.socket_id))
    select.select([receiver.fileno()], [], [], PATIENCE)
    assert [t.source for t in receiver.receive(4)] == [named.endpoint]


def test_all_sockets_of_the_family_send(driver: UdpDriver, receiver: UdpSocket) -> None:
    other = driver.open(HERE, 0)
    driver.open(HERE6, 0)
    driver.send(Transmit(b"x", 1, receiver.endpoint, ALL_SOCKETS))
    sources = {t.source for t in receiver.receive(4)}
    assert sources == {receiver.endpoint, other.endpoint}


def test_what_is_for_a_socket_that_was_closed_is_gone(
    driver: UdpDriver, receiver: UdpSocket
) -> None:
    assert driver.send(Transmit(b"x", 1, receiver.endpoint, SocketId(77)))
    assert list(receiver.receive(1)) == []
