"""Transports over two stacks: what is told late, of connections that are gone."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.unit.netstack.ether import OWN_4, PEER_4, Ether, at, pair
from ztlink.aio.flows import Flows
from ztlink.aio.transport import Connecting, StreamTransport
from ztlink.clock import Now
from ztlink.drivers.clock import read_clock
from ztlink.netstack.events import ConnectionId, Event, Writable

Verb = Callable[[StreamTransport], object]
VERBS: dict[str, Verb] = {
    "write": lambda transport: transport.write(b"more"),
    "write_eof": lambda transport: transport.write_eof(),
    "close": lambda transport: transport.close(),
    "abort": lambda transport: transport.abort(),
    "shut": lambda transport: transport.shut(ConnectionAbortedError("left")),
}


class Noted(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.lost: list[Exception | None] = []
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Pair:
    """A stack with transports, and a bare one that it is connected to."""

    def __init__(self) -> None:
        self.ether: Ether = pair()
        self.ether.now = read_clock()
        ours, self.theirs = self.ether.stacks
        self.flows = Flows(asyncio.get_running_loop(), ours, self)
        self.protocol = Noted()
        self.sent = 0
        """How often something was to be carried at once."""
        self.listener = self.theirs.listen(at(PEER_4, 80), 8, self.ether.now)
        self.id = ours.connect(at(PEER_4, 80), self.ether.now, at(OWN_4, 0))

    def carry(self) -> None:
        """Carry what there is."""
        self.ether.settle()

    def send(self, now: Now) -> None:
        """Count it, and carry what there is as late as an answer would come."""
        self.sent += 1
        self.carry_soon()

    def carry_soon(self) -> None:
        """Carry what there is, later."""
        asyncio.get_running_loop().call_soon(self.ether.settle)

    def _make(self) -> StreamTransport:
        return StreamTransport(self.flows, self.id, self.protocol)

    def connecting(self) -> Connecting:
        """Begin to wait for the connection."""
        return Connecting(self.flows, self.id, at(PEER_4, 80), self._make)

    def accept(self) -> ConnectionId:
        """Let the handshake happen, and take it at their side."""
        self.ether.settle()
        accepted = self.theirs.tcp.accept(self.listener)
        assert accepted is not None
        return accepted

    def send_and_reset(self, accepted: ConnectionId) -> None:
        """Let bytes and a reset arrive, of which nothing is told yet."""
        self.theirs.tcp.write(accepted, b"last words", self.ether.now)
        self.ether.settle()
        self.theirs.tcp.abort(accepted, self.ether.now)
        self.ether.settle()

    def tell(self) -> None:
        """Tell what has happened."""
        while (event := self.flows.stack.next_event()) is not None:
            self.flows.take(event)


def run(work: Callable[[Pair], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await work(Pair())

    asyncio.run(main())


async def established(both: Pair) -> tuple[StreamTransport, ConnectionId]:
    connecting = both.connecting()
    accepted = both.accept()
    both.tell()
    transport = await connecting.wait()
    transport.begin()
    await asyncio.sleep(0)
    return transport, accepted


def test_bytes_that_a_reset_has_overtaken_are_passed_over() -> None:
    async def work(both: Pair) -> None:
        _, accepted = await established(both)
        both.send_and_reset(accepted)
        both.tell()
        await asyncio.sleep(0.01)
        (error,) = both.protocol.lost
        assert isinstance(error, ConnectionResetError)

    run(work)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_verb_before_the_reset_is_told_does_no_harm(verb: Verb) -> None:
    async def work(both: Pair) -> None:
        transport, accepted = await established(both)
        both.send_and_reset(accepted)
        verb(transport)
        both.tell()
        await asyncio.sleep(0.01)
        assert len(both.protocol.lost) == 1
        assert not both.flows.is_lingering

    run(work)


def test_who_is_reset_before_the_connection_is_told_hears_of_the_reset() -> None:
    async def work(both: Pair) -> None:
        connecting = both.connecting()
        both.send_and_reset(both.accept())
        both.tell()
        with pytest.raises(ConnectionResetError):
            await connecting.wait()

    run(work)


def test_whoever_gives_up_what_was_reset_meanwhile_does_no_harm() -> None:
    async def work(both: Pair) -> None:
        connecting = both.connecting()
        both.send_and_reset(both.accept())
        connecting.shut(ConnectionAbortedError("left"))
        both.tell()
        with pytest.raises(ConnectionAbortedError):
            await connecting.wait()

    run(work)


def test_what_is_written_while_nothing_is_under_way_is_carried_at_once() -> None:
    async def work(both: Pair) -> None:
        transport, accepted = await established(both)
        transport.write(b"a question")
        assert both.sent == 1
        await asyncio.sleep(0.01)
        assert both.theirs.tcp.read(accepted, 100, both.ether.now) == b"a question"

    run(work)


def test_what_is_written_behind_something_is_gathered() -> None:
    async def work(both: Pair) -> None:
        transport, accepted = await established(both)
        for word in (b"head", b" and", b" body"):
            transport.write(word)
        assert both.sent == 1
        await asyncio.sleep(0.01)
        assert both.theirs.tcp.read(accepted, 100, both.ether.now) == b"head and body"
        assert both.sent == 1

    run(work)


def test_what_waits_to_be_written_goes_with_the_connection() -> None:
    async def work(both: Pair) -> None:
        transport, accepted = await established(both)
        transport.write(bytes(1 << 20))
        both.ether.settle()
        assert transport.get_write_buffer_size()
        assert both.theirs.tcp.read(accepted, 1 << 20, both.ether.now)
        both.send_and_reset(accepted)
        both.tell()
        await asyncio.sleep(0.01)
        assert transport.get_write_buffer_size() == 0
        assert len(both.protocol.lost) == 1

    run(work)


def test_who_waits_for_memory_is_told_when_somebody_has_read() -> None:
    async def work(both: Pair) -> None:
        transport, accepted = await established(both)
        transport.pause_reading()
        both.theirs.tcp.write(accepted, bytes(1000), both.ether.now)
        both.ether.settle()
        both.tell()
        told = Writable(both.id)
        both.flows.stack._events.append(told)  # noqa: SLF001 - as a read that frees memory does
        carried: list[Event] = []
        both.flows.flush = lambda: carried.append(told)
        transport.resume_reading()
        await asyncio.sleep(0.01)
        assert both.protocol.received == bytes(1000)
        assert carried == [told]

    run(work)
