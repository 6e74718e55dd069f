"""The life of a path: one local socket and one remote endpoint of a peer.

A path is a candidate until an answer to something that we sent there comes back from there: only
that shows that the peer is at that address (a packet that merely arrives may be a replay). While we
send on a confirmed path, something authentic must come back: after `PATIENCE` of silence the path
is probed, and after `MAX_PROBES` unanswered probes it is stale: no traffic, but probed on with
back-off, so that it is won back soon after it works again. Where there is a reason to doubt a path
it is probed at once, the doubt counts as the first probe that was not answered, and only an answer
ends it: packets that go on to arrive say nothing of the other direction, and may be replayed.

An idle path is probed every `HEARTBEAT`, which keeps NATs open. Just after traffic it is probed
sooner, at `FIRST_HEARTBEAT` and then at growing intervals: who listened to a conversation that went
silent finds out soon whether it is the other who is silent, or the path. Of paths that differ in
ports alone one is kept open so; the others rest, and are probed when that one is in doubt.
"""

from enum import Enum, auto
from typing import Final

from ztlink.clock import Now
from ztlink.ids import Endpoint, SocketId
from ztlink.stats import Way
from ztlink.wire.inet_address import IpScope, ip_scope

HEARTBEAT: Final = 14.0
"""Idle seconds after which a path is probed; below the 30 s for which careless NATs remember."""
FIRST_HEARTBEAT: Final = 3.0
"""The same just after traffic; as long as the traffic is past, up to `HEARTBEAT`."""
PATIENCE: Final = 0.75
PROBE_INTERVAL: Final = 0.2
MAX_PROBES: Final = 4
STALE_PROBE_INTERVALS: Final = (1.0, 2.0, 4.0, 8.0, 14.0)
CANDIDATE_PROBE_INTERVALS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
EXPIRY: Final = 243.0
"""Seconds without an authentic packet after which a path that is stale or rests is forgotten."""
UNKNOWN_LATENCY: Final = 65_535.0
_BEST_SCOPE: Final = 8


class PathState(Enum):
    """Where a path is in its life."""

    CANDIDATE = auto()
    CONFIRMED = auto()
    STALE = auto()
    DEAD = auto()


class PathInput(Enum):
    """What happens to a path."""

    REPLY = auto()
    SILENCE = auto()
    EXPIRED = auto()


TRANSITIONS: Final = {
    (PathState.CANDIDATE, PathInput.REPLY): PathState.CONFIRMED,
    (PathState.CANDIDATE, PathInput.EXPIRED): PathState.DEAD,
    (PathState.CONFIRMED, PathInput.SILENCE): PathState.STALE,
    (PathState.CONFIRMED, PathInput.EXPIRED): PathState.DEAD,
    (PathState.STALE, PathInput.REPLY): PathState.CONFIRMED,
    (PathState.STALE, PathInput.EXPIRED): PathState.DEAD,
}
# As globals: a member of an enumeration takes longer to find.
_CONFIRMED: Final = PathState.CONFIRMED


class Path:
    """One path of one peer; only this file assigns its state."""

    __slots__ = (
        "awaiting_since",
        "endpoint",
        "is_doubted",
        "is_resting",
        "last_echo_served",
        "last_in",
        "last_out",
        "last_use",
        "latency",
        "mtu",
        "next_probe",
        "probes",
        "scope",
        "socket",
        "state",
        "trusted_path_id",
        "way",
    )

    def __init__(
        self, socket: SocketId, endpoint: Endpoint, mtu: int, trusted_path_id: int, now: Now
    ) -> None:
        self.socket = socket
        self.endpoint = endpoint
        self.mtu = mtu
        """UDP payload bytes in one datagram."""
        self.trusted_path_id = trusted_path_id
        """Non-zero: suite 2 is used on this path."""
        self.scope: IpScope = ip_scope(endpoint.ip)
        self.way: Way = Way.of(endpoint.ip.version, is_relayed=False)
        self.state = PathState.CANDIDATE
        self.last_in = now.mono
        self.last_out = now.mono
        self.last_use = float("-inf")
        """When frames were last sent, or something was relayed for others."""
        self.latency = UNKNOWN_LATENCY
        """Round trip in milliseconds."""
        self.awaiting_since: float | None = None
        """When we first sent without having received anything since."""
        self.is_doubted = False
        """Only an answer to a probe will do."""
        self.is_resting = False
        """Not kept open: what a NAT remembers of it may be gone."""
        self.probes = 0
        """Probes sent since something was last received."""
        self.next_probe = now.mono
        self.last_echo_served = float("-inf")

    @property
    def is_confirmed(self) -> bool:
        """Traffic may use this path."""
        return self.state is _CONFIRMED

    @property
    def is_suspect(self) -> bool:
        """A probe was not answered in time, or is under way because there is reason to doubt."""
        return self.probes > 1 and self.awaiting_since is not None

    def sent(self, now: Now) -> float | None:
        """Note that something was sent; return a deadline where the path must be looked at then."""
        self.last_out = now.mono
        if self.awaiting_since is None and self.state is _CONFIRMED:
            self.awaiting_since = now.mono
            self.next_probe = now.mono + self._patience
            return self.next_probe
        return None

    def received(self, now: Now) -> None:
        """Note an authentic packet that came directly over this path."""
        self.last_in = now.mono
        self.is_resting = False
        if self.state is _CONFIRMED and not self.is_doubted:
            self.awaiting_since = None
            self.probes = 0
            self.next_probe = now.mono + self._heartbeat(now)

    def replied(self, round_trip: float | None, now: Now) -> bool:
        """Note an answer to a probe.

        Return whether this confirmed the path. `round_trip` in seconds.
        """
        confirmed = self._advance(PathInput.REPLY)
        self.is_doubted = False
        self.received(now)
        if round_trip is not None:
            sample = max(round_trip * 1000.0, 0.01)
            known = self.latency < UNKNOWN_LATENCY
            self.latency = (self.latency + sample) / 2 if known else sample
        return confirmed

    def suspect(self, now: Now) -> None:
        """Have a path probed at once, because there is reason to doubt what we think of it."""
        if self.state is not _CONFIRMED:
            self.probes = 0
        elif self.probes:
            self.is_doubted = True
            return  # it is being probed
        else:
            self.probes = 1
            self.is_doubted = True
            if self.awaiting_since is None:
                self.awaiting_since = now.mono
        self.next_probe = now.mono

    def asked(self, now: Now) -> bool:
        """Note a probe of the peer; return whether it is a reason to doubt.

        Who asks while we wait in vain may not hear us.
        """
        if self.awaiting_since is None or now.mono - self.awaiting_since < PATIENCE / 2:
            return False
        self.suspect(now)
        return True

    def rest(self, now: Now) -> None:
        """Leave a confirmed path without a heartbeat, and forget it at last."""
        self.is_resting = True
        self.next_probe = now.mono + HEARTBEAT
        if now.mono >= self.expires_at:
            self._advance(PathInput.EXPIRED)

    @property
    def expires_at(self) -> float:
        """When it is forgotten unless something comes over it before."""
        return self.last_in + EXPIRY

    def deadline(self) -> float:
        """Return when `handle_timer` is due."""
        return self.next_probe

    def handle_timer(self, now: Now) -> bool:
        """Advance; return whether a probe is to be sent now."""
        if self.state is PathState.DEAD or now.mono < self.next_probe:
            return False
        if self.state is _CONFIRMED:
            return self._probe_confirmed(now)
        intervals = CANDIDATE_PROBE_INTERVALS
        if self.state is PathState.STALE:
            intervals = STALE_PROBE_INTERVALS
        elif self.probes >= len(intervals):
            self._advance(PathInput.EXPIRED)
            return False
        if now.mono >= self.expires_at:
            self._advance(PathInput.EXPIRED)
            return False
        self.next_probe = now.mono + intervals[min(self.probes, len(intervals) - 1)]
        self.probes += 1
        return True

    def score(self) -> tuple[bool, bool, float]:
        """Rank among confirmed paths: suspects last, before them those that rest.

        Then by latency weighted by scope. Lowest is best.
        """
        return self.is_suspect, self.is_resting, self.latency * (_BEST_SCOPE - self.scope)

    @property
    def _patience(self) -> float:
        return PATIENCE if self.latency >= UNKNOWN_LATENCY else max(PATIENCE, self.latency / 333)

    @property
    def _probe_interval(self) -> float:
        if self.latency >= UNKNOWN_LATENCY:
            return PROBE_INTERVAL
        return max(PROBE_INTERVAL, self.latency * 0.0015)

    def _heartbeat(self, now: Now) -> float:
        return min(HEARTBEAT, max(FIRST_HEARTBEAT, now.mono - self.last_use))

    def _probe_confirmed(self, now: Now) -> bool:
        if self.probes >= MAX_PROBES:
            self._advance(PathInput.SILENCE)
            self.probes = 0
            self.next_probe = now.mono + STALE_PROBE_INTERVALS[0]
            return False
        self.probes += 1
        if self.awaiting_since is None:
            self.awaiting_since = now.mono
        self.next_probe = now.mono + self._probe_interval
        return True

    def _advance(self, what: PathInput) -> bool:
        state = TRANSITIONS.get((self.state, what))
        if state is None:
            return False
        self.state = state
        self.is_doubted = False
        self.awaiting_since = None
        self.probes = 0
        return True
