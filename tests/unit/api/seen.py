"""Observations of a node for health and metrics, and a server that shows them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface
from typing import cast

from tests.unit.api import rig
from tests.unit.api.rig import SETTINGS, Speaker
from tests.unit.controller.rig import START
from tests.unit.vl1.mesh import identity
from ztlink.api.health import HealthServer
from ztlink.api.link_metrics import Metrics
from ztlink.api.observe import Counts, Membership, Observation, Observer, Report
from ztlink.api.runner import make_runner
from ztlink.conditions import Condition
from ztlink.host.desired import Policy
from ztlink.host.device import COUNTED, DeviceState
from ztlink.host.tally import Tally
from ztlink.ids import Address, Endpoint, NetworkId, SocketId, member_mac
from ztlink.node.events import NetworkStatus
from ztlink.node.status import NetworkView, NodeView, PathView, PeerRole, PeerView
from ztlink.settings import Membership as Wanted
from ztlink.settings import Settings
from ztlink.stats import Stats
from ztlink.wire.netconf import NetworkConfig

NODE: NodeView = replace(rig.NODE, planet_timestamp=START.unix_ms - 86_400_000)
NETWORK = NetworkId(0x112972485D000001)
NAME = "112972485d000001"
REQUIRED: Settings = replace(SETTINGS, memberships=(Wanted(NETWORK),))
OPTIONAL: Settings = replace(SETTINGS, memberships=(Wanted(NETWORK, is_required=False),))
SOCKET = Endpoint(ip_address("10.200.0.12"), 9993)
DEVICE = DeviceState("zt0", None, {name: number for number, name in enumerate(COUNTED)})


def config(*addresses: str) -> NetworkConfig:
    return NetworkConfig(
        network_id=NETWORK,
        timestamp=START.unix_ms,
        issued_to=Address(0xBA52BB0E23),
        name=b"mesh",
        addresses=tuple(ip_interface(address) for address in addresses),
    )


def membership(
    status: NetworkStatus = NetworkStatus.OK,
    *addresses: str,
    reason: str = "joined",
    policy: Policy | None = None,
    device: DeviceState = DEVICE,
) -> Membership:
    known = config(*addresses) if status is NetworkStatus.OK else None
    mac = member_mac(NODE.identity.address, NETWORK)
    view = NetworkView(NETWORK, mac, status, reason, known, (), START.unix_ms - 1500)
    return Membership(view, policy or Policy(), device)


def peer(
    number: int, role: PeerRole = PeerRole.LEAF, latency: int = 5, *, active: bool
) -> PeerView:
    path = PathView(SOCKET, SocketId(1), 0, 0, 0, latency, active, not active, True)
    return PeerView(identity(number).public, role, (1, 14, 1), 12, latency, 0, (path,))


def seen(*memberships: Membership, stats: Stats | None = None) -> Observation:
    counts = Counts.of(stats or Stats())
    return Observation(START, NODE, (SOCKET,), (), counts, memberships)


JOINED: Observation = seen(membership(NetworkStatus.OK, "10.1.2.3/24"))


@dataclass(frozen=True)
class Kept:
    """Something that is managed."""

    target: str
    state: str = "installed"


@dataclass
class Keeper:
    """A manager of something on a machine, which tells how it is."""

    found: tuple[Condition, ...] = ()
    kept: tuple[Kept, ...] = ()
    tally: Tally | None = None
    states: tuple[str, ...] = ("installed", "waiting")

    def conditions(self) -> tuple[Condition, ...]:
        return self.found

    def rows(self) -> tuple[Kept, ...]:
        return self.kept


def reported(observation: Observation, keeper: Keeper, name: str = "routes") -> Observation:
    """A node with what a manager reports."""
    report = Report(name, keeper.conditions(), keeper.rows(), keeper.tally, keeper.states)
    return replace(observation, reports=(report,))


@dataclass
class Watcher:
    """Shows one observation, or the trouble of a node that does not answer."""

    settings: Settings
    found: Observation | None

    async def observe(self) -> Observation:
        if self.found is None:
            raise TimeoutError
        return self.found


@asynccontextmanager
async def served(
    found: Observation | None, settings: Settings = REQUIRED
) -> AsyncIterator[Speaker]:
    server = HealthServer(cast(Observer, Watcher(settings, found)), Metrics(0.0), lambda: {"a": 1})
    runner = make_runner(server.application)
    await runner.setup()
    assert runner.server is not None
    try:
        yield Speaker(runner.server)
    finally:
        await runner.cleanup()
