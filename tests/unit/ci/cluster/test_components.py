"""How the parts of a cluster are told what to do (ci/cluster/components)."""

import tomllib
from pathlib import Path

import pytest

from ci.cluster.components import (
    NODE_DIRECTORIES,
    Component,
    cni_config,
    containerd_config,
    control_components,
    kubelet_config,
    node_components,
    proxy_config,
)
from ci.cluster.keys import Keys
from ci.cluster.kubernetes import PAUSE_IMAGE, Programs
from ci.cluster.network import places

PROGRAMS = Programs(Path("/programs"))
[NODE] = places(["node-1"])


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def test_controllers_start_when_the_api_server_is_ready(keys: Keys, tmp_path: Path) -> None:
    parts = control_components(PROGRAMS, keys, tmp_path)
    assert [part.name for part in parts][:3] == [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
    ]
    assert parts[1].ready[-1] == "/readyz"


def test_the_kubelet_starts_when_containerd_listens(keys: Keys) -> None:
    first, second, *_ = node_components(PROGRAMS, keys, NODE)
    assert (first.name, second.name) == ("containerd", "kubelet")
    assert first.ready == ["test", "-S", "/run/containerd/containerd.sock"]


def test_every_program_is_one_that_was_built_or_containerd(keys: Keys, tmp_path: Path) -> None:
    parts = [
        *control_components(PROGRAMS, keys, tmp_path),
        *node_components(PROGRAMS, keys, NODE),
    ]
    assert {part.command[0] for part in parts if part.name != "containerd"} == {
        f"/programs/{part.name}" for part in parts if part.name != "containerd"
    }


def test_a_component_writes_its_own_log() -> None:
    plan = Component("etcd", ["etcd"], []).plan(Path("/logs"))
    assert plan == {"name": "etcd", "command": ["etcd"], "log": "/logs/etcd.log", "ready": []}


def test_pods_of_a_node_get_addresses_of_its_range() -> None:
    cable = cni_config(NODE)["plugins"][0]
    assert cable["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]


def test_a_kubelet_answers_nobody_without_a_certificate_or_token(keys: Keys) -> None:
    config = kubelet_config(keys, unified=False, max_open_files=1024)
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"] == {"mode": "Webhook"}


@pytest.mark.parametrize("unified", [True, False])
def test_control_groups_of_version_1_are_an_error_where_there_is_version_2(
    keys: Keys, unified: bool
) -> None:
    config = kubelet_config(keys, unified=unified, max_open_files=1024)
    assert config["failCgroupV1"] is unified


def test_what_the_kubelet_makes_is_the_nodes_own(keys: Keys) -> None:
    place = kubelet_config(keys, unified=True, max_open_files=1024)["volumePluginDir"]
    assert any(place.startswith(own) for own in NODE_DIRECTORIES)


def test_kube_proxy_leaves_the_machines_connection_table_alone(keys: Keys) -> None:
    assert proxy_config(keys, NODE)["conntrack"]["maxPerCore"] == 0


@pytest.mark.parametrize(
    ("version", "images", "runtime", "sandbox"),
    [
        (1, "io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri", "sandbox_image"),
        (2, "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "sandbox"),
    ],
)
def test_containerd_is_told_the_same_in_the_words_of_its_version(
    version: int, images: str, runtime: str, sandbox: str
) -> None:
    config = tomllib.loads(containerd_config(version, "native"))
    plugins = config["plugins"]
    pinned = plugins[images].get("pinned_images", plugins[images])
    snapshots = plugins[images].get("containerd", plugins[images])
    assert config["version"] == version + 1
    assert pinned[sandbox] == PAUSE_IMAGE
    assert snapshots["snapshotter"] == "native"
    assert plugins[runtime]["restrict_oom_score_adj"] is True
    assert plugins[runtime]["cni"]["conf_dir"] == "/etc/cni/net.d"
    assert plugins[runtime]["containerd"]["runtimes"]["runc"]["runtime_type"]
