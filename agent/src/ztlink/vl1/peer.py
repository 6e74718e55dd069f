"""A peer: its identity and keys, its version, its paths."""

from collections.abc import Callable
from typing import Final, Protocol

from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.crypto.kdf import PeerCipher
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, SocketId
from ztlink.recent import Recent
from ztlink.stats import Latencies
from ztlink.vl1.context import Context
from ztlink.vl1.events import PathConfirmed, PathLost
from ztlink.vl1.path import HEARTBEAT, UNKNOWN_LATENCY, Path, PathState
from ztlink.wire.identity import Identity

MAX_PATHS: Final = 16
"""Enough for every pair of sockets and addresses of a real host; bounds what a push may make us
probe."""
HELLOS_PER_SECOND: Final = 32.0
HELLOS_BURST: Final = 128.0
"""A HELLO leaves from every socket of its sender; all of them are answered."""
CONFIRMS_PER_SECOND: Final = 8.0
CONFIRMS_BURST: Final = 32.0
"""Probes of endpoints that a peer's packets come from: who replays a packet from false addresses
has us send that many to these."""
UNKNOWN_PER_SECOND: Final = 8.0
UNKNOWN_BURST: Final = 64.0
"""Addresses unknown to us, of which a peer may have us ask our own roots."""
INTRODUCTIONS_PER_SECOND: Final = 50.0
INTRODUCTIONS_BURST: Final = 1000.0
"""A large network that is joined gives as many; each has us send to where the root says."""
MIN_PROTOCOL_SUITE_3: Final = 12
MIN_PROTOCOL_ECHO: Final = 5
KEPT_OPEN: Final = HEARTBEAT + 2.0
"""Seconds in which something comes over a path that the peer keeps open."""
DOUBT_INTERVAL: Final = 2.0
"""Least seconds between doubts in our direct paths because of packets that came through a relay."""
ACTIVITY_TIMEOUT: Final = 500.0
"""Seconds without a packet after which a peer is forgotten."""
CONFIRM_INTERVAL: Final = 1.0
"""Least seconds between probes of an endpoint that a peer's packets come from without being a
path."""
MAX_CONFIRMED: Final = 64
"""Endpoints of a peer whose last such probe is remembered."""

PathKey = tuple[SocketId, Endpoint]

_SPARE: Final[tuple[Callable[[Path], bool], ...]] = (
    lambda path: path.state is PathState.CANDIDATE,
    lambda path: path.state is PathState.STALE,
    lambda path: path.is_resting,
)
"""Paths that may go where there are too many, the first to go first."""


class Prober(Protocol):
    """Sends what tests a path."""

    def probe(self, peer: "Peer", path: Path, now: Now) -> None:
        """Send an ECHO, or a HELLO where the peer's version is not known."""

    def path_lost(self, peer: "Peer", now: Now) -> None:
        """Note that a confirmed path went silent."""

    def retire(self, peer: "Peer", now: Now) -> None:
        """Forget a peer that has been silent for too long."""


class Peer:
    """A node that we know; state that the parts of VL1 keep of it."""

    def __init__(
        self, identity: Identity, cipher: PeerCipher, ctx: Context, prober: Prober
    ) -> None:
        self.identity = identity
        self.cipher = cipher
        self.protocol = 0
        """0 until the peer told us in a HELLO or its answer."""
        self.version: tuple[int, int, int] | None = None
        self.is_upstream = False
        self.is_provisional = False
        """Its proof of work is still being checked."""
        self.paths: dict[PathKey, Path] = {}
        self.last_receive = float("-inf")
        self.last_frame = float("-inf")
        """When we last exchanged traffic with it; an idle peer's paths are not kept alive."""
        self.last_push = float("-inf")
        """When we last told it our addresses."""
        self.last_hello = float("-inf")
        self.hellos = Budget(HELLOS_PER_SECOND, HELLOS_BURST)
        """Of it, that are answered."""
        self.confirms = Budget(CONFIRMS_PER_SECOND, CONFIRMS_BURST)
        self.introductions = Budget(INTRODUCTIONS_PER_SECOND, INTRODUCTIONS_BURST)
        """By it, a root, to others."""
        self.unknown_asked = Budget(UNKNOWN_PER_SECOND, UNKNOWN_BURST)
        self.last_whois_served = float("-inf")
        self.last_echo_served = float("-inf")
        """Of those that came through a root, or from where there is no path."""
        self.push_gate = 0
        self.last_push_received = float("-inf")
        self.last_confirm: Recent[PathKey] = Recent(CONFIRM_INTERVAL, MAX_CONFIRMED)
        self.latencies = Latencies()
        self.packets_in = 0
        """Authentic ones."""
        self.packets_out = 0
        self.packet_errors = 0
        """Packets in its name that were not authentic."""
        self.last_doubt = float("-inf")
        self._ctx = ctx
        self._prober = prober
        self._best: Path | None = None
        self._best_is_known = False
        self._heard: Path | None = None
        """The one that was last asked for."""

    @property
    def address(self) -> Address:
        """The address of its identity."""
        return self.identity.address

    def best_path(self) -> Path | None:
        """Return the confirmed path to use, or None where the peer is reached through a root."""
        if not self._best_is_known:
            confirmed = [p for p in self.paths.values() if p.is_confirmed]
            self._best = min(confirmed, key=Path.score) if confirmed else None
            self._best_is_known = True
        return self._best

    def path_at(self, socket: SocketId, endpoint: Endpoint) -> Path | None:
        """Return the path with this key; asked for what came: endpoints are slow to hash."""
        heard = self._heard
        if (
            heard is None
            or heard.socket != socket
            or not (heard.endpoint is endpoint or heard.endpoint == endpoint)
        ):
            heard = self._heard = self.paths.get((socket, endpoint))
        return heard

    @property
    def latency(self) -> float:
        """Milliseconds of the best path; UNKNOWN_LATENCY where there is none."""
        best = self.best_path()
        return best.latency if best else UNKNOWN_LATENCY

    def add_path(self, socket: SocketId, endpoint: Endpoint, now: Now) -> Path | None:
        """Return the path with this key, made as a candidate if it is new.

        None where there are too many.
        """
        path = self.paths.get((socket, endpoint))
        if path is None:
            if len(self.paths) >= MAX_PATHS and not self._evict():
                return None
            mtu, trusted_path_id = self._ctx.path_mtu(endpoint.ip)
            path = Path(socket, endpoint, mtu, trusted_path_id, now)
            self.paths[socket, endpoint] = path
            self._ctx.timers.schedule(self, path.deadline())
        return path

    def path_replied(self, path: Path, round_trip: float | None, now: Now) -> None:
        """Note that a probe over `path` was answered."""
        if round_trip is not None:
            self.latencies.add(round_trip * 1000.0)
        if path.replied(round_trip, now):
            self._ctx.events.append(PathConfirmed(self.address, path.endpoint))
            self._drop_candidates(path)
            for other in self.paths.values():
                if other is not path and other.is_confirmed and other.socket == path.socket:
                    other.suspect(now)  # its NAT may have moved: the old mapping must show itself
                    self._ctx.timers.schedule(self, now.mono)
        self._best_is_known = False
        self._ctx.timers.schedule(self, path.deadline())

    def last_resort(self) -> Path | None:
        """Return the path that was silent for the shortest time, where none is confirmed."""
        stale = [p for p in self.paths.values() if p.state is PathState.STALE]
        return self.best_path() or max(stale, key=lambda p: p.last_in, default=None)

    def probe_now(self, path: Path, now: Now) -> None:
        """Probe a path at once, from the beginning."""
        path.next_probe = now.mono
        path.probes = 0
        if path.handle_timer(now):
            self._prober.probe(self, path, now)
        self._best_is_known = False
        self._ctx.timers.schedule(self, path.deadline())

    def path_sent(self, path: Path, now: Now) -> None:
        """Note that traffic left over `path`."""
        deadline = path.sent(now)
        if deadline is not None:
            self._ctx.timers.schedule(self, deadline)

    def path_used(self, path: Path, now: Now) -> None:
        """Note that frames, or what we relay, left over `path`."""
        path.last_use = now.mono
        self.path_sent(path, now)

    def path_asked(self, path: Path, now: Now) -> None:
        """Note that the peer probed `path`, which keeps it open.

        Paths between the same hosts over which nothing came meanwhile the peer lets rest, and a NAT
        may have forgotten them.
        """
        if path.asked(now):
            self._ctx.timers.schedule(self, path.deadline())
        for other in self.paths.values():
            silence = now.mono - other.last_in
            if other.is_confirmed and silence > KEPT_OPEN and self._are_twins(other, path):
                other.is_resting = True
                self._best_is_known = False

    def heard_through_relay(self, now: Now) -> None:
        """Doubt the direct paths: the peer does not use them, and may have found them dead."""
        if now.mono - self.last_doubt >= DOUBT_INTERVAL and self.best_path() is not None:
            self.last_doubt = now.mono
            self._doubt(now, [path for path in self.paths.values() if path.is_confirmed])

    def is_active(self, now: Now) -> bool:
        """Tell whether its paths are worth keeping alive."""
        return self.is_upstream or now.mono - self.last_frame < ACTIVITY_TIMEOUT

    def suspect_paths(self, now: Now) -> None:
        """Have every path probed now: our own address may have changed."""
        self._doubt(now, list(self.paths.values()))

    def remove_paths_of(self, sockets: frozenset[SocketId]) -> None:
        """Forget paths whose local socket is not among `sockets`."""
        for key, path in list(self.paths.items()):
            if path.socket != ALL_SOCKETS and path.socket not in sockets:
                self._remove(key, path)

    def follow_physical(self) -> bool:
        """Take MTU and trust of paths anew; return whether paths went, as not to be used."""
        refused = [key for key in self.paths if not self._ctx.may_be_path(key[1])]
        for key in refused:
            self._remove(key, self.paths[key])
        for path in self.paths.values():
            path.mtu, path.trusted_path_id = self._ctx.path_mtu(path.endpoint.ip)
        return bool(refused)

    def handle_timer(self, now: Now) -> None:
        """Probe the paths that are due and forget dead ones."""
        for key, path in list(self.paths.items()):
            was_confirmed = path.is_confirmed
            if path.deadline() <= now.mono and self._may_fade(path, now):
                path.next_probe = self._end_of_fading(path)
            elif path.deadline() <= now.mono and self._may_rest(path):
                path.rest(now)
            elif path.handle_timer(now):
                self._prober.probe(self, path, now)
                if path.is_confirmed and path.is_suspect:
                    self._doubt_silent(path.awaiting_since or now.mono, now)
            self._best_is_known = False
            if path.state is PathState.DEAD:
                self._remove(key, path)
                if was_confirmed:
                    self._ctx.events.append(PathLost(self.address, path.endpoint))
            elif was_confirmed and not path.is_confirmed:
                self._ctx.events.append(PathLost(self.address, path.endpoint))
                self._prober.path_lost(self, now)
        silent_until = self.last_receive + ACTIVITY_TIMEOUT
        if now.mono >= silent_until:
            if not self.is_upstream:
                self._prober.retire(self, now)
                return
            silent_until = now.mono + ACTIVITY_TIMEOUT  # it may be no root by then
        self._schedule(silent_until)

    def schedule(self) -> None:
        """Ask to be called when a path is due, or when silence makes the peer forgettable."""
        self._schedule(self.last_receive + ACTIVITY_TIMEOUT)

    def _schedule(self, deadline: float) -> None:
        for path in self.paths.values():
            deadline = min(deadline, path.deadline())
        self._ctx.timers.schedule(self, deadline)

    def _doubt_silent(self, since: float, now: Now) -> None:
        """Doubt the paths that brought nothing while another was found silent."""
        silent = [p for p in self.paths.values() if p.is_confirmed and p.last_in < since]
        self._doubt(now, [path for path in silent if not path.probes])

    def _doubt(self, now: Now, paths: list[Path]) -> None:
        for path in paths:
            path.suspect(now)
        if paths:
            self._ctx.timers.schedule(self, now.mono)

    def _may_fade(self, path: Path, now: Now) -> bool:
        """Tell whether a path is worth no probe: an idle peer's where no answer is awaited.

        A stale one is forgotten as those of active peers are, or an idle peer that moves about
        would keep all that it ever had.
        """
        if self.is_active(now) or path.state is PathState.CANDIDATE:
            return False
        if path.state is PathState.STALE:
            return now.mono < path.expires_at
        return path.awaiting_since is None

    def _end_of_fading(self, path: Path) -> float:
        """Return when a path that is not probed is to be looked at again."""
        until = self.last_receive + ACTIVITY_TIMEOUT
        return min(until, path.expires_at) if path.state is PathState.STALE else until

    def _may_rest(self, path: Path) -> bool:
        """Tell whether a path needs no heartbeat: a better one goes between the same hosts."""
        if not path.is_confirmed or path.awaiting_since is not None:
            return False
        twins = [p for p in self.paths.values() if p.is_confirmed and self._are_twins(p, path)]
        return min(twins, key=Path.score) is not path

    def _are_twins(self, one: Path, other: Path) -> bool:
        if one.endpoint.ip != other.endpoint.ip:
            return False
        local, beside = (self._ctx.sockets.get(path.socket) for path in (one, other))
        return (local and local.ip) == (beside and beside.ip)

    def _remove(self, key: PathKey, path: Path) -> None:
        del self.paths[key]
        self._heard = None
        self._best_is_known = False
        if path.is_confirmed:
            self._ctx.events.append(PathLost(self.address, path.endpoint))

    def _drop_candidates(self, confirmed: Path) -> None:
        """Let a confirmed path take the place of probes that went to all sockets."""
        self.paths.pop((ALL_SOCKETS, confirmed.endpoint), None)

    def _evict(self) -> bool:
        """Make room by giving up the least useful path that is not in use."""
        for is_spare in _SPARE:
            for key, path in self.paths.items():
                if is_spare(path):
                    self._remove(key, path)
                    return True
        return False
