"""What carries datagrams for a proxy: whatever has UDP sockets and finds names, as networks do."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ztlink.ids import IpAddress


class Datagrams(Protocol):
    """Opens UDP sockets elsewhere; raises OSError where it cannot."""

    async def resolve(self, host: str) -> Sequence[IpAddress]:
        """Return the addresses of a host there; OSError where there is none."""

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Open a socket there; as `loop.create_datagram_endpoint`."""
