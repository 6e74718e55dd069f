"""Stacks at pumps: in threads, and inside an asyncio loop."""

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from ipaddress import ip_network

import pytest
import pytest_asyncio

from tests.host.cores import Runner, running
from tests.host.machine import PATIENCE, comes_true, ip, wait_for
from tests.host.stacks import NETWORK, Member
from tests.lab.user_tcp import Transfer
from tests.unit.vl1.mesh import endpoint
from ztlink.batch import Transmit
from ztlink.clock import Now
from ztlink.drivers.chance import random_bytes
from ztlink.drivers.clock import read_clock
from ztlink.drivers.in_asyncio import PumpInLoop
from ztlink.drivers.udp import UdpDriver
from ztlink.ids import Endpoint, MulticastGroup, NetworkId, SocketId
from ztlink.netstack.events import (
    Connected,
    DatagramReceived,
    EchoAnswered,
    EchoFailed,
    Event,
    Reason,
)
from ztlink.netstack.stack import Stack
from ztlink.node.core import Core

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

SIZE = 3_000_000
PORT = 8080
DATAGRAMS = 200


class Halting(UdpDriver):
    """Says at every third attempt that the socket is full."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0
        self.refused = 0

    def send(self, transmit: Transmit) -> bool:
        self.attempts += 1
        if self.attempts % 3 == 0:
            self.refused += 1
            return False
        return super().send(transmit)


class Closed(UdpDriver):
    """Takes nothing once it is closed."""

    is_closed = False

    def send(self, transmit: Transmit) -> bool:
        return not self.is_closed and super().send(transmit)


@contextlib.contextmanager
def member(number: int, udp: UdpDriver | None = None) -> Iterator[Member]:
    """Run a node with a stack; number 0 is the root."""
    with running(number, udp) as runner:
        joined = Member(runner)
        joined.join()
        wait_for(lambda: len(joined.stack.addresses) > 2)
        yield joined


@pytest.fixture
def root() -> Iterator[Member]:
    with member(0) as made:
        yield made


@pytest.fixture
def node(root: Member) -> Iterator[Member]:
    with member(1) as made:
        yield made


# -- in threads ------------------------------------------------------------------------------


def test_a_stack_has_the_addresses_of_its_network(root: Member) -> None:
    assert root.ip in ip_network("10.0.0.0/8")
    assert sorted(one.version for one in root.stack.addresses) == [4, 6, 6]


def test_the_core_is_told_of_a_stacks_groups(root: Member) -> None:
    def subscribed(core: Core, now: Now) -> set[MulticastGroup]:
        (view,) = core.network_views(now)
        return set(view.groups)

    assert root.runner.pump.submit(subscribed).result(PATIENCE) >= root.stack.groups()


def test_a_stack_that_comes_later_takes_the_configuration_that_is_here(root: Member) -> None:
    root.runner.pump.remove_stack(NETWORK).result(PATIENCE)
    later = Member(root.runner)
    root.runner.pump.add_stack(NETWORK, later.port).result(PATIENCE)
    assert later.ip == root.ip


def test_a_network_that_is_left_takes_its_addresses_along(root: Member) -> None:
    root.runner.pump.submit(lambda core, now: core.leave(NETWORK, now)).result(PATIENCE)
    assert comes_true(lambda: len(root.stack.addresses) == 1)


def test_a_network_that_is_joined_again_is_told_of_the_groups_again(
    root: Member, node: Member
) -> None:
    for change in (Core.leave, Core.join):
        root.runner.pump.submit(partial(change_membership, change)).result(PATIENCE)
    wait_for(lambda: len(root.stack.addresses) > 2)
    node.do(lambda stack, now: stack.ping(root.ip, 8, now))
    assert node.wait_for(EchoAnswered).remote == root.ip


def change_membership(change: Callable[[Core, NetworkId, Now], None], core: Core, now: Now) -> None:
    change(core, NETWORK, now)


def test_stacks_reach_each_other(root: Member, node: Member) -> None:
    node.do(lambda stack, now: stack.ping(root.ip, 2000, now))
    assert node.wait_for(EchoAnswered).size == 2000


def test_timers_of_a_stack_are_kept(root: Member) -> None:
    nobody = root.ip + 1
    root.do(lambda stack, now: stack.ping(nobody, 8, now))
    assert root.wait_for(EchoFailed).reason is Reason.HOST_UNREACHABLE


def test_a_stack_that_was_disconnected_hears_nothing(root: Member, node: Member) -> None:
    assert root.runner.pump.remove_stack(NETWORK).result(PATIENCE) is root.port
    node.do(lambda stack, now: stack.ping(root.ip, 8, now))
    assert node.wait_for(EchoFailed).reason is Reason.HOST_UNREACHABLE


def test_a_stack_that_is_not_there_is_not_returned(root: Member) -> None:
    root.runner.pump.remove_stack(NETWORK).result(PATIENCE)
    assert root.runner.pump.remove_stack(NETWORK).result(PATIENCE) is None


def sending(socket_id: SocketId, data: bytes, remote: Endpoint) -> Callable[[Stack, Now], bool]:
    return lambda stack, now: stack.send_datagram(socket_id, data, remote, now)


def arrives(sender: Member, receiver: Member) -> bool:
    """Send bytes over TCP; tell whether they arrive."""
    data = random_bytes(SIZE)
    source, sink = Transfer(sender.stack, memoryview(data)), Transfer(receiver.stack)
    sender.takers.append(source.take)
    receiver.takers.append(sink.take)

    def connect(stack: Stack, now: Now) -> None:
        source.id = stack.connect(Endpoint(receiver.ip, PORT), now)

    receiver.do(lambda stack, now: stack.listen(Endpoint(receiver.ip, PORT), 5, now))
    sender.do(connect)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return sink.done.result(PATIENCE) == digest


def test_a_transfer_over_tcp_arrives(root: Member, node: Member) -> None:
    assert arrives(node, root)


def test_while_sockets_are_full_a_stack_waits_and_nothing_is_lost(root: Member) -> None:
    udp = Halting()
    with member(1, udp) as halting:
        halting.do(lambda stack, now: stack.ping(root.ip, 8, now))
        halting.wait_for(EchoAnswered)  # for a neighbour that is not known yet, few may wait
        taker = root.do(lambda stack, now: stack.bind_udp(Endpoint(root.ip, PORT)))
        sender = halting.do(lambda stack, now: stack.bind_udp(Endpoint(halting.ip, PORT)))
        remote = Endpoint(root.ip, PORT)
        for number in range(DATAGRAMS):
            data = number.to_bytes(2, "big") * 500
            halting.do(sending(sender, data, remote))
        got = [root.wait_for(DatagramReceived).data[:2] for _ in range(DATAGRAMS)]
        assert got == [number.to_bytes(2, "big") for number in range(DATAGRAMS)]
        assert udp.refused > DATAGRAMS // 4
        assert taker


def test_a_transfer_over_tcp_arrives_through_sockets_that_are_often_full(root: Member) -> None:
    with member(1, Halting()) as halting:
        assert arrives(halting, root)


def test_a_stack_is_not_pulled_while_sockets_are_full(root: Member) -> None:
    udp = Closed()
    with member(1, udp) as closed:
        closed.do(lambda stack, now: stack.ping(root.ip, 8, now))
        closed.wait_for(EchoAnswered)
        udp.is_closed = True
        for _ in range(3):
            closed.do(lambda stack, now: stack.ping(root.ip, 8, now))
        assert closed.do(lambda stack, now: stack.has_output())
        udp.is_closed = False
        assert comes_true(lambda: not closed.do(lambda stack, now: stack.has_output()))


def test_a_full_socket_does_not_keep_the_pump_awake_for_a_stack(root: Member) -> None:
    with member(1) as idle:
        threading.Event().wait(0.3)
        pump = idle.runner.pump
        before = pump.submit(cpu_seconds).result(PATIENCE)
        threading.Event().wait(0.5)
        assert pump.submit(cpu_seconds).result(PATIENCE) - before < 0.2


def cpu_seconds(core: Core, now: Now) -> float:
    return time.thread_time()


# -- inside asyncio --------------------------------------------------------------------------


class InLoop:
    """A node with a stack in the loop that is running."""

    def __init__(self, number: int) -> None:
        where = endpoint(number)
        ip("address", "add", f"{where.ip}/32", "dev", "lo")
        self.runner = Runner(number, UdpDriver())
        self.runner.udp.open(where.ip, where.port)
        self.member = Member(self.runner)
        self.pump = self.runner.pump
        self.in_loop = PumpInLoop(self.pump)
        self.waiting: asyncio.Queue[Event] = asyncio.Queue()
        self.member.takers.append(lambda event, now: self.waiting.put_nowait(event))

    def start(self) -> None:
        self.in_loop.start()
        self.member.join()

    def stop(self) -> None:
        self.in_loop.stop()
        self.runner.udp.close_all()

    async def configured(self) -> None:
        await asyncio.to_thread(wait_for, lambda: len(self.member.stack.addresses) > 2)

    async def wait_for(self, kind: type[Event]) -> Event:
        async with asyncio.timeout(PATIENCE):
            while not isinstance(event := await self.waiting.get(), kind):
                pass
        return event


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[tuple[InLoop, InLoop]]:
    both = InLoop(0), InLoop(1)
    for one in both:
        one.start()
    try:
        for one in both:
            await one.configured()
        yield both
    finally:
        for one in both:
            one.stop()


async def test_two_nodes_in_one_loop_reach_each_other(pair: tuple[InLoop, InLoop]) -> None:
    ours, theirs = pair
    ours.pump.call(lambda core, now: ours.member.stack.ping(theirs.member.ip, 56, now))
    answered = await ours.wait_for(EchoAnswered)
    assert isinstance(answered, EchoAnswered)
    assert answered.remote == theirs.member.ip


async def test_what_a_stack_has_to_send_is_carried_in_the_loops_next_turn(
    pair: tuple[InLoop, InLoop],
) -> None:
    ours, theirs = pair
    for _ in range(2):
        ours.member.stack.ping(theirs.member.ip, 56, read_clock())
        ours.in_loop.carry_soon()
    for _ in range(2):
        assert isinstance(await ours.wait_for(EchoAnswered), EchoAnswered)


async def test_what_is_sent_at_once_is_answered(pair: tuple[InLoop, InLoop]) -> None:
    ours, theirs = pair
    ours.member.stack.ping(theirs.member.ip, 56, read_clock())
    ours.in_loop.send(read_clock())
    assert isinstance(await ours.wait_for(EchoAnswered), EchoAnswered)


async def test_who_sends_at_once_is_told_of_nothing_before_that_is_done(
    pair: tuple[InLoop, InLoop],
) -> None:
    ours, _ = pair
    ours.member.stack.ping(ours.member.ip, 56, read_clock())
    ours.in_loop.send(read_clock())  # and the answer, which is our own, is here
    assert ours.waiting.empty()
    assert isinstance(await ours.wait_for(EchoAnswered), EchoAnswered)


async def test_there_is_no_thread_beside_the_loop(pair: tuple[InLoop, InLoop]) -> None:
    ours, theirs = pair
    ours.pump.call(lambda core, now: ours.member.stack.ping(theirs.member.ip, 56, now))
    await ours.wait_for(EchoAnswered)
    assert "ztlink-pump" not in {thread.name for thread in threading.enumerate()}


async def test_the_loops_timer_stands_in_for_the_pumps(pair: tuple[InLoop, InLoop]) -> None:
    ours, _ = pair
    nobody = ours.member.ip + 1
    ours.pump.call(lambda core, now: ours.member.stack.ping(nobody, 8, now))
    failed = await ours.wait_for(EchoFailed)
    assert isinstance(failed, EchoFailed)
    assert failed.reason is Reason.HOST_UNREACHABLE


async def test_who_is_told_something_may_use_the_stack_at_once(
    pair: tuple[InLoop, InLoop],
) -> None:
    ours, theirs = pair
    stack = ours.member.stack
    again: list[Event] = []

    def answer(event: Event, now: Now) -> None:
        if isinstance(event, EchoAnswered) and not again:
            again.append(event)
            ours.pump.call(lambda core, now: stack.ping(theirs.member.ip, 57, now))

    ours.member.takers.append(answer)
    ours.pump.call(lambda core, now: stack.ping(theirs.member.ip, 56, now))
    sizes = [(await ours.wait_for(EchoAnswered)) for _ in range(2)]
    assert [one.size for one in sizes if isinstance(one, EchoAnswered)] == [56, 57]


async def test_a_transfer_in_one_loop_arrives(pair: tuple[InLoop, InLoop]) -> None:
    ours, theirs = pair
    data = random_bytes(SIZE)
    source = Transfer(ours.member.stack, memoryview(data))
    sink = Transfer(theirs.member.stack)
    ours.member.takers.append(source.take)
    theirs.member.takers.append(sink.take)
    local = Endpoint(theirs.member.ip, PORT)
    theirs.pump.call(lambda core, now: theirs.member.stack.listen(local, 5, now))

    def connect(core: Core, now: Now) -> None:
        source.id = ours.member.stack.connect(local, now)

    ours.pump.call(connect)
    assert isinstance(await ours.wait_for(Connected), Connected)
    async with asyncio.timeout(PATIENCE):
        digest = await asyncio.wrap_future(sink.done)
    assert digest == hashlib.md5(data, usedforsecurity=False).hexdigest()


async def test_other_threads_may_still_submit(pair: tuple[InLoop, InLoop]) -> None:
    ours, _ = pair
    futures: list[Future[int]] = []
    thread = threading.Thread(target=lambda: futures.append(ours.pump.submit(lambda core, now: 7)))
    thread.start()
    await asyncio.to_thread(thread.join)
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.wrap_future(futures[0]) == 7


async def test_a_pump_in_a_loop_can_be_stopped_twice(pair: tuple[InLoop, InLoop]) -> None:
    pair[0].stop()
    pair[0].stop()
    assert pair[0].pump.finished.exception(0) is None


async def test_an_idle_pump_leaves_the_loop_alone(pair: tuple[InLoop, InLoop]) -> None:
    await asyncio.sleep(0.5)
    before = time.thread_time()
    await asyncio.sleep(0.5)
    assert time.thread_time() - before < 0.2


async def test_an_error_ends_the_pump_and_is_kept() -> None:
    broken = InLoop(2)
    broken.start()

    def break_down(core: Core, now: Now) -> None:
        raise ZeroDivisionError("a bug")

    broken.pump.submit(break_down)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ZeroDivisionError):
            await asyncio.wrap_future(broken.pump.finished)
    broken.stop()


async def test_a_command_that_fails_is_the_callers_matter(pair: tuple[InLoop, InLoop]) -> None:
    def refuse(core: Core, now: Now) -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError):
        pair[0].pump.call(refuse)
    assert pair[0].pump.call(lambda core, now: 7) == 7
