"""The program takes the configuration files that the chart writes for it."""

from pathlib import Path

import pytest

from tests.chart.conftest import CASES, Json, Render

pytestmark = pytest.mark.chart

config_file = pytest.importorskip("ztlink.config.file")
bootstrap_file = pytest.importorskip("ztlink.bootstrap_file")
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
    settings = bootstrap_file.read_bootstrap(file)
    assert settings.namespace == "zerotier"
    assert settings.endpoints
