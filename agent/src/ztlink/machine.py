"""What a node does to its machine: devices, firewall, routes, name servers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ztlink.api.observe import Reporter
from ztlink.drivers.loop import Pump
from ztlink.host.desired import Desired
from ztlink.host.dns.entries import NameServers, name_servers
from ztlink.host.dns.manager import DnsManager, Wanted
from ztlink.host.dns.ways import ways_of
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.members import MemberSearch
from ztlink.host.overlay import Overlay
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.host.routes.manager import RouteManager
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.ids import Address, Mac, NetworkId, format_address
from ztlink.node.events import NetworkStatus
from ztlink.settings import OnStop, Settings
from ztlink.wire.netconf import NetworkConfig

GROUP_SCAN_INTERVAL: Final = 60.0
REPAIR_INTERVAL: Final = 5.0
"""Seconds between repairs of a device that another program keeps changing."""
OVERLAY_INTERVAL: Final = 2.0
"""Seconds between two looks at what networks there are, where routes are seen to."""
DNS_INTERVAL: Final = 10.0
"""Seconds between two looks at what was set for name servers."""
REFUSED: Final = frozenset(
    {
        NetworkStatus.ACCESS_DENIED,
        NetworkStatus.NOT_FOUND,
        NetworkStatus.AUTHENTICATION_REQUIRED,
    }
)
"""What a controller answers to a node that it lets in no more."""


class Machine:
    """Makes the machine follow the node's networks and the operator's wishes."""

    def __init__(
        self,
        settings: Settings,
        pump: Pump,
        policies: Policies,
        address: Address,
        *,
        wishes: Mapping[NetworkId, str],
        is_followed: bool,
    ) -> None:
        """Make it; `wishes` are names of devices to be taken where they are free.

        What follows a file sees to routes even where none is declared.
        """
        self._settings = settings
        self._policies = policies
        self._address = address
        self._is_followed = is_followed
        self._firewall = FirewallManager()
        self._overlays: Mapping[NetworkId, Overlay] = {}
        self._refusals: dict[NetworkId, str] = {}
        """Why controllers let this node in no more, in a sentence."""
        self._routes: RouteManager | None = None
        self._has_routes = asyncio.Event()
        self._members = MemberSearch(pump)
        self._dns = DnsManager(ways_of(format_address(address)))
        self._name_servers: dict[NetworkId, NameServers] = {}
        self._repaired = 0
        """Of what was repaired of devices, how much is counted."""
        self.reporters: dict[str, Reporter] = {"dns": self._dns, "firewall": self._firewall}
        """Who manages something here, by what that is."""
        self.ports: PortManager | None = None
        if settings.has_taps:
            self.ports = PortManager(
                pump,
                policies,
                settings.interface_names,
                wishes=wishes,
                keeps=self._keeps,
                guard=self._firewall.guard,
                spare=self._spare,
            )

    @property
    def _keeps(self) -> bool:
        return self._settings.on_stop is OnStop.KEEP

    async def start(self) -> None:
        """Be ready for devices: the firewall is there before any."""
        await self._firewall.use(self._settings.firewall)
        await self._use_routing()

    async def sweep(self, joined: Collection[NetworkId]) -> None:
        """Clear away what was kept for networks that are `joined` no more."""
        if self._is_followed or self._keeps:
            await self._with_ports(lambda ports: ports.sweep(self._address, joined))

    async def use_networks(self, settings: Settings) -> None:
        """Follow what is said of networks, before any is joined."""
        known = {one.network_id: one.policy for one in self._settings.memberships}
        for one in settings.memberships:
            if known.get(one.network_id) != one.policy:
                self._policies.set(one.network_id, one.policy)
                await self._with_ports(partial(PortManager.allowed, network_id=one.network_id))
        await self._with_ports(lambda ports: ports.rename(settings.interface_names))

    async def use(self, settings: Settings) -> None:
        """Follow all else."""
        self._settings = settings
        await self._with_ports(lambda ports: ports.keep(self._keeps))
        await self._with_firewall(self._firewall.use(settings.firewall))
        await self._use_routing()
        await self._follow_dns()

    async def stop(self) -> None:
        """Take away what was made, or leave it for the next process."""
        # Told again: a change of the file may have been cut short.
        await self._with_ports(lambda ports: ports.keep(self._keeps))
        if self._routes is not None:
            await self._routes.close(keep=self._keeps)
        await self._dns.close(keep=self._keeps)
        await self._with_ports(PortManager.close)
        await self._firewall.close(self._keeps)

    # -- networks ----------------------------------------------------------------------------

    async def joined(self, network_id: NetworkId, mac: Mac) -> None:
        """Make the device of a network."""
        await self._with_ports(lambda ports: ports.joined(network_id, mac))
        await self._tell_overlays()

    async def configured(self, network_id: NetworkId, config: NetworkConfig) -> None:
        """Follow the configuration of a network."""
        await self._with_ports(lambda ports: ports.configured(network_id, config))
        await self._tell_overlays()
        self._name_servers.pop(network_id, None)
        found = name_servers(config)
        if found is not None:
            self._name_servers[network_id] = found
        await self._follow_dns()

    async def status_changed(
        self, network_id: NetworkId, status: NetworkStatus, reason: str
    ) -> None:
        """Follow whether a network lets this node in: what leads into it is kept, and told."""
        self._refusals.pop(network_id, None)
        if status in REFUSED:
            self._refusals[network_id] = f"{status.name}: {reason}"
        await self._tell_overlays()

    async def left(self, network_id: NetworkId) -> None:
        """Take away what a network had."""
        self._refusals.pop(network_id, None)
        self._policies.forget(network_id)
        self._name_servers.pop(network_id, None)
        await self._follow_dns()
        await self._with_ports(lambda ports: ports.left(network_id))
        await self._tell_overlays()

    async def online(self, is_online: bool) -> None:
        """Note whether a root is in reach."""
        await self._with_ports(lambda ports: ports.online(is_online))

    def own_devices(self) -> frozenset[str]:
        """Return the names of our networks' devices."""
        ports = self.ports.ports.values() if self.ports is not None else ()
        return frozenset(port.tap.name for port in ports)

    async def scan_groups(self) -> None:
        """Look at our devices: what they listen to, and what others changed of them."""
        await self._look_at_devices()
        await self._tell_overlays()

    async def _look_at_devices(self) -> None:
        if self.ports is None:
            return
        await self.ports.scan_groups()
        repaired = self.ports.repaired - self._repaired
        if self._routes is not None and repaired:
            self._repaired += repaired
            self._routes.add_drift(repaired)

    # -- what no event tells -----------------------------------------------------------------

    async def follow(self) -> None:
        """Look at the machine again and again; ends by being cancelled."""
        await asyncio.gather(
            _every(GROUP_SCAN_INTERVAL, self.scan_groups),
            _every(REPAIR_INTERVAL, self._repair),
            self._firewall.run(self._check_firewall),
            _every(DNS_INTERVAL, self._follow_dns),
            self._with_ports(PortManager.follow_held),
            self._follow_overlays(),
            self._follow_routes(),
        )

    async def _follow_overlays(self) -> None:
        """Look for members that routes lead through, and devices made again."""
        await self._has_routes.wait()
        await _every(OVERLAY_INTERVAL, self._tell_overlays)

    async def _follow_routes(self) -> None:
        """Keep declared routes as they should be."""
        await self._has_routes.wait()
        assert self._routes is not None
        await self._routes.run(self._look_at_devices)

    async def _repair(self) -> None:
        """Set right what was left, as others change it all the time."""
        if self.ports is not None and self.ports.is_behind:
            await self.scan_groups()

    async def _check_firewall(self) -> None:
        await self._with_firewall(self._firewall.check())

    async def _follow_dns(self) -> None:
        """Have the machine ask networks' name servers, where operator and network allow it."""
        ports = self.ports.ports if self.ports is not None else {}
        await self._dns.follow(
            {
                network_id: Wanted(ports[network_id].tap.name, found)
                for network_id, found in self._name_servers.items()
                if self._settings.apply_dns
                and network_id in ports
                and self._policies.get(network_id).allow_dns
            }
        )

    # -- what follows the devices ------------------------------------------------------------

    async def _tell_overlays(self) -> None:
        """Have what is made for devices follow those that there are."""
        await self._with_ports(lambda ports: ports.tell(self._address, self._follow_overlay))
        if self._routes is not None:
            overlays = await self._members.look(self._overlays, self._routes.asks_for)
            await self._routes.follow(
                {
                    network_id: replace(one, refusal=self._refusals.get(network_id, ""))
                    for network_id, one in overlays.items()
                }
            )

    async def _follow_overlay(self, overlays: Mapping[NetworkId, Overlay]) -> None:
        self._overlays = overlays
        await self._firewall.follow(overlays)

    async def _use_routing(self) -> None:
        """Have routes as they are declared; one that follows a file sees to it even if none is.

        For what the process before it has kept, and what is declared no more.
        """
        wanted = self._settings.routing
        if wanted is None and (self._routes is not None or self._is_followed):
            wanted = RoutingSettings(node_name=self._settings.node_name)
        if wanted is None or self.ports is None:
            return
        if self._routes is not None:
            await self._routes.use(wanted)
            for network_id in list(self.ports.ports):
                await self.ports.allowed(network_id)  # by other ranges, other routes do harm
            await self._tell_overlays()
            return
        self._routes = self.reporters["routes"] = RouteManager(wanted, self._address)
        await self._routes.start()
        self._has_routes.set()

    def _spare(self, network_id: NetworkId, wanted: Desired) -> Desired:
        return wanted if self._routes is None else self._routes.spare(network_id, wanted)

    async def _with_firewall(self, work: Awaitable[None]) -> None:
        """Do something with the firewall; devices that waited for it are made."""
        was_open = self._firewall.is_open
        await work
        if self._firewall.is_open and not was_open:
            await self._with_ports(PortManager.retry)

    async def _with_ports(self, work: Callable[[PortManager], Awaitable[None]]) -> None:
        if self.ports is not None:
            await work(self.ports)


async def _every(interval: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(interval)
        await work()
