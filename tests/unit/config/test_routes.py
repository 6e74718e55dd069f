"""What the YAML says of routes, and what it means."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from ztlink.config.file import read_settings
from ztlink.errors import ConfigError
from ztlink.host.routes.wanted import ClusterSettings, DeclaredRoute, RoutingSettings
from ztlink.ids import Address, NetworkId

ONE = NetworkId(0x8056C2E21C000001)
TWO = NetworkId(0x8056C2E21C000002)
NETWORKS = 'networks: [{id: "8056c2e21c000001"}]\n'
BOTH = 'networks: [{id: "8056c2e21c000001"}, {id: "8056c2e21c000002", required: false}]\n'
VIA = "target: 10.20.0.0/16, via: 10.147.17.5"


def read(tmp_path: Path, text: str, **environment: str) -> RoutingSettings | None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return read_settings(file, {"NODE_NAME": "worker-1", **environment}).routing


def routing(tmp_path: Path, text: str, **environment: str) -> RoutingSettings:
    found = read(tmp_path, text, **environment)
    assert found is not None
    return found


def route(tmp_path: Path, entry: str) -> DeclaredRoute:
    return routing(tmp_path, f"{NETWORKS}routes: [{{{entry}}}]").routes[0]


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_a_file_that_says_nothing_of_routes_means_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, NETWORKS) is None


def test_a_route_needs_a_target_and_nothing_else(tmp_path: Path) -> None:
    assert route(tmp_path, "target: 10.20.0.0/16") == DeclaredRoute(ip_network("10.20.0.0/16"), ONE)


def test_a_route_has_all_that_is_said_of_it(tmp_path: Path) -> None:
    said = (
        f'network: "8056c2e21c000001", {VIA}, metric: 50, table: 200, source: 10.147.17.9, '
        'mtu: 1400, nodes: ["worker-*", edge-1], allowOverlap: true'
    )
    assert route(tmp_path, said) == DeclaredRoute(
        ip_network("10.20.0.0/16"),
        ONE,
        ip_address("10.147.17.5"),
        None,
        50,
        200,
        ip_address("10.147.17.9"),
        1400,
        ("worker-*", "edge-1"),
        True,
    )


def test_a_via_of_ten_digits_is_a_member(tmp_path: Path) -> None:
    found = route(tmp_path, 'target: 10.20.0.0/16, via: "35da09f211"')
    assert (found.via, found.member, found.way) == (None, Address(0x35DA09F211), "35da09f211")


def test_an_ipv4_target_may_be_reached_by_ipv6(tmp_path: Path) -> None:
    assert route(tmp_path, "target: 10.20.0.0/16, via: fd00::5").via == ip_address("fd00::5")


def test_a_target_may_be_one_address(tmp_path: Path) -> None:
    assert route(tmp_path, "target: 10.20.0.7").target == ip_network("10.20.0.7/32")


def test_of_several_networks_a_route_names_one(tmp_path: Path) -> None:
    found = routing(tmp_path, f'{BOTH}routes: [{{network: "8056c2e21c000002", {VIA}}}]')
    assert found.routes[0].network_id == TWO


def test_without_networks_the_one_that_will_be_joined_is_meant(tmp_path: Path) -> None:
    assert routing(tmp_path, f"routes: [{{{VIA}}}]").routes[0].network_id is None


def test_a_network_of_the_environment_is_the_only_one_too(tmp_path: Path) -> None:
    found = routing(tmp_path, f"routes: [{{{VIA}}}]", ZEROTIER_NETWORK_ID="8056c2e21c000001")
    assert found.routes[0].network_id == ONE


def test_the_node_is_ready_with_the_routes_of_required_networks(tmp_path: Path) -> None:
    found = routing(tmp_path, f'{BOTH}routes: [{{network: "8056c2e21c000002", {VIA}}}]')
    assert found.required == {ONE}


def test_the_nodes_name_is_the_one_that_patterns_are_for(tmp_path: Path) -> None:
    assert routing(tmp_path, "routing: {}").node_name == "worker-1"


def test_routes_may_have_a_table_of_their_own(tmp_path: Path) -> None:
    found = routing(tmp_path, "routing: {table: 300, rulePriority: 8000}")
    assert (found.table, found.rule_priority) == (300, 8000)


def test_the_clusters_ranges_may_be_given(tmp_path: Path) -> None:
    said = (
        "cluster: {podCidrs: [10.244.0.0/16, 'fd00:10:244::/56'], serviceCidrs: [10.96.0.0/12], "
        "nodeCidrs: [172.18.0.0/16], detect: false, cniDirectory: /etc/other}"
    )
    assert routing(tmp_path, said, KUBERNETES_SERVICE_HOST="10.96.0.1").cluster == ClusterSettings(
        (ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56")),
        (ip_network("10.96.0.0/12"),),
        (ip_network("172.18.0.0/16"),),
        detect=False,
        cni_directory=Path("/etc/other"),
    )


def test_a_pod_knows_an_address_of_the_services(tmp_path: Path) -> None:
    found = routing(tmp_path, "routing: {}", KUBERNETES_SERVICE_HOST="10.96.0.1")
    assert found.cluster.service_ip == ip_address("10.96.0.1")


def test_a_name_of_the_clusters_api_tells_nothing(tmp_path: Path) -> None:
    found = routing(tmp_path, "routing: {}", KUBERNETES_SERVICE_HOST="api.example")
    assert found.cluster.service_ip is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{BOTH}routes: [{{{VIA}}}]", "routes[0].network: is missing: should be one of"),
        ("routes: [{via: 10.1.2.3}]", "routes[0].target: is missing"),
        (
            "routes: [{target: 10.20.0.1/16}]",
            "routes[0].target: '10.20.0.1/16': has bits behind its prefix: should be 10.20.0.0/16",
        ),
        ("routes: [{target: pods}]", "routes[0].target: 'pods': should be a range of addresses"),
        ("routes: [{target: 224.0.0.0/4}]", "routes[0].target: '224.0.0.0/4': should be a range"),
        ("routes: [{target: fd77::/48, via: 'fe80::1%e0'}]", "routes[0].via: 'fe80::1%e0': should"),
        ("routes: [{target: 10.0.0.0/8, via: gateway}]", "routes[0].via: 'gateway': should be an"),
        (
            "routes: [{target: 10.0.0.0/8, via: 8912345678}]",
            "routes[0].via: 8912345678: is a number to YAML",
        ),
        ("routes: [{target: fd77::/48, via: 10.1.2.3}]", "routes[0]: via 10.1.2.3 is IPv4"),
        ("routes: [{target: fd77::/48, source: 10.1.2.3}]", "should be an IPv6 address of this"),
        ("routes: [{target: fd77::/48, mtu: 1279}]", "mtu 1279: should be at least 1280"),
        ("routes: [{target: 10.0.0.0/8, metric: 0}]", "routes[0].metric: 0: should be greater"),
        ("routes: [{target: 10.0.0.0/8, table: 254}]", "is the kernel's table main"),
        ("routes: [{target: 10.0.0.0/8, nodes: worker}]", "routes[0].nodes: 'worker': should be"),
        ("routes: [{target: 10.0.0.0/8, allowOverlaps: true}]", "did you mean allowOverlap?"),
        ("routing: {table: 255}", "routing.table: 255: is the kernel's table local"),
        ("routing: {rulePriority: 32766}", "routing.rulePriority: 32766: should be less than"),
        ("cluster: {podCidrs: [10.0.0.0/33]}", "cluster.podCidrs[0]: '10.0.0.0/33': should be"),
        ("cluster: {cniDirectory: net.d}", "cluster.cniDirectory: 'net.d': should be an absolute"),
        (
            f"routes: [{{{VIA}}}, {{target: 10.20.0.0/16}}]",
            "routes[1].target: 10.20.0.0/16 is in routes[0] already: should have another metric",
        ),
    ],
)
def test_a_mistake_is_told_by_key_value_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_the_same_target_may_lead_elsewhere_for_other_nodes(tmp_path: Path) -> None:
    text = f"routes: [{{{VIA}, nodes: [a]}}, {{target: 10.20.0.0/16, nodes: [b]}}]"
    assert len(routing(tmp_path, text).routes) == 2


def test_the_firewall_knows_what_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"routes: [{{{VIA}}}, {{target: 10.21.0.0/16, nodes: [others]}}]\n"
        "cluster: {podCidrs: [10.244.0.0/16], serviceCidrs: [10.96.0.0/12]}\nfirewall: {}\n"
    )
    found = read_settings(file, {"NODE_NAME": "worker-1"}).firewall
    assert found is not None
    assert found.inside == (ip_network("10.244.0.0/16"), ip_network("10.96.0.0/12"))
    assert found.outside == (ip_network("10.20.0.0/16"),)


@pytest.mark.parametrize(
    ("ranges", "is_guarded"),
    [
        ("podCidrs: [10.244.0.0/16]", False),
        ("podCidrs: [10.244.0.0/16], nodeCidrs: [172.18.0.0/16]", True),
    ],
)
def test_where_pods_and_nodes_are_known_they_alone_reach_the_agents_port(
    tmp_path: Path, ranges: str, is_guarded: bool
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"cluster: {{{ranges}}}\nfirewall: {{}}\n")
    found = read_settings(file, {}).firewall
    assert found is not None
    assert (found.http is not None) == is_guarded
