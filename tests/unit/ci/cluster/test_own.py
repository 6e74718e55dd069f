"""A cluster before it begins (ci/cluster/own); see tests/host/test_bench for the rest."""

from pathlib import Path

import pytest

from ci.cluster.cluster import wait_for
from ci.cluster.errors import ClusterError
from ci.cluster.kubernetes import Programs
from ci.cluster.own import OwnCluster


@pytest.fixture
def cluster(tmp_path: Path) -> OwnCluster:
    return OwnCluster(tmp_path / "ztbench", Programs(Path("/programs")), ["node-1"])


def test_who_waits_in_vain_is_told_for_what() -> None:
    with pytest.raises(ClusterError, match="the moon: not after -1 s"):
        wait_for("the moon", lambda: False, seconds=-1)


def test_names_are_those_of_the_directory(cluster: OwnCluster) -> None:
    assert cluster.namespace("node-1") == "ztbench-node-1"


def test_a_node_that_is_off_cannot_be_entered(cluster: OwnCluster) -> None:
    with pytest.raises(ClusterError, match="node-1 is not on"):
        cluster.enter_node("node-1")


def test_kubectl_and_helm_find_the_cluster_and_nothing_of_the_user(
    cluster: OwnCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/user/.config")
    environment = cluster.environment("/helm")
    assert environment["PATH"].startswith("/helm:/programs:")
    assert environment["KUBECONFIG"] == str(cluster.directory / "keys" / "admin.conf")
    assert environment["HOME"] == str(cluster.directory / "home")
    assert "XDG_CONFIG_HOME" not in environment
