"""VL1 put together: what the node sees of it."""

from collections.abc import Callable, Iterable, Mapping

from ztlink.batch import Train
from ztlink.clock import Now
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, SocketId
from ztlink.vl1.collision import Collisions
from ztlink.vl1.contact import RootContact
from ztlink.vl1.context import Context, PhysicalNetwork
from ztlink.vl1.discovery import Discovery
from ztlink.vl1.egress import Egress
from ztlink.vl1.events import StateChanged
from ztlink.vl1.hello import Introductions
from ztlink.vl1.memory import Memory
from ztlink.vl1.moons import MoonSeeker
from ztlink.vl1.peer import Peer
from ztlink.vl1.relay import Relay
from ztlink.vl1.strangers import Strangers
from ztlink.vl1.switch import Switch, Upper
from ztlink.vl1.topology import Topology
from ztlink.wire.identity import Identity
from ztlink.wire.known_peer import KnownPeer
from ztlink.wire.world import World


class Vl1:
    """The peer-to-peer layer of one node."""

    on_peer_known: Callable[[Peer, Now], None]
    on_online: Callable[[bool, Now], None]
    on_root_found: Callable[[Address, Now], None]
    """A root is in reach, again or for the first time, or greets us, as one that was started anew
    does: it may have forgotten what we told it."""

    def __init__(
        self,
        ctx: Context,
        planet: World,
        moons: Iterable[World],
        upper: Upper,
        known_peers: Iterable[KnownPeer] = (),
    ) -> None:
        self._ctx = ctx
        self.memory = Memory(ctx, known_peers)
        self.topology = Topology(ctx, planet, moons, self.memory)
        self.egress = Egress(ctx, self.topology)
        self.discovery = Discovery(ctx, self.topology, self.egress)
        self.strangers = Strangers(ctx, self.topology, self.memory)
        self.introductions = Introductions(
            ctx, self.topology, self.egress, self.discovery, self.memory, self.strangers
        )
        self.collisions = Collisions(ctx, self.topology)
        self.memory.find = self.topology.find
        self.memory.try_endpoint = self.discovery.try_endpoint
        relay = Relay(ctx, self.topology, self.discovery)
        self.switch = Switch(ctx, self.topology, self.introductions, relay, upper)
        self._contacts: dict[Address, RootContact] = {}
        self._moons = MoonSeeker(ctx, self.topology, self.introductions)
        self.topology.prober = self.introductions
        self.topology.admit_unchecked = self.strangers.admit_unchecked
        self.topology.ask = self.introductions.ask_whois
        self.topology.peer_known = self._peer_known
        self.topology.peer_gone = self._peer_gone
        self.topology.roots_changed = self._update_contacts
        self.introductions.paths_changed = self._paths_changed
        self.introductions.root_greeted = lambda root, now: self.on_root_found(root, now)

    def start(self, now: Now) -> None:
        """Begin: find the roots."""
        self.topology.update_roots(now)

    def receive(self, train: Train, now: Now) -> None:
        """Take datagrams."""
        self.switch.receive(train, now)

    def take_validations(self) -> list[Identity]:
        """Take the identities that are to be validated."""
        taken = self.strangers.validations
        if taken:
            self.strangers.validations = []
        return taken

    def set_sockets(self, sockets: Mapping[SocketId, Endpoint], now: Now) -> None:
        """Take the local endpoints; when they change, paths are tested and the roots greeted."""
        if dict(sockets) == dict(self._ctx.sockets):
            return
        self._ctx.sockets = dict(sockets)
        bound = frozenset(sockets)
        for peer in list(self.topology.peers.values()):
            peer.remove_paths_of(bound)
            peer.last_push = float("-inf")
            peer.suspect_paths(now)
        self.topology.update_online()
        for contact in self._contacts.values():
            contact.lost(now)
        if sockets:
            self.memory.start(now)

    def set_physical(
        self,
        physical: tuple[PhysicalNetwork, ...],
        hints: Mapping[Address, tuple[Endpoint, ...]],
        now: Now,
    ) -> None:
        """Take an operator's word on physical networks and peers; paths follow it."""
        self._ctx.physical, self._ctx.hints = physical, hints
        for peer in list(self.topology.peers.values()):
            if peer.follow_physical():
                self._paths_changed(peer, now)
            self._try_hints(peer, now)

    def _try_hints(self, peer: Peer, now: Now) -> None:
        for endpoint in self._ctx.hints.get(peer.address, ()):
            self.discovery.try_endpoint(peer, ALL_SOCKETS, endpoint, now)

    def orbit(self, moon_id: int, seed: Address, now: Now) -> None:
        """Ask a seed for a moon, until it is here."""
        if moon_id in self.topology.moons:
            return
        self.topology.wanted_moons[moon_id] = seed
        self._moons.begin(now)

    def deorbit(self, moon_id: int, now: Now) -> None:
        """Forget a moon, wanted or here."""
        self.topology.wanted_moons.pop(moon_id, None)
        if self.topology.moons.pop(moon_id, None) is not None:
            self._ctx.events.append(StateChanged(f"moons.d/{moon_id:016x}.moon", None))
            self.topology.update_roots(now)

    def _update_contacts(self, now: Now) -> None:
        for address in list(self._contacts):
            if address not in self.topology.roots:
                self._ctx.timers.forget(self._contacts.pop(address))
        for address in self.topology.roots:
            if address not in self._contacts:
                contact = RootContact(address, self._ctx, self.topology, self.introductions)
                self._contacts[address] = contact
                contact.lost(now)

    def _peer_known(self, peer: Peer, now: Now) -> None:
        """Greet a new peer through the root, so that it knows us before our first packet comes."""
        if not peer.is_upstream:
            if peer.protocol == 0 and not peer.is_provisional:
                self.introductions.send_hello_relayed(peer, now)
            self.discovery.peer_known(peer, now)
            self._try_hints(peer, now)
        self.switch.retry_held(peer.address, now)
        self.on_peer_known(peer, now)

    def _peer_gone(self, peer: Peer, now: Now) -> None:
        """Get in touch with a root anew whose peer was removed, or whose address was another's."""
        if peer.address in self._contacts:
            self._contacts[peer.address].lost(now)
            self.topology.update_online()

    def _paths_changed(self, peer: Peer, now: Now) -> None:
        self.memory.note(peer)
        if not peer.is_upstream:
            if peer.best_path() is None:
                self._try_hints(peer, now)
            else:
                self.egress.waiting.way_found(peer.address, now)
            return
        was_online = self.topology.online
        self.topology.update_online()
        if peer.best_path() is None and peer.address in self._contacts:
            self._contacts[peer.address].lost(now)
        elif peer.best_path() is not None:
            self.topology.retry_queries(now)
            self.egress.waiting.root_found(now)
            self.on_root_found(peer.address, now)
        if self.topology.online != was_online:
            self.on_online(self.topology.online, now)
