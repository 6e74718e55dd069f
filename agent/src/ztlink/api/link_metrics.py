"""`/zerotier/metrics`: a node in the text format of Prometheus.

Series are made from one look at the node when they are asked for, so that nothing is counted twice
and the data lane knows nothing of them. No series has a peer's address: a mesh of a thousand nodes
would have a million of them.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ztlink.api.observe import Members, Membership, News, Observation
from ztlink.host.device import COUNTED
from ztlink.ids import NetworkId, format_address, format_network_id
from ztlink.node.events import NetworkStatus
from ztlink.node.status import PeerRole
from ztlink.stats import Drop
from ztlink.wire.verbs import SOFTWARE_VERSION, Verb

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "zerotier_link"
JOIN_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
LATENCY_BUCKETS: Final = (0.001, 0.003, 0.006, 0.01, 0.03, 0.06, 0.1, 0.3, 0.6, 1.0)


class Metrics:
    """The registry of one node."""

    def __init__(self, started: float) -> None:
        """Make it; `started` is when the node did, on the clock of `configured`."""
        self._started = started
        self._registry = CollectorRegistry()
        self._configured: set[NetworkId] = set()
        self._joins = Histogram(
            f"{PREFIX}_join_duration_seconds",
            "From the start of the node to a network's first configuration.",
            buckets=JOIN_BUCKETS,
            registry=self._registry,
        )
        self._latency = Histogram(
            f"{PREFIX}_peer_latency_seconds",
            "Round trips to peers; every scrape observes each known one once.",
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._node = _NodeCollector()
        self._registry.register(self._node)
        ProcessCollector(registry=self._registry)

    def configured(self, network_id: NetworkId, mono: float) -> None:
        """Note that a network's configuration was applied."""
        if network_id not in self._configured:
            self._configured.add(network_id)
            self._joins.observe(mono - self._started)

    def render(self, seen: Observation) -> bytes:
        """Return the text for one scrape."""
        for peer in seen.peers:
            if peer.latency_ms >= 0:
                self._latency.observe(peer.latency_ms / 1000)
        self._node.seen = seen
        return generate_latest(self._registry)


class _NodeCollector(Collector):
    """Makes series of what was seen last."""

    seen: Observation | None = None

    def collect(self) -> Iterable[Metric]:
        return () if self.seen is None else families(self.seen)

    def describe(self) -> Iterable[Metric]:
        return ()  # or registering would want to collect


def families(seen: Observation) -> Iterator[Metric]:
    """Yield the series of a node."""
    yield from _node(seen)
    yield from _peers(seen)
    yield from _traffic(seen)
    yield from _networks(seen)
    yield from _devices(seen.memberships)
    yield from _agent(seen.news)
    if seen.controlled is not None:
        yield _members(seen.controlled)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, labels=labels)


def _node(seen: Observation) -> Iterator[Metric]:
    info = _gauge("info", "The node.", "version", "zt_address", "world_id", "world_timestamp")
    version = ".".join(str(part) for part in SOFTWARE_VERSION)
    address = format_address(seen.node.identity.address)
    world = (f"{seen.node.planet_id:016x}", str(seen.node.planet_timestamp))
    info.add_metric((version, address, *world), 1)
    yield info
    engine = _gauge("engine", "What cuts and seals packets; 1 for the one in use.", "engine")
    for name in ("jit", "portable", "plain"):
        engine.add_metric((name,), name == seen.node.engine)
    yield engine
    online = _gauge("online", "Whether a root answers.")
    online.add_metric((), seen.node.online)
    yield online
    sockets = _gauge("sockets", "UDP sockets that are open.")
    sockets.add_metric((), len(seen.sockets))
    yield sockets


def _agent(news: News) -> Iterator[Metric]:
    if news.reloads is not None:
        reloads = _counter("config_reloads", "Readings of the changed configuration.", "result")
        reloads.add_metric(("success",), news.reloads.successes)
        reloads.add_metric(("failure",), news.reloads.failures)
        yield reloads
        current = _gauge("config_current", "Whether all that the file says now is in force.")
        current.add_metric((), news.reloads.is_current)
        yield current
        for result, unix in (
            ("success", news.reloads.success_unix),
            ("failure", news.reloads.failure_unix),
        ):
            when = _gauge(
                f"config_last_{result}_timestamp_seconds", f"When a reading was last a {result}."
            )
            when.add_metric((), unix)
            yield when
    if news.handover_gap is not None:
        gap = _gauge("handover_gap_seconds", "How long the devices taken over had no process.")
        gap.add_metric((), news.handover_gap)
        yield gap


def _peers(seen: Observation) -> Iterator[Metric]:
    family = _gauge("peers", "Peers that are known, by how they are reached.", "role", "path")
    kinds = [(peer.role, any(path.active for path in peer.paths)) for peer in seen.peers]
    for role in PeerRole:
        for is_direct, path in ((True, "direct"), (False, "relay")):
            family.add_metric((role.lower(), path), kinds.count((role, is_direct)))
    yield family


def _traffic(seen: Observation) -> Iterator[Metric]:
    counts = seen.counts
    for name, text, received, sent in (
        ("udp_bytes", "Bytes in datagrams.", counts.bytes_in, counts.bytes_out),
        ("udp_datagrams", "Datagrams.", counts.datagrams_in, counts.datagrams_out),
        ("frames", "Ethernet frames.", counts.frames_in, counts.frames_out),
    ):
        family = _counter(name, text, "direction")
        family.add_metric(("rx",), received)
        family.add_metric(("tx",), sent)
        yield family
    packets = _counter("packets", "Packets that were authenticated.", "verb", "direction")
    for verb in Verb:
        packets.add_metric((verb.name.lower(), "rx"), counts.packets_in[verb])
        packets.add_metric((verb.name.lower(), "tx"), counts.packets_out[verb])
    yield packets
    relayed = _counter("relayed_packets", "Packets that were passed on for others.")
    relayed.add_metric((), counts.relayed)
    yield relayed
    drops = _counter("drops", "Packets and frames that went no further.", "reason")
    for reason in Drop:
        drops.add_metric((reason.name.lower(),), counts.drops[reason])
    yield drops


def _networks(seen: Observation) -> Iterator[Metric]:
    status = _gauge("network_status", "1 for the status that it has.", "network_id", "status")
    authorized = _gauge("authorized", "Whether the controller lets the node in.", "network_id")
    age = _gauge("config_age_seconds", "Since the controller last spoke.", "network_id")
    addresses = _gauge("addresses", "Addresses that were assigned.", "network_id")
    for membership in seen.memberships:
        view = membership.view
        name = format_network_id(view.network_id)
        for one in NetworkStatus:
            status.add_metric((name, one.name), view.status is one)
        let_in = view.config is not None and view.status is not NetworkStatus.ACCESS_DENIED
        authorized.add_metric((name,), let_in)
        if view.config_unix_ms:
            age.add_metric((name,), max(0, seen.now.unix_ms - view.config_unix_ms) / 1000)
        addresses.add_metric((name,), len(view.config.addresses) if view.config else 0)
    yield from (status, authorized, age, addresses)


def _devices(memberships: Iterable[Membership]) -> Iterator[Metric]:
    up = _gauge("interface_up", "Whether the device is as it should be.", "network_id", "device")
    counters = {
        name: _counter(f"interface_{name}", "As the kernel counts.", "network_id", "device")
        for name in COUNTED
    }
    for membership in memberships:
        device = membership.device
        if not device.name:
            continue
        labels = (format_network_id(membership.view.network_id), device.name)
        up.add_metric(labels, device.fault is None)
        for name, value in device.counters.items():
            counters[name].add_metric(labels, value)
    yield from (up, *counters.values())


def _members(controlled: Iterable[Members]) -> Metric:
    family = _gauge("members", "Members of our controller's networks.", "network_id", "state")
    for network in controlled:
        name = format_network_id(network.network_id)
        family.add_metric((name, "authorized"), network.authorized)
        family.add_metric((name, "pending"), network.waiting)
    return family
