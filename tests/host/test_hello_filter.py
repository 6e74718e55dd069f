"""What the kernel lets pass of what strangers send, over the loopback of a namespace."""

import random
import select
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from tests.host.machine import comes_true, give_address
from tests.lab.flood import Forgery, forge
from tests.lab.planet import known_identity
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.hello_filter import assemble
from ztlink.drivers.loop import Pump
from ztlink.drivers.udp import UdpDriver, UdpSocket
from ztlink.ids import Address, IpAddress
from ztlink.node.core import Core
from ztlink.vl1.floodgate import OPEN, Gate, source_of
from ztlink.wire.default_planet import DEFAULT_PLANET
from ztlink.wire.packet import OFFSET_FLAGS, OFFSET_FRAGMENT_MARKER, OFFSET_VERB
from ztlink.wire.verbs import Verb

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

ME = known_identity(0).public
HERE: IpAddress = ip_address("127.0.0.1")
HERE6: IpAddress = ip_address("::1")
ELSEWHERE = "127.0.7.1"
NONE_OF_THEM = Gate(named=frozenset({source_of(HERE), source_of(HERE6)}), named_share=0.0)
COUNT = 50


@pytest.fixture
def driver() -> Iterator[UdpDriver]:
    made = UdpDriver()
    yield made
    made.close_all()


@pytest.fixture(params=[HERE, HERE6], ids=["IPv4", "IPv6"])
def receiver(driver: UdpDriver, request: pytest.FixtureRequest) -> UdpSocket:
    return driver.open(request.param, 0)


@pytest.fixture
def hellos() -> Iterator[bytes]:
    return forge(Forgery.STRANGERS, ME, random.Random(1))  # noqa: S311 - the same in every run


def passed(receiver: UdpSocket, packets: list[bytes], source: str = "") -> int:
    """Send packets, then one that always passes, and count what arrives before it."""
    family = socket.AF_INET if receiver.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for packet in (*packets, b"end"):
            sender.sendto(packet, (str(receiver.endpoint.ip), receiver.endpoint.port))
    count = 0
    while select.select([receiver.fileno()], [], [], 10)[0]:
        for train in receiver.receive(1):
            for start in range(0, len(train.buffer), train.segment_size):
                if bytes(train.buffer[start : start + train.segment_size]) == b"end":
                    return count
                count += 1
    raise AssertionError("even what must pass did not")


def some(packets: Iterator[bytes]) -> list[bytes]:
    return [next(packets) for _ in range(COUNT)]


def test_all_pass_without_a_filter(receiver: UdpSocket, hellos: Iterator[bytes]) -> None:
    assert passed(receiver, some(hellos)) == COUNT


def test_hellos_of_a_source_that_is_named_are_held_back(
    receiver: UdpSocket, hellos: Iterator[bytes]
) -> None:
    receiver.filter(NONE_OF_THEM, ME.address)
    assert passed(receiver, some(hellos)) == 0


def test_hellos_of_others_pass(driver: UdpDriver, hellos: Iterator[bytes]) -> None:
    receiver = driver.open(HERE, 0)
    receiver.filter(NONE_OF_THEM, ME.address)
    assert passed(receiver, some(hellos), ELSEWHERE) == COUNT


def test_hellos_of_another_ipv6_network_pass(driver: UdpDriver, hellos: Iterator[bytes]) -> None:
    give_address("lo", "fd12::1/64")
    receiver = driver.open(HERE6, 0)
    receiver.filter(NONE_OF_THEM, ME.address)
    assert passed(receiver, some(hellos), "fd12::1") == COUNT


def test_hellos_of_all_others_can_be_held_back_too(
    driver: UdpDriver, hellos: Iterator[bytes]
) -> None:
    receiver = driver.open(HERE, 0)
    receiver.filter(Gate(others_share=0.0), ME.address)
    assert passed(receiver, some(hellos), ELSEWHERE) == 0


def test_a_share_passes(receiver: UdpSocket, hellos: Iterator[bytes]) -> None:
    receiver.filter(Gate(named=NONE_OF_THEM.named, named_share=0.5), ME.address)
    assert 100 < sum(passed(receiver, some(hellos)) for _ in range(8)) < 300


def other_verb(hello: bytes) -> bytes:
    return hello[:OFFSET_VERB] + bytes([Verb.FRAME]) + hello[OFFSET_VERB + 1 :]


def sealed(hello: bytes) -> bytes:
    return hello[:OFFSET_FLAGS] + bytes([0x98]) + hello[OFFSET_FLAGS + 1 :]


def fragment(hello: bytes) -> bytes:
    return hello[:OFFSET_FRAGMENT_MARKER] + b"\xff" + hello[OFFSET_FRAGMENT_MARKER + 1 :]


def for_another(hello: bytes) -> bytes:
    return hello[:12] + bytes([hello[12] ^ 1]) + hello[13:]


def for_a_distant_one(hello: bytes) -> bytes:
    return hello[:8] + bytes([hello[8] ^ 1]) + hello[9:]


def shortened(hello: bytes) -> bytes:
    return hello[:27]


def a_punch(hello: bytes) -> bytes:
    return hello[:4]


@pytest.mark.parametrize(
    "change",
    [other_verb, sealed, fragment, for_another, for_a_distant_one, shortened, a_punch],
)
def test_nothing_but_hellos_to_us_is_held_back(
    receiver: UdpSocket, hellos: Iterator[bytes], change: Callable[[bytes], bytes]
) -> None:
    receiver.filter(NONE_OF_THEM, ME.address)
    assert passed(receiver, [change(hello) for hello in some(hellos)]) == COUNT


def test_all_pass_again_when_the_gate_is_open(receiver: UdpSocket, hellos: Iterator[bytes]) -> None:
    receiver.filter(NONE_OF_THEM, ME.address)
    receiver.filter(OPEN, ME.address)
    assert passed(receiver, some(hellos)) == COUNT


def test_an_open_gate_needs_no_filter(
    receiver: UdpSocket, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.filter(OPEN, ME.address)
    assert caplog.text == ""


def test_a_socket_that_is_opened_later_filters_too(
    driver: UdpDriver, hellos: Iterator[bytes]
) -> None:
    driver.filter(NONE_OF_THEM, ME.address)
    assert passed(driver.open(HERE, 0), some(hellos)) == 0


def test_a_node_under_a_flood_has_its_sockets_filter_and_ends_it_afterwards(
    driver: UdpDriver, hellos: Iterator[bytes]
) -> None:
    opened = driver.open(HERE, 0)
    core = Core(known_identity(0), DEFAULT_PLANET, random_bytes=random_bytes, now=read_clock())
    pump = Pump(core, driver, lambda event: None)
    pump.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

            def is_filtering() -> bool:
                for hello in some(hellos):
                    sender.sendto(hello, (str(HERE), opened.endpoint.port))
                return driver.gate.named == {source_of(HERE)}

            assert comes_true(is_filtering)
        assert comes_true(lambda: driver.gate is OPEN)
    finally:
        pump.stop()


def test_every_jump_lands_in_the_program() -> None:
    many = frozenset((version, number) for version in (4, 6) for number in range(16))
    for version in (4, 6):
        program = assemble(Gate(named=many), Address(2**40 - 1), version)
        steps = list(struct.iter_unpack("=HBBI", program))
        for place, (_, if_so, if_not, _) in enumerate(steps):
            assert place + 1 + max(if_so, if_not) <= len(steps)
