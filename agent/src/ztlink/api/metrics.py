"""/metrics: the counters of a node as Prometheus text, under the original's names.

prometheus-client lays out the text. It would end the names of counters in `_total`; the original's
do not, and dashboards look for those, so that the headings are set right afterwards.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ztlink.api.controller_metrics import controller_families
from ztlink.api.observe import Observation
from ztlink.clock import Now
from ztlink.controller.service import ControllerService
from ztlink.ids import format_address, format_network_id
from ztlink.node.core import Core
from ztlink.node.status import NetworkView, PeerView
from ztlink.stats import LATENCY_BOUNDS, Drop
from ztlink.wire.verbs import ErrorCode, Verb

_HEADING: Final = re.compile(r"^(# (?:HELP|TYPE) \w+?)_total ", re.MULTILINE)
_ORIGINAL: Final = "zt_"
_VERB_NAMES: Final = {verb: verb.name.lower() for verb in Verb} | {Verb.QOS_MEASUREMENT: "qos"}
_ERROR_NAMES: Final = {
    ErrorCode.OBJ_NOT_FOUND: "obj_not_found",
    ErrorCode.UNSUPPORTED_OPERATION: "unsupported_operation",
    ErrorCode.IDENTITY_COLLISION: "identity_collision",
    ErrorCode.NEED_MEMBERSHIP_CERTIFICATE: "need_membership_certificate",
    ErrorCode.NETWORK_ACCESS_DENIED: "network_access_denied",
    ErrorCode.UNWANTED_MULTICAST: "unwanted_multicast",
    ErrorCode.NETWORK_AUTHENTICATION_REQUIRED: "authentication_required",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is shown, read between two inputs of the core."""

    packets: Mapping[str, Sequence[int]]
    """By direction, then by verb number."""
    errors: Mapping[str, Sequence[int]]
    octets: Mapping[str, int]
    drops: Sequence[int]
    networks: Sequence[NetworkView]
    peers: Sequence[PeerView]


class Metrics:
    """Makes the text."""

    def __init__(self, controller: ControllerService | None) -> None:
        self._controller = controller

    def take(self, core: Core, now: Now) -> Snapshot:
        """Read the core, in its own thread."""
        stats = core.stats
        return Snapshot(
            packets={"rx": tuple(stats.packets_in), "tx": tuple(stats.packets_out)},
            errors={"rx": tuple(stats.errors_in), "tx": tuple(stats.errors_out)},
            octets={"rx": stats.bytes_in, "tx": stats.bytes_out},
            drops=tuple(stats.drops),
            networks=core.network_views(now),
            peers=core.peer_views(now),
        )

    def render(self, snapshot: Snapshot) -> str:
        """Return the text."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(snapshot, self._controller))
        return _HEADING.sub(r"\1 ", generate_latest(registry).decode())


def untyped_text(seen: Observation) -> str:
    """Return the series of the original beside others: by their names, and with no type.

    As counters they would have to end in `_total`, which those who look for them do not expect.
    """
    counts = seen.counts
    snapshot = Snapshot(
        packets={"rx": counts.packets_in, "tx": counts.packets_out},
        errors={"rx": counts.errors_in, "tx": counts.errors_out},
        octets={"rx": counts.bytes_in, "tx": counts.bytes_out},
        drops=counts.drops,
        networks=[membership.view for membership in seen.memberships],
        peers=seen.peers,
    )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Untyped(_Families(snapshot, None)))
    return generate_latest(registry).decode()


class _Untyped(Collector):
    """Shows the original's series of another, each name a family of its own."""

    def __init__(self, typed: Collector) -> None:
        self._typed = typed

    def collect(self) -> Iterable[Metric]:
        for family in self._typed.collect():
            if family.name.startswith(_ORIGINAL):
                for name in dict.fromkeys(sample.name for sample in family.samples):
                    untyped = Metric(name, family.documentation, "untyped")
                    untyped.samples = [one for one in family.samples if one.name == name]
                    yield untyped


class _Families(Collector):
    def __init__(self, snapshot: Snapshot, controller: ControllerService | None) -> None:
        self._snapshot = snapshot
        self._controller = controller

    def collect(self) -> Iterable[Metric]:
        yield from self._node()
        yield from self._networks()
        yield from self._peers()
        yield from self._controllers()

    def _node(self) -> Iterator[Metric]:
        now = self._snapshot
        family = _counter("zt_packet", "ZeroTier packet type counts")
        for direction, counts in now.packets.items():
            for verb, name in _VERB_NAMES.items():
                _add(family, counts[verb], direction=direction, packet_type=name)
        yield family
        family = _counter("zt_packet_error", "ZeroTier packet errors")
        for direction, counts in now.errors.items():
            for code, name in _ERROR_NAMES.items():
                _add(family, counts[code], direction=direction, error_type=name)
        yield family
        family = _counter("zt_data", "number of bytes ZeroTier has transmitted or received")
        for direction, count in now.octets.items():
            _add(family, count, direction=direction, protocol="udp")
            _add(family, 0, direction=direction, protocol="tcp")
        yield family
        family = _counter("ztlink_drop", "packets and frames that went no further, by reason")
        for reason in Drop:
            _add(family, now.drops[reason], reason=reason.name.lower())
        yield family

    def _networks(self) -> Iterator[Metric]:
        networks = self._snapshot.networks
        yield GaugeMetricFamily(
            "zt_num_networks",
            "number of networks this instance is joined to",
            value=len(networks),
        )
        groups = Metric(
            "zt_network_multicast_groups_subscribed",
            "number of multicast groups networks are subscribed to",
            "gauge",
        )
        packets = _counter("zt_network_packets", "number of incoming/outgoing packets per network")
        for network in networks:
            network_id = format_network_id(network.network_id)
            _add(groups, len(network.groups), network_id=network_id)
            for (direction, accepted), count in network.verdicts.items():
                labels = {"direction": direction, "accepted": "yes" if accepted else "no"}
                _add(packets, count, network_id=network_id, **labels)
        yield groups
        yield packets

    def _peers(self) -> Iterator[Metric]:
        latency = HistogramMetricFamily("zt_peer_latency", "peer latency (ms)", labels=["node_id"])
        paths = Metric("zt_peer_path_count", "number of paths to peer", "gauge")
        packets = _counter("zt_peer_packets", "number of packets to/from a peer")
        errors = _counter("zt_peer_packet_errors", "number of incoming packet errors from a peer")
        for peer in self._snapshot.peers:
            node_id = format_address(peer.identity.address)
            total, buckets = 0, []
            for bound, count in zip((*LATENCY_BOUNDS, "+Inf"), peer.latency_counts, strict=True):
                total += count
                buckets.append((str(bound), total))
            latency.add_metric([node_id], buckets, sum_value=peer.latency_sum)
            alive = sum(path.active for path in peer.paths)
            _add(paths, alive, node_id=node_id, status="alive")
            _add(paths, len(peer.paths) - alive, node_id=node_id, status="dead")
            _add(packets, peer.packets_in, node_id=node_id, direction="rx")
            _add(packets, peer.packets_out, node_id=node_id, direction="tx")
            _add(errors, peer.packet_errors, node_id=node_id)
        yield from (latency, paths, packets, errors)

    def _controllers(self) -> Iterator[Metric]:
        if self._controller is not None:
            yield from controller_families(self._controller)


def _counter(name: str, text: str) -> Metric:
    return Metric(name, text, "counter")


def _add(family: Metric, value: float, **labels: str) -> None:
    family.add_sample(family.name, labels, value)
