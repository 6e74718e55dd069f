"""How peers find direct paths: RENDEZVOUS, PUSH_DIRECT_PATHS, our own address as others see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ztlink.budget import Budget
from ztlink.clock import Now
from ztlink.ids import ALL_SOCKETS, Address, Endpoint, SocketId
from ztlink.recent import Recent
from ztlink.stats import Drop
from ztlink.vl1.context import USABLE_SCOPES, Context
from ztlink.vl1.egress import Arrival, Egress
from ztlink.vl1.path import Path
from ztlink.vl1.peer import CONFIRM_INTERVAL, Peer
from ztlink.vl1.topology import Topology
from ztlink.wire.buffer import Writer
from ztlink.wire.control import DirectPath, PushDirectPaths, Rendezvous
from ztlink.wire.inet_address import IpScope, ip_scope
from ztlink.wire.verbs import Verb

PUNCH_SIZE: Final = 4
PUNCH_TTL: Final = 2
"""Far enough to open our own NAT, not far enough to reach the peer's and be taken for an attack."""
PUSH_INTERVAL_RELAYED: Final = 15.0
PUSH_INTERVAL_DIRECT: Final = 120.0
PUSH_RECEIVE_WINDOW: Final = 30.0
PUSH_RECEIVE_LIMIT: Final = 8
PUSH_ADDRESSES_PER_SCOPE: Final = 8
PUSH_MAX_PATHS: Final = 32
INTRODUCTION_INTERVAL: Final = 30.0
EARLY_RENDEZVOUS_LIFETIME: Final = 5.0
SURFACE_LIFETIME: Final = 600.0
MAX_REPORTERS: Final = 64
MAX_REPORTS: Final = 16
"""Of one reporter: its sockets times ours."""
MAX_EARLY: Final = 256
INTRODUCTIONS_PER_SECOND: Final = 500.0
INTRODUCTIONS_BURST: Final = 2000.0
"""Of all pairs: what is relayed is not authenticated, so anybody can have any two introduced."""
MAX_INTRODUCTIONS: Final = 65_536
_NOT_A_SURFACE: Final = frozenset({IpScope.NONE, IpScope.LOOPBACK, IpScope.MULTICAST})


@dataclass(slots=True)
class _Surface:
    endpoint: Endpoint
    time: float
    is_trusted: bool


SurfaceKey = tuple[SocketId, Endpoint, IpScope]
"""By which of our sockets, and where the reporter is."""


class Discovery:
    """Learns and teaches endpoints."""

    def __init__(self, ctx: Context, topology: Topology, egress: Egress) -> None:
        self._ctx = ctx
        self._topology = topology
        self._egress = egress
        self._surface: dict[Address, dict[SurfaceKey, _Surface]] = {}
        """By reporter, the one not heard of for the longest time first."""
        self._introduced: Recent[tuple[Address, Address]] = Recent(
            INTRODUCTION_INTERVAL, MAX_INTRODUCTIONS
        )
        self._introductions = Budget(INTRODUCTIONS_PER_SECOND, INTRODUCTIONS_BURST)
        self._early: dict[Address, tuple[Rendezvous, SocketId, float]] = {}

    # -- towards a peer ----------------------------------------------------------------------

    def try_endpoint(self, peer: Peer, socket: SocketId, endpoint: Endpoint, now: Now) -> None:
        """Probe an endpoint of a peer now, and again until it answers or is given up."""
        if not self._may_use(peer, endpoint) or self._is_in_use(peer, endpoint):
            return
        path = peer.add_path(socket, endpoint, now)
        if path is not None:
            peer.probe_now(path, now)

    def confirm(self, peer: Peer, arrival: Arrival, now: Now) -> None:
        """Find out whether a peer is where its packet came from, or somebody replayed it."""
        key = (arrival.socket, arrival.endpoint)
        if now.mono - peer.last_confirm.last(key) < CONFIRM_INTERVAL:
            return
        if not peer.confirms.spend(now):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return
        peer.last_confirm.note(key, now)
        self.try_endpoint(peer, arrival.socket, arrival.endpoint, now)

    def handle_rendezvous(self, peer: Peer, arrival: Arrival, what: Rendezvous, now: Now) -> None:
        """Meet the peer that a root names, at the endpoint that it gives."""
        if not peer.is_upstream:
            self._ctx.stats.drop(Drop.NOT_AN_UPSTREAM)
            return
        if not peer.introductions.spend(now):
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return
        other = self._topology.peers.get(what.peer)
        if other is None:
            # The introduction overtook the peer's first packet: it is good in a moment.
            if len(self._early) >= MAX_EARLY:
                del self._early[next(iter(self._early))]
            self._early[what.peer] = (what, arrival.socket, now.mono)
            return
        self._meet(other, arrival.socket, what.endpoint, now)

    def peer_known(self, peer: Peer, now: Now) -> None:
        """Use an introduction that came before the peer was known."""
        early = self._early.pop(peer.address, None)
        if early is not None and now.mono - early[2] <= EARLY_RENDEZVOUS_LIFETIME:
            self._meet(peer, early[1], early[0].endpoint, now)

    def _meet(self, peer: Peer, socket: SocketId, endpoint: Endpoint, now: Now) -> None:
        if not self._may_use(peer, endpoint) or self._is_in_use(peer, endpoint):
            return
        self._ctx.transmit(self._ctx.random_bytes(PUNCH_SIZE), endpoint, socket, PUNCH_TTL)
        self.try_endpoint(peer, ALL_SOCKETS, endpoint, now)

    # -- PUSH_DIRECT_PATHS -------------------------------------------------------------------

    def handle_push(self, peer: Peer, push: PushDirectPaths, now: Now) -> None:
        """Probe the endpoints that a peer says it has; few of each kind, as nothing proves them."""
        if now.mono - peer.last_push_received > PUSH_RECEIVE_WINDOW:
            peer.push_gate = 0
        else:
            peer.push_gate += 1
        peer.last_push_received = now.mono
        if peer.push_gate >= PUSH_RECEIVE_LIMIT:
            self._ctx.stats.drop(Drop.RATE_LIMITED)
            return
        counts: dict[tuple[IpScope, int], int] = {}
        for path in push.paths:
            if path.endpoint is None or path.is_forget:
                continue
            kind = (ip_scope(path.endpoint.ip), path.endpoint.ip.version)
            counts[kind] = counts.get(kind, 0) + 1
            if counts[kind] <= PUSH_ADDRESSES_PER_SCOPE:
                self.try_endpoint(peer, ALL_SOCKETS, path.endpoint, now)

    def push_if_due(self, peer: Peer, arrival: Arrival, now: Now) -> None:
        """Tell our endpoints to a peer that belongs to one of our networks, not to strangers."""
        interval = PUSH_INTERVAL_RELAYED if arrival.hops else PUSH_INTERVAL_DIRECT
        if now.mono - peer.last_push < interval:
            return
        endpoints = self.own_endpoints(now)
        if not endpoints:
            return
        peer.last_push = now.mono
        paths = tuple(DirectPath(endpoint=endpoint) for endpoint in endpoints[:PUSH_MAX_PATHS])
        writer = Writer()
        PushDirectPaths(paths).encode(writer)
        payload = writer.getvalue()
        self._egress.send_back(peer, arrival, Verb.PUSH_DIRECT_PATHS, payload, now, compress=True)

    def own_endpoints(self, now: Now) -> list[Endpoint]:
        """Return where we may be reached: local sockets first, then what others see."""
        local = [
            endpoint
            for endpoint in self._ctx.sockets.values()
            if ip_scope(endpoint.ip) in USABLE_SCOPES or self._ctx.allow_loopback
        ]
        return list(dict.fromkeys([*local, *self.surface(now)]))

    # -- our surface -------------------------------------------------------------------------

    def surface(self, now: Now) -> list[Endpoint]:
        """Return our endpoints as others see them, without repetition; as roots do, first.

        Where a root sees us, others are believed as far as they see the same address: what we list
        is probed by every member, and nobody is to choose whom we have probed.
        """
        reports = [
            report
            for ours in self._surface.values()
            for report in ours.values()
            if now.mono - report.time < SURFACE_LIFETIME
        ]
        trusted = [report.endpoint for report in reports if report.is_trusted]
        kinds = {_kind(endpoint) for endpoint in trusted}
        ips = {endpoint.ip for endpoint in trusted}
        others = [
            report.endpoint
            for report in reports
            if report.endpoint.ip in ips or _kind(report.endpoint) not in kinds
        ]
        return list(dict.fromkeys([*trusted, *others]))

    def report_surface(self, peer: Peer, arrival: Arrival, seen: Endpoint, now: Now) -> None:
        """Note where a peer sees us; a root's word that our IP changed has all paths tested."""
        scope = ip_scope(seen.ip)
        if scope in _NOT_A_SURFACE or scope != ip_scope(arrival.endpoint.ip):
            return
        reports = self._reports_of(peer.address, now)
        key = (arrival.socket, arrival.endpoint, scope)
        known = reports.pop(key, None)
        changed = (
            peer.is_upstream
            and known is not None
            and known.is_trusted
            and now.mono - known.time < SURFACE_LIFETIME
            and known.endpoint.ip != seen.ip
        )
        if len(reports) >= MAX_REPORTS:
            del reports[next(iter(reports))]
        reports[key] = _Surface(seen, now.mono, peer.is_upstream)
        if changed:
            self._forget_surface(scope, arrival.endpoint)
            self._test_paths(scope, seen.ip.version, now)

    def _reports_of(self, reporter: Address, now: Now) -> dict[SurfaceKey, _Surface]:
        """Return what a node reported lately, as of the one that was heard last."""
        reports = self._surface.pop(reporter, {})
        for key, report in list(reports.items()):
            if now.mono - report.time >= SURFACE_LIFETIME:
                del reports[key]
        if len(self._surface) >= MAX_REPORTERS:
            others = (other for other in self._surface if other not in self._topology.roots)
            oldest = next(others, None) or next(iter(self._surface))
            del self._surface[oldest]
        self._surface[reporter] = reports
        return reports

    def _forget_surface(self, scope: IpScope, keep: Endpoint) -> None:
        for reports in self._surface.values():
            for key in list(reports):
                if key[2] == scope and key[1] != keep:
                    del reports[key]

    def _test_paths(self, scope: IpScope, version: int, now: Now) -> None:
        for peer in list(self._topology.peers.values()):
            peer.last_push = float("-inf")
            for path in peer.paths.values():
                if path.scope == scope and path.endpoint.ip.version == version:
                    path.suspect(now)
                    self._ctx.timers.schedule(peer, now.mono)

    # -- as a root ---------------------------------------------------------------------------

    def introduce(self, source: Peer, destination: Peer, now: Now) -> None:
        """Tell two peers of each other's endpoints, at most every 30 s per pair."""
        pair = (
            min(source.address, destination.address),
            max(source.address, destination.address),
        )
        if now.mono - self._introduced.last(pair) < INTRODUCTION_INTERVAL:
            return
        if not self._introductions.has_one(now):
            return
        match = _common_kind(source.paths.values(), destination.paths.values())
        if match is None:
            return
        self._introductions.spend(now)
        self._introduced.note(pair, now)
        near, far = match
        self._send_rendezvous(source, near, destination.address, far.endpoint, now)
        self._send_rendezvous(destination, far, source.address, near.endpoint, now)

    def _send_rendezvous(
        self, to: Peer, over: Path, about: Address, endpoint: Endpoint, now: Now
    ) -> None:
        writer = Writer()
        Rendezvous(about, endpoint).encode(writer)
        payload = writer.getvalue()
        self._egress.send_at(to, over.socket, over.endpoint, Verb.RENDEZVOUS, payload, now)

    # -- helpers -----------------------------------------------------------------------------

    def _may_use(self, peer: Peer, endpoint: Endpoint) -> bool:
        if not self._ctx.may_be_path(endpoint):
            return False
        root = self._topology.roots.get(peer.address)
        if root is None or not root.endpoints:
            return True
        return any(endpoint.ip == stable.ip for stable in root.endpoints)

    def _is_in_use(self, peer: Peer, endpoint: Endpoint) -> bool:
        return any(p.endpoint == endpoint and p.is_confirmed for p in peer.paths.values())


def _kind(endpoint: Endpoint) -> tuple[IpScope, int]:
    return ip_scope(endpoint.ip), endpoint.ip.version


def _common_kind(near: Iterable[Path], far: Iterable[Path]) -> tuple[Path, Path] | None:
    """Return a path of each, of the best scope and family that both have; IPv6 before IPv4."""
    best_near, best_far = _best_by_kind(near), _best_by_kind(far)
    for kind in sorted(best_near.keys() & best_far.keys(), reverse=True):
        return best_near[kind], best_far[kind]
    return None


def _best_by_kind(paths: Iterable[Path]) -> dict[tuple[IpScope, int], Path]:
    best: dict[tuple[IpScope, int], Path] = {}
    for path in paths:
        kind = (path.scope, path.endpoint.ip.version)
        if path.is_confirmed and (kind not in best or path.score() < best[kind].score()):
            best[kind] = path
    return best
