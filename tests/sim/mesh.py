"""A mesh of real cores in a world: roots on a planet of their own, and nodes anywhere."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.sim.ethernet import Ping
from tests.sim.internet import Gateway, Host
from tests.sim.node import DEFAULT_PORT, CoreMaker, SimNode
from tests.sim.planet import make_planet
from tests.sim.world import World
from ztlink.clock import Now
from ztlink.ids import Endpoint, NetworkId
from ztlink.node.core import Core, CoreSettings
from ztlink.node.events import NetworkStatus
from ztlink.wire.identity import SecretIdentity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.world import World as Planet

COALESCING: Final = 0.00002
"""Seconds for which every other host gathers datagrams into trains."""
ADHOC: Final = NetworkId(0xFF0A_0000_0000_0001)
"""A network without a controller: everybody has an address in 10.0.0.0/8 on it."""


@dataclass(frozen=True, slots=True)
class RealCore:
    """Makes the cores that the product has."""

    settings: CoreSettings

    def __call__(
        self,
        identity: SecretIdentity,
        planet: Planet,
        *,
        random_bytes: Callable[[int], bytes],
        now: Now,
        known_peers: Sequence[KnownPeer],
    ) -> Core:
        return Core(
            identity,
            planet,
            random_bytes=random_bytes,
            now=now,
            known_peers=known_peers,
            settings=self.settings,
        )


class Mesh:
    """Roots, and nodes that know them."""

    def __init__(
        self, seed: int, *, roots: int = 1, delay: float = 0.010, loss: float = 0.0
    ) -> None:
        self.world = World(seed, delay=delay, loss=loss)
        self.signer = self.world.next_identity()
        self.nodes: list[SimNode] = []
        """All but the roots."""
        identities = [self.world.next_identity() for _ in range(roots)]
        hosts = [self.world.add_host(f"root {i}", ipv6=True) for i in range(roots)]
        listed = [
            (identity.public, tuple(host.bind(DEFAULT_PORT).values()))
            for identity, host in zip(identities, hosts, strict=True)
        ]
        self.planet = make_planet(self.signer, listed)
        self.roots = [
            self._make(host, identity) for identity, host in zip(identities, hosts, strict=True)
        ]
        for root in self.roots:
            root.start()

    # -- building ----------------------------------------------------------------------------

    def add(self, name: str, *, behind: Gateway | None = None) -> SimNode:
        """Start a node on the Internet, or behind a box."""
        if behind is not None:
            return self.add_on(self.world.add_host_behind(behind, name))
        return self.add_on(self.world.add_host(name))

    def add_on(self, host: Host, *, settings: CoreSettings | None = None) -> SimNode:
        """Start a node on a host."""
        node = self._make(host, self.world.next_identity(), settings)
        host.coalescing = COALESCING * (len(self.nodes) % 2)
        self.nodes.append(node)
        node.start()
        return node

    def _make(
        self, host: Host, identity: SecretIdentity, settings: CoreSettings | None = None
    ) -> SimNode:
        maker: CoreMaker = RealCore(settings or CoreSettings())
        return SimNode(self.world, host, identity, self.planet, maker)

    # -- watching ----------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time go on."""
        self.world.run(seconds)

    def wait_until(self, condition: Callable[[], bool], *, limit: float = 30.0) -> float:
        """Let time go on until something is so, and return how long that took."""
        start = self.world.time
        assert self.world.run_until(condition, limit=limit), f"not so within {limit} s"
        return self.world.time - start

    def wait_online(self) -> float:
        """Let time go on until all nodes reach a root."""
        return self.wait_until(lambda: all(node.is_online for node in self.nodes))

    def wait_joined(self, network_id: NetworkId, nodes: Iterable[SimNode] | None = None) -> float:
        """Let time go on until nodes (all that joined, if none are named) are on a network."""
        waiting = list(nodes or (n for n in self.nodes if network_id in n.networks))
        return self.wait_until(
            lambda: all(node.status(network_id) is NetworkStatus.OK for node in waiting)
        )

    def wait_direct(self, a: SimNode, b: SimNode, *, limit: float = 30.0) -> float:
        """Let time go on until two nodes reach each other directly."""
        return self.wait_until(lambda: a.has_direct_path(b) and b.has_direct_path(a), limit=limit)

    def ping(self, a: SimNode, b: SimNode, network_id: NetworkId, *, version: int = 4) -> Ping:
        """Have a machine ping another over a network."""
        destination = b.port(network_id).address(version)
        assert destination is not None, f"{b.name} has no IPv{version} address"
        return a.port(network_id).ping(destination)

    def keep_pinging(
        self,
        a: SimNode,
        b: SimNode,
        network_id: NetworkId,
        *,
        interval: float = 1.0,
        seconds: float = float("inf"),
    ) -> list[Ping]:
        """Have a machine ping another again and again; return the growing list of its pings."""
        pings: list[Ping] = []
        self.world.schedule.every(
            interval,
            lambda: pings.append(self.ping(a, b, network_id)),
            until=self.world.time + seconds,
        )
        return pings

    def ping_and_wait(
        self, a: SimNode, b: SimNode, network_id: NetworkId, *, limit: float = 5.0
    ) -> float | None:
        """Ping, and return the round trip; None where nothing came back within the limit."""
        ping = self.ping(a, b, network_id)
        self.world.run_until(lambda: ping.answered is not None, limit=limit)
        return ping.round_trip


def endpoint_of(node: SimNode, version: int = 4) -> Endpoint:
    """Return where a node's socket is bound."""
    sockets = node.host.bind(DEFAULT_PORT).values()
    return next(endpoint for endpoint in sockets if endpoint.ip.version == version)


def count_between(world: World, a: SimNode, b: SimNode) -> list[int]:
    """Count from now on, in its only element, the datagrams that two nodes send to each other."""
    count = [0]
    ends = (endpoint_of(a), endpoint_of(b))

    def watch(source: Endpoint, destination: Endpoint) -> None:
        count[0] += (source, destination) in (ends, ends[::-1])

    world.watch(lambda datagram: watch(datagram.source, datagram.destination))
    return count
