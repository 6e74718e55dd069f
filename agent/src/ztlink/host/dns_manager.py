"""Has the machine ask networks' name servers for their domains, and takes that back."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ztlink.conditions import Condition, Status
from ztlink.errors import HostError
from ztlink.host.dns import NameServers
from ztlink.host.resolved import Resolved
from ztlink.ids import NetworkId

logger = logging.getLogger(__name__)

KIND = "dns"


@dataclass(frozen=True, slots=True)
class DnsRow:
    """A domain whose names the machine asks of a network's servers."""

    network_id: NetworkId
    device: str
    domain: str
    servers: tuple[str, ...]
    state: str
    """`applied` or `failed`."""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be asked behind a device."""

    device: str
    found: NameServers


class DnsManager:
    """Keeps the resolver's settings of our devices; all that is done twice does no harm."""

    tally: None = None

    def __init__(
        self,
        resolved: Resolved | None = None,
        index_of: Callable[[str], int] = socket.if_nametoindex,
    ) -> None:
        self._resolved = Resolved() if resolved is None else resolved
        self._index_of = index_of
        self._lock = asyncio.Lock()
        self._applied: dict[NetworkId, tuple[int, Wanted]] = {}
        """With the device's number: a new device of that name has nothing yet."""
        self._rows: tuple[DnsRow, ...] = ()

    async def follow(self, wanted: Mapping[NetworkId, Wanted]) -> None:
        """Have it so; also what others have changed, or what a new resolver does not know."""
        async with self._lock:
            for network_id in [one for one in self._applied if one not in wanted]:
                await self._take_back(network_id)
            rows = [await self._keep(one, wanted[one]) for one in sorted(wanted)]
            self._rows = tuple(rows)

    def conditions(self) -> tuple[Condition, ...]:
        """Judge what is wanted; nothing where nothing is."""
        return tuple(map(_condition, self._rows))

    def rows(self) -> tuple[DnsRow, ...]:
        """List the domains."""
        return self._rows

    async def close(self, *, keep: bool) -> None:
        """Take all back, unless it is to stay with the devices."""
        if not keep:
            await self.follow({})

    async def _keep(self, network_id: NetworkId, wanted: Wanted) -> DnsRow:
        cause = ""
        try:
            await self._apply(network_id, wanted)
        except HostError as error:
            cause = str(error.strerror)
        found = wanted.found
        servers = tuple(str(ip) for ip in found.servers)
        state = "failed" if cause else "applied"
        return DnsRow(network_id, wanted.device, found.domain, servers, state, cause)

    async def _apply(self, network_id: NetworkId, wanted: Wanted) -> None:
        try:
            index = self._index_of(wanted.device)
        except OSError:
            raise HostError(0, f"there is no device {wanted.device}") from None
        if self._applied.get(network_id) == (index, wanted):
            there = await asyncio.to_thread(self._resolved.servers, index)
            if there == tuple(ip.packed for ip in wanted.found.servers):
                return
        await asyncio.to_thread(self._resolved.apply, index, wanted.found)
        self._applied[network_id] = (index, wanted)
        logger.info("dns device=%s domain=%s applied", wanted.device, wanted.found.domain)

    async def _take_back(self, network_id: NetworkId) -> None:
        index, wanted = self._applied.pop(network_id)
        try:
            await asyncio.to_thread(self._resolved.revert, index)
        except HostError as error:  # the device is gone, and its settings with it; or the resolver
            logger.debug("dns device=%s error=%s", wanted.device, error.strerror)


def _condition(row: DnsRow) -> Condition:
    if not row.cause:
        return Condition(KIND, Status.OK, row.domain, is_required=False)
    return Condition(
        KIND,
        Status.FAULT,
        row.domain,
        row.cause,
        "run systemd-resolved, or say dns.apply: false and have the machine's resolver ask "
        f"{', '.join(row.servers)} for {row.domain}",
        is_required=False,
    )
