"""Metrics as Prometheus itself takes them: its linter, and a server that scrapes."""

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from ci.demo_userspace import free_port
from tests.host.observed import served_by_thread
from tests.lab.process import Process
from tests.lab.wait import wait_until
from tests.rights import unpacked
from tests.unit.api.seen import (
    JOINED,
    NAME,
    NODE,
    REQUIRED,
    Keeper,
    Kept,
    Watcher,
    peer,
    reported,
)
from ztlink.api.judge import conditions_of
from ztlink.api.link_metrics import Metrics
from ztlink.api.observe import Members
from ztlink.host.tally import DropTally
from ztlink.ids import NetworkId, format_address
from ztlink.settings import MetricsSettings

pytestmark = pytest.mark.prometheus

TIMEOUT = 60.0
ALL = reported(
    replace(
        JOINED,
        peers=(peer(1, active=True), peer(2, active=False)),
        controlled=(Members(NetworkId(0x112972485D000001), 3, 2),),
    ),
    Keeper(kept=(Kept("10.20.0.0/16"),), tally=DropTally(6, 5, 1, 0.25, 2, (("input", 7),))),
)
"""A node of which all series are there."""


@pytest.mark.parametrize(
    "settings",
    [MetricsSettings(), MetricsSettings(per_peer=True), MetricsSettings(has_original=True)],
)
def test_promtool_accepts_all_series(settings: MetricsSettings) -> None:
    metrics = Metrics(0.0)
    metrics.configured(NetworkId(1), 3.0)
    conditions = conditions_of(ALL, REQUIRED)
    text = metrics.render(ALL, conditions, {("/zerotier/health", 200): 3}, settings)
    tool = unpacked("promtool")
    assert tool is not None
    judged = subprocess.run((tool, "check", "metrics"), input=text, capture_output=True)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, b"", b"")


@dataclass
class Prometheus:
    """A server that scrapes a node every second."""

    port: int

    def value(self, query: str) -> str:
        """Return the one value that a query gives; empty where there is none."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10.0)
        try:
            connection.request("GET", f"/api/v1/query?query={quote(query)}")
            results = json.loads(connection.getresponse().read())["data"]["result"]
        except (OSError, ValueError):  # it starts yet, and says so in words
            return ""
        finally:
            connection.close()
        return str(results[0]["value"][1]) if results else ""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory, port = tmp_path_factory.mktemp("prometheus"), free_port(socket.SOCK_STREAM)
    settings = replace(REQUIRED, metrics=MetricsSettings(per_peer=True, has_original=True))
    with served_by_thread(Watcher(settings, ALL)) as origin:
        process = Process(_argv(directory, origin, port), log=directory / "log")
        server = Prometheus(port)
        try:
            wait_until(lambda: server.value("up") == "1", timeout=TIMEOUT, what="it scrapes")
            yield server
        finally:
            process.stop(timeout=30.0)


def _argv(directory: Path, origin: str, port: int) -> tuple[str, ...]:
    target = {"targets": [origin.removeprefix("http://")]}
    job = {
        "job_name": "zerotier",
        "scrape_interval": "1s",
        "metrics_path": "/zerotier/metrics",
        "static_configs": [target],
    }
    (directory / "config").write_text(json.dumps({"scrape_configs": [job]}))  # JSON is YAML
    program = unpacked("prometheus")
    assert program is not None
    return (
        program,
        f"--config.file={directory / 'config'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )


PEER = format_address(ALL.peers[0].identity.address)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("zerotier_link_online", "1"),
        (f'zerotier_link_info{{zt_address="{format_address(NODE.identity.address)}"}}', "1"),
        (f'zerotier_link_network_status{{network_id="{NAME}",status="OK"}}', "1"),
        ('zerotier_link_peers{role="leaf",path="direct"}', "1"),
        ('zerotier_link_routes{state="installed"}', "1"),
        ('zerotier_link_members{state="pending"}', "2"),
        ("histogram_quantile(0.5, zerotier_link_peer_latency_seconds_bucket)", "NaN"),
        (f'zerotier_link_peer_direct{{peer="{PEER}"}}', "1"),
        ("zt_num_networks", "1"),
        ('sum(zerotier_link_conditions{status!="ok"})', "0"),
    ],
)
def test_what_prometheus_has_scraped_is_what_was_seen(
    prometheus: Prometheus, query: str, value: str
) -> None:
    assert prometheus.value(query) == value


def test_prometheus_knows_which_series_are_counters(prometheus: Prometheus) -> None:
    connection = HTTPConnection("127.0.0.1", prometheus.port, timeout=10.0)
    connection.request("GET", "/api/v1/metadata?metric=zerotier_link_drops_total")
    found = json.loads(connection.getresponse().read())["data"]
    connection.close()
    assert found["zerotier_link_drops_total"][0]["type"] == "counter"
