"""/metrics has the original's series, under the original's names."""

import re
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.api.recorded import network_view, objects, peer_view
from tests.unit.api.rig import METRICS_TOKEN, TOKEN, FakeCore, make_api, speak_to
from tests.vectors.loading import load
from ztlink.api.metrics import Metrics, Snapshot
from ztlink.stats import Drop
from ztlink.wire.verbs import ErrorCode, Verb

RECORDED: str = next(
    entry["body"]
    for entry in load("localapi.json")["entries"]
    if entry.get("request", {}).get("path") == "/metrics" and entry["status"] == 200
)
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


def series(text: str) -> dict[str, dict[str, set[str]]]:
    """Return the labels of each series, and their values."""
    found: dict[str, dict[str, set[str]]] = {}
    for line in text.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is not None:
            labels = found.setdefault(match[1], {})
            for label, value in re.findall(r'(\w+)="([^"]*)"', match[2] or ""):
                labels.setdefault(label, set()).add(value)
    return found


def headings(text: str) -> dict[str, str]:
    """Return the type of each family."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))


def make_core() -> FakeCore:
    core = FakeCore(peers=[peer_view(objects("/peer")[0])])
    view = network_view(objects("/network")[-1])
    verdicts = {("rx", True): 5, ("rx", False): 1, ("tx", True): 7, ("tx", False): 0}
    core.networks[view.network_id] = replace(view, verdicts=verdicts)
    return core


async def shown(core: FakeCore, **headers: str) -> str:
    async with speak_to(make_api(core)) as speaker:
        answer = await speaker.ask("GET", "/metrics", headers=headers or {"X-ZT1-Auth": TOKEN})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    return answer.body.decode()


def of_node(names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if name.startswith("zt_")}


async def test_series_and_labels_are_the_originals() -> None:
    ours, theirs = of_node(series(await shown(make_core()))), of_node(series(RECORDED))
    assert {name: set(labels) for name, labels in ours.items()} == {
        name: set(labels) for name, labels in theirs.items()
    }


@pytest.mark.parametrize("label", ["packet_type", "direction", "protocol", "status", "le"])
async def test_values_of_labels_are_the_originals(label: str) -> None:
    ours, theirs = series(await shown(make_core())), series(RECORDED)
    values = {name: labels[label] for name, labels in of_node(theirs).items() if label in labels}
    # a histogram's last bound is spelled alike by both
    assert values
    assert {name: ours[name][label] for name in values} == values


async def test_types_are_the_originals() -> None:
    assert of_node(headings(await shown(make_core()))) == of_node(headings(RECORDED))


async def test_an_error_that_we_never_send_has_no_series() -> None:
    ours, theirs = series(await shown(make_core())), series(RECORDED)
    missing = theirs["zt_packet_error"]["error_type"] - ours["zt_packet_error"]["error_type"]
    assert missing == {"internal_server_error"}


async def test_the_text_is_what_prometheus_reads() -> None:
    families = {family.name for family in text_string_to_metric_families(await shown(make_core()))}
    assert {"zt_packet", "zt_peer_latency", "zt_network_packets"} <= families


async def test_counters_are_what_was_counted() -> None:
    core = make_core()
    core.stats.packets_in[Verb.HELLO] = 3
    core.stats.errors_out[ErrorCode.NETWORK_ACCESS_DENIED] = 4
    core.stats.bytes_out = 500
    core.stats.drop(Drop.BAD_AUTH_TAG, 6)
    text = await shown(core)
    for line in (
        'zt_packet{direction="rx",packet_type="hello"} 3.0',
        'zt_packet_error{direction="tx",error_type="network_access_denied"} 4.0',
        'zt_data{direction="tx",protocol="udp"} 500.0',
        'ztlink_drop{reason="bad_auth_tag"} 6.0',
        "zt_num_networks 1.0",
    ):
        assert line in text.splitlines()


async def test_networks_count_what_the_rules_said() -> None:
    text = await shown(make_core())
    pattern = r'zt_network_packets\{accepted="(\w+)",direction="(\w+)",network_id="\w{16}"\} (\S+)'
    assert set(re.findall(pattern, text)) == {
        ("yes", "rx", "5.0"),
        ("no", "rx", "1.0"),
        ("yes", "tx", "7.0"),
        ("no", "tx", "0.0"),
    }


async def test_buckets_of_latencies_add_up() -> None:
    core = make_core()
    core.peers = [replace(core.peers[0], latency_counts=(1, 2, *(0,) * 8, 3), latency_sum=4000.0)]
    text = await shown(core)
    found = re.findall(r'zt_peer_latency_bucket\{le="([^"]+)",node_id="\w{10}"\} (\S+)', text)
    assert [count for _, count in found] == ["1.0", *["3.0"] * 9, "6.0"]
    assert re.search(r"zt_peer_latency_sum\{[^}]*\} 4000\.0", text)


def test_a_node_without_networks_and_peers_has_its_counters() -> None:
    nothing = {"rx": (0,) * 256, "tx": (0,) * 256}
    snapshot = Snapshot(nothing, nothing, {"rx": 0, "tx": 0}, (0,) * len(Drop), (), ())
    lines = Metrics(None).render(snapshot).splitlines()
    assert {"zt_num_networks 0.0", 'zt_packet{direction="rx",packet_type="nop"} 0.0'} <= set(lines)


async def test_a_token_of_their_own_opens_the_metrics() -> None:
    assert await shown(make_core(), Authorization=f"Bearer {METRICS_TOKEN}")


async def test_it_opens_nothing_else() -> None:
    async with speak_to(make_api(make_core())) as speaker:
        answer = await speaker.ask("GET", "/status", headers={"X-ZT1-Auth": METRICS_TOKEN})
    assert answer.status == 401
