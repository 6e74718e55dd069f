"""Peers by address, roots, worlds, and the WHOIS requests under way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.crypto.identity import agree, verify
from ztlink.crypto.kdf import PeerCipher, derive_session_keys
from ztlink.errors import CryptoError
from ztlink.ids import Address, Endpoint, is_reserved
from ztlink.stats import Drop
from ztlink.vl1.context import Context
from ztlink.vl1.events import NodeOnline, PeerLost, StateChanged
from ztlink.vl1.memory import Memory
from ztlink.vl1.peer import Peer, Prober
from ztlink.wire.buffer import Writer
from ztlink.wire.identity import Identity
from ztlink.wire.world import World, WorldType

MAX_PEERS: Final = 65_536
WORLD_CHECKS_PER_SECOND: Final = 1.0
WORLD_CHECKS_BURST: Final = 16.0
"""Signatures of worlds that claim to be newer: honest ones come a few times a year."""
MAX_PENDING_PER_PEER: Final = 32
MAX_PENDING: Final = 1024
MAX_PENDING_OF_PATIENT: Final = 2048
"""With those that a controller tells of a change: it tells each as the last is on its way."""
MAX_PENDING_OF_STRANGERS: Final = 512
"""Questions that packets of unknown senders may cause: nothing proves that these exist, and what we
want to know ourselves must not wait for them."""
PENDING_LIFETIME: Final = 5.0
WHOIS_INTERVALS: Final = (0.2, 0.2, 0.3, 0.3, *(0.4,) * 10)
"""Seconds until an unanswered WHOIS is repeated; after the last the query ends. It is small, and
what waits for it is the first that a user sees of a network."""


@dataclass(slots=True)
class Root:
    """A node of the planet or of a moon, and where it can be found."""

    identity: Identity
    endpoints: tuple[Endpoint, ...]
    """Empty where any address of it is good."""
    is_planet: bool


@dataclass(slots=True)
class Pending:
    """Something that waits for a peer to become known or reachable."""

    deadline: float
    resume: Callable[[Now], None]


@dataclass(slots=True, eq=False)
class Query:
    """A WHOIS under way, and what waits for its answer."""

    address: Address
    topology: "Topology"
    attempts: int = 0
    pending: list[Pending] = field(default_factory=list)

    def handle_timer(self, now: Now) -> None:
        """Repeat the question or give up."""
        self.topology.query_is_due(self, now)


class Topology:
    """Who is who. The only owner of `Peer` objects."""

    prober: Prober
    admit_unchecked: Callable[[Identity, Now], Peer | None]
    """Makes a peer and has its proof of work checked; None where too many are."""
    ask: Callable[[Address, Now], bool]
    """Sends a WHOIS; False where no root is reachable."""
    peer_known: Callable[[Peer, Now], None]
    """Called when a peer becomes known, before what waited for it is sent."""
    peer_gone: Callable[[Peer, Now], None]
    """Called when a peer was removed."""
    roots_changed: Callable[[Now], None]
    """Called when the worlds name other roots than before."""

    def __init__(self, ctx: Context, planet: World, moons: Iterable[World], memory: Memory) -> None:
        self._ctx = ctx
        self.memory = memory
        self.peers: dict[Address, Peer] = {}
        self.planet = planet
        self.moons: dict[int, World] = {moon.world_id: moon for moon in moons}
        self.wanted_moons: dict[int, Address] = {}
        """Moons that were asked for and are not here yet: id -> seed."""
        self.roots: dict[Address, Root] = {}
        self.is_root = False
        self.online = False
        self._queries: dict[Address, Query] = {}
        self._world_checks = Budget(WORLD_CHECKS_PER_SECOND, WORLD_CHECKS_BURST)

    # -- worlds ------------------------------------------------------------------------------

    def update_roots(self, now: Now) -> None:
        """Derive the roots from the worlds, and make them peers."""
        roots: dict[Address, Root] = {}
        self.is_root = False
        for world in (self.planet, *(self.moons[key] for key in sorted(self.moons))):
            for listed in world.roots:
                if listed.identity == self._ctx.identity.public:
                    self.is_root = True
                elif listed.identity.address != self._ctx.address:
                    known = roots.get(listed.identity.address)
                    endpoints = (*known.endpoints, *listed.endpoints) if known else listed.endpoints
                    is_planet = world.world_type is WorldType.PLANET
                    is_planet = is_planet or (known is not None and known.is_planet)
                    roots[listed.identity.address] = Root(listed.identity, endpoints, is_planet)
        self.roots = roots
        for peer in self.peers.values():
            peer.is_upstream = self._is_root(peer)
            peer.schedule()
        for address in roots:
            self.root_peer(address, now)
        self.roots_changed(now)
        self.update_online()

    def offer_world(self, world: World, responder: Address, now: Now) -> bool:
        """Take a world from a root, or from the seed of a wanted moon, if it is good and newer."""
        current = self.planet if world.world_type is WorldType.PLANET else None
        if world.world_type is WorldType.MOON:
            current = self.moons.get(world.world_id)
        if current is not None:
            if world.world_id != current.world_id or world.timestamp <= current.timestamp:
                return False
            if not self._world_checks.spend(now):
                self._ctx.stats.drop(Drop.RATE_LIMITED)
                return False
            if not verify(current.next_update_key, world.signing_input(), world.signature):
                return False
        elif not self._is_wanted_moon(world, responder):
            return False
        writer = Writer()
        world.encode(writer)
        if world.world_type is WorldType.PLANET:
            self.planet = world
            key = "planet"
        else:
            self.moons[world.world_id] = world
            self.wanted_moons.pop(world.world_id, None)
            key = f"moons.d/{world.world_id:016x}.moon"
        self._ctx.events.append(StateChanged(key, writer.getvalue()))
        self.update_roots(now)
        return True

    def add_moon(self, moon: World, now: Now) -> None:
        """Take a moon by the operator's word."""
        self.moons[moon.world_id] = moon
        self.wanted_moons.pop(moon.world_id, None)
        self.update_roots(now)

    def _is_wanted_moon(self, world: World, responder: Address) -> bool:
        seed = self.wanted_moons.get(world.world_id)
        return seed is not None and any(r.identity.address == seed for r in world.roots)

    def is_trusted_source_of_worlds(self, address: Address) -> bool:
        """Tell whether world updates of this node are looked at."""
        return address in self.roots or address in self.wanted_moons.values()

    # -- peers -------------------------------------------------------------------------------

    def find(self, address: Address, now: Now) -> Peer | None:
        """Return a peer that is known, be it from before the start."""
        peer = self.peers.get(address)
        if peer is None:
            known = self.memory.recall(address, now)
            if known is not None:
                add = self.add_peer if known.protocol else self.admit_unchecked
                return add(known.identity, now)
        return peer

    def add_peer(
        self, identity: Identity, now: Now, *, is_provisional: bool = False
    ) -> Peer | None:
        """Make a peer of an identity that is not known yet; None where its keys are unusable."""
        if is_reserved(identity.address) or identity.address == self._ctx.address:
            return None
        try:
            cipher = PeerCipher(derive_session_keys(agree(self._ctx.identity, identity)))
        except CryptoError:
            return None
        return self.admit(identity, cipher, now, is_provisional=is_provisional)

    def admit(
        self, identity: Identity, cipher: PeerCipher, now: Now, *, is_provisional: bool = False
    ) -> Peer | None:
        """Make a peer whose keys were agreed already."""
        if len(self.peers) >= MAX_PEERS:
            return None
        peer = Peer(identity, cipher, self._ctx, self.prober)
        peer.last_receive = now.mono
        peer.is_upstream = self._is_root(peer)
        peer.is_provisional = is_provisional
        self.peers[identity.address] = peer
        peer.schedule()
        self.peer_known(peer, now)
        query = self._queries.pop(identity.address, None)
        if query is not None:
            self._ctx.timers.forget(query)
            for pending in query.pending:
                if pending.deadline >= now.mono:
                    pending.resume(now)
        return peer

    def remove_peer(self, peer: Peer, now: Now) -> None:
        """Forget a peer."""
        if self.peers.get(peer.address) is peer:
            del self.peers[peer.address]
            self._ctx.timers.forget(peer)
            self._ctx.events.append(PeerLost(peer.address))
            self.peer_gone(peer, now)

    def root_peer(self, address: Address, now: Now) -> Peer | None:
        """Return the peer of a root, made if there is none; None while the address is another's."""
        root = self.roots.get(address)
        if root is None:
            return None
        peer = self.peers.get(address) or self.add_peer(root.identity, now)
        return peer if peer is not None and self._is_root(peer) else None

    def _is_root(self, peer: Peer) -> bool:
        root = self.roots.get(peer.address)
        return root is not None and root.identity == peer.identity

    def best_root(self, exclude: Address | None = None) -> Peer | None:
        """Return the root to relay through: reachable, not under suspicion, lowest latency."""
        best: Peer | None = None
        best_rank: tuple[bool, float] | None = None
        for address in self.roots:
            peer = self.peers.get(address)
            path = peer.best_path() if peer and peer.is_upstream else None
            if path is None or address == exclude:
                continue
            rank = (path.is_suspect, path.latency)
            if best_rank is None or rank < best_rank:
                best, best_rank = peer, rank
        return best

    def update_online(self) -> None:
        """Compare what was said of our being online with what is, and tell a change."""
        online = self.is_root or self.best_root() is not None
        if online != self.online:
            self.online = online
            self._ctx.events.append(NodeOnline(online))

    # -- WHOIS -------------------------------------------------------------------------------

    def when_known(
        self,
        address: Address,
        now: Now,
        resume: Callable[[Now], None] | None = None,
        *,
        most: int = MAX_PENDING,
    ) -> bool:
        """Ask the roots who `address` is; call `resume` once it is known, within PENDING_LIFETIME.

        False where as many as `most` questions are under way already.
        """
        if is_reserved(address) or address == self._ctx.address:
            return False
        query = self._queries.get(address)
        if query is None:
            if len(self._queries) >= most:
                return False
            query = self._queries[address] = Query(address, self)
            self.query_is_due(query, now)
        if resume is not None:
            if len(query.pending) >= MAX_PENDING_PER_PEER:
                del query.pending[0]
            query.pending.append(Pending(now.mono + PENDING_LIFETIME, resume))
        query.attempts = min(query.attempts, len(WHOIS_INTERVALS) - 1)
        return True

    def query_is_due(self, query: Query, now: Now) -> None:
        """Ask once more, or end the query when it was asked often enough."""
        if query.attempts >= len(WHOIS_INTERVALS):
            if self._queries.get(query.address) is query:
                del self._queries[query.address]
            return
        self.ask(query.address, now)
        self._ctx.timers.schedule(query, now.mono + WHOIS_INTERVALS[query.attempts])
        query.attempts += 1

    def retry_queries(self, now: Now) -> None:
        """Ask again at once: a root has just become reachable."""
        for query in list(self._queries.values()):
            query.attempts = 0
            self.query_is_due(query, now)

    def is_asking(self, address: Address) -> bool:
        """Tell whether a WHOIS for this address is under way."""
        return address in self._queries
