"""One look at the whole node: what health and metrics are made of."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

from ztlink.api.planet import GivenPlanet, PlanetFile
from ztlink.clock import Now
from ztlink.conditions import Condition
from ztlink.controller.service import ControllerService
from ztlink.drivers.binder import Bound
from ztlink.drivers.clock import is_synchronised
from ztlink.drivers.loop import Pump
from ztlink.drivers.sockets import Deafness
from ztlink.host.desired import Policy
from ztlink.host.device import DeviceState
from ztlink.host.policies import Policies
from ztlink.host.ports import PortManager
from ztlink.host.tally import Tally
from ztlink.ids import Endpoint, NetworkId
from ztlink.node.core import Core
from ztlink.node.status import NetworkView, NodeView, PeerView
from ztlink.reloads import ReloadCounts
from ztlink.settings import Settings
from ztlink.stats import Carried, Stats

PATIENCE: Final = 5.0
"""Seconds after which a node that does not answer counts as stuck."""
PACE: Final = 0.02
"""Seconds between two looks at least, however many ask."""


class Row(Protocol):
    """One thing of many that are managed, for people: a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@runtime_checkable
class HasState(Protocol):
    """A row that is one thing or another: installed, waiting."""

    @property
    def state(self) -> str:
        """Name it: one of the manager's `states`, which become a label."""


class Reporter(Protocol):
    """Manages something on the machine, such as routes or the firewall, and tells how it is."""

    def conditions(self) -> tuple[Condition, ...]:
        """Judge it."""

    def rows(self) -> Sequence[Row]:
        """List what is managed."""

    @property
    def states(self) -> Sequence[str]:
        """Name all states that a row may have; nothing where rows have none."""

    @property
    def tally(self) -> Tally | None:
        """Tell what was done; None where nothing is counted."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a manager told."""

    name: str
    conditions: tuple[Condition, ...]
    rows: tuple[Row, ...]
    tally: Tally | None
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """What the node has counted since it started."""

    drops: tuple[int, ...]
    """By `Drop`."""
    datagrams_in: int
    bytes_in: int
    datagrams_out: int
    bytes_out: int
    packets_in: tuple[int, ...]
    """By verb number."""
    packets_out: tuple[int, ...]
    errors_in: tuple[int, ...]
    """ERROR messages by their code."""
    errors_out: tuple[int, ...]
    carried_in: Carried
    carried_out: Carried
    frames_in: int
    frames_out: int
    relayed: int

    @classmethod
    def of(cls, stats: Stats) -> "Counts":
        """Copy them."""
        return cls(
            tuple(stats.drops),
            stats.datagrams_in,
            stats.bytes_in,
            stats.datagrams_out,
            stats.bytes_out,
            tuple(stats.packets_in),
            tuple(stats.packets_out),
            tuple(stats.errors_in),
            tuple(stats.errors_out),
            stats.carried_in.copy(),
            stats.carried_out.copy(),
            stats.frames_in,
            stats.frames_out,
            stats.relayed,
        )


@dataclass(frozen=True, slots=True)
class Membership:
    """A network that was joined, and its device."""

    view: NetworkView
    policy: Policy = field(default_factory=Policy)
    device: DeviceState = field(default_factory=DeviceState)
    """Nameless and without fault where the node makes no devices."""


@dataclass(frozen=True, slots=True)
class Members:
    """How many members a network of our controller has."""

    network_id: NetworkId
    authorized: int
    waiting: int


@dataclass(frozen=True, slots=True)
class News:
    """What the agent around the node tells."""

    reloads: ReloadCounts | None = None
    """None where no file is followed."""
    handover_gap: float | None = None
    """Seconds for which devices that were taken over had no process; None where none was."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A node at one moment."""

    now: Now
    node: NodeView
    sockets: tuple[Endpoint, ...]
    peers: tuple[PeerView, ...]
    counts: Counts
    memberships: tuple[Membership, ...] = ()
    controlled: tuple[Members, ...] | None = None
    """None where the node is no controller."""
    deafness: Deafness | None = None
    """Why there is no socket, where there is none."""
    news: News = field(default_factory=News)
    reports: tuple[Report, ...] = ()
    planet: GivenPlanet = field(default_factory=GivenPlanet)
    is_synchronised: bool | None = None
    """Whether the kernel knows its clock to be kept; None where it cannot be told."""


class Observer:
    """Looks at a running node, from the thread of its event loop."""

    def __init__(
        self,
        pump: Pump,
        ports: PortManager | None,
        policies: Policies,
        controller: ControllerService | None,
        settings: Settings,
        bound: Callable[[], Bound] = Bound,
        news: Callable[[], News] = News,
        reporters: Mapping[str, Reporter] | None = None,
    ) -> None:
        """Make it; `reporters` by what they manage, and it may change later."""
        self._news = news
        self._pump = pump
        self._bound = bound
        self._ports = ports
        self._policies = policies
        self._controller = controller
        self._reporters = {} if reporters is None else reporters
        self._planet = PlanetFile(settings.planet)
        self.settings = settings
        self._lock = asyncio.Lock()
        """Held while somebody looks; those who come meanwhile share the next look."""
        self._last: Observation | None = None
        """None where the node did not answer."""
        self._looked = float("-inf")
        """When the last look began."""

    async def observe(self) -> Observation:
        """Look, or take a look that began since this was asked: many who ask cost the node one.

        TimeoutError where the node does not answer.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self._lock:
            if self._looked < asked:
                early = self._looked + PACE - asked
                if early > 0:
                    await asyncio.sleep(early)
                self._looked, self._last = loop.time(), None
                self._last = await self._look()
            if self._last is None:
                raise TimeoutError("the node did not answer just now")
            return self._last

    async def _look(self) -> Observation:
        looking = asyncio.wrap_future(self._pump.submit(_look))
        observation, networks = await asyncio.wait_for(looking, PATIENCE)
        return Observation(
            observation.now,
            observation.node,
            observation.sockets,
            observation.peers,
            observation.counts,
            tuple([await self._membership(view) for view in networks]),
            None if self._controller is None else _members(self._controller),
            self._bound().deafness,
            self._news(),
            tuple(
                Report(name, one.conditions(), tuple(one.rows()), one.tally, tuple(one.states))
                for name, one in self._reporters.items()
            ),
            self._planet.read(),
            is_synchronised(),
        )

    async def _membership(self, view: NetworkView) -> Membership:
        policy = self._policies.get(view.network_id)
        if self._ports is None:
            return Membership(view, policy)
        device = await self._ports.state(view.network_id, has_config=view.config is not None)
        return Membership(view, policy, device)


def _look(core: Core, now: Now) -> tuple[Observation, list[NetworkView]]:
    observation = Observation(
        now,
        core.node_view(now),
        tuple(core.sockets().values()),
        tuple(core.peer_views(now)),
        Counts.of(core.stats),
    )
    return observation, core.network_views(now)


def _members(controller: ControllerService) -> tuple[Members, ...]:
    found = []
    for network_id in sorted(controller.networks):
        members = controller.members[network_id].values()
        authorized = sum(member.authorized for member in members)
        found.append(Members(network_id, authorized, len(members) - authorized))
    return tuple(found)
