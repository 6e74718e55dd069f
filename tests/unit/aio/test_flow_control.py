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


class Waiting(FlowControl):
    """A transport with so many bytes waiting."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("10.0.0.1", 80)}, asyncio.get_running_loop())
        self._protocol = protocol
        self.waiting = 0

    def get_write_buffer_size(self) -> int:
        return self.waiting


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
