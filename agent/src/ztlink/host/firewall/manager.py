"""Keeps the rules loaded: as wished, for the devices that there are, whatever others do to them."""

import asyncio
import contextlib
import errno
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ztlink.budget import Budget
from ztlink.conditions import Condition, Status
from ztlink.drivers.clock import read_clock
from ztlink.errors import HostError
from ztlink.host.firewall.claim import TableClaim
from ztlink.host.firewall.conflicts import KIND, look_around
from ztlink.host.firewall.render import COUNTERS, render
from ztlink.host.firewall.rows import FirewallRow, rows_of
from ztlink.host.firewall.wanted import FirewallSettings, Forwarding, Guarded
from ztlink.host.firewall.watch import TableWatch
from ztlink.host.linkconf import LOOSE, Ipv4Conf, ensure_ipv4_conf
from ztlink.host.nft import Nft, NftError
from ztlink.host.overlay import Overlay
from ztlink.host.tally import DropTally
from ztlink.host.worker import Worker
from ztlink.ids import NetworkId

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 30.0
"""Seconds until the table is compared without any news."""
SETTLE_TIME: Final = 0.1
"""Who changes one rule changes more of them."""
_REPAIRS_PER_SECOND: Final = 0.2
_REPAIRS_BURST: Final = 10.0
LOOK_AROUND_INTERVAL: Final = 300.0
"""Seconds between looks at what others do: they may have thousands of rules."""


class FirewallManager:
    """Makes our table follow wishes and devices; `nft` runs in a thread of its own."""

    def __init__(self, nft: Nft | None = None) -> None:
        self._nft = nft or Nft()
        self._claim = TableClaim()
        self._outdated: list[str] = []
        """Tables of ours whose name is another now: they go when that one is in force."""
        self._worker = Worker("nft")
        self._lock = asyncio.Lock()
        self._settings: FirewallSettings | None = None
        self._devices: tuple[Guarded, ...] = ()
        self._pledged: dict[NetworkId, Guarded] = {}
        """Devices that were guarded when they were made, and that nobody has told of since."""
        self._has_ipv6 = False
        """Whether the overlay has IPv6 addresses that are not of a link alone."""
        self._loaded: str | None = None
        """The text that is in force; None where none is, or it is not known."""
        self._listing: str | None = None
        """What the kernel told of it right after it was loaded."""
        self._error: HostError | None = None
        self._link_error: HostError | None = None
        """Why a device does not forward as it should."""
        self._conflicts: tuple[Condition, ...] = ()
        self._looked = float("-inf")
        self._seen: Counter[str] = Counter()
        """What the counters of the table in force said last."""
        self._before: Counter[str] = Counter()
        """What those of all tables before it said at their end."""
        self.tally = DropTally(drops=tuple((name, 0) for name in COUNTERS))

    async def use(self, settings: FirewallSettings | None) -> None:
        """Follow new wishes at once; None for none, which leaves the machine alone."""
        async with self._lock:
            former, self._settings = self._settings, settings
            if former is not None and settings is None:
                await self._remove(former.table)
                self._claim.give_back()
            elif former is not None and settings is not None and settings.table != former.table:
                await self._outdate(former.table)
            self._looked = float("-inf")
            if settings is not None and not settings.is_enabled:
                await self._clear(settings.table)
            await self._settle()

    async def follow(self, networks: Mapping[NetworkId, Overlay]) -> None:
        """Guard the devices that there are now."""
        async with self._lock:
            devices = self._with_pledged([_guarded(one) for one in networks.values()])
            has_new = not {d.name for d in devices} <= {d.name for d in self._devices}
            self._devices = devices
            self._has_ipv6 = any(a.version == 6 for one in networks.values() for a in one.addresses)
            await self._settle(has_new_devices=has_new)

    async def guard(self, network_id: NetworkId, device: str) -> None:
        """Guard one more device before it carries anything; HostError where that cannot be."""
        async with self._lock:
            others = {one.name: one for one in self._devices}
            made = others.pop(device, Guarded(network_id, device))
            self._pledged[network_id] = replace(made, network_id=network_id)
            self._devices = self._with_pledged(others.values())
            await self._settle(has_new_devices=True)
            if self._is_on() and self._error is not None:
                raise self._error

    async def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """Have `check` called when somebody changed the table, and by the clock; never ends."""
        repairs = Budget(_REPAIRS_PER_SECOND, _REPAIRS_BURST)
        with self._news() as news:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_INTERVAL):
                        await news.wait()
                        await asyncio.sleep(SETTLE_TIME)
                news.clear()
                drift = self.tally.drift
                await check()
                if self.tally.drift > drift and not repairs.spend(read_clock()):
                    logger.warning("another program keeps changing our rules: repairs are slowed")
                    await asyncio.sleep(1.0 / _REPAIRS_PER_SECOND)

    @contextlib.contextmanager
    def _news(self) -> Iterator[asyncio.Event]:
        """Have an event set by news of the table; never where the kernel tells of none."""
        told, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            watch = TableWatch()
        except OSError as error:
            logger.info("changes of rules are found by the clock alone error=%s", error.strerror)
            yield told
            return

        def hear() -> None:
            if watch.read(self._settings.table if self._settings is not None else ""):
                told.set()

        loop.add_reader(watch.fileno(), hear)
        try:
            yield told
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    async def check(self) -> None:
        """Compare the table with what it was after it was loaded; what differs is loaded anew."""
        async with self._lock:
            if not self._is_on():
                return
            assert self._settings is not None
            self._claim.let_others_ask()
            try:
                if self._loaded is not None:
                    await self._compare(self._settings.table)
            except HostError as error:
                self._failed(error)
                return
            await self._settle(has_new_devices=True)
            await self._look_around()

    @property
    def is_open(self) -> bool:
        """Whether devices may carry something: the rules are in force, or none are wanted."""
        return not self._is_on() or (self._loaded is not None and self._error is None)

    def conditions(self) -> tuple[Condition, ...]:
        """Return how the firewall is, and what others may undo; empty where none is wanted."""
        if not self._is_on():
            return ()
        if self._error is not None:
            cause = getattr(self._error, "cause", None) or str(self._error.strerror)
            remedy = getattr(self._error, "remedy", "")
            main = Condition(KIND, Status.FAULT, "", cause, remedy)
        elif self._loaded is None:
            main = Condition(KIND, Status.WAITING, "", "the rules are not loaded yet")
        else:
            main = Condition(KIND, Status.OK)
        return (main, *self._of_links(), *self._conflicts)

    def _of_links(self) -> Iterator[Condition]:
        if self._link_error is not None:
            yield Condition(
                KIND,
                Status.FAULT,
                "devices",
                str(self._link_error.strerror),
                "give the process CAP_NET_ADMIN",
                is_required=False,
            )

    states: Final = ()
    """Rules are there or not, all together."""

    def rows(self) -> tuple[FirewallRow, ...]:
        """Return what is allowed and what was dropped, for people."""
        if not self._is_on() or self._settings is None:
            return ()
        return tuple(rows_of(self._settings, self.tally.drops))

    async def close(self, keep: bool) -> None:
        """Take the table away, unless it is to stay for the process that comes next."""
        async with self._lock:
            if self._is_on() and not keep and self._settings is not None:
                await self._remove(self._settings.table)
                await self._remove_outdated()
            self._claim.give_back()
            self._settings = None
        self._worker.close()

    def _with_pledged(self, devices: Iterable[Guarded]) -> tuple[Guarded, ...]:
        """Return devices with those that were made after somebody looked for devices."""
        known = {device.name: device for device in devices}
        for network_id, pledged in list(self._pledged.items()):
            told = known.setdefault(pledged.name, pledged)
            if told is not pledged:
                del self._pledged[network_id]
        return tuple(known.values())

    # -- the table ---------------------------------------------------------------------------

    def _is_on(self) -> bool:
        return self._settings is not None and self._settings.is_enabled

    async def _settle(self, *, has_new_devices: bool = False) -> None:
        """Load the rules where they are not in force as they are to be."""
        if not self._is_on():
            return
        assert self._settings is not None
        try:
            self._claim.take(self._settings.table)
            text = _text(self._settings, self._devices)
            if text != self._loaded:
                await self._load(self._settings.table, text)
                has_new_devices = True
        except HostError as error:
            self._failed(error)
            return
        self._error = None
        if has_new_devices:
            await self._set_up_links(self._settings)

    async def _set_up_links(self, settings: FirewallSettings) -> None:
        try:
            await self._worker.run(_set_up_links, settings, self._devices)
        except HostError as error:
            if self._link_error is None:
                logger.warning("devices are not set up error=%s", error.strerror)
            self._link_error = error
        else:
            self._link_error = None

    async def _load(self, table: str, text: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._loaded is not None:
            await self._count(table)
        self._loaded = None
        await self._worker.run(self._nft.load, text)
        self._before += self._seen
        self._seen.clear()
        self._listing = await self._worker.run(self._nft.listing, table)
        self._loaded = text
        await self._remove_outdated()
        seconds = self.tally.seconds + loop.time() - began
        self.tally = replace(self.tally, changed=self.tally.changed + 1, seconds=seconds)
        logger.info("table=%s rules were loaded devices=%d", table, len(self._devices))

    async def _compare(self, table: str) -> None:
        """Forget a table that others have changed, so that it is made anew."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if await self._worker.run(self._nft.listing, table) != self._listing:
            logger.warning("table=%s was changed by others: it is made anew", table)
            self.tally = replace(self.tally, drift=self.tally.drift + 1)
            self._loaded = None
            return
        await self._count(table)
        seconds = self.tally.seconds + loop.time() - began
        self.tally = replace(self.tally, unchanged=self.tally.unchanged + 1, seconds=seconds)

    async def _count(self, table: str) -> None:
        try:
            self._seen = Counter(await self._worker.run(self._nft.counters, table))
        except NftError as error:
            if error.errno != errno.ENOENT:
                raise
        sums = self._before + self._seen
        self.tally = replace(self.tally, drops=tuple((name, sums[name]) for name in COUNTERS))

    async def _clear(self, table: str) -> None:
        """Take away what an earlier process left, where no other agent has it."""
        await self._remove_outdated()
        try:
            self._claim.take(table)
        except NftError as error:
            logger.info("the table stays: %s", error.cause)
            return
        await self._remove(table)
        self._claim.give_back()

    async def _outdate(self, table: str) -> None:
        """Have a table go once another is in force, so that there is no moment without rules."""
        if self._claim.holds(table) and self._loaded is not None:
            await self._count(table)
            self._outdated.append(table)
            self._loaded = self._listing = None

    async def _remove_outdated(self) -> None:
        while self._outdated:
            await self._worker.run(self._nft.remove, self._outdated[-1])
            self._outdated.pop()

    async def _remove(self, table: str) -> None:
        if not self._claim.holds(table):
            return
        self._loaded = self._listing = None
        self._before += self._seen
        self._seen.clear()
        try:
            await self._worker.run(self._nft.remove, table)
        except HostError as error:
            if error.errno == errno.ENOENT:  # without nft, nothing was loaded
                return
            logger.warning("table=%s is not removed error=%s", table, error.strerror)
            self.tally = replace(self.tally, failed=self.tally.failed + 1)

    def _failed(self, error: HostError) -> None:
        if self._error is None or self._error.strerror != error.strerror:
            logger.warning("the firewall is not in force error=%s", error.strerror)
        self._error = error
        self.tally = replace(self.tally, failed=self.tally.failed + 1)

    # -- the others --------------------------------------------------------------------------

    async def _look_around(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._settings is None or now < self._looked + LOOK_AROUND_INTERVAL:
            return
        self._looked = now
        devices = frozenset(device.name for device in self._devices)
        look = partial(look_around, self._nft, self._settings, devices, has_ipv6=self._has_ipv6)
        try:
            self._conflicts = await self._worker.run(look)
        except HostError as error:
            logger.debug("what others do is not known error=%s", error.strerror)


def _guarded(overlay: Overlay) -> Guarded:
    # A default route tells nobody the way to a single network.
    behind = tuple(one for one in overlay.behind if one.prefixlen)
    return Guarded(overlay.network_id, overlay.device, behind)


def _text(settings: FirewallSettings, devices: tuple[Guarded, ...]) -> str:
    try:
        return render(settings, devices)
    except ValueError as error:
        raise NftError(
            errno.EINVAL, str(error), "give the network another interfaceName: letters and digits"
        ) from error


def _set_up_links(settings: FirewallSettings, devices: tuple[Guarded, ...]) -> None:
    """Let our devices forward where that is asked for, and answers take other ways."""
    values = {Ipv4Conf.RP_FILTER: LOOSE}
    if settings.wants_forwarding:
        values[Ipv4Conf.FORWARDING] = 1
    elif settings.to_overlay is Forwarding.DENY:
        values[Ipv4Conf.FORWARDING] = 0
    for device in devices:
        try:
            ensure_ipv4_conf(device.name, values)
        except HostError as error:
            if error.errno != errno.ENODEV:  # it is not there yet, or no more
                raise
