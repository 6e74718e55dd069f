"""Has the machine ask networks' name servers for their domains, and takes that back."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ztlink.budget import Budget
from ztlink.conditions import Condition, Status
from ztlink.drivers.clock import read_clock
from ztlink.errors import HostError
from ztlink.host.dns.entries import NameServers
from ztlink.host.dns.way import Link, Way
from ztlink.host.tally import Tally
from ztlink.host.worker import Worker
from ztlink.ids import NetworkId

logger = logging.getLogger(__name__)

KIND: Final = "dns"
REPAIRS_BURST: Final = 3
_REPAIRS_PER_SECOND: Final = 1 / 600
"""What another program keeps changing is its own: nobody wins that by being quick."""


STATES: Final = ("applied", "failed")


@dataclass(frozen=True, slots=True)
class DnsRow:
    """A domain whose names the machine asks of a network's servers."""

    network_id: NetworkId
    device: str
    domain: str
    servers: tuple[str, ...]
    state: str
    """One of `STATES`."""
    way: str = ""
    """By what they are asked."""
    cause: str = ""
    """Why not; where they are, what else that does."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be asked behind a device."""

    device: str
    found: NameServers


@dataclass(frozen=True, slots=True)
class _Applied:
    """What was set, and by which way."""

    way: Way
    link: Link
    found: NameServers


class DnsManager:
    """Keeps what resolvers are told for our devices; all that is done twice does no harm."""

    def __init__(
        self, ways: Sequence[Way], index_of: Callable[[str], int] = socket.if_nametoindex
    ) -> None:
        """Make it; of the ways, the first one that there is gets used."""
        self._ways = tuple(ways)
        self._index_of = index_of
        self._worker = Worker("dns")
        self._lock = asyncio.Lock()
        self._applied: dict[NetworkId, _Applied] = {}
        self._is_swept = False
        """Whether what a process before us has left is gone, or ours."""
        self._repairs = Budget(_REPAIRS_PER_SECOND, REPAIRS_BURST)
        self._rows: tuple[DnsRow, ...] = ()
        self.tally = Tally()

    async def follow(self, wanted: Mapping[NetworkId, Wanted]) -> None:
        """Have it so; also what others have changed, or what a new resolver does not know."""
        async with self._lock:
            if wanted or self._applied or not self._is_swept:
                self._rows = await self._worker.run(self._settle, wanted)

    states: Final = STATES

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
        self._worker.close()

    # -- in the thread -----------------------------------------------------------------------

    def _settle(self, wanted: Mapping[NetworkId, Wanted]) -> tuple[DnsRow, ...]:
        began, before = read_clock().mono, self.tally
        for network_id in [one for one in self._applied if one not in wanted]:
            _take_back(self._applied.pop(network_id))
        way, reason = self._choose() if wanted else (None, "")
        self._sweep(way, {one.device for one in wanted.values()})
        rows = tuple(
            _row(one, wanted[one], "failed", "", reason)
            if way is None
            else self._keep(way, one, wanted[one])
            for one in sorted(wanted)
        )
        if any(row.state == "failed" for row in rows):
            self.tally = replace(self.tally, failed=before.failed + 1)
        elif self.tally.changed == before.changed:
            self.tally = replace(self.tally, unchanged=before.unchanged + 1)
        self.tally = replace(self.tally, seconds=before.seconds + read_clock().mono - began)
        return rows

    def _choose(self) -> tuple[Way | None, str]:
        """Return the best way that there is; where there is none, why."""
        reasons: list[str] = []
        for way in self._ways:
            try:
                reason = way.why_not()
            except HostError as error:  # it is the one, and is not well
                return None, str(error.strerror)
            if reason is None:
                return way, ""
            reasons.append(reason)
        return None, "; ".join(reasons)

    def _sweep(self, way: Way | None, devices: set[str]) -> None:
        """Take away what an earlier process has left and is not wanted, or not by that way."""
        if self._is_swept:
            return
        for one in self._ways:
            for device in one.kept() - (devices if one is way else set()):
                logger.info("dns device=%s what was left is taken back by=%s", device, one.name)
                _take_back(_Applied(one, Link(device, 0), NameServers("", ())))
        self._is_swept = True

    def _keep(self, way: Way, network_id: NetworkId, wanted: Wanted) -> DnsRow:
        try:
            self._apply(way, network_id, wanted)
        except HostError as error:
            return _row(network_id, wanted, "failed", way.name, str(error.strerror))
        return _row(network_id, wanted, "applied", way.name, way.caveat)

    def _apply(self, way: Way, network_id: NetworkId, wanted: Wanted) -> None:
        try:
            link = Link(wanted.device, self._index_of(wanted.device))
        except OSError:
            raise HostError(0, f"there is no device {wanted.device}") from None
        former, applied = self._applied.get(network_id), _Applied(way, link, wanted.found)
        if former is not None and (former.way, former.link) != (way, link):
            _take_back(self._applied.pop(network_id))
        if way.holds(link, wanted.found):
            self._applied[network_id] = applied
            return
        if former == applied:
            self._note_drift(way)
        way.apply(link, wanted.found)
        self._applied[network_id] = applied
        self.tally = replace(self.tally, changed=self.tally.changed + 1)
        logger.info("dns device=%s domain=%s by=%s", link.name, wanted.found.domain, way.name)

    def _note_drift(self, way: Way) -> None:
        """Count what others have changed; HostError where they do so again and again."""
        if not self._repairs.spend(read_clock()):
            raise HostError(0, f"another program keeps changing what {way.name} was told")
        logger.warning("dns: another program has changed what %s was told", way.name)
        self.tally = replace(self.tally, drift=self.tally.drift + 1)


def _take_back(applied: _Applied) -> None:
    try:
        applied.way.revert(applied.link)
    except HostError as error:  # the device is gone, and its settings with it; or the resolver
        logger.debug("dns device=%s error=%s", applied.link.name, error.strerror)


def _row(network_id: NetworkId, wanted: Wanted, state: str, way: str, cause: str) -> DnsRow:
    servers = tuple(str(ip) for ip in wanted.found.servers)
    return DnsRow(network_id, wanted.device, wanted.found.domain, servers, state, way, cause)


def _condition(row: DnsRow) -> Condition:
    if row.state == "applied":
        return Condition(KIND, Status.OK, row.domain, row.cause, is_required=False)
    return Condition(
        KIND,
        Status.FAULT,
        row.domain,
        row.cause,
        "run systemd-resolved, or say dns.apply: false and have the machine's resolver ask "
        f"{', '.join(row.servers)} for {row.domain}",
        is_required=False,
    )
