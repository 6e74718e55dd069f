"""`/zerotier/metrics`: a node in the text format of Prometheus.

Series are made from one look at the node when they are asked for, so that nothing is counted twice
and the data lane knows nothing of them. No series has a peer's address unless that is asked for: a
mesh of a thousand nodes would have a million of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ztlink.api.link_families import (
    PREFIX,
    answer_families,
    condition_families,
    families,
    latency_family,
    peer_families,
    report_families,
)
from ztlink.api.metrics import untyped_text
from ztlink.api.observe import Observation
from ztlink.conditions import Condition
from ztlink.ids import Address, NetworkId
from ztlink.node.status import PeerView
from ztlink.settings import MetricsSettings
from ztlink.stats import LATENCY_BOUNDS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
JOIN_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_SERIES_OF_ALL: Final = MetricsSettings()


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
        self._round_trips = RoundTrips()
        self._node = _NodeCollector()
        self._registry.register(self._node)
        ProcessCollector(registry=self._registry)

    def configured(self, network_id: NetworkId, mono: float) -> None:
        """Note that a network's configuration was applied."""
        if network_id not in self._configured:
            self._configured.add(network_id)
            self._joins.observe(mono - self._started)

    def render(
        self,
        seen: Observation,
        conditions: Iterable[Condition] = (),
        answers: Mapping[tuple[str, int], int] | None = None,
        settings: MetricsSettings = _SERIES_OF_ALL,
    ) -> bytes:
        """Return the text for one scrape; `answers` counts by path and status."""
        self._round_trips.take(seen.peers)
        self._node.families = [
            *families(seen),
            latency_family(self._round_trips.counts, self._round_trips.milliseconds),
            *condition_families(conditions),
            *report_families(seen.reports),
            *answer_families(answers or {}),
            *(peer_families(seen.peers) if settings.per_peer else ()),
        ]
        text = generate_latest(self._registry)
        return text + untyped_text(seen).encode() if settings.has_original else text


@dataclass(slots=True)
class RoundTrips:
    """All round trips to peers, also to those that are gone: what was counted stays counted."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    """Up to each of `LATENCY_BOUNDS`, from the one before; then all above."""
    milliseconds: float = 0.0
    _last: dict[Address, tuple[tuple[int, ...], float]] = field(default_factory=dict)

    def take(self, peers: Iterable[PeerView]) -> None:
        """Add what peers have counted since the last look."""
        none = ((0,) * len(self.counts), 0.0)
        last, self._last = self._last, {}
        for peer in peers:
            address = peer.identity.address
            self._last[address] = (peer.latency_counts, peer.latency_sum)
            counts, total = last.get(address, none)
            if sum(peer.latency_counts) < sum(counts):  # it was forgotten and met again
                counts, total = none
            for index, (now, before) in enumerate(zip(peer.latency_counts, counts, strict=True)):
                self.counts[index] += now - before
            self.milliseconds += peer.latency_sum - total


class _NodeCollector(Collector):
    """Shows the series that were made last."""

    families: Iterable[Metric] = ()

    def collect(self) -> Iterator[Metric]:
        yield from self.families

    def describe(self) -> Iterable[Metric]:
        return ()  # or registering would want to collect
