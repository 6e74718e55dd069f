"""Echo requests: what `ping` sends."""

import asyncio
from dataclasses import dataclass

from ztlink.aio.flows import Flows
from ztlink.aio.reasons import os_error
from ztlink.ids import IpAddress
from ztlink.netstack.events import EchoAnswered, EchoFailed, Event


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer."""

    ip: IpAddress
    size: int
    """Bytes of data that came back."""
    round_trip: float
    """Seconds."""


class Echo:
    """One request on its way."""

    def __init__(self, flows: Flows, ip: IpAddress, size: int) -> None:
        """Send it."""
        self._flows = flows
        self._ip = ip
        self._answer: asyncio.Future[Pong] = flows.loop.create_future()
        self._id = flows.stack.ping(ip, size, flows.now)
        flows.add("echo", self._id, self)
        flows.flush()

    async def wait(self, timeout: float) -> Pong:
        """Wait for the answer; OSError says what came in its place."""
        try:
            async with asyncio.timeout(timeout):
                return await self._answer
        except TimeoutError as error:
            if error.errno is not None:
                raise
            raise TimeoutError(f"no answer from {self._ip} in {timeout:g} s") from None
        finally:
            self._flows.remove("echo", self._id)

    def take(self, event: Event) -> None:
        """Take the answer."""
        if self._answer.done():
            return
        if isinstance(event, EchoAnswered):
            self._answer.set_result(Pong(event.remote, event.size, event.round_trip))
        elif isinstance(event, EchoFailed):
            self._answer.set_exception(os_error(event.reason, event.remote))

    def shut(self, error: Exception) -> None:
        """End, because the network does."""
        if not self._answer.done():
            self._answer.set_exception(error)
