"""asyncio's flow control, as our transports use it."""

import asyncio

from ztlink.aio.flow_control import FlowControl


class Writer(asyncio.Protocol):
    """Notes when it is to pause."""

    def __init__(self) -> None:
        self.is_paused = False

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False


class Waiting(FlowControl[bytes]):
    """A transport with so many bytes waiting."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("10.0.0.1", 80)}, asyncio.get_running_loop())
        self._protocol = protocol
        self.waiting = 0

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def _finish(self) -> None:
        self._become_lost()


async def test_a_protocol_pauses_above_the_high_mark() -> None:
    writer = Writer()
    transport = Waiting(writer)
    transport.waiting = 1 << 20
    transport.pause_if_full()
    assert writer.is_paused


async def test_a_protocol_below_the_mark_goes_on() -> None:
    writer = Writer()
    transport = Waiting(writer)
    transport.waiting = 1
    transport.pause_if_full()
    assert not writer.is_paused


async def test_a_protocol_resumes_below_the_low_mark() -> None:
    writer = Writer()
    transport = Waiting(writer)
    transport.waiting = 1 << 20
    transport.pause_if_full()
    transport.waiting = 0
    transport.resume_if_drained()
    assert not writer.is_paused


async def test_what_a_transport_does_not_know_is_the_default() -> None:
    transport = Waiting(Writer())
    known = transport.get_extra_info("peername"), transport.get_extra_info("cipher", "none")
    assert known == (("10.0.0.1", 80), "none")


class Closing(FlowControl[bytes]):
    """A transport that counts its ends."""

    def __init__(self, waiting: bytes = b"") -> None:
        super().__init__({}, asyncio.get_running_loop())
        if waiting:
            self._unwritten.append(waiting)
            self._unwritten_size = len(waiting)
        self.ends = 0

    def finish(self) -> None:
        self._finish()

    def _finish(self) -> None:
        self.ends += self._become_lost()


async def test_a_transport_with_nothing_waiting_closes_at_once() -> None:
    transport = Closing()
    transport.close()
    assert (transport.ends, transport.is_closing()) == (1, True)


async def test_a_transport_closes_after_what_waits() -> None:
    transport = Closing(b"waiting")
    transport.close()
    assert (transport.ends, transport.is_closing()) == (0, True)


async def test_a_transport_ends_once() -> None:
    transport = Closing()
    transport.finish()
    transport.close()
    transport.finish()
    assert transport.ends == 1


async def test_what_waits_at_the_end_is_dropped() -> None:
    transport = Closing(b"waiting")
    transport.finish()
    assert transport.get_write_buffer_size() == 0
