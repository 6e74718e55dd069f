"""What programs are told of a node."""

from dataclasses import dataclass, replace
from ipaddress import ip_interface
from pathlib import Path

import pytest

from tests.unit.api.seen import (
    JOINED,
    NAME,
    NODE,
    OPTIONAL,
    REQUIRED,
    Keeper,
    Kept,
    config,
    membership,
    peer,
    reported,
    seen,
)
from ztlink.api.judgement import Json, Judge
from ztlink.api.link_views import health_json, manifest_json, row_json, status_json
from ztlink.api.observe import Observation
from ztlink.ids import format_address
from ztlink.node.events import NetworkStatus
from ztlink.settings import OnStop, Settings
from ztlink.wire.netconf import Dns, Route


@dataclass(frozen=True)
class OfNetwork:
    """Something that is managed for a network."""

    network_id: int
    metric: int | None


def health(observation: Observation | None, settings: Settings = REQUIRED) -> Json:
    return health_json(observation, Judge().judge(observation, settings, 1.0), settings)


def status(observation: Observation) -> Json:
    return status_json(observation, Judge().judge(observation, REQUIRED, 1.0), REQUIRED)


def test_health_tells_the_world_that_the_node_follows() -> None:
    told = health(JOINED)["world"]
    assert told == {"id": f"{NODE.planet_id:016x}", "timestamp": NODE.planet_timestamp}


def test_health_tells_each_network_with_its_device() -> None:
    assert health(JOINED)["networks"][0] == {
        "id": NAME,
        "name": "mesh",
        "required": True,
        "status": "OK",
        "reason": "joined",
        "addresses": ["10.1.2.3/24"],
        "device": "zt0",
        "fault": None,
    }


def test_health_tells_the_machine_of_the_cluster() -> None:
    assert health(JOINED, replace(REQUIRED, node_name="worker-1"))["node"] == "worker-1"


def test_health_tells_what_the_node_does_when_it_ends() -> None:
    assert health(JOINED, replace(REQUIRED, on_stop=OnStop.KEEP))["onStop"] == "keep"


def test_health_is_degraded_but_ready_where_an_optional_network_is_away() -> None:
    found = health(seen(membership(NetworkStatus.NOT_FOUND)), OPTIONAL)
    assert (found["status"], found["ready"]) == ("degraded", True)


def test_health_of_a_node_that_is_stuck_has_what_is_known() -> None:
    assert {key: health(None)[key] for key in ("status", "ready", "started", "role")} == {
        "status": "degraded",
        "ready": False,
        "started": False,
        "role": "node",
    }


def test_status_has_all_of_health() -> None:
    assert set(health(JOINED)) <= set(status(JOINED))


def test_status_tells_peers_with_their_paths() -> None:
    known = peer(1, latency=5, active=True)
    assert status(replace(JOINED, peers=(known,)))["peers"] == [
        {
            "address": format_address(known.identity.address),
            "role": "LEAF",
            "version": "1.14.1",
            "latency": 0.005,
            "direct": True,
            "lastReceive": None,
            "paths": [
                {
                    "endpoint": "10.200.0.12/9993",
                    "active": True,
                    "preferred": True,
                    "latency": 0.005,
                }
            ],
        }
    ]


def test_status_tells_routes_and_name_servers_of_a_network() -> None:
    one = membership(NetworkStatus.OK, "10.1.2.3/24")
    route = Route(ip_interface("10.9.0.0/16"), ip_interface("10.1.2.1/24").ip)
    dns = Dns(b"mesh.example", (ip_interface("10.1.2.53/24").ip,))
    view = replace(one.view, config=replace(config(), routes=(route,), dns=dns))
    network = status(seen(replace(one, view=view)))["networks"][0]
    assert network["routes"] == [{"target": "10.9.0.0/16", "via": "10.1.2.1"}]
    assert network["dns"] == {
        "domain": "mesh.example",
        "servers": ["10.1.2.53"],
        "coredns": ("mesh.example:53 {\n    errors\n    cache 30\n    forward . 10.1.2.53\n}\n"),
    }


def test_status_lists_what_is_managed_by_its_fields() -> None:
    kept = reported(JOINED, Keeper(kept=(Kept("10.20.0.0/16"),)))
    assert status(kept)["managed"] == {
        "routes": {"rows": [{"target": "10.20.0.0/16", "state": "installed"}]}
    }


def test_the_network_of_what_is_managed_is_told_as_networks_are() -> None:
    assert row_json(OfNetwork(0x112972485D000001, None)) == {"network_id": NAME, "metric": None}


@pytest.mark.parametrize(
    ("settings", "requires"),
    [
        (REQUIRED, ["kubernetes", "zerotier-central"]),
        (replace(REQUIRED, planet=Path("/planet")), ["kubernetes"]),
        (replace(REQUIRED, has_controller=True), ["kubernetes"]),
    ],
)
def test_central_is_required_unless_controller_and_roots_are_our_own(
    settings: Settings, requires: list[str]
) -> None:
    assert manifest_json(settings)["requires"] == requires


def test_the_manifest_tells_what_the_module_is() -> None:
    manifest = manifest_json(REQUIRED)
    del manifest["requires"]
    assert manifest == {
        "module": "zerotier-k8s-link",
        "version": "0.1.0",
        "layer": "overlay",
        "provides": ["encrypted-mesh", "private-routing", "nat-traversal"],
        "config_schema": "/zerotier/schema",
        "health_endpoint": "/zerotier/health",
        "metrics_endpoint": "/zerotier/metrics",
    }
