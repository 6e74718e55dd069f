"""Sockets that carry trains, over the loopback of a namespace."""

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_interface

import pytest

from tests.host.machine import (
    NEIGHBOUR,
    PATIENCE,
    bring_up,
    dead_end,
    give_address,
    ip,
    open_dead_end,
    shrink,
    wait_frame,
)
from ztlink.batch import MAX_TRAIN_DATAGRAMS, Transmit
from ztlink.drivers.sockets import MIN_RANDOM_PORT, bind_with_random_port
from ztlink.drivers.tap import Tap
from ztlink.drivers.udp import (
    BUFFER_WANTED,
    FILLING,
    MAX_UNASKED,
    SO_RCVBUFFORCE,
    UDP_SEGMENT,
    UdpDriver,
    UdpSocket,
)
from ztlink.errors import HostError
from ztlink.ids import ALL_SOCKETS, Endpoint, IpAddress, SocketId
from ztlink.stats import Drop, Stats

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


def trains(opened: UdpSocket) -> list[tuple[bytes, int]]:
    """Return what has arrived, with the stride of each train."""
    return [(bytes(t.buffer), t.segment_size) for t in opened.receive(8)]


class Room:
    """A socket whose buffer takes so many datagrams and no trains."""

    def __init__(self, datagrams: int) -> None:
        self.datagrams = datagrams

    def sendmsg(
        self,
        buffers: list[memoryview],
        controls: list[tuple[int, int, bytes]],
        flags: int,
        address: object,
    ) -> int:
        if any(kind == UDP_SEGMENT for _, kind, _ in controls):
            raise OSError(errno.EINVAL, "no trains here")
        if self.datagrams == 0:
            raise BlockingIOError(errno.EAGAIN, "full")
        self.datagrams -= 1
        return len(buffers[0])

    def close(self) -> None:
        """Have nothing to give back."""


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
    with pytest.raises(HostError, match=r"bind UDP 10\.1\.2\.3: this machine has no such"):
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


def test_only_as_many_fillings_are_read_as_asked_for(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    for _ in range(3):
        sender.send(train(receiver.endpoint, bytes(FILLING), 1024))
    assert len(list(receiver.receive(2))) == 2


def test_datagrams_that_come_one_by_one_are_a_train(sender: UdpSocket, receiver: UdpSocket) -> None:
    for letter in (b"abc", b"def", b"gh"):
        sender.send(train(receiver.endpoint, letter))
    assert trains(receiver) == [(b"abcdefgh", 3)]


def test_a_longer_datagram_begins_another_train(sender: UdpSocket, receiver: UdpSocket) -> None:
    for letters in (b"ab", b"cde"):
        sender.send(train(receiver.endpoint, letters))
    assert trains(receiver) == [(b"ab", 2), (b"cde", 3)]


def test_a_shorter_datagram_ends_its_train(sender: UdpSocket, receiver: UdpSocket) -> None:
    for letters in (b"abc", b"de", b"fg"):
        sender.send(train(receiver.endpoint, letters))
    assert trains(receiver) == [(b"abcde", 3), (b"fg", 2)]


def test_another_source_begins_another_train(
    driver: UdpDriver, sender: UdpSocket, receiver: UdpSocket
) -> None:
    other = driver.open(HERE, 0)
    sender.send(train(receiver.endpoint, b"ab"))
    other.send(train(receiver.endpoint, b"cd"))
    assert [(bytes(t.buffer), t.source) for t in receiver.receive(4)] == [
        (b"ab", sender.endpoint),
        (b"cd", other.endpoint),
    ]


def test_after_one_that_came_alone_the_next_is_taken_for_all_there_is(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    sender.send(train(receiver.endpoint, b"ab"))
    assert trains(receiver) == [(b"ab", 2)]
    for letters in (b"cd", b"ef"):
        sender.send(train(receiver.endpoint, letters))
    assert [trains(receiver), trains(receiver)] == [[(b"cd", 2)], [(b"ef", 2)]]


def test_what_comes_together_is_found_out_after_some_that_came_alone(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    sender.send(train(receiver.endpoint, b"ab"))
    assert trains(receiver) == [(b"ab", 2)]
    for _ in range(MAX_UNASKED + 3):
        sender.send(train(receiver.endpoint, b"cd"))
    assert [trains(receiver) for _ in range(MAX_UNASKED - 1)] == [[(b"cd", 2)]] * (MAX_UNASKED - 1)
    assert trains(receiver) == [(b"cd", 2), (b"cdcdcd", 2)]


def test_a_train_of_the_kernel_is_left_as_it_is(sender: UdpSocket, receiver: UdpSocket) -> None:
    sender.send(train(receiver.endpoint, b"abcd", 2))
    sender.send(train(receiver.endpoint, b"ef"))
    assert trains(receiver) == [(b"abcd", 2), (b"ef", 2)]


def test_a_train_has_no_more_datagrams_than_one_that_is_sent(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    for _ in range(MAX_TRAIN_DATAGRAMS + 1):
        sender.send(train(receiver.endpoint, b"ab"))
    assert trains(receiver) == [(b"ab" * MAX_TRAIN_DATAGRAMS, 2), (b"ab", 2)]


def test_the_longest_datagrams_are_taken_side_by_side(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate((32_000, 65_507, 65_507))]
    for piece in pieces:
        sender.send(train(receiver.endpoint, piece))
    assert trains(receiver) == [(piece, len(piece)) for piece in pieces]


def test_nothing_is_read_where_nothing_arrived(receiver: UdpSocket) -> None:
    assert list(receiver.receive(4)) == []


def test_an_empty_datagram_is_passed_over(observer: socket.socket, receiver: UdpSocket) -> None:
    for data in (b"", b"a", b"", b"b"):
        observer.sendto(data, (str(HERE), receiver.endpoint.port))
    assert trains(receiver) == [(b"ab", 1)]


def test_datagrams_beyond_the_mtu_go_one_by_one(sender: UdpSocket, observer: socket.socket) -> None:
    ip("link", "set", "lo", "mtu", "1280")
    data = bytes(range(250)) * 12
    assert sender.send(train(endpoint_of(observer), data, 1500))
    assert [observer.recv(4000), observer.recv(4000)] == [data[:1500], data[1500:]]


def test_without_offload_datagrams_go_one_by_one() -> None:
    driver = UdpDriver(has_offload=False)
    one, two = driver.open(HERE, 0), driver.open(HERE, 0)
    one.send(train(two.endpoint, b"abcdef", 2))
    found = [bytes(t.buffer) for t in two.receive(4)]
    driver.close_all()
    assert found == [b"abcdef"]


@pytest.mark.parametrize("ttl", [0, 2])
def test_the_rest_of_what_does_not_go_as_a_train_is_left_when_the_buffer_is_full(
    sender: UdpSocket, ttl: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.close()
    monkeypatch.setattr(sender, "_socket", Room(2))
    transmit = train(Endpoint(HERE, 9993), b"a" * 1400 + b"b" * 1400 + b"c" * 1400, 1400, ttl)
    assert not sender.send(transmit)
    assert bytes(transmit.buffer) == b"c" * 1400


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


def test_what_cannot_be_sent_is_counted_for_the_node(driver: UdpDriver, sender: UdpSocket) -> None:
    stats = Stats()
    driver.count_in(stats)
    sender.send(train(Endpoint(HERE, 0), b"x"))
    driver.open(HERE, 0).send(train(Endpoint(HERE, 0), b"x"))
    assert stats.drops[Drop.SEND_REFUSED] == 2


def may_force() -> bool:
    """Tell whether the machine's limits are no limits for us; root of a user namespace has them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(PermissionError):
        probe.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_WANTED)
        return True
    return False


@pytest.mark.skipif(not may_force(), reason="needs CAP_NET_ADMIN over the whole machine")
def test_more_is_received_at_once_than_the_machines_limit_allows(receiver: UdpSocket) -> None:
    with socket.socket(fileno=os.dup(receiver.fileno())) as copy:
        assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * BUFFER_WANTED


@pytest.fixture
def stuck(driver: UdpDriver) -> Iterator[UdpSocket]:
    """A socket whose datagrams do not get away."""
    with dead_end():
        opened = driver.open(ip_address("10.66.0.1"), 0)
        shrink(opened.fileno())
        yield opened


def fill(opened: UdpSocket, segment_size: int) -> bool:
    """Send until no more is taken; tell whether that came to pass."""
    where = Endpoint(ip_address("10.66.0.9"), 9993)
    return any(not opened.send(train(where, bytes(1400), segment_size)) for _ in range(100))


@pytest.mark.parametrize("segment_size", [1400, 700], ids=["datagram", "train"])
def test_a_full_socket_takes_no_more(stuck: UdpSocket, segment_size: int) -> None:
    assert fill(stuck, segment_size)
    assert stuck.errors == 0


def test_a_full_socket_takes_more_when_what_it_has_got_away(stuck: UdpSocket) -> None:
    fill(stuck, 1400)
    open_dead_end()
    assert select.select([], [stuck.fileno()], [], PATIENCE)[1]
    assert stuck.send(train(Endpoint(ip_address("10.66.0.9"), 9993), bytes(1400)))


# -- addresses of one link -------------------------------------------------------------------


@pytest.fixture
def link_local(driver: UdpDriver) -> UdpSocket:
    give_address("lo", "fe80::77/64")
    return driver.open(ip_address("fe80::77%lo"), 0)


def test_an_address_of_one_link_can_be_sent_to(link_local: UdpSocket) -> None:
    assert link_local.send(train(link_local.endpoint, b"hello"))
    assert arrivals(link_local, 5) == [(b"hello", 5)]


def test_an_address_of_one_link_can_be_answered(link_local: UdpSocket) -> None:
    link_local.send(train(link_local.endpoint, b"hello"))
    select.select([link_local.fileno()], [], [], PATIENCE)
    sources = [t.source for t in link_local.receive(1)]
    link_local.send(train(sources[0], b"answer"))
    assert arrivals(link_local, 6) == [(b"answer", 6)]


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


def test_each_datagram_of_a_punch_has_its_time_to_live(
    sender: UdpSocket, observer: socket.socket
) -> None:
    sender.send(train(endpoint_of(observer), b"xy", 1, ttl=2))
    assert [time_to_live(observer), time_to_live(observer)] == [2, 2]


def test_what_follows_a_punch_lives_as_long_as_ever(
    sender: UdpSocket, observer: socket.socket
) -> None:
    sender.send(train(endpoint_of(observer), b"x", ttl=2))
    observer.recv(1)
    sender.send(train(endpoint_of(observer), b"x"))
    assert time_to_live(observer) == 64


# -- all sockets of a node -------------------------------------------------------------------


def bound(driver: UdpDriver) -> set[Endpoint]:
    return set(driver.endpoints().values())


def test_every_port_is_bound_on_every_address(driver: UdpDriver) -> None:
    assert driver.bind([HERE, HERE6], [9993, 29994]) == {}
    assert bound(driver) == {Endpoint(i, p) for i in (HERE, HERE6) for p in (9993, 29994)}


def test_what_is_bound_stays_bound(driver: UdpDriver) -> None:
    driver.bind([HERE], [9993])
    before = dict(driver.endpoints())
    driver.bind([HERE, HERE6], [9993])
    assert before.items() <= driver.endpoints().items()


def test_what_is_not_wanted_any_more_is_closed(driver: UdpDriver) -> None:
    driver.bind([HERE, HERE6], [9993, 29994])
    driver.bind([HERE6], [29994])
    assert bound(driver) == {Endpoint(HERE6, 29994)}


def test_what_cannot_be_bound_does_not_hold_up_the_rest(
    driver: UdpDriver, observer: socket.socket
) -> None:
    used = observer.getsockname()[1]
    failures = driver.bind([HERE, HERE6], [used])
    assert failures[Endpoint(HERE, used)].errno == errno.EADDRINUSE
    assert bound(driver) == {Endpoint(HERE6, used)}


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


# -- a random port ---------------------------------------------------------------------------


def chance(*ports: int) -> Callable[[int], bytes]:
    """Draw these ports, one after the other."""
    drawn = iter(ports)
    return lambda size: (next(drawn) - MIN_RANDOM_PORT).to_bytes(size, "big")


def test_a_random_port_is_bound_beside_the_others(driver: UdpDriver) -> None:
    assert bind_with_random_port(driver, [HERE], [9993], chance(31_000)) == 31_000
    assert bound(driver) == {Endpoint(HERE, 9993), Endpoint(HERE, 31_000)}


def test_a_random_port_that_is_in_use_on_one_address_is_drawn_again(driver: UdpDriver) -> None:
    other = UdpDriver()
    other.open(HERE6, 31_000)
    found = bind_with_random_port(driver, [HERE, HERE6], [9993], chance(31_000, 32_000))
    other.close_all()
    assert found == 32_000
    assert bound(driver) == {Endpoint(i, p) for i in (HERE, HERE6) for p in (9993, 32_000)}


def test_an_address_that_has_gone_meanwhile_is_passed_over(driver: UdpDriver) -> None:
    gone: IpAddress = ip_address("10.1.2.3")
    assert bind_with_random_port(driver, [HERE, gone], [], chance(31_000)) == 31_000


def test_a_machine_without_a_free_port_is_an_error(driver: UdpDriver) -> None:
    other = UdpDriver()
    other.open(HERE, 31_000)
    with pytest.raises(HostError, match="Address already in use"):
        bind_with_random_port(driver, [HERE], [], chance(*[31_000] * 256))
    other.close_all()


# -- beside default routes into virtual networks ----------------------------------------------

MARK = b"datagram of the underlay"


@pytest.mark.parametrize(
    ("local", "gateway", "far", "halves"),
    [
        ("10.66.0.1/24", "10.66.0.9", "203.0.113.5", ("0.0.0.0/1", "128.0.0.0/1")),
        ("fd66::1/64", "fd66::9", "2001:db8::5", ("::/1", "8000::/1")),
    ],
    ids=["IPv4", "IPv6"],
)
@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "free"])
def test_a_socket_keeps_to_its_device_whatever_routes_there_are(
    driver: UdpDriver, local: str, gateway: str, far: str, halves: tuple[str, str], is_kept: bool
) -> None:
    wire, overlay = Tap("ztwire0"), Tap("ztover0")
    bring_up(wire)
    bring_up(overlay)
    own = ip_interface(local)
    give_address("ztwire0", local)
    ip("route", "add", "default", "via", gateway, "dev", "ztwire0")
    for device, neighbour in (("ztwire0", gateway), ("ztover0", far)):
        ip("neigh", "replace", neighbour, "lladdr", NEIGHBOUR.hex(":"), "dev", device)
    for half in halves:
        ip(f"-{own.version}", "route", "add", half, "dev", "ztover0")
    if is_kept:
        driver.device_of = lambda ip: socket.if_nametoindex("ztwire0")
    opened = driver.open(own.ip, 0)
    driver.send(Transmit(MARK, len(MARK), Endpoint(ip_address(far), 9993), opened.socket_id))
    seen = wait_frame(
        wire if is_kept else overlay, lambda frame: bytes(frame.buffer).endswith(MARK)
    )
    wire.close()
    overlay.close()
    assert bytes(seen.buffer[:6]) == NEIGHBOUR


@pytest.mark.parametrize("local", ["10.66.0.1/24", "fd66::1/64"])
def test_sockets_that_keep_to_a_device_hear_each_other(driver: UdpDriver, local: str) -> None:
    tap = Tap("ztwire0")
    bring_up(tap)
    own = ip_interface(local)
    give_address("ztwire0", local)
    driver.device_of = lambda ip: socket.if_nametoindex("ztwire0")
    one, other = driver.open(own.ip, 0), driver.open(own.ip, 0)
    driver.send(Transmit(MARK, len(MARK), other.endpoint, one.socket_id))
    assert select.select([other.fileno()], [], [], PATIENCE)[0]
    heard = [bytes(train.buffer) for train in other.receive(1)]
    tap.close()
    assert heard == [MARK]
