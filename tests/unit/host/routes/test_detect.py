"""What is known of the cluster, and how."""

import json
import logging
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from ztlink.host.routes.detect import ClusterRanges, cluster_ranges, read_conflist
from ztlink.host.routes.kernel import ForeignRoute
from ztlink.host.routes.ranges import Range, Use
from ztlink.host.routes.wanted import ClusterSettings

KERNEL, BOOT, BIRD, FELIX = 2, 3, 12, 80
NAMES = {1: "lo", 2: "eth0", 3: "cni0", 4: "cali123", 5: "docker0", 6: "tailscale0"}
FLANNEL = {
    "name": "cbr0",
    "plugins": [
        {"type": "flannel", "delegate": {"isDefaultGateway": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
HOST_LOCAL = {
    "name": "kindnet",
    "plugins": [
        {
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:10:244:1::/64"}]],
            },
        }
    ],
}
BRIDGE = {"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.88.0.0/16"}}
CALICO = {"plugins": [{"type": "calico", "ipam": {"ipv4_pools": ["192.168.0.0/16"]}}]}
FILLED_IN = {"plugins": [{"ipam": {"type": "host-local", "subnet": "usePodCidr"}}]}


def route(target: str, index: int, protocol: int = KERNEL, *, link: bool = True) -> ForeignRoute:
    return ForeignRoute(ip_network(target), index, protocol, link)


def look(*routes: ForeignRoute, **settings: Any) -> ClusterRanges:  # noqa: ANN401 - fields
    fields: dict[str, Any] = {"cni_directory": Path("/nonexistent"), **settings}
    return cluster_ranges(ClusterSettings(**fields), routes, NAMES)


def uses(found: ClusterRanges) -> list[tuple[str, Use]]:
    return [(str(one.network), one.use) for one in found.ranges]


# -- routes ------------------------------------------------------------------------------------


def test_a_cards_own_subnet_is_the_nodes() -> None:
    assert uses(look(route("172.18.0.0/16", 2))) == [("172.18.0.0/16", Use.NODES)]


def test_what_is_behind_a_cnis_device_is_pods() -> None:
    found = look(route("10.244.1.0/24", 3), route("10.244.1.5/32", 4, BOOT))
    assert uses(found) == [("10.244.1.0/24", Use.PODS), ("10.244.1.5/32", Use.PODS)]


@pytest.mark.parametrize("protocol", [BIRD, FELIX])
def test_what_a_cnis_protocol_has_made_is_pods(protocol: int) -> None:
    found = look(route("192.168.5.0/26", 2, protocol, link=False))
    assert uses(found) == [("192.168.5.0/26", Use.PODS)]


def test_another_route_is_another_networks() -> None:
    found = look(route("100.64.0.0/10", 6, BOOT))
    assert uses(found) == [("100.64.0.0/10", Use.NETWORK)]


def test_an_origin_names_the_device() -> None:
    assert look(route("172.18.0.0/16", 2)).ranges[0].origin == "a route of this machine, dev eth0"


@pytest.mark.parametrize("target", ["0.0.0.0/0", "::/0", "fe80::/64", "169.254.0.0/16", "ff00::/8"])
def test_default_routes_and_those_of_a_link_are_no_ranges(target: str) -> None:
    assert uses(look(route(target, 2))) == []


def test_a_route_of_the_loopback_is_no_range() -> None:
    assert uses(look(route("127.0.0.0/8", 1))) == []


# -- what is given -----------------------------------------------------------------------------


def test_what_is_given_is_known() -> None:
    found = look(
        pods=(ip_network("10.244.0.0/16"),),
        services=(ip_network("10.96.0.0/12"),),
        nodes=(ip_network("172.18.0.0/16"),),
    )
    assert found == ClusterRanges(
        (
            Range(ip_network("10.244.0.0/16"), Use.PODS, "cluster.podCidrs"),
            Range(ip_network("10.96.0.0/12"), Use.SERVICES, "cluster.serviceCidrs"),
            Range(ip_network("172.18.0.0/16"), Use.NODES, "cluster.nodeCidrs"),
        )
    )


def test_what_nobody_tells_is_unknown() -> None:
    assert look().unknown == (Use.PODS, Use.SERVICES, Use.NODES)


def test_what_routes_tell_is_not_unknown() -> None:
    assert look(route("172.18.0.0/16", 2), route("10.244.1.0/24", 3)).unknown == (Use.SERVICES,)


def test_where_nothing_is_looked_for_nothing_is_unknown() -> None:
    assert look(detect=False).unknown == ()


def test_the_address_of_the_clusters_api_is_a_services() -> None:
    found = look(service_ip=ip_address("10.96.0.1"))
    assert uses(found) == [("10.96.0.1/32", Use.SERVICES)]


def test_one_address_does_not_make_the_range_known() -> None:
    assert Use.SERVICES in look(service_ip=ip_address("10.96.0.1")).unknown


# -- the files of the CNI ----------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "10-kindnet.conflist").write_text(json.dumps(HOST_LOCAL))
    (tmp_path / "notes.txt").write_text("10.1.0.0/16")
    return tmp_path


def test_a_conflist_tells_the_pods_of_this_node(directory: Path) -> None:
    found = look(cni_directory=directory)
    assert uses(found) == [("10.244.1.0/24", Use.PODS), ("fd00:10:244:1::/64", Use.PODS)]
    assert found.ranges[0].origin == str(directory / "10-kindnet.conflist")


def test_files_are_not_read_where_the_range_is_given(directory: Path) -> None:
    found = look(cni_directory=directory, pods=(ip_network("10.0.0.0/9"),))
    assert uses(found) == [("10.0.0.0/9", Use.PODS)]


def test_files_are_not_read_where_nothing_is_looked_for(directory: Path) -> None:
    assert uses(look(cni_directory=directory, detect=False)) == []


@pytest.mark.parametrize(
    ("content", "subnets"),
    [
        (FLANNEL, []),
        (BRIDGE, ["10.88.0.0/16"]),
        (CALICO, ["192.168.0.0/16"]),
        (FILLED_IN, []),
        ([], []),
        ("10.1.0.0/16", []),
        ({"subnet": 7}, []),
    ],
)
def test_subnets_are_found_where_plugins_put_them(
    tmp_path: Path, content: object, subnets: list[str]
) -> None:
    file = tmp_path / "a.conflist"
    file.write_text(json.dumps(content))
    assert [str(one) for one in read_conflist(file)] == subnets


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_json_is_passed_over_with_a_word(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.conflist"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert read_conflist(file) == []
    assert str(file) in caplog.text
