"""What the files of `ztlink bootstrap` and `ztlink retire` mean, and how pods reach the cluster."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from ztlink.cluster_files import cluster_access, parse_endpoint, read_bootstrap, read_retire
from ztlink.errors import ConfigError
from ztlink.ids import Endpoint
from ztlink.settings import BootstrapSettings, ClusterAccess, RetireSettings

TEXT = """
namespace: mesh
secretName: root
worldConfigMapName: world
networkConfigMapName: network
endpoints: ["192.0.2.5/9993", "2001:db8::5/9993"]
labels: {app.kubernetes.io/name: zerotier-k8s-link}
"""
RETIRE = """
namespace: mesh
configMapName: mesh
daemonSetName: mesh
labels: {app.kubernetes.io/component: agent}
http: {enabled: true, port: 9994, address: ""}
timeoutSeconds: 30
image: localhost/zerotier-k8s-link:dev
"""
IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def read(tmp_path: Path, text: str) -> BootstrapSettings:
    file = tmp_path / "bootstrap.yaml"
    file.write_text(text)
    return read_bootstrap(file)


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("token")
    return tmp_path


def test_all_of_it_can_be_said(tmp_path: Path) -> None:
    assert read(tmp_path, TEXT) == BootstrapSettings(
        "mesh",
        "root",
        "world",
        "network",
        (Endpoint(ip_address("192.0.2.5"), 9993), Endpoint(ip_address("2001:db8::5"), 9993)),
        {"app.kubernetes.io/name": "zerotier-k8s-link"},
    )


@pytest.mark.parametrize("text", ["10.0.0.5", "10.0.0.5:9993", "host/9993", "10.0.0.5/0", "/1"])
def test_an_endpoint_is_an_address_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"should be IP/PORT such as 192\.0\.2\.5/9993"):
        parse_endpoint(text)


def test_an_endpoint_that_is_none_is_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"endpoints\[1\]: 'root': should be IP/PORT"):
        read(tmp_path, TEXT.replace("2001:db8::5/9993", "root"))


def test_a_root_without_endpoints_is_refused(tmp_path: Path) -> None:
    text = TEXT.replace('["192.0.2.5/9993", "2001:db8::5/9993"]', "[]")
    with pytest.raises(ConfigError, match=r"endpoints: .*at least 1"):
        read(tmp_path, text)


def test_a_name_that_is_part_of_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="secretName: the value: should be the name of"):
        read(tmp_path, TEXT.replace("secretName: root", "secretName: ../configmaps/x"))


def test_a_pod_finds_the_api_where_the_kubelet_says(account: Path) -> None:
    expected = ClusterAccess("https://10.96.0.1:443", account / "token", account / "ca.crt")
    assert cluster_access(IN_CLUSTER, account) == expected


def test_an_api_on_ipv6_has_brackets(account: Path) -> None:
    environment = {**IN_CLUSTER, "KUBERNETES_SERVICE_HOST": "fd00::1"}
    assert cluster_access(environment, account).url == "https://[fd00::1]:443"


def test_outside_of_a_cluster_it_is_said_that_one_is_needed(account: Path) -> None:
    with pytest.raises(ConfigError, match="runs in a cluster's pod"):
        cluster_access({}, account)


def test_a_pod_without_an_account_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="automountServiceAccountToken: true"):
        cluster_access(IN_CLUSTER, tmp_path)


def retire(tmp_path: Path, text: str = RETIRE) -> RetireSettings:
    file = tmp_path / "retire.yaml"
    file.write_text(text)
    return read_retire(file)


def test_all_of_the_retirement_can_be_said(tmp_path: Path) -> None:
    assert retire(tmp_path) == RetireSettings(
        "mesh",
        "mesh",
        "mesh",
        {"app.kubernetes.io/component": "agent"},
        health_port=9994,
        patience=30.0,
        image="localhost/zerotier-k8s-link:dev",
    )


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104 - nothing is bound
def test_agents_that_serve_health_everywhere_are_asked_at_their_nodes(
    address: str, tmp_path: Path
) -> None:
    assert retire(tmp_path, RETIRE.replace('""', f'"{address}"')).health_ip is None


def test_agents_that_serve_health_at_one_address_are_asked_there(tmp_path: Path) -> None:
    settings = retire(tmp_path, RETIRE.replace('""', '"192.0.2.5"'))
    assert settings.health_ip == ip_address("192.0.2.5")


@pytest.mark.parametrize(
    ("said", "instead"),
    [("enabled: true", "enabled: false"), ('""', '"127.0.0.1"'), ('""', '"::1"')],
)
def test_agents_that_nobody_can_ask_are_not_asked(said: str, instead: str, tmp_path: Path) -> None:
    assert retire(tmp_path, RETIRE.replace(said, instead)).health_port is None


def test_agents_have_labels_lest_all_pods_be_touched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"labels: .*at least 1"):
        retire(tmp_path, RETIRE.replace("{app.kubernetes.io/component: agent}", "{}"))


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http\.address: 'node': should be an IP address"):
        retire(tmp_path, RETIRE.replace('""', "node"))
