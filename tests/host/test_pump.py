"""The thread that owns a core."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.host.cores import Runner, running
from tests.host.machine import (
    PATIENCE,
    bring_up,
    comes_true,
    dead_end,
    ip,
    open_dead_end,
    shrink,
    wait_for,
)
from tests.unit.vl1.mesh import endpoint, identity
from ztlink.batch import SuperFrame, Transmit
from ztlink.clock import Now
from ztlink.drivers.loop import MAX_UNSENT, Pump
from ztlink.drivers.tap import Tap
from ztlink.drivers.udp import UdpDriver, UdpSocket
from ztlink.errors import HostError, LocalProtocolError
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, NetworkId
from ztlink.node.core import Core
from ztlink.node.events import NodeOnline
from ztlink.stats import Drop

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

NETWORK = NetworkId(0xFF00000000000000 | 0x01BB000000 << 8 | 0x01)


@pytest.fixture
def runner() -> Iterator[Runner]:
    with running(0) as made:
        yield made


@pytest.fixture
def pump(runner: Runner) -> Pump:
    return runner.pump


def address_of(core: Core, now: Now) -> Address:
    return core.identity.address


def break_rule(core: Core, now: Now) -> None:
    raise LocalProtocolError("not so")


def break_down(core: Core, now: Now) -> None:
    raise ZeroDivisionError("a bug")


def nothing(core: Core, now: Now) -> None:
    pass


# -- commands --------------------------------------------------------------------------------


def test_a_command_returns_its_result(pump: Pump) -> None:
    assert pump.submit(address_of).result(PATIENCE) == identity(0).address


def test_a_command_runs_in_the_thread_of_the_pump(pump: Pump) -> None:
    name = pump.submit(lambda core, now: threading.current_thread().name).result(PATIENCE)
    assert name == "ztlink-pump"


def test_commands_run_in_order(pump: Pump) -> None:
    ran: list[int] = []

    def note(number: int) -> "Future[None]":
        return pump.submit(lambda core, now: ran.append(number))

    futures = [note(number) for number in range(100)]
    futures[-1].result(PATIENCE)
    assert ran == list(range(100))


def test_an_error_in_a_command_surfaces_in_its_future(pump: Pump) -> None:
    with pytest.raises(LocalProtocolError, match="not so"):
        pump.submit(break_rule).result(PATIENCE)


def test_after_an_error_the_pump_goes_on(pump: Pump) -> None:
    pump.submit(break_rule).exception(PATIENCE)
    assert pump.submit(address_of).result(PATIENCE) == identity(0).address


def test_a_command_that_was_cancelled_does_not_run(pump: Pump) -> None:
    entered, released = threading.Event(), threading.Event()
    ran: list[bool] = []

    def block(core: Core, now: Now) -> None:
        entered.set()
        released.wait(PATIENCE)

    pump.submit(block)
    assert entered.wait(PATIENCE)
    future = pump.submit(lambda core, now: ran.append(True))
    future.cancel()
    released.set()
    pump.submit(nothing).result(PATIENCE)
    assert ran == []
    with pytest.raises(CancelledError):
        future.result(0)


# -- the end ---------------------------------------------------------------------------------


def test_the_thread_has_ended_after_stopping(pump: Pump) -> None:
    pump.stop()
    assert "ztlink-pump" not in {thread.name for thread in threading.enumerate()}


def test_a_pump_that_was_stopped_has_finished_without_an_error(pump: Pump) -> None:
    pump.stop()
    assert pump.finished.exception(0) is None


def test_a_pump_can_be_stopped_twice(pump: Pump) -> None:
    pump.stop()
    pump.stop()
    assert pump.finished.done()


def test_a_pump_that_was_never_started_can_be_stopped() -> None:
    unused = Runner(0, UdpDriver()).pump
    unused.stop()
    with pytest.raises(RuntimeError, match="does not take commands"):
        unused.submit(nothing).result(0)


def test_a_pump_that_was_stopped_refuses_commands(pump: Pump) -> None:
    pump.stop()
    with pytest.raises(RuntimeError, match="does not take commands"):
        pump.submit(nothing).result(0)


def test_a_command_that_the_end_overtakes_is_refused(pump: Pump) -> None:
    late: list[Future[None]] = []

    def fail(core: Core, now: Now) -> None:
        late.append(pump.submit(nothing))
        break_down(core, now)

    pump.submit(fail)
    pump.finished.exception(PATIENCE)
    with pytest.raises(RuntimeError, match="does not take commands"):
        late[0].result(PATIENCE)


def test_a_bug_in_a_command_surfaces_in_its_future(pump: Pump) -> None:
    with pytest.raises(ZeroDivisionError):
        pump.submit(break_down).result(PATIENCE)


def test_a_bug_in_a_command_ends_the_pump(pump: Pump) -> None:
    pump.submit(break_down)
    with pytest.raises(ZeroDivisionError):
        pump.finished.result(PATIENCE)


def test_a_pump_that_failed_can_be_stopped(pump: Pump) -> None:
    pump.submit(break_down)
    pump.finished.exception(PATIENCE)
    pump.stop()
    assert isinstance(pump.finished.exception(0), ZeroDivisionError)


# -- sockets ---------------------------------------------------------------------------------


def test_the_core_knows_what_is_bound(runner: Runner) -> None:
    found = runner.pump.submit(lambda core, now: dict(core.sockets())).result(PATIENCE)
    assert list(found.values()) == [endpoint(0)]


def test_the_core_is_told_of_new_sockets(runner: Runner) -> None:
    more = Endpoint(ip_address("127.0.0.1"), 9993)
    runner.pump.open_sockets(lambda udp: udp.open(more.ip, more.port)).result(PATIENCE)
    found = runner.pump.submit(lambda core, now: dict(core.sockets())).result(PATIENCE)
    assert set(found.values()) == {endpoint(0), more}


def test_a_socket_that_cannot_be_opened_does_not_end_the_pump(runner: Runner) -> None:
    where = endpoint(0)
    with pytest.raises(HostError, match="cannot bind UDP"):
        runner.pump.open_sockets(lambda udp: udp.open(where.ip, where.port)).result(PATIENCE)
    assert runner.pump.submit(address_of).result(PATIENCE) == identity(0).address


# -- nodes -----------------------------------------------------------------------------------


def test_a_node_reaches_its_root() -> None:
    with running(0), running(1) as node:
        assert node.hears_of(NodeOnline(online=True))


def test_a_root_hears_of_a_node_that_it_has_checked() -> None:
    with running(0) as root, running(1):

        def knows(address: Address) -> bool:
            views = root.pump.submit(lambda core, now: core.peer_views(now)).result(PATIENCE)
            return address in {view.identity.address for view in views}

        assert comes_true(lambda: knows(identity(1).address))


def test_a_node_reaches_its_root_by_a_socket_that_is_opened_later() -> None:
    with running(0), running(1) as node:
        assert node.hears_of(NodeOnline(online=True))

        def reopen(udp: UdpDriver) -> None:
            udp.close_all()
            udp.open(endpoint(1).ip, 9994)

        node.pump.open_sockets(reopen).result(PATIENCE)

        def is_heard() -> bool:
            views = node.pump.submit(lambda core, now: core.peer_views(now)).result(PATIENCE)
            numbers = set(node.udp.endpoints())
            return any(path.socket in numbers for view in views for path in view.paths)

        assert comes_true(is_heard)


class Clogged(UdpDriver):
    """Sends nothing at the first attempts, as where the sockets' buffers are full."""

    def __init__(self, *, for_ever: bool = False) -> None:
        super().__init__()
        self.attempts = 0
        self.for_ever = for_ever

    def send(self, transmit: Transmit) -> bool:
        self.attempts += 1
        return self.attempts > 3 and not self.for_ever and super().send(transmit)


def test_what_could_not_be_sent_at_once_is_sent_later() -> None:
    with running(0), running(1, Clogged()) as node:
        assert node.hears_of(NodeOnline(online=True))


STUCK = Endpoint(ip_address("10.66.0.9"), 9993)


@pytest.fixture
def stuck(runner: Runner) -> Iterator[UdpSocket]:
    """A second socket of the pump, which is full."""
    with dead_end():
        where = ip_address("10.66.0.1")
        runner.pump.open_sockets(lambda udp: udp.open(where, 0)).result(PATIENCE)
        opened = next(s for s in runner.udp.sockets.values() if s.endpoint.ip == where)
        shrink(opened.fileno())
        transmit = Transmit(bytes(1400), 1400, STUCK, opened.socket_id)
        runner.pump.submit(
            lambda core, now: any(not opened.send(transmit) for _ in range(100))
        ).result(PATIENCE)
        yield opened


def test_what_a_full_socket_did_not_take_is_sent_when_it_has_room(
    runner: Runner, stuck: UdpSocket
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as observer:
        observer.bind(("127.0.0.1", 0))
        observer.settimeout(PATIENCE)
        here = Endpoint(ip_address("127.0.0.1"), observer.getsockname()[1])
        runner.send(
            Transmit(bytes(1400), 1400, STUCK, stuck.socket_id),
            Transmit(b"after", 5, here, ALL_SOCKETS),
        )
        open_dead_end()
        assert observer.recv(100) == b"after"


def test_a_full_socket_does_not_keep_the_pump_awake(runner: Runner, stuck: UdpSocket) -> None:
    runner.send(Transmit(bytes(1400), 1400, STUCK, stuck.socket_id))
    before = cpu_time(runner.pump)
    threading.Event().wait(0.5)
    assert cpu_time(runner.pump) - before < 0.2


def test_what_is_for_a_full_socket_goes_with_it(runner: Runner, stuck: UdpSocket) -> None:
    runner.send(Transmit(bytes(1400), 1400, STUCK, stuck.socket_id))
    runner.pump.open_sockets(lambda udp: udp.close(stuck.socket_id)).result(PATIENCE)
    here = next(iter(runner.udp.sockets.values())).endpoint
    refused = runner.core.stats.drops[Drop.SEND_REFUSED]
    runner.send(Transmit(b"x", 1, Endpoint(here.ip, 0), ALL_SOCKETS))
    assert runner.core.stats.drops[Drop.SEND_REFUSED] > refused


def test_what_is_too_much_to_keep_is_counted(runner: Runner, stuck: UdpSocket) -> None:
    much = Transmit(bytes(1400), 700, STUCK, stuck.socket_id)
    runner.send(*[replace(much) for _ in range(MAX_UNSENT + 3)])
    assert runner.core.stats.drops[Drop.QUEUE_FULL] == 6


# -- devices ---------------------------------------------------------------------------------


@pytest.fixture
def tap() -> Iterator[Tap]:
    opened = Tap("zttest0")
    bring_up(opened, "10.1.2.3/24")
    yield opened
    opened.close()


def test_a_device_is_returned_open(pump: Pump, tap: Tap) -> None:
    pump.add_port(NETWORK, tap).result(PATIENCE)
    assert pump.remove_port(NETWORK).result(PATIENCE) is tap
    assert tap.fileno() >= 0


def test_a_device_that_is_not_there_is_not_returned(pump: Pump) -> None:
    assert pump.remove_port(NETWORK).result(PATIENCE) is None


class Counting(Tap):
    """Counts the frames that are read."""

    frames = 0

    def read(self, budget: int) -> Iterator[SuperFrame]:
        for frame in super().read(budget):
            self.frames += 1
            yield frame


@pytest.fixture
def counting() -> Iterator[Counting]:
    opened = Counting("zttest1")
    bring_up(opened, "10.1.2.3/24")
    yield opened
    opened.close()


def ask_for_neighbour() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", ("10.1.2.9", 4000))


def test_frames_of_a_device_are_read(pump: Pump, counting: Counting) -> None:
    pump.add_port(NETWORK, counting).result(PATIENCE)
    ask_for_neighbour()
    assert comes_true(lambda: counting.frames > 0)


def test_a_device_is_not_read_after_it_was_disconnected(pump: Pump, counting: Counting) -> None:
    pump.add_port(NETWORK, counting).result(PATIENCE)
    pump.remove_port(NETWORK).result(PATIENCE)
    before = counting.frames
    ask_for_neighbour()
    pump.submit(nothing).result(PATIENCE)
    assert counting.frames == before


def test_devices_are_not_read_while_sockets_are_full(counting: Counting) -> None:
    udp = Clogged(for_ever=True)
    with running(1, udp) as node:
        wait_for(lambda: udp.attempts > 0)
        node.pump.add_port(NETWORK, counting).result(PATIENCE)
        before = counting.frames
        ask_for_neighbour()
        threading.Event().wait(0.2)
        assert counting.frames == before


def test_a_device_that_somebody_removed_does_not_keep_the_pump_awake(pump: Pump, tap: Tap) -> None:
    pump.add_port(NETWORK, tap).result(PATIENCE)
    ip("link", "delete", tap.name)
    wait_for(lambda: tap.is_gone)
    before = cpu_time(pump)
    threading.Event().wait(0.5)
    assert cpu_time(pump) - before < 0.2


def cpu_time(pump: Pump) -> float:
    """Return the CPU seconds that the pump's thread has used."""
    return pump.submit(lambda core, now: time.thread_time()).result(PATIENCE)


def test_a_device_that_somebody_removed_can_be_disconnected(pump: Pump, tap: Tap) -> None:
    pump.add_port(NETWORK, tap).result(PATIENCE)
    ip("link", "delete", tap.name)
    wait_for(lambda: tap.is_gone)
    assert pump.remove_port(NETWORK).result(PATIENCE) is tap
