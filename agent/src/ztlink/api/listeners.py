"""Where the local API is served: on loopback, and beyond it to the networks that may come.

`settings.allowManagementFrom` of local.conf names these; their clients need the token as others do.
Nobody else gets a word: such a connection is closed before anything of it is read. A family of
which no network may come is served on loopback alone, where others do not even reach the port.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Final

from ztlink.api.connection import Connection, Door
from ztlink.api.listening import listen
from ztlink.drivers.udp import port_advice
from ztlink.errors import HostError
from ztlink.vl1.context import IpNetwork

logger = logging.getLogger(__name__)

LOOPBACK: Final = {4: "127.0.0.1", 6: "::1"}
ANYWHERE: Final = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - who may come is looked at


class Listeners:
    """The listening sockets of one server, by IP version."""

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._make = partial(Connection, make, self.lets_in, Door())
        self._port = 0
        self._networks: tuple[IpNetwork, ...] = ()
        self._servers: dict[int, asyncio.Server] = {}
        self._hosts: dict[int, str] = {}

    def lets_in(self, client: str) -> bool:
        """Tell whether a client of this address may speak."""
        ip = ip_address(client)
        return ip.is_loopback or any(
            ip.version == network.version and ip in network for network in self._networks
        )

    async def open(self, port: int) -> None:
        """Listen on loopback; HostError where the port is taken.

        Commands come to 127.0.0.1, with the token: nobody else may have that port.
        """
        self._port = port
        try:
            await self._listen(4, LOOPBACK[4])
        except OSError as error:
            number = error.errno or 0
            raise HostError(
                number,
                f"cannot bind TCP {LOOPBACK[4]}:{port} for the local API: {os.strerror(number)}"
                f"{port_advice(error)}",
            ) from error
        try:
            await self._listen(6, LOOPBACK[6])
        except OSError as error:
            logger.info("the local API is not served on %s error=%s", LOOPBACK[6], error.strerror)

    async def allow_from(self, networks: tuple[IpNetwork, ...]) -> None:
        """Serve these networks from now on, beside loopback; connections of others end."""
        self._networks = networks
        for version in (4, 6):
            is_served = any(network.version == version for network in networks)
            wanted = (ANYWHERE if is_served else LOOPBACK)[version]
            if self._hosts.get(version) != wanted:
                await self._move(version, wanted)

    async def _move(self, version: int, host: str) -> None:
        """Listen elsewhere: the two overlap, so that one must go first."""
        if version in self._servers:
            self._servers.pop(version).close()
        try:
            await self._listen(version, host, again=True)
        except OSError as error:
            logger.warning(
                "allowManagementFrom has no effect: cannot bind TCP %s:%d: %s; free the port, or "
                "choose another with --port",
                host,
                self._port,
                os.strerror(error.errno or 0),
            )
            with contextlib.suppress(OSError):  # a machine may do without IPv6
                await self._listen(version, LOOPBACK[version], again=True)

    async def _listen(self, version: int, host: str, *, again: bool = False) -> None:
        self._servers[version] = await listen(self._make, host, self._port, again=again)
        self._hosts[version] = host

    def close(self) -> None:
        """Listen no more."""
        for server in self._servers.values():
            server.close()
