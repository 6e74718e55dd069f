"""Waiting for a network: until it serves, with a sentence for each thing that it waits for."""

import asyncio
from collections.abc import Callable

from ztlink.aio.errors import JoinError, NodeFailed, join_error
from ztlink.ids import Address, NetworkId
from ztlink.node.events import NetworkStatus

FATAL = frozenset({NetworkStatus.NOT_FOUND, NetworkStatus.AUTHENTICATION_REQUIRED})
"""Waiting does not help against these."""


class Standing:
    """Where a membership stands, as events tell; whoever waits is woken by each."""

    def __init__(self, network_id: NetworkId, address: Address) -> None:
        self._network_id = network_id
        self._address = address
        self.status = NetworkStatus.REQUESTING_CONFIGURATION
        self.reason = "waiting for a root: none has answered yet"
        self.has_addresses = False
        self.is_online = False
        self._failure: BaseException | None = None
        self._pending = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether the network serves: admitted, and with an address of our own."""
        return self.status is NetworkStatus.OK and self.has_addresses

    def tell(self) -> None:
        """Wake those who wait: something has changed."""
        self._pending.set()
        self._pending = asyncio.Event()

    def fail(self, error: BaseException) -> None:
        """End all waiting: the node cannot go on."""
        self._failure = error
        self.tell()

    def sentence(self) -> str:
        """Say what is waited for."""
        if self.status is NetworkStatus.OK and not self.has_addresses:
            return (
                "joined, but without an address: have its controller assign one to this member, "
                "or give the network a pool to assign from"
            )
        return self.reason

    def error(self) -> JoinError:
        """Return what to raise where waiting ends without success."""
        who = (self._network_id, self._address)
        return join_error(self.status, *who, self.sentence(), is_online=self.is_online)

    async def wait(self, timeout: float | None, say: Callable[[str], None]) -> None:
        """Wait until the network serves; raise the error that fits where it does not in time."""
        said = ""
        try:
            async with asyncio.timeout(timeout):
                while not self.is_ready:
                    if self._failure is not None:
                        raise failed(self._network_id, self._address, self._failure)
                    if self.status in FATAL:
                        raise self.error()
                    sentence = self.sentence()
                    if sentence != said:
                        said = sentence
                        say(sentence)
                    await self._pending.wait()
        except TimeoutError:
            raise self.error() from None


def failed(network_id: NetworkId, address: Address, cause: BaseException) -> NodeFailed:
    """Return what to raise where the node cannot go on."""
    reason = f"the node has stopped, and joins nothing any more: {cause}"
    error = NodeFailed(network_id, address, reason)
    error.__cause__ = cause
    return error
