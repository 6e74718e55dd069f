"""A TAP for every network: made, configured, kept current, and taken away or left for the next."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ztlink.budget import Budget
from ztlink.derive import interface_names
from ztlink.drivers.clock import read_clock
from ztlink.drivers.loop import Pump
from ztlink.drivers.tap import Tap
from ztlink.errors import HostError
from ztlink.host.addresses import local_addresses
from ztlink.host.adoption import HeldError, adopt, find_kept, mark_of, orphans
from ztlink.host.desired import Desired, HostRoute, desire, led_through
from ztlink.host.device import PARTS, DeviceState
from ztlink.host.groups import groups_of
from ztlink.host.linkconf import index_of
from ztlink.host.overlay import Overlay
from ztlink.host.plan import Addition, RefusedError, plan
from ztlink.host.policies import Policies
from ztlink.host.worker import Worker
from ztlink.ids import Address, Mac, MulticastGroup, NetworkId, format_network_id
from ztlink.wire.netconf import DEFAULT_MTU, NetworkConfig

if TYPE_CHECKING:
    from ztlink.host.netlink import Netlink

logger = logging.getLogger(__name__)

_REPAIRS_PER_SECOND: Final = 0.2
_REPAIRS_BURST: Final = 10.0
HELD_INTERVAL: Final = 0.05
"""Seconds between tries to take over a device that the process before us still holds."""

Guard = Callable[[NetworkId, str], Awaitable[None]]
"""Takes a network and the name of its device; HostError where it may not be opened."""
Listener = Callable[[Mapping[NetworkId, Overlay]], Awaitable[None]]


@dataclass(slots=True)
class Port:
    """A network's device, and what we have applied to it."""

    tap: Tap
    applied: Desired
    index: int
    """The kernel's number of the device, whatever somebody names it."""
    wanted: Desired | None = None
    """What was to be applied last."""
    refused: frozenset[Addition] = frozenset()
    """What of that the kernel does not take."""
    is_sure: bool = True
    """Whether all of it was applied."""
    is_configured: bool = False
    """Whether a configuration was applied to it."""
    is_adopted: bool = False
    """A process before us made it."""
    groups: frozenset[MulticastGroup] = frozenset()


class PortManager:
    """Makes the machine follow the networks; netlink runs in a thread of its own."""

    def __init__(
        self,
        pump: Pump,
        policies: Policies,
        names: Mapping[NetworkId, str],
        *,
        wishes: Mapping[NetworkId, str] | None = None,
        keeps: bool = False,
        guard: Guard | None = None,
        spare: Callable[[NetworkId, Desired], Desired] = lambda network_id, wanted: wanted,
    ) -> None:
        """Make it; a device has its network's name, else its wish if that is free.

        Where it `keeps` devices, they outlive the process, and the next takes them over.
        A device carries nothing before `guard` has returned; where that raises, it is not opened.
        Of what a network wants of the machine `spare` may leave out what does harm.
        """
        self._pump = pump
        self._policies = policies
        self._names = dict(names)
        self._wishes = dict(wishes or {})
        self._keeps = keeps
        self._guard = guard
        self._spare = spare
        self._is_online = False
        self._configs: dict[NetworkId, NetworkConfig] = {}
        self.ports: dict[NetworkId, Port] = {}
        self.adopted_mono: float | None = None
        """When the last device was taken over from a process before us."""
        self.repaired = 0
        """How often something of a device was set right that others had changed."""
        self.is_behind = False
        """Whether something is to be set right that was not, as it was just now time and again."""
        self._repairs = Budget(_REPAIRS_PER_SECOND, _REPAIRS_BURST)
        self._macs: dict[NetworkId, Mac] = {}
        self._held = asyncio.Event()
        self._holders: dict[NetworkId, Mac] = {}
        """Networks whose devices the process before us holds."""
        self._worker = Worker("netlink")
        self._netlink: Netlink | None = None
        self._lock = asyncio.Lock()

    async def joined(self, network_id: NetworkId, mac: Mac) -> None:
        """Make the device of a network."""
        async with self._lock:
            self._macs[network_id] = mac
            await self._make(network_id, mac)

    async def configured(self, network_id: NetworkId, config: NetworkConfig) -> None:
        """Apply a configuration; what cannot be is a port error."""
        async with self._lock:
            mac = self._macs.get(network_id)
            if mac is None:
                return
            self._configs[network_id] = config
            if network_id not in self.ports and not await self._make(network_id, mac):
                return
            await self._configure(network_id, self._desired(network_id))

    async def allowed(self, network_id: NetworkId) -> None:
        """Apply what the operator allows now."""
        config = self._configs.get(network_id)
        if config is not None:
            await self.configured(network_id, config)

    async def online(self, is_online: bool) -> None:
        """Take default routes through gateways away while no root is in reach."""
        self._is_online = is_online
        async with self._lock:
            for network_id in self._configs.keys() & self.ports.keys():
                wanted = self._desired(network_id)
                if wanted != self.ports[network_id].wanted:
                    await self._configure(network_id, wanted)

    def _desired(self, network_id: NetworkId) -> Desired:
        wanted = desire(
            self._configs[network_id],
            self._macs[network_id],
            self._policies.get(network_id),
            is_online=self._is_online,
        )
        return self._spare(network_id, wanted)

    async def left(self, network_id: NetworkId) -> None:
        """Take the device away; its addresses and routes go with it."""
        async with self._lock:
            self._macs.pop(network_id, None)
            self._configs.pop(network_id, None)
            await self._remove(network_id)

    async def keep(self, keeps: bool) -> None:
        """Say whether devices outlive this process."""
        async with self._lock:
            self._keeps = keeps
            for port in self.ports.values():
                port.tap.persist(keeps)

    async def rename(self, names: Mapping[NetworkId, str]) -> None:
        """Name devices otherwise: those that are there are made again."""
        async with self._lock:
            former, self._names = self._names, dict(names)
            for network_id, port in list(self.ports.items()):
                name = self._names.get(network_id)
                if name != former.get(network_id) and port.tap.name != name:
                    await self._make_again(network_id, port.wanted or port.applied)

    async def sweep(self, node: Address, joined: Collection[NetworkId]) -> None:
        """Remove what this node's former processes kept for networks that it is in no more."""
        async with self._lock:
            for name in await self._worker.run(self._orphans, node, joined):
                logger.info("device=%s belongs to no network any more: removed", name)
                await self._worker.run(self._link().remove, name)

    async def follow_held(self) -> None:
        """Take over devices as soon as the process before us lets go of them."""
        while await self._held.wait():
            await asyncio.sleep(HELD_INTERVAL)
            async with self._lock:
                self._held.clear()
                for network_id, mac in list(self._holders.items()):
                    if self._macs.get(network_id) != mac:
                        del self._holders[network_id]  # it was left meanwhile
                    elif await self._make(network_id, mac) and network_id in self._configs:
                        await self._configure(network_id, self._desired(network_id))

    async def retry(self) -> None:
        """Make the devices that could not be made."""
        async with self._lock:
            for network_id in self._macs.keys() - self.ports.keys() - self._holders.keys():
                is_made = await self._make(network_id, self._macs[network_id])
                if is_made and network_id in self._configs:
                    await self._configure(network_id, self._desired(network_id))

    async def tell(self, node: Address, listener: Listener) -> None:
        """Tell somebody what there is of each network; meanwhile nothing of it changes."""
        async with self._lock:
            await listener({one: self._overlay(node, one) for one in self.ports})

    def _overlay(self, node: Address, network_id: NetworkId) -> Overlay:
        port, config = self.ports[network_id], self._configs.get(network_id)
        return Overlay(
            network_id,
            node,
            port.tap.name,
            index_of(port.tap.name),
            port.applied.mtu,
            port.applied.addresses,
            port.applied.routes,
            behind=led_through(config) if config is not None else (),
        )

    async def scan_groups(self) -> None:
        """Look at what every device listens to; what others changed of it is set right."""
        async with self._lock:
            was_behind, self.is_behind = self.is_behind, False
            for network_id, port in list(self.ports.items()):
                change = await self._worker.run(self._change, port)
                if not change:
                    await self._scan(network_id, port)
                elif self._repairs.spend(read_clock()):
                    await self._repair(network_id, port, change)
                else:
                    self.is_behind = True
                    if not was_behind:
                        logger.warning(
                            "device=%s another program keeps changing it: repairs are slowed",
                            port.tap.name,
                        )

    def _change(self, port: Port) -> str:
        """Return what others have done to a device, as a predicate; empty where nothing."""
        if port.tap.is_gone:
            return "was taken away"
        if index_of(port.tap.name) != port.index:
            return "has another name"  # rules of the firewall know it by its own
        lacks = self._lacks(port) if port.is_sure else ()
        return f"lacks {' and '.join(lacks)}" if lacks else ""

    async def _repair(self, network_id: NetworkId, port: Port, change: str) -> None:
        logger.warning("device=%s %s: it is set right", port.tap.name, change)
        self.repaired += 1
        wanted = port.wanted or port.applied
        if port.tap.is_gone or index_of(port.tap.name) != port.index:
            await self._make_again(network_id, wanted)
            return
        port.is_sure = False
        await self._configure(network_id, wanted)

    async def state(self, network_id: NetworkId, *, has_config: bool = False) -> DeviceState:
        """Ask the kernel how a network's device is; where the network `has_config`, so must it."""
        port = self.ports.get(network_id)
        if port is None:
            return DeviceState("", "there is no device")
        if port.tap.is_gone:
            return DeviceState(port.tap.name, f"the device {port.tap.name} was taken away")
        return await self._worker.run(self._state, port, has_config)

    def _state(self, port: Port, has_config: bool) -> DeviceState:
        name = port.tap.name
        try:
            is_up, counters = self._link().look(name)
            if port.is_sure and (port.is_configured or not has_config):
                lacks = _with_refused(self._link().lacks(name, port.applied), port.refused)
            else:
                lacks = PARTS
        except HostError as error:
            return DeviceState(name, f"the device {name}: {error.strerror}")
        if not is_up:
            remedy = f"it is left as somebody has set it: ip link set {name} up"
            return DeviceState(name, f"the device {name} is down", counters, remedy=remedy)
        fault = f"the device {name} lacks {' and '.join(lacks)}" if lacks else None
        return DeviceState(name, fault, counters, lacks)

    async def close(self) -> None:
        """Let go of all devices: they are gone then, unless they are to be kept."""
        async with self._lock:
            for network_id in list(self.ports):
                await self._remove(network_id, keeps=self._keeps)
            if self._netlink is not None:
                await self._worker.run(self._netlink.close)
                self._netlink = None
        self._worker.close()

    async def _make(self, network_id: NetworkId, mac: Mac) -> bool:
        try:
            port = await self._worker.run(self._open, network_id, mac)
            await self._secure(network_id, port.tap)
        except HeldError as error:
            if network_id not in self._holders:
                logger.info("network=%s %s: waiting", format_network_id(network_id), error.strerror)
            self._holders[network_id] = mac
            self._held.set()
            return False
        except HostError as error:
            reason = str(error.strerror or error)
            logger.warning("network=%s port error=%s", format_network_id(network_id), reason)
            await self._report(network_id, reason)
            return False
        self.ports[network_id] = port
        self._holders.pop(network_id, None)
        await asyncio.wrap_future(self._pump.add_port(network_id, port.tap))
        if port.is_adopted:
            self.adopted_mono = read_clock().mono
        logger.info(
            "network=%s device=%s adopted=%s",
            format_network_id(network_id),
            port.tap.name,
            port.is_adopted,
        )
        return True

    async def _secure(self, network_id: NetworkId, tap: Tap) -> None:
        """Have a device guarded before it carries anything; one that cannot be is closed."""
        if self._guard is None:
            return
        try:
            await self._guard(network_id, tap.name)
        except HostError:
            tap.close()
            raise

    async def _make_again(self, network_id: NetworkId, wanted: Desired) -> None:
        await self._remove(network_id)
        if await self._make(network_id, wanted.mac):
            await self._configure(network_id, wanted)

    async def _configure(self, network_id: NetworkId, wanted: Desired) -> None:
        port = self.ports[network_id]
        try:
            await self._worker.run(self._apply, port, wanted)
        except HostError as error:
            reason = f"device {port.tap.name}: {error.strerror}"
            logger.warning("network=%s port error=%s", format_network_id(network_id), reason)
            await self._report(network_id, reason)
        else:
            await self._report(network_id, None)
        await self._scan(network_id, port)

    def _open(self, network_id: NetworkId, mac: Mac) -> Port:
        wanted = self._names.get(network_id)
        kept = find_kept(self._link(), network_id, mac)
        if kept is not None and wanted in (None, kept):
            tap, found = adopt(self._link(), kept, mac, keeps=self._keeps)
            return Port(tap, found, index_of(tap.name), is_sure=False, is_adopted=True)
        if kept is not None:
            self._link().remove(kept)
        tap = Tap(wanted or self._free_name(network_id))
        try:
            self._link().bring_up(tap.name, mac, DEFAULT_MTU)
            self._link().mark(tap.name, mark_of(network_id))
            tap.persist(self._keeps)
        except HostError:
            tap.close()
            raise
        return Port(tap, Desired(mac, DEFAULT_MTU), index_of(tap.name))

    def _orphans(self, node: Address, joined: Collection[NetworkId]) -> list[str]:
        return orphans(self._link(), node, joined)

    def _free_name(self, network_id: NetworkId) -> str:
        wish = self._wishes.get(network_id)
        if wish and not _exists(wish):
            return wish
        return next(name for name in interface_names(network_id) if not _exists(name))

    def _apply(self, port: Port, wanted: Desired) -> None:
        todo = plan(wanted, port.applied, is_sure=port.is_sure)
        port.applied, port.is_sure = _join(wanted, port.applied), False
        port.wanted = wanted
        self._link().restore(port.tap.name, wanted.mac)
        refusal: RefusedError | None = None
        try:
            self._link().apply(port.tap.name, todo)
        except RefusedError as error:
            refusal = error
        port.refused = refusal.refused if refusal is not None else frozenset()
        port.applied = _without(wanted, port.refused)
        port.is_sure, port.is_configured = True, True
        if refusal is not None:
            raise refusal

    def _lacks(self, port: Port) -> tuple[str, ...]:
        try:
            return self._link().lacks(port.tap.name, port.applied)
        except HostError as error:  # it is going this moment, which its descriptor will tell
            logger.debug("device=%s error=%s", port.tap.name, error)
            return ()

    async def _scan(self, network_id: NetworkId, port: Port) -> None:
        groups = await self._worker.run(self._groups, port.tap.name)
        if groups != port.groups:
            port.groups = groups
            await asyncio.wrap_future(
                self._pump.submit(lambda core, now: core.set_groups(network_id, groups, now))
            )

    def _groups(self, name: str) -> frozenset[MulticastGroup]:
        addresses = [ip for device, ip in local_addresses() if device == name]
        return groups_of(name, addresses)

    async def _remove(self, network_id: NetworkId, *, keeps: bool = False) -> None:
        port = self.ports.pop(network_id, None)
        if port is None:
            return
        try:
            if not self._pump.finished.done():
                await asyncio.wrap_future(self._pump.remove_port(network_id))
        finally:
            with contextlib.suppress(HostError):  # somebody else took it away
                port.tap.persist(keeps)
            port.tap.close()

    async def _report(self, network_id: NetworkId, reason: str | None) -> None:
        await asyncio.wrap_future(
            self._pump.submit(lambda core, now: core.set_port_error(network_id, reason, now))
        )

    def _link(self) -> "Netlink":
        if self._netlink is None:
            # Here, in its own thread: a tenth of a second that a node without networks never needs.
            from ztlink.host.netlink import Netlink

            self._netlink = Netlink()
        return self._netlink


def _exists(name: str) -> bool:
    return index_of(name) > 0


def _without(wanted: Desired, refused: frozenset[Addition]) -> Desired:
    """Return what is on the device, where the kernel has not taken all."""
    return replace(
        wanted,
        addresses=tuple(one for one in wanted.addresses if one not in refused),
        routes=tuple(one for one in wanted.routes if one not in refused),
    )


def _with_refused(lacks: tuple[str, ...], refused: frozenset[Addition]) -> tuple[str, ...]:
    """Return of which parts something is missing, be it lost or never taken."""
    never = {PARTS[isinstance(one, HostRoute)] for one in refused}
    return tuple(part for part in PARTS if part in {*lacks, *never}) + tuple(
        one for one in lacks if one not in PARTS
    )


def _join(wanted: Desired, applied: Desired) -> Desired:
    """Return all that may be on the device while one is changed for the other."""
    return replace(
        wanted,
        addresses=tuple(dict.fromkeys(wanted.addresses + applied.addresses)),
        routes=tuple(dict.fromkeys(wanted.routes + applied.routes)),
    )
