"""A node in the text format of Prometheus, read back by Prometheus' own parser."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.api.seen import (
    JOINED,
    NAME,
    NODE,
    Keeper,
    Kept,
    membership,
    peer,
    reported,
    seen,
    served,
)
from ztlink.api.link_families import PREFIX, report_families
from ztlink.api.link_metrics import CONTENT_TYPE, Metrics
from ztlink.api.observe import Members, News, Observation, Report, Reporter
from ztlink.conditions import Condition, Status
from ztlink.host.dns.manager import DnsManager
from ztlink.host.firewall.manager import FirewallManager
from ztlink.host.firewall.rows import MEANINGS
from ztlink.host.routes.manager import RouteManager
from ztlink.host.routes.resolve import RouteState
from ztlink.host.routes.wanted import RoutingSettings
from ztlink.host.tally import DropTally, Tally
from ztlink.ids import NetworkId, format_address
from ztlink.node.events import NetworkStatus
from ztlink.node.status import PeerRole, PeerView
from ztlink.reloads import ReloadCounts
from ztlink.settings import MetricsSettings
from ztlink.stats import Drop, Latencies, Stats, Way
from ztlink.wire.verbs import Verb

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


COUNT = f"{PREFIX}_peer_latency_seconds_count"


def series(text: bytes) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(observation: Observation, name: str, **labels: str) -> float:
    found = series(Metrics(0.0).render(observation))
    return found[f"zerotier_link_{name}", tuple(sorted(labels.items()))]


def test_the_node_tells_who_it_is_and_which_world_it_follows() -> None:
    labels = {
        "version": "1.14.1",
        "zt_address": format_address(NODE.identity.address),
        "world_id": f"{NODE.planet_id:016x}",
        "world_timestamp": str(NODE.planet_timestamp),
    }
    assert value(JOINED, "info", **labels) == 1


def test_one_engine_is_in_use() -> None:
    compiled = replace(JOINED, node=replace(NODE, engine="jit"))
    found = [value(compiled, "engine", engine=name) for name in ("jit", "portable", "plain")]
    assert found == [1, 0, 0]


def test_a_node_is_online_or_not() -> None:
    assert value(JOINED, "online") == 1
    assert value(replace(JOINED, node=replace(NODE, online=False)), "online") == 0


def test_exactly_one_status_of_a_network_is_1() -> None:
    found = [
        value(JOINED, "network_status", network_id=NAME, status=status.name)
        for status in NetworkStatus
    ]
    assert found == [float(status is NetworkStatus.OK) for status in NetworkStatus]


@pytest.mark.parametrize(("status", "expected"), [("OK", 1), ("ACCESS_DENIED", 0)])
def test_a_network_is_authorised_or_not(status: str, expected: float) -> None:
    observation = seen(membership(NetworkStatus[status]))
    assert value(observation, "authorized", network_id=NAME) == expected


def test_when_a_configuration_came_is_a_time() -> None:
    came = JOINED.memberships[0].view.config_unix_ms / 1000
    assert value(JOINED, "config_timestamp_seconds", network_id=NAME) == came


def test_peers_are_counted_by_role_and_path() -> None:
    peers = (peer(1, active=True), peer(2, active=True), peer(3, PeerRole.PLANET, active=False))
    observation = replace(JOINED, peers=peers)
    assert value(observation, "peers", role="leaf", path="direct") == 2
    assert value(observation, "peers", role="leaf", path="relay") == 0
    assert value(observation, "peers", role="planet", path="relay") == 1


def measured(number: int, *milliseconds: float) -> PeerView:
    """A peer that has answered so fast."""
    trips = Latencies()
    for one in milliseconds:
        trips.add(one)
    known = peer(number, active=True)
    return replace(known, latency_counts=tuple(trips.counts), latency_sum=trips.total)


def test_round_trips_to_all_peers_are_one_histogram() -> None:
    observation = replace(JOINED, peers=(measured(1, 2, 400), measured(2, 50)))
    assert value(observation, "peer_latency_seconds_bucket", le="0.003") == 1
    assert value(observation, "peer_latency_seconds_bucket", le="0.06") == 2
    assert value(observation, "peer_latency_seconds_count") == 3
    assert value(observation, "peer_latency_seconds_sum") == pytest.approx(0.452)


def test_a_round_trip_is_counted_once_however_often_it_is_scraped() -> None:
    metrics, observation = Metrics(0.0), replace(JOINED, peers=(measured(1, 5),))
    metrics.render(observation)
    assert series(metrics.render(observation))[COUNT, ()] == 1


def test_what_was_counted_of_a_peer_stays_when_it_is_gone() -> None:
    metrics = Metrics(0.0)
    metrics.render(replace(JOINED, peers=(measured(1, 5, 6),)))
    metrics.render(JOINED)
    assert series(metrics.render(replace(JOINED, peers=(measured(1, 7),))))[COUNT, ()] == 3


def test_the_time_to_a_network_is_told_once() -> None:
    metrics = Metrics(100.0)
    for mono in (103.0, 500.0):
        metrics.configured(NetworkId(1), mono)
    found = series(metrics.render(JOINED))
    assert found["zerotier_link_join_duration_seconds_sum", ()] == 3
    assert found["zerotier_link_join_duration_seconds_bucket", (("le", "5.0"),)] == 1


def test_bytes_are_counted_by_direction() -> None:
    observation = seen(stats=Stats(bytes_in=7, bytes_out=9))
    assert value(observation, "udp_bytes_total", direction="rx") == 7
    assert value(observation, "udp_bytes_total", direction="tx") == 9


def test_packets_and_bytes_are_counted_by_direction_and_path() -> None:
    stats = Stats()
    stats.carried_in.add(Way.RELAY, 2, 300)
    stats.carried_out.add(Way.DIRECT_IPV6, 3, 400)
    observation = seen(stats=stats)
    assert value(observation, "path_packets_total", direction="rx", path="relay") == 2
    assert value(observation, "path_bytes_total", direction="tx", path="direct_ipv6") == 400
    assert value(observation, "path_bytes_total", direction="tx", path="direct_ipv4") == 0


def test_packets_are_counted_by_verb() -> None:
    stats = Stats()
    stats.packets_in[Verb.HELLO] = 3
    assert value(seen(stats=stats), "packets_total", verb="hello", direction="rx") == 3


@pytest.mark.parametrize("reason", list(Drop))
def test_every_reason_for_a_drop_has_its_counter(reason: Drop) -> None:
    stats = Stats()
    stats.drop(reason, 4)
    assert value(seen(stats=stats), "drops_total", reason=reason.name.lower()) == 4


def test_a_device_s_counters_are_the_kernel_s() -> None:
    assert value(JOINED, "interface_rx_packets_total", network_id=NAME, device="zt0") == 1
    assert value(JOINED, "interface_tx_dropped_total", network_id=NAME, device="zt0") == 7


def test_a_controller_counts_who_waits() -> None:
    network_id = NetworkId(0x112972485D000001)
    observation = replace(JOINED, controlled=(Members(network_id, 3, 2),))
    assert value(observation, "members", network_id=NAME, state="authorized") == 3
    assert value(observation, "members", network_id=NAME, state="pending") == 2


def test_a_node_that_is_no_controller_has_no_members() -> None:
    assert not [name for name, _ in series(Metrics(0.0).render(JOINED)) if "members" in name]


def test_no_series_has_the_address_of_a_peer() -> None:
    observation = replace(JOINED, peers=(peer(1, active=True),))
    address = format_address(observation.peers[0].identity.address).encode()
    assert address not in Metrics(0.0).render(observation)


def test_the_process_is_measured_too() -> None:
    assert series(Metrics(0.0).render(JOINED))["process_resident_memory_bytes", ()] > 0


# -- what others manage ----------------------------------------------------------------------------

FIREWALL = Keeper(tally=DropTally(6, 5, 2, 0.25, 3, (("input", 7),)))


def test_states_that_nothing_has_are_0() -> None:
    assert value(reported(JOINED, Keeper()), "routes", state="installed") == 0
    assert value(reported(JOINED, Keeper()), "routes", state="waiting") == 0


def test_managers_tell_all_their_series_before_anything_happens() -> None:
    managers: dict[str, Reporter] = {
        "routes": RouteManager(RoutingSettings()),
        "firewall": FirewallManager(),
        "dns": DnsManager(()),
    }
    reports = [
        Report(name, (), tuple(one.rows()), one.tally, tuple(one.states))
        for name, one in managers.items()
    ]
    found = {
        (sample.name.removeprefix(f"{PREFIX}_"), *sample.labels.values()): sample.value
        for family in report_families(reports)
        for sample in family.samples
    }
    wanted: set[tuple[str, ...]] = {("routes", state) for state in RouteState}
    wanted |= {("dns", "applied"), ("dns", "failed")}
    wanted |= {("firewall_drops_total", chain) for chain in MEANINGS}
    for name in managers:
        wanted |= {("reconcile_total", name, of) for of in ("unchanged", "changed", "failed")}
        wanted |= {(f"reconcile_duration_seconds_{of}", name) for of in ("count", "sum")}
        wanted |= {(f"{name}_drift_total",)}
    assert found == dict.fromkeys(wanted, 0)


def test_what_is_managed_is_counted_by_its_state() -> None:
    kept = (Kept("a"), Kept("b"), Kept("c", "waiting"))
    assert value(reported(JOINED, Keeper(kept=kept)), "routes", state="installed") == 2
    assert value(reported(JOINED, Keeper(kept=kept)), "routes", state="waiting") == 1


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("reconcile_total", {"loop": "firewall", "result": "changed"}, 5),
        ("reconcile_total", {"loop": "firewall", "result": "failed"}, 2),
        ("reconcile_total", {"loop": "firewall", "result": "unchanged"}, 6),
        ("reconcile_duration_seconds_sum", {"loop": "firewall"}, 0.25),
        ("reconcile_duration_seconds_count", {"loop": "firewall"}, 13),
        ("firewall_drift_total", {}, 3),
        ("firewall_drops_total", {"chain": "input"}, 7),
    ],
)
def test_what_the_firewall_has_done_is_counted(
    name: str, labels: dict[str, str], expected: float
) -> None:
    assert value(reported(JOINED, FIREWALL, "firewall"), name, **labels) == expected


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("reconcile_total", {"loop": "routes", "result": "unchanged"}, 9),
        ("reconcile_total", {"loop": "routes", "result": "changed"}, 4),
        ("reconcile_total", {"loop": "routes", "result": "failed"}, 1),
        ("reconcile_duration_seconds_count", {"loop": "routes"}, 14),
        ("routes_drift_total", {}, 3),
    ],
)
def test_the_passes_of_a_manager_are_counted(
    name: str, labels: dict[str, str], expected: float
) -> None:
    keeper = Keeper(tally=Tally(9, 4, 1, 0.5, 3))
    assert value(reported(JOINED, keeper), name, **labels) == expected


def test_conditions_are_counted_by_kind_and_status() -> None:
    faults = [Condition("route", Status.FAULT, subject) for subject in ("a", "b")]
    found = series(Metrics(0.0).render(JOINED, faults))
    labels = (("kind", "route"), ("status", "fault"))
    assert found["zerotier_link_conditions", labels] == 2


# -- on request ------------------------------------------------------------------------------------


def asked(settings: MetricsSettings) -> bytes:
    known = replace(measured(1, 5), last_receive_unix_ms=1500, packets_in=4)
    return Metrics(0.0).render(replace(JOINED, peers=(known,)), settings=settings)


def test_series_of_each_peer_are_there_where_they_are_asked_for() -> None:
    found = series(asked(MetricsSettings(per_peer=True)))
    who = (("peer", format_address(peer(1, active=True).identity.address)), ("role", "leaf"))
    assert found["zerotier_link_peer_direct", who] == 1
    assert found["zerotier_link_peer_round_trip_seconds", who] == 0.005
    assert found["zerotier_link_peer_heard_timestamp_seconds", who] == 1.5
    assert found["zerotier_link_peer_packets_total", (("direction", "rx"), *who)] == 4


def test_the_original_s_series_keep_their_names_and_have_no_type() -> None:
    text = asked(MetricsSettings(has_original=True)).decode()
    assert "# TYPE zt_packet untyped\n" in text
    assert 'zt_packet{direction="rx",packet_type="hello"} 0.0' in text
    assert "zt_num_networks 1.0" in text
    assert {name for name, _ in series(text.encode()) if name.startswith("zt_peer_latency")} == {
        "zt_peer_latency_bucket",
        "zt_peer_latency_count",
        "zt_peer_latency_sum",
    }


def test_the_original_s_series_have_the_values_of_its_own_interface() -> None:
    stats = Stats(bytes_in=7)
    stats.packets_in[Verb.HELLO] = 3
    settings = MetricsSettings(has_original=True)
    found = series(Metrics(0.0).render(seen(stats=stats), settings=settings))
    assert found["zt_packet", (("direction", "rx"), ("packet_type", "hello"))] == 3
    assert found["zt_data", (("direction", "rx"), ("protocol", "udp"))] == 7


def test_nobody_gets_the_original_s_series_without_asking() -> None:
    assert not [name for name, _ in series(asked(MetricsSettings())) if name.startswith("zt_")]


async def test_the_text_says_its_format() -> None:
    async with served(JOINED) as speaker:
        answer = await speaker.ask("GET", "/zerotier/metrics", headers={})
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)


FOLLOWED = News(
    reloads=ReloadCounts(2, 1, is_current=False, success_unix=100.0, failure_unix=200.0),
    handover_gap=1.5,
)


@pytest.mark.parametrize(
    ("name", "labels", "wanted"),
    [
        ("config_reloads_total", {"result": "success"}, 2),
        ("config_reloads_total", {"result": "failure"}, 1),
        ("config_current", {}, 0),
        ("config_last_success_timestamp_seconds", {}, 100),
        ("config_last_failure_timestamp_seconds", {}, 200),
        ("handover_gap_seconds", {}, 1.5),
    ],
)
def test_an_agent_tells_how_its_configuration_and_its_start_fared(
    name: str, labels: dict[str, str], wanted: float
) -> None:
    assert value(replace(JOINED, news=FOLLOWED), name, **labels) == wanted


def test_where_no_file_is_followed_there_is_nothing_of_it() -> None:
    assert b"config_reloads" not in Metrics(0.0).render(JOINED)
