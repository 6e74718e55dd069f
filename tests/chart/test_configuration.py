"""The program takes the configuration files that the chart writes for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chart.conftest import CASES, Json, Render

pytestmark = pytest.mark.chart

config_file = pytest.importorskip("ztlink.config.file")
cluster_files = pytest.importorskip("ztlink.cluster_files")
yaml_file = pytest.importorskip("ztlink.yaml_file")

EMBEDDED = [case for case in CASES if case.startswith("embedded")]


def written(objects: list[Json], component: str, key: str, folder: Path) -> Path:
    """Write the file that a component is given."""
    (text,) = (
        item["data"][key]
        for item in objects
        if item["kind"] == "ConfigMap"
        and item["metadata"].get("labels", {}).get("app.kubernetes.io/component") == component
        and key in item.get("data", {})
    )
    file = folder / key
    file.write_text(text)
    return file


@pytest.mark.parametrize("case", CASES)
def test_a_node_takes_its_file(case: str, render: Render, tmp_path: Path) -> None:
    file = written(render(case), "agent", "config.yaml", tmp_path)
    read = yaml_file.read_yaml(file, config_file.NodeFile)
    assert read.home == Path("/var/lib/zerotier-k8s-link")
    assert read.networks


def test_a_node_takes_all_that_may_be_said_of_a_network(render: Render, tmp_path: Path) -> None:
    file = written(render("everything-values.yaml"), "agent", "config.yaml", tmp_path)
    first, second = yaml_file.read_yaml(file, config_file.NodeFile).networks
    assert (first.required, first.interface_name, first.allow_dns) == (False, "zt-a", True)
    assert second.id_file == Path("/etc/zerotier-k8s-link-network-secret/networkId")


def test_a_node_takes_all_that_may_be_said_of_routes_metrics_and_name_servers(
    render: Render, tmp_path: Path
) -> None:
    objects = render("everything-values.yaml", "--set-string", "networkSecret.networkId=")
    settings = config_file.read_settings(written(objects, "agent", "config.yaml", tmp_path), {})
    first, second = settings.routing.routes
    assert (first.member, first.metric, first.table) == (0x1234567890, 4294967295, 1_000_000)
    assert (first.nodes, first.allow_overlap) == (("worker-*", "edge-1"), True)
    assert str(second.via) == "fd00::5"
    assert (settings.routing.table, settings.routing.rule_priority) == (4294967290, 9001)
    assert [str(one) for one in settings.routing.cluster.pods] == ["10.244.0.0/16"]
    assert settings.routing.cluster.detect is False
    assert (settings.metrics.per_peer, settings.apply_dns) == (True, True)


def test_config_check_is_content_with_all_that_may_be_said(render: Render, tmp_path: Path) -> None:
    objects = render("everything-values.yaml", "--set-string", "networkSecret.networkId=")
    file = written(objects, "agent", "config.yaml", tmp_path)
    command = [sys.executable, "-m", "ztlink", "config", "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("network_id", ["0123456701234567", "1129724850000001", "8056e21000000001"])
def test_ids_that_look_like_numbers_stay_ids(
    network_id: str, render: Render, tmp_path: Path
) -> None:
    change = ["--set-string", f"networks[0].id={network_id}"]
    file = written(render("network-values.yaml", *change), "agent", "config.yaml", tmp_path)
    (membership,) = config_file.read_settings(file, {}).memberships
    assert membership.network_id == int(network_id, 16)


@pytest.mark.parametrize("case", EMBEDDED)
def test_a_controller_takes_its_file(case: str, render: Render, tmp_path: Path) -> None:
    file = written(render(case), "controller", "config.yaml", tmp_path)
    (network,) = yaml_file.read_yaml(file, config_file.NodeFile).controller.networks
    assert network.settings["private"] is True


@pytest.mark.parametrize("case", EMBEDDED)
def test_the_bootstrap_takes_its_file(case: str, render: Render, tmp_path: Path) -> None:
    file = written(render(case), "bootstrap", "bootstrap.yaml", tmp_path)
    settings = cluster_files.read_bootstrap(file)
    assert settings.namespace == "zerotier"
    assert settings.endpoints
