"""Peers from before the start: whom we knew, and where they were (wire.adoc#state-peers).

What a file says is worth this much and no more: the identity is bound to its address, as it was
when its proof of work had been checked, which is still to be done where the file has no version;
the endpoints are worth a greeting, and become paths by an answer, as all endpoints do. Versions are
not taken from files, so that the first probe of a peer is a HELLO, which tells a peer that has
forgotten us who we are.
"""

from collections.abc import Callable, Iterable
from typing import Final

from ztlink.clock import Now
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, SocketId, format_address
from ztlink.vl1.context import Context
from ztlink.vl1.events import StateChanged
from ztlink.vl1.path import PathState
from ztlink.vl1.peer import Peer
from ztlink.wire.identity import Identity
from ztlink.wire.known_peer import KnownPeer

GREETINGS: Final = 8
GREETING_INTERVAL: Final = 0.02
"""Seconds: with `GREETINGS` at a time, 400 peers a second; a key agreement and HELLOs for each."""
MAX_GREETED: Final = 4
"""Endpoints of a peer that are tried, the best first."""
MAX_KNOWN: Final = 16_384
MAX_ENDPOINTS: Final = 8
MAX_UNCHECKED: Final = 1024
"""Files of peers whose proof of work is being checked: strangers cannot have more written than
that, and what comes of the checks."""
_ALIVE: Final = (PathState.CONFIRMED, PathState.STALE)


def state_key(address: Address) -> str:
    """Return the name of a peer's file."""
    return f"peers.d/{format_address(address)}.peer"


class Memory:
    """Remembers peers for the next start, and recalls those of the last."""

    def __init__(self, ctx: Context, known: Iterable[KnownPeer]) -> None:
        self._ctx = ctx
        self._known: dict[Address, KnownPeer] = {}
        for record in known:
            if len(self._known) < MAX_KNOWN:
                self._known[record.identity.address] = record
        self._greetings = [a for a, record in self._known.items() if record.endpoints]
        self._greetings.reverse()  # taken from the end
        self._unproven: dict[Address, float] = {}
        """Peers recalled: when. They are proven by the first authentic packet."""
        self._doubted: set[Address] = set()
        self._written: dict[Address, KnownPeer] = dict(self._known)
        """What the files of present peers hold."""
        self._unchecked: set[Address] = set()
        """Peers that are kept although their proof of work is being checked."""
        self._silent = dict.fromkeys(a for a, r in reversed(self._known.items()) if not r.endpoints)
        """Whose files are kept for their identity alone, the oldest first."""

    find: Callable[[Address, Now], Peer | None]
    """Returns a peer, made of what is known here if need be."""
    try_endpoint: Callable[[Peer, SocketId, Endpoint, Now], None]
    """Probes an endpoint of a peer."""

    # -- from before -------------------------------------------------------------------------

    def start(self, now: Now) -> None:
        """Greet those who were in reach: there are sockets now."""
        if self._greetings:
            self._ctx.timers.schedule(self, now.mono)

    def handle_timer(self, now: Now) -> None:
        """Greet some more."""
        for _ in range(min(GREETINGS, len(self._greetings))):
            self.greet(self._greetings.pop(), now)
        if self._greetings:
            self._ctx.timers.schedule(self, now.mono + GREETING_INTERVAL)

    def greet(self, address: Address, now: Now) -> None:
        """Greet a peer where it was, unless there is a path to it."""
        endpoints = self._written[address].endpoints if address in self._written else ()
        peer = self.find(address, now)
        if peer is None or peer.best_path() is not None:
            return
        for endpoint in endpoints[:MAX_GREETED]:
            self.try_endpoint(peer, ALL_SOCKETS, endpoint, now)

    def identity_of(self, address: Address) -> Identity | None:
        """Return who had an address, without making a peer of it."""
        known = self._known.get(address)
        return known.identity if known else None

    def recall(self, address: Address, now: Now) -> KnownPeer | None:
        """Return what was known of an address, once: whoever asks makes a peer of it."""
        known = self._known.pop(address, None)
        if known is not None:
            self._unproven[address] = now.mono
        return known

    def is_unproven(self, peer: Peer) -> bool:
        """Tell whether a peer is known from its file alone."""
        recalled = self._unproven.get(peer.address)
        if recalled is None:
            return False
        if peer.last_receive > recalled or peer.protocol:
            del self._unproven[peer.address]
            return False
        return True

    def doubt(self, peer: Peer) -> bool:
        """Note that somebody else claims an unproven peer's address.

        Return whether this is the first time: then its proof of work is to be checked, lest a
        damaged file keep the true owner out.
        """
        is_first = peer.address not in self._doubted
        self._doubted.add(peer.address)
        return is_first

    def judged(self, address: Address, ok: bool) -> None:
        """Take the verdict on a proof of work: what is good needs no more proof."""
        self._doubted.discard(address)
        self._unchecked.discard(address)
        self._unproven.pop(address, None)
        if not ok and self._written.pop(address, None) is not None:
            self._silent.pop(address, None)
            self._ctx.events.append(StateChanged(state_key(address), None))

    # -- for the next start ------------------------------------------------------------------

    def note(self, peer: Peer) -> None:
        """Keep where a peer is reached, if that changed.

        One that is being checked is kept without its version: a process that is killed shall find
        it again, and check it then.
        """
        if not peer.is_provisional:
            self._unproven.pop(peer.address, None)  # it has, or had, a path: it answered
        elif peer.address not in self._unchecked:
            if len(self._unchecked) >= MAX_UNCHECKED:
                return
            self._unchecked.add(peer.address)
        endpoints = _endpoints(peer)
        written = self._written.get(peer.address)
        if not endpoints and written is not None:
            return  # the last that were good are the best that is known
        self._write(peer, endpoints, written)

    def silenced(self, peer: Peer) -> None:
        """Keep who a peer is, that was not heard of for long, but not where it was."""
        self._unproven.pop(peer.address, None)
        self._doubted.discard(peer.address)
        written = self._written.pop(peer.address, None)
        if written is None:
            return
        if peer.is_provisional:
            self._unchecked.discard(peer.address)
            self._ctx.events.append(StateChanged(state_key(peer.address), None))
            return
        self._write(peer, (), written)
        self._written.pop(peer.address, None)
        self._silent[peer.address] = None
        if len(self._silent) > MAX_KNOWN:
            oldest = next(iter(self._silent))
            del self._silent[oldest]
            self._ctx.events.append(StateChanged(state_key(oldest), None))

    def _write(
        self, peer: Peer, endpoints: tuple[Endpoint, ...], written: KnownPeer | None
    ) -> None:
        record = KnownPeer(peer.identity, endpoints=endpoints)
        if not peer.is_provisional:
            version = peer.version or (0, 0, 0)
            record = KnownPeer(peer.identity, peer.protocol, version, endpoints)
        if record != written and (written is not None or len(self._written) < 2 * MAX_KNOWN):
            self._silent.pop(peer.address, None)
            self._written[peer.address] = record
            key = state_key(peer.address)
            self._ctx.events.append(StateChanged(key, record.to_bytes()))


def _endpoints(peer: Peer) -> tuple[Endpoint, ...]:
    """Return where a peer was reached, the best path first, without repetition."""
    alive = [path for path in peer.paths.values() if path.state in _ALIVE]
    alive.sort(key=lambda path: (not path.is_confirmed, path.score()))
    return tuple(dict.fromkeys(path.endpoint for path in alive))[:MAX_ENDPOINTS]
