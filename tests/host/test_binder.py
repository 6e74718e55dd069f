"""Ports and sockets of a node on a machine whose addresses come and go."""

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address

import pytest

from tests.host.machine import comes_true, ip, wire
from ztlink.drivers.binder import Binder, Bound, Ports
from ztlink.drivers.sockets import MIN_RANDOM_PORT, LocalAddress, SocketPolicy, usual_ports
from ztlink.drivers.udp import UdpDriver
from ztlink.errors import HostError
from ztlink.host.addresses import AddressWatch, underlay_addresses
from ztlink.ids import Address, Endpoint, IpAddress

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

ONE: IpAddress = ip_address("10.1.2.1")
TWO: IpAddress = ip_address("10.1.2.2")
SIX: IpAddress = ip_address("fd12::1")
ADDRESS = Address(0x89E92CEEE5)


@pytest.fixture(autouse=True)
def card(own_network: None) -> None:
    """Have a device with one address."""
    wire("eth0", f"{ONE}/24")


@pytest.fixture
def udp() -> Iterator[UdpDriver]:
    made = UdpDriver()
    yield made
    made.close_all()


class Numbers:
    """Chance that gives these offsets above the least random port, then others."""

    def __init__(self, *drawn: int) -> None:
        self.drawn = list(drawn)
        self.others = 100

    def __call__(self, size: int) -> bytes:
        self.others += 1
        return (self.drawn.pop(0) if self.drawn else self.others).to_bytes(size, "big")


def binder(ports: Ports, *drawn: int, policy: SocketPolicy | None = None) -> Binder:
    made = Binder(ports, policy or SocketPolicy(), Numbers(*drawn))
    made.addresses = underlay_addresses()
    return made


def bound(udp: UdpDriver) -> set[str]:
    return {str(endpoint) for endpoint in udp.endpoints().values()}


def occupied(kind: int, where: str, port: int) -> socket.socket:
    """Return a socket that has the port, as another program does."""
    other = socket.socket(socket.AF_INET, kind)
    other.bind((where, port))
    if kind == socket.SOCK_STREAM:
        other.listen(1)
    return other


# -- ports -----------------------------------------------------------------------------------


def test_every_address_has_the_primary_and_a_random_secondary_port(udp: UdpDriver) -> None:
    binder(Ports(9993), 7).start(udp)
    assert bound(udp) == {"10.1.2.1/9993", "10.1.2.1/20007"}


def test_a_secondary_port_can_be_fixed_and_a_tertiary_one_added(udp: UdpDriver) -> None:
    binder(Ports(9993, secondary=9994, tertiary=9995)).start(udp)
    assert bound(udp) == {"10.1.2.1/9993", "10.1.2.1/9994", "10.1.2.1/9995"}


def test_there_may_be_no_secondary_port(udp: UdpDriver) -> None:
    binder(Ports(9993, secondary=None)).start(udp)
    assert bound(udp) == {"10.1.2.1/9993"}


def test_the_primary_port_may_be_random(udp: UdpDriver) -> None:
    made = binder(Ports(0, secondary=None), 5)
    made.start(udp)
    assert (made.primary, bound(udp)) == (MIN_RANDOM_PORT + 5, {"10.1.2.1/20005"})


def test_a_random_primary_port_that_is_in_use_is_drawn_again(udp: UdpDriver) -> None:
    with closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", 20_005)):
        made = binder(Ports(0, secondary=None), 5, 6)
        made.start(udp)
    assert made.primary == 20_006


def test_a_node_that_may_choose_has_the_same_ports_at_every_start(udp: UdpDriver) -> None:
    first = binder(Ports(0))
    first.start(udp, ADDRESS)
    udp.close_all()
    again = binder(Ports(0))
    again.start(udp, ADDRESS)
    assert (again.primary, again.secondary) == (first.primary, first.secondary)
    assert (first.primary, first.secondary) == usual_ports(ADDRESS)


def test_a_usual_port_that_is_in_use_is_left_to_who_has_it(udp: UdpDriver) -> None:
    primary, secondary = usual_ports(ADDRESS)
    with (
        closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", primary)),
        closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", secondary)),
    ):
        made = binder(Ports(0), 5, 6)
        made.start(udp, ADDRESS)
    assert (made.primary, made.secondary) == (20_005, 20_006)


def test_a_secondary_port_that_is_drawn_again_is_another(udp: UdpDriver) -> None:
    made = binder(Ports(9993), 7)
    made.start(udp, ADDRESS)
    made.draw_secondary(udp)
    assert made.secondary == 20_007


@pytest.mark.parametrize(
    ("kind", "where"), [(socket.SOCK_DGRAM, "10.1.2.1"), (socket.SOCK_STREAM, "127.0.0.1")]
)
def test_a_primary_port_in_use_is_an_error_that_says_what_to_do(
    udp: UdpDriver, kind: int, where: str
) -> None:
    with (
        closing(occupied(kind, where, 9993)),
        pytest.raises(HostError, match=r"9993.*in use; is another node running\?.*--port"),
    ):
        binder(Ports(9993)).start(udp)


def test_the_next_port_is_taken_where_that_is_allowed(udp: UdpDriver) -> None:
    with (
        closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", 9993)),
        closing(occupied(socket.SOCK_STREAM, "127.0.0.1", 9994)),
    ):
        made = binder(Ports(9993, next_ports=2, secondary=None))
        made.start(udp)
    assert (made.primary, bound(udp)) == (9995, {"10.1.2.1/9995"})


def test_no_more_ports_are_tried_than_are_allowed(udp: UdpDriver) -> None:
    with (
        closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", 9993)),
        closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", 9994)),
        pytest.raises(HostError, match=r"10\.1\.2\.1/9993") as caught,
    ):
        binder(Ports(9993, next_ports=1)).start(udp)
    assert caught.value.errno == errno.EADDRINUSE


def test_a_fixed_secondary_port_in_use_is_said_and_done_without(
    udp: UdpDriver, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(occupied(socket.SOCK_DGRAM, "10.1.2.1", 9994)):
        made = binder(Ports(9993, secondary=9994))
        made.start(udp)
    assert bound(udp) == {"10.1.2.1/9993"}
    assert made.bound == Bound(9993)
    assert "cannot bind UDP 10.1.2.1/9994: Address already in use" in caplog.text


def test_another_secondary_port_can_be_drawn(udp: UdpDriver) -> None:
    made = binder(Ports(9993), 7, 8)
    made.start(udp)
    made.draw_secondary(udp)
    assert bound(udp) == {"10.1.2.1/9993", "10.1.2.1/20008"}


def test_a_fixed_secondary_port_stays(udp: UdpDriver) -> None:
    made = binder(Ports(9993, secondary=9994))
    made.start(udp)
    made.draw_secondary(udp)
    assert bound(udp) == {"10.1.2.1/9993", "10.1.2.1/9994"}


# -- addresses -------------------------------------------------------------------------------


@pytest.fixture
def started(udp: UdpDriver) -> Binder:
    made = binder(Ports(9993, secondary=None))
    made.start(udp)
    return made


def follow(made: Binder, udp: UdpDriver) -> set[str]:
    made.addresses = underlay_addresses()
    made.follow(udp)
    return bound(udp)


def test_an_address_that_comes_is_bound(udp: UdpDriver, started: Binder) -> None:
    ip("address", "add", f"{TWO}/24", "dev", "eth0")
    assert follow(started, udp) == {"10.1.2.1/9993", "10.1.2.2/9993"}


def test_an_address_that_goes_is_closed(udp: UdpDriver, started: Binder) -> None:
    ip("address", "del", f"{ONE}/24", "dev", "eth0")
    assert follow(started, udp) == set()


def test_a_device_that_goes_down_is_closed(udp: UdpDriver, started: Binder) -> None:
    ip("link", "set", "eth0", "down")
    assert follow(started, udp) == set()


def test_what_stays_keeps_its_socket(udp: UdpDriver, started: Binder) -> None:
    before = dict(udp.endpoints())
    ip("address", "add", f"{TWO}/24", "dev", "eth0")
    follow(started, udp)
    assert before.items() <= udp.endpoints().items()


def test_a_socket_keeps_to_a_device_that_was_made_anew_meanwhile(
    udp: UdpDriver, started: Binder
) -> None:
    (before,) = udp.sockets.values()
    ip("link", "del", "eth0")
    wire("eth0", f"{ONE}/24")
    assert follow(started, udp) == {"10.1.2.1/9993"}
    (after,) = udp.sockets.values()
    assert before.device != after.device == socket.if_nametoindex("eth0")


def test_a_port_in_use_on_a_new_address_is_said_once_and_holds_up_nothing(
    udp: UdpDriver, started: Binder, caplog: pytest.LogCaptureFixture
) -> None:
    ip("address", "add", f"{TWO}/24", "dev", "eth0")
    with closing(occupied(socket.SOCK_DGRAM, "10.1.2.2", 9993)), caplog.at_level(logging.WARNING):
        follow(started, udp)
        assert follow(started, udp) == {"10.1.2.1/9993"}
    assert caplog.text.count("cannot bind UDP 10.1.2.2/9993") == 1


def test_a_named_address_is_bound_when_the_machine_gets_it(udp: UdpDriver) -> None:
    made = binder(Ports(9993, secondary=None), policy=SocketPolicy(bind=(TWO,)))
    made.start(udp)
    assert bound(udp) == set()
    ip("address", "add", f"{TWO}/24", "dev", "eth0")
    assert follow(made, udp) == {"10.1.2.2/9993"}


def test_a_named_address_that_the_machine_lacks_is_said_once_with_what_would_help(
    udp: UdpDriver, caplog: pytest.LogCaptureFixture
) -> None:
    made = binder(Ports(9993, secondary=9994), policy=SocketPolicy(bind=(ONE, TWO)))
    made.start(udp)
    follow(made, udp)
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("cannot bind UDP 10.1.2.2: this machine has no such address")
    assert "--bind" in said


def test_a_node_with_one_socket_is_not_deaf(udp: UdpDriver, started: Binder) -> None:
    assert started.bound == Bound(primary=9993)


def test_the_ports_in_use_are_told(udp: UdpDriver) -> None:
    made = binder(Ports(9993, tertiary=9995), 7)
    made.start(udp)
    assert made.bound == Bound(9993, 20_007, 9995)


def test_why_the_last_socket_is_gone_is_said_and_that_there_is_one_again(
    udp: UdpDriver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = binder(Ports(9993, secondary=None), policy=SocketPolicy(excluded_prefixes=("eth",)))
    made.start(udp)
    assert made.bound.deafness is not None
    assert "10.1.2.1 (eth0) is on a device whose name begins with eth" in caplog.text
    wire("wan0", f"{TWO}/24")
    assert follow(made, udp) == {"10.1.2.2/9993"}
    assert made.bound.deafness is None
    assert "there are UDP sockets again" in caplog.text


def test_a_port_in_use_on_the_only_address_is_why_there_is_no_socket(
    udp: UdpDriver, started: Binder
) -> None:
    ip("address", "add", f"{TWO}/32", "dev", "eth0")
    with closing(occupied(socket.SOCK_DGRAM, "10.1.2.2", 9993)):
        ip("address", "del", f"{ONE}/24", "dev", "eth0")
        assert follow(started, udp) == set()
        deafness = started.bound.deafness
    assert deafness is not None
    assert "10.1.2.2/9993: Address already in use" in deafness.message


def test_a_node_without_addresses_waits_for_one(udp: UdpDriver) -> None:
    ip("link", "set", "eth0", "down")
    made = binder(Ports(9993, secondary=None))
    made.start(udp)
    ip("link", "set", "eth0", "up")
    assert follow(made, udp) == {"10.1.2.1/9993"}


# -- what the kernel says of addresses -------------------------------------------------------


def test_a_tentative_address_is_bound_when_the_kernel_has_made_sure(
    udp: UdpDriver, started: Binder
) -> None:
    watch = AddressWatch()
    try:
        ip("address", "add", f"{SIX}/64", "dev", "eth0")
        assert f"{SIX}/9993" not in follow(started, udp)

        def is_bound_after_news() -> bool:
            watch.drain()
            return f"{SIX}/9993" in follow(started, udp)

        assert comes_true(is_bound_after_news)
    finally:
        watch.close()


def test_a_deprecated_address_is_told(started: Binder) -> None:
    life = ("valid_lft", "1000", "preferred_lft", "0")
    ip("address", "add", f"{SIX}/64", "dev", "eth0", "nodad", *life)
    assert [one for one in underlay_addresses() if one.ip == SIX] == [
        LocalAddress("eth0", SIX, socket.if_nametoindex("eth0"), is_deprecated=True)
    ]


def test_a_deprecated_address_stays_bound_until_it_goes(udp: UdpDriver, started: Binder) -> None:
    ip("address", "add", f"{SIX}/64", "dev", "eth0", "nodad")
    assert f"{SIX}/9993" in follow(started, udp)
    life = ("valid_lft", "1000", "preferred_lft", "0")
    ip("address", "add", "fd12::2/64", "dev", "eth0", "nodad")
    ip("address", "replace", f"{SIX}/64", "dev", "eth0", *life)
    assert f"{SIX}/9993" in follow(started, udp)
    ip("address", "del", f"{SIX}/64", "dev", "eth0")
    assert f"{SIX}/9993" not in follow(started, udp)


def test_the_driver_is_told_endpoints_of_both_families(udp: UdpDriver, started: Binder) -> None:
    ip("address", "add", f"{SIX}/64", "dev", "eth0", "nodad")
    follow(started, udp)
    assert set(udp.endpoints().values()) == {Endpoint(ONE, 9993), Endpoint(SIX, 9993)}
