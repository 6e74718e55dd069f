"""The network behind a node, and what agents are told of it (ci/e2e_routes)."""

import json
from ipaddress import ip_network
from pathlib import Path

from ci.cluster.network import PODS, SERVICES
from ci.e2e_bench import PAGE_PORT
from ci.e2e_routes import FIREWALL, FIRST, HOST, SECOND, STREAM_PORT, site
from ztlink.config.file import read_settings

NETWORKS = [ip_network(f"{start}.0/24") for start in (FIRST, SECOND)]


def test_the_networks_behind_a_node_are_nobody_elses() -> None:
    taken = [ip_network(PODS), ip_network(SERVICES), ip_network("10.250.0.0/24")]
    assert not [one for one in NETWORKS for other in taken if one.overlaps(other)]


def test_the_pod_gives_itself_an_address_in_each_of_them() -> None:
    (container,) = site("node-2")["spec"]["containers"]
    script = container["command"][-1]
    compile(script, "site", "exec")
    assert all(f'"{start}.{HOST}"' in script for start in (FIRST, SECOND))
    assert container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN"]


def test_agents_are_told_to_let_traffic_to_both_through(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"home": str(tmp_path), "firewall": FIREWALL}))
    firewall = read_settings(file, {}).firewall
    assert firewall is not None
    assert list(firewall.inside) == NETWORKS
    ports = {one.first for service in firewall.services for one in service.ports}
    assert ports == {PAGE_PORT, STREAM_PORT}
