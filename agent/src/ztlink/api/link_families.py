"""The series below `zerotier_link_`: each made of what was seen of a node at one moment."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric

from ztlink.api.link_views import VERSION
from ztlink.api.observe import (
    Counts,
    HasState,
    Members,
    Membership,
    News,
    Observation,
    Report,
)
from ztlink.conditions import Condition, Status
from ztlink.host.device import COUNTED
from ztlink.host.tally import DropTally, Tally
from ztlink.ids import format_address, format_network_id
from ztlink.node.events import NetworkStatus
from ztlink.node.status import PeerRole, PeerView
from ztlink.stats import LATENCY_BOUNDS, Drop, Way
from ztlink.wire.verbs import Verb

PREFIX: Final = "zerotier_link"


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
    address = format_address(seen.node.identity.address)
    world = (f"{seen.node.planet_id:016x}", str(seen.node.planet_timestamp))
    info.add_metric((VERSION, address, *world), 1)
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
    yield from _carried(seen.counts)
    relayed = _counter("relayed_packets", "Packets that were passed on for others.")
    relayed.add_metric((), counts.relayed)
    yield relayed
    drops = _counter("drops", "Packets and frames that went no further.", "reason")
    for reason in Drop:
        drops.add_metric((reason.name.lower(),), counts.drops[reason])
    yield drops


def _carried(counts: Counts) -> Iterator[Metric]:
    packets = _counter("path_packets", "Packets but HELLOs, by their way.", "direction", "path")
    octets = _counter("path_bytes", "Bytes in packets, by their way.", "direction", "path")
    for direction, carried in (("rx", counts.carried_in), ("tx", counts.carried_out)):
        for way in Way:
            packets.add_metric((direction, way.name.lower()), carried.packets[way])
            octets.add_metric((direction, way.name.lower()), carried.octets[way])
    yield from (packets, octets)


def _networks(seen: Observation) -> Iterator[Metric]:
    status = _gauge("network_status", "1 for the status that it has.", "network_id", "status")
    authorized = _gauge("authorized", "Whether the controller lets the node in.", "network_id")
    spoke = _gauge("config_timestamp_seconds", "When the controller last spoke.", "network_id")
    addresses = _gauge("addresses", "Addresses that were assigned.", "network_id")
    for membership in seen.memberships:
        view = membership.view
        name = format_network_id(view.network_id)
        for one in NetworkStatus:
            status.add_metric((name, one.name), view.status is one)
        let_in = view.config is not None and view.status is not NetworkStatus.ACCESS_DENIED
        authorized.add_metric((name,), let_in)
        if view.config_unix_ms:
            spoke.add_metric((name,), view.config_unix_ms / 1000)
        addresses.add_metric((name,), len(view.config.addresses) if view.config else 0)
    yield from (status, authorized, spoke, addresses)


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


def latency_family(counts: Sequence[int], milliseconds: float) -> Metric:
    """Return the histogram of round trips to all peers together."""
    family = HistogramMetricFamily(f"{PREFIX}_peer_latency_seconds", "Round trips to peers.")
    total, buckets = 0, []
    bounds = [*(str(bound / 1000) for bound in LATENCY_BOUNDS), "+Inf"]
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric((), buckets, sum_value=milliseconds / 1000)
    return family


def peer_families(peers: Iterable[PeerView]) -> Iterator[Metric]:
    """Yield series of each peer: for whoever asks for them."""
    direct = _gauge("peer_direct", "Whether a direct path is in use.", "peer", "role")
    latency = _gauge("peer_round_trip_seconds", "The round trip measured last.", "peer", "role")
    heard = _gauge("peer_heard_timestamp_seconds", "When it last spoke.", "peer", "role")
    packets = _counter("peer_packets", "Authentic packets.", "peer", "role", "direction")
    for peer in peers:
        labels = (format_address(peer.identity.address), peer.role.lower())
        direct.add_metric(labels, any(path.active for path in peer.paths))
        if peer.latency_ms >= 0:
            latency.add_metric(labels, peer.latency_ms / 1000)
        if peer.last_receive_unix_ms:
            heard.add_metric(labels, peer.last_receive_unix_ms / 1000)
        packets.add_metric((*labels, "rx"), peer.packets_in)
        packets.add_metric((*labels, "tx"), peer.packets_out)
    yield from (direct, latency, heard, packets)


def condition_families(conditions: Iterable[Condition]) -> Iterator[Metric]:
    """Yield how many conditions of each kind are how: of what, health tells."""
    family = _gauge("conditions", "Conditions of /zerotier/health.", "kind", "status")
    found = Counter((one.kind, one.status) for one in conditions)
    for kind in dict.fromkeys(kind for kind, _ in found):
        for status in Status:
            family.add_metric((kind, status.value), found[kind, status])
    yield family


def report_families(reports: Iterable[Report]) -> Iterator[Metric]:
    """Yield what the managers of the machine's state have done."""
    results = _counter("reconcile", "Times that the machine was set right.", "loop", "result")
    took = SummaryMetricFamily(
        f"{PREFIX}_reconcile_duration_seconds", "What setting it right took.", labels=("loop",)
    )
    for report in reports:
        if report.tally is not None:
            tally = report.tally
            passes = {name: getattr(tally, name) for name in ("unchanged", "changed", "failed")}
            for result, count in passes.items():
                results.add_metric((report.name, result), count)
            took.add_metric((report.name,), sum(passes.values()), tally.seconds)
            yield from _counted(report.name, report.tally)
        if report.states:
            found = Counter(str(row.state) for row in report.rows if isinstance(row, HasState))
            family = _gauge(report.name, "What is managed, by how it is.", "state")
            for state in report.states:
                family.add_metric((str(state),), found[state])
            yield family
    yield from (results, took)


def _counted(name: str, tally: Tally) -> Iterator[Metric]:
    drift = _counter(f"{name}_drift", "Changes of others to what is ours, which were repaired.")
    drift.add_metric((), tally.drift)
    yield drift
    if isinstance(tally, DropTally):
        drops = _counter(f"{name}_drops", "Packets that were dropped.", "chain")
        for chain, count in tally.drops:
            drops.add_metric((chain,), count)
        yield drops


def answer_families(answers: Mapping[tuple[str, int], int]) -> Iterator[Metric]:
    """Yield how often what was answered over HTTP."""
    family = _counter("api_requests", "Requests that were answered.", "path", "code")
    for (path, code), count in sorted(answers.items()):
        family.add_metric((path, str(code)), count)
    yield family
